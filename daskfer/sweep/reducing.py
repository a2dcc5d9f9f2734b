"""Reductions that all cells of a representation share: the largest, of which each takes a part.

The first c of many principal components are the c principal components, whitened or not, so one
reduction serves all numbers of components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from daskfer.recipe import NoReduction, Reduce, Svd

LEAST = 16
"""Components are computed in this number, or twice, four times, … as many: so sweeps over other
numbers of components find the very same ones, to the last bit, and the cells in the store."""


@dataclass(frozen=True)
class Reduced:
    """Rows with all their components, float32 (n, c), and the share of variance up to each.

    `explained` is None where nothing was reduced.
    """

    points: np.ndarray
    explained: np.ndarray | None

    def first(self, components: int | None) -> np.ndarray:
        """The rows with so many components, or as they are."""
        return np.ascontiguousarray(self.points[:, :components])

    def share(self, components: int | None) -> float | None:
        """The share of variance that so many components explain."""
        if self.explained is None or components is None:
            return None
        return float(self.explained[components - 1])


@dataclass(frozen=True)
class Fold:
    """Rows that were reduced by a fit to the first of them, and those that it did not see."""

    fitted: Reduced
    held_out: Reduced


def rung(components: int | None) -> int | None:
    """How many components are computed, rows and features permitting, where so many are wanted."""
    if components is None:
        return None
    count = LEAST
    while count < components:
        count *= 2
    return count


def reduce_rows(values: np.ndarray, method: Reduce, wanted: int | None, seed: int) -> Reduced:
    """Reduce rows, float32 (n, d), by a fit to all of them."""
    if wanted is None:
        return Reduced(values, None)
    points, model = _fit(values, method, wanted, seed)
    shares = np.asarray(model.explained_variance_ratio_, np.float64)
    return Reduced(points, np.cumsum(shares))


def reduce_fold(
    values: np.ndarray, held_out: np.ndarray, method: Reduce, wanted: int | None, seed: int
) -> Fold:
    """Reduce rows, float32 (n, d), by a fit to all but those with the numbers `held_out`."""
    inside = np.ones(len(values), bool)
    inside[held_out] = False
    fitted, other = values[inside], values[~inside]
    if wanted is None:
        return Fold(Reduced(fitted, None), Reduced(other, None))
    points, model = _fit(fitted, method, wanted, seed)
    return Fold(
        Reduced(points, None), Reduced(model.transform(other).astype(np.float32, copy=False), None)
    )


def _fit(values: np.ndarray, method: Reduce, wanted: int, seed: int) -> tuple[np.ndarray, Any]:
    from sklearn.decomposition import PCA, TruncatedSVD

    assert not isinstance(method, NoReduction)
    count = min(wanted, len(values) - 1, values.shape[1])
    # A few leading ones to full precision cost much less than all of them.
    few = count < min(values.shape) // 10
    if isinstance(method, Svd):
        model = TruncatedSVD(count, algorithm="arpack", random_state=seed)
        if not few:
            # ARPACK finds fewer than all of them only; an exact one is cheap here.
            model = TruncatedSVD(count, n_iter=20, random_state=seed)
    else:
        solver = "arpack" if few else "full"
        model = PCA(count, whiten=method.whiten, svd_solver=solver, random_state=seed)
    points = model.fit_transform(values)
    return points.astype(np.float32, copy=False), model
