"""What a cell is worth, in three parts that are computed and kept apart.

The parts are plain values by name, as they are kept in JSON; what is not a number is None.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from daskfer.clusterers import Clusterer, fit_points
from daskfer.evaluate import internal
from daskfer.evaluate.silhouette import silhouette as silhouette_of_many_dimensions
from daskfer.randomness import generator
from daskfer.recipe import Cluster
from daskfer.sweep import kernel
from daskfer.sweep.choices import Cell
from daskfer.sweep.reducing import Fold, Reduced

Part = dict[str, Any]

NULL_HALVES = 3
"""Random halves of each draw of noise that are clustered to see how stable such clusters are."""


@dataclass(frozen=True)
class Settings:
    """What all cells share: the recipe's clusterer, seed, draws of noise and of random halves."""

    method: Cluster
    seed: int
    null_draws: int
    halves: int


def fit_clusters(points: np.ndarray, clusters: int, settings: Settings, stage: str) -> Clusterer:
    """The recipe's clusterer with so many clusters, the best of its restarts on these points."""
    method = replace(settings.method, clusters=clusters)
    return fit_points(points, method, settings.seed, stage)


def silhouette(points: np.ndarray, cluster: np.ndarray, clusters: int) -> float:
    """Mean silhouette of points; NaN with fewer than two clusters among them."""
    if points.shape[1] > kernel.MOST_DIMENSIONS:
        return silhouette_of_many_dimensions(points, cluster, clusters)
    return kernel.silhouette(points, cluster, clusters)


def score_fit(reduced: Reduced, cell: Cell, settings: Settings) -> Part:
    """Clusters of all rows: silhouette, Davies–Bouldin, Calinski–Harabasz, inertia."""
    points = reduced.first(cell.components)
    model = fit_clusters(points, cell.clusters, settings, "cluster")
    cluster = model.assign(points).cluster
    of = internal.spread(points, model.centers, cluster)
    return {
        "rows": len(points),
        "explained_variance": reduced.share(cell.components),
        "silhouette": finite(silhouette(points, cluster, cell.clusters)),
        "davies_bouldin": finite(internal.davies_bouldin(of, model.centers)),
        "calinski_harabasz": finite(internal.calinski_harabasz(of)),
        "inertia": of.inertia,
    }


def score_noise(reduced: Reduced, root: np.ndarray | None, cell: Cell, settings: Settings) -> Part:
    """Stability of the clusters, and the silhouettes and stability of clusters of noise.

    The noise is Gaussian, of as many rows with the same covariance: what data without any
    clusters give. Each draw is clustered with as many restarts as the rows are.

    Parameters
    ----------
    reduced : Reduced
    root : float array (c, c) or None
        A root of the covariance, where it is known.
    cell : Cell
    settings : Settings
    """
    points, k = reduced.first(cell.components), cell.clusters
    if root is None:
        root = covariance_root(points)
    # A name of its own for each cell: what one draw has by chance must not raise all of them.
    name = f"sweep-null-{cell.components}-{k}"
    silhouettes, agreements = [], []
    for number in range(settings.null_draws):
        random = generator(settings.seed, name, number)
        noise = (random.standard_normal(points.shape) @ root).astype(np.float32)
        model = fit_clusters(noise, k, settings, f"null-{number}")
        silhouettes.append(silhouette(noise, model.assign(noise).cluster, k))
        agreements.append(stability(noise, k, NULL_HALVES, settings, f"{name}-{number}"))
    return {
        "stability": finite(stability(points, k, settings.halves, settings, "stability")),
        "null_silhouettes": [finite(value) for value in silhouettes],
        "null_stabilities": [finite(value) for value in agreements],
    }


def covariance_root(points: np.ndarray) -> np.ndarray:
    """A matrix, float64 (c, c), that gives standard noise the covariance of points (n, c)."""
    covariance = np.atleast_2d(np.cov(points.astype(np.float64), rowvar=False))
    variances, vectors = np.linalg.eigh(covariance)
    return np.asarray(np.sqrt(np.maximum(variances, 0))[:, None] * vectors.T)


def stability(points: np.ndarray, k: int, halves: int, settings: Settings, name: str) -> float:
    """Mean pairwise agreement of all points' clusters by models of random halves of them.

    NaN with fewer than two halves.
    """
    labelings = []
    for number in range(halves):
        random = generator(settings.seed, name, number)
        half = np.sort(random.choice(len(points), max(k, len(points) // 2), replace=False))
        model = fit_clusters(points[half], k, settings, f"stability-{number}")
        labelings.append(model.assign(points).cluster)
    scores = [adjusted_rand(one, other) for one, other in combinations(labelings, 2)]
    return float(np.mean(scores)) if scores else float("nan")


def adjusted_rand(one: np.ndarray, other: np.ndarray) -> float:
    """Adjusted Rand index of two labelings from 0 (L. Hubert and P. Arabie, 1985, eq. 5)."""
    width = int(other.max()) + 1
    both = np.bincount(one.astype(np.int64) * width + other).astype(np.float64)
    together, first, second = (
        float((counts * (counts - 1)).sum() / 2)
        for counts in (both, np.bincount(one).astype(np.float64), np.bincount(other).astype(float))
    )
    pairs = len(one) * (len(one) - 1) / 2
    expected = first * second / pairs
    largest = (first + second) / 2
    return 1.0 if largest == expected else (together - expected) / (largest - expected)


def score_folds(folds: list[Fold], cell: Cell, settings: Settings) -> Part:
    """Silhouettes of the rows that each fold's clusters were fitted to, and of those held out.

    As the original notebook did; the reduction was fitted without the fold too.
    """
    k = cell.clusters
    fitted, held_out = [], []
    for number, fold in enumerate(folds):
        inner = fold.fitted.first(cell.components)
        outer = fold.held_out.first(cell.components)
        model = fit_clusters(inner, k, settings, f"fold-{number}")
        fitted.append(finite(silhouette(inner, model.assign(inner).cluster, k)))
        held_out.append(finite(silhouette(outer, model.assign(outer).cluster, k)))
    return {"fitted": fitted, "held_out": held_out}


def finite(value: float) -> float | None:
    """The value, or None where it is not a number."""
    return float(value) if np.isfinite(value) else None
