"""The kinds of clusterers under one interface: fitted to points in memory, kept in files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daskfer.cluster import Assignment, Centers, best_of
from daskfer.em import best_mixture
from daskfer.mixture import Membership, Mixture
from daskfer.recipe import Cluster, Gmm
from daskfer.splits import Split, apply

Clusterer = Centers | Mixture
"""What is fitted: it has `centers`, assigns points, and says what a file must hold of it."""


@dataclass(frozen=True)
class Refined:
    """Cluster (int32) of each row after splits, how sure that is (float32), and how far its centre.

    `confidence` is that of the fitted cluster, which splits do not change; `nearest` (float64) is a
    squared distance.
    """

    cluster: np.ndarray
    confidence: np.ndarray
    nearest: np.ndarray


@dataclass(frozen=True)
class Divided:
    """A fitted clusterer some of whose clusters were divided in two afterwards."""

    model: Clusterer
    splits: tuple[Split, ...]

    @property
    def kind(self) -> str:
        """That of the fitted clusterer."""
        return self.model.kind

    @property
    def iterations(self) -> int:
        """Those of the fit."""
        return self.model.iterations

    @property
    def centers(self) -> np.ndarray:
        """Centres (k + s, c): those of the parts in place of those of what was divided."""
        fitted = self.model.centers
        last = max((split.new for split in self.splits), default=-1)
        found = np.zeros((max(len(fitted), last + 1), fitted.shape[1]))
        found[: len(fitted)] = fitted
        for split in self.splits:
            found[[split.of, split.new]] = split.centers
        return found

    def assign(self, points: np.ndarray) -> Refined:
        """The cluster of each of these points (n, c)."""
        found: Assignment | Membership = self.model.assign(points)
        cluster, nearest = found.cluster.copy(), found.nearest.copy()
        for split in self.splits:
            members = np.flatnonzero(cluster == split.of)
            if len(members):
                apply(cluster, nearest, members, points[members], split)
        return Refined(cluster, found.confidence, nearest)

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, by names, for a file."""
        return {
            **self.model.arrays(),
            "split_of": np.array([split.of for split in self.splits], np.int64),
            "split_new": np.array([split.new for split in self.splits], np.int64),
            "split_centers": np.array([split.centers for split in self.splits], np.float64),
        }


AnyClusterer = Clusterer | Divided
"""What assigns faces: as it was fitted, or divided further."""


def divided(model: AnyClusterer, splits: Sequence[Split]) -> AnyClusterer:
    """The clusterer with these splits, which come after those that it has."""
    if not splits:
        return model
    if isinstance(model, Divided):
        return Divided(model.model, (*model.splits, *splits))
    return Divided(model, tuple(splits))


def fit_points(points: np.ndarray, method: Cluster, seed: int, stage: str) -> Clusterer:
    """The best of the method's restarts on points that are all in memory.

    KMeans is daskfer's own, whichever method of KMeans the recipe names.
    """
    if isinstance(method, Gmm):
        return best_mixture(points, method, seed, stage)
    return Centers(best_of(points, method, seed, stage), 0)


def from_arrays(arrays: dict[str, np.ndarray]) -> AnyClusterer:
    """The clusterer whose `arrays` were written to a file, perhaps among others."""
    found = _fitted(arrays)
    if "split_of" not in arrays:
        return found
    of, new = arrays["split_of"].tolist(), arrays["split_new"].tolist()
    return divided(found, [*map(Split, of, new, arrays["split_centers"])])


def _fitted(arrays: dict[str, np.ndarray]) -> Clusterer:
    iterations = int(arrays.get("iterations", 0))
    if "covariances" in arrays:
        return Mixture(
            arrays["weights"],
            arrays["means"],
            arrays["covariances"],
            iterations,
            float(arrays["log_likelihood"]),
        )
    return Centers(arrays["centers"], iterations)
