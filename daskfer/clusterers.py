"""The kinds of clusterers under one interface: fitted to points in memory, kept in files."""

from __future__ import annotations

import numpy as np

from daskfer.cluster import Centers, best_of
from daskfer.em import best_mixture
from daskfer.mixture import Mixture
from daskfer.recipe import Cluster, Gmm

Clusterer = Centers | Mixture
"""What is fitted: it has `centers`, assigns points, and says what a file must hold of it."""


def fit_points(points: np.ndarray, method: Cluster, seed: int, stage: str) -> Clusterer:
    """The best of the method's restarts on points that are all in memory.

    KMeans is daskfer's own, whichever method of KMeans the recipe names.
    """
    if isinstance(method, Gmm):
        return best_mixture(points, method, seed, stage)
    return Centers(best_of(points, method, seed, stage), 0)


def from_arrays(arrays: dict[str, np.ndarray]) -> Clusterer:
    """The clusterer whose `arrays` were written to a file, perhaps among others."""
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
