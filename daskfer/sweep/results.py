"""The figures of a cell, put together from its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from daskfer.sweep.choices import Cell
from daskfer.sweep.scoring import Part


@dataclass(frozen=True)
class Result:
    """All figures of a cell; None where one was left out, or is not a number.

    Attributes
    ----------
    rows : int
        Scored rows.
    null, null_spread : float
        Mean and standard deviation of the silhouettes of structureless noise.
    stability, null_stability : float
        Mean pairwise adjusted Rand index of clusterings of random halves: of the rows, of noise.
    cv_mean, cv_std, held_out_mean, held_out_std : float
        Cross-validated silhouettes of fitted rows, and of the rows held out.
    """

    represent: str
    components: int | None
    clusters: int
    rows: int
    explained_variance: float | None
    silhouette: float | None
    null: float | None
    null_spread: float | None
    null_draws: int
    stability: float | None
    null_stability: float | None
    cv_mean: float | None
    cv_std: float | None
    held_out_mean: float | None
    held_out_std: float | None
    davies_bouldin: float | None
    calinski_harabasz: float | None
    inertia: float

    @property
    def cell(self) -> Cell:
        """The choice that the figures are of."""
        return Cell(self.represent, self.components, self.clusters)

    @property
    def excess(self) -> float | None:
        """How far the silhouette is above that of noise."""
        if self.silhouette is None or self.null is None:
            return None
        return self.silhouette - self.null


def result_of(cell: Cell, fit: Part, noise: Part | None, folds: Part | None) -> Result:
    """Join the parts of a cell; those that were left out are None."""
    null, null_spread = _mean_and_spread(noise["null_silhouettes"] if noise else [], 1)
    cv_mean, cv_std = _mean_and_spread(folds["fitted"] if folds else [], 0)
    held_out_mean, held_out_std = _mean_and_spread(folds["held_out"] if folds else [], 0)
    return Result(
        represent=cell.represent,
        components=cell.components,
        clusters=cell.clusters,
        rows=fit["rows"],
        explained_variance=fit["explained_variance"],
        silhouette=fit["silhouette"],
        null=null,
        null_spread=null_spread,
        null_draws=len(noise["null_silhouettes"]) if noise else 0,
        stability=noise["stability"] if noise else None,
        null_stability=_mean_and_spread(noise["null_stabilities"], 0)[0] if noise else None,
        cv_mean=cv_mean,
        cv_std=cv_std,
        held_out_mean=held_out_mean,
        held_out_std=held_out_std,
        davies_bouldin=fit["davies_bouldin"],
        calinski_harabasz=fit["calinski_harabasz"],
        inertia=fit["inertia"],
    )


def _mean_and_spread(values: list[Any], freedom: int) -> tuple[float | None, float | None]:
    """Mean and standard deviation of what is a number; the latter of too few values is None."""
    known = [value for value in values if value is not None]
    if not known:
        return None, None
    spread = float(np.std(known, ddof=freedom)) if len(known) > freedom else None
    return float(np.mean(known)), spread
