"""Clustering: KMeans over blocks, the same on any number of workers.

Starting points come from a sample that depends on the seed alone: several restarts of
scikit-learn's KMeans run on it side by side, and the centres of the best one start Lloyd's
iterations over all rows (S. Lloyd, "Least squares quantization in PCM", 1982). Sums over blocks
are taken in a fixed tree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daskfer.blocks import BlockFiles
from daskfer.engine import Engine, Handle
from daskfer.errors import RecipeError
from daskfer.randomness import generator, random_state
from daskfer.recipe import KMeansClusters


@dataclass(frozen=True)
class Centers:
    """Fitted centres, float64 (k, c), and how they were found."""

    values: np.ndarray
    iterations: int


@dataclass(frozen=True)
class LloydSums:
    """Sums over rows of one Lloyd step: per cluster the rows' sum and count, and the inertia."""

    sums: np.ndarray
    counts: np.ndarray
    inertia: float


@dataclass(frozen=True)
class Assignment:
    """Cluster (int32) of each row; squared distances (float64) to its two nearest centres."""

    cluster: np.ndarray
    nearest: np.ndarray
    second: np.ndarray

    @property
    def confidence(self) -> np.ndarray:
        """How much nearer a row is to its centre than to the next: 1 − d₁/d₂, float32, 0–1."""
        second = np.sqrt(self.second)
        ratio = np.divide(np.sqrt(self.nearest), second, out=np.ones_like(second), where=second > 0)
        return (1 - ratio).astype(np.float32)


def squared_distances(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances, float64 (n, k), of points (n, c) to centres (k, c)."""
    points = points.astype(np.float64)
    squares = (points**2).sum(axis=1)[:, None] + (centers**2).sum(axis=1)[None, :]
    squares -= 2 * points @ centers.T
    return np.maximum(squares, 0, out=squares)


def assign(points: np.ndarray, centers: np.ndarray) -> Assignment:
    """The nearest centre of each point; the first of equally near ones."""
    squares = squared_distances(points, centers)
    rows = np.arange(len(points))
    cluster = squares.argmin(axis=1)
    nearest = squares[rows, cluster].copy()
    squares[rows, cluster] = np.inf
    return Assignment(cluster.astype(np.int32), nearest, squares.min(axis=1))


def lloyd_sums(points: np.ndarray, centers: np.ndarray) -> LloydSums:
    """One block's part of a Lloyd step."""
    k = len(centers)
    squares = squared_distances(points, centers)
    cluster = squares.argmin(axis=1)
    member = np.zeros((len(points), k))
    member[np.arange(len(points)), cluster] = 1
    return LloydSums(
        member.T @ points.astype(np.float64),
        np.bincount(cluster, minlength=k),
        float(squares.min(axis=1).sum()),
    )


def merge_sums(left: LloydSums, right: LloydSums) -> LloydSums:
    """Sums over two blocks together."""
    return LloydSums(
        left.sums + right.sums, left.counts + right.counts, left.inertia + right.inertia
    )


def check_clusters(method: KMeansClusters, rows: int) -> None:
    """Refuse more clusters than rows, before any work."""
    if method.clusters > rows:
        raise RecipeError(
            f"cluster.clusters={method.clusters}: only {rows:,} rows are fitted; expected fewer"
        )


def load_points(positions: np.ndarray, points: BlockFiles) -> np.ndarray:
    """Reduced rows, float32 (m, c), at these positions."""
    return points.rows(positions)


def starting_centers(
    engine: Engine, points: BlockFiles, fit: np.ndarray, method: KMeansClusters, seed: int
) -> np.ndarray:
    """Centres (k, c) of the best of several KMeans restarts on a sample of the fitted rows.

    All fitted rows are the sample when they are no more than `method.sample_rows`. The lowest
    inertia wins, and the first of equals.
    """
    sample = fit
    if len(fit) > method.sample_rows:
        drawn = generator(seed, "cluster-sample").choice(
            len(fit), method.sample_rows, replace=False
        )
        sample = fit[np.sort(drawn)]
    states = [random_state(seed, "cluster-restart", number) for number in range(method.restarts)]
    found = engine.gather(
        engine.map("cluster", _restart, states, shared=(sample, points, method.clusters))
    )
    best = min(range(len(found)), key=lambda number: found[number][0])
    return np.asarray(found[best][1])


def _restart(
    state: int, sample: np.ndarray, points: BlockFiles, clusters: int
) -> tuple[float, np.ndarray]:
    return kmeans_on_sample(points.rows(sample), clusters, state)


def kmeans_on_sample(points: np.ndarray, clusters: int, state: int) -> tuple[float, np.ndarray]:
    """Inertia and centres of one run of scikit-learn's KMeans from k-means++ starts.

    On one thread: scikit-learn sums its threads' shares in the order in which they finish.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="openmp"):
        model = KMeans(clusters, n_init=1, random_state=state).fit(points.astype(np.float64))
    return float(model.inertia_), model.cluster_centers_


def best_of(points: np.ndarray, clusters: int, restarts: int, seed: int, stage: str) -> np.ndarray:
    """Centres of the best of several KMeans runs on these points, by inertia."""
    found = [
        kmeans_on_sample(points, clusters, random_state(seed, stage, number))
        for number in range(restarts)
    ]
    return min(found, key=lambda pair: pair[0])[1]


def fit_kmeans(
    engine: Engine,
    points: BlockFiles,
    pieces: list[np.ndarray],
    method: KMeansClusters,
    start: np.ndarray,
) -> Centers:
    """Lloyd's iterations from given centres over the rows at the positions in `pieces`.

    A cluster that loses all its rows keeps its centre. The iterations end when the centres move
    by less than `method.tolerance` times the mean variance of the points, as in scikit-learn.
    """
    blocks = engine.map("cluster", load_points, pieces, shared=(points,))
    centers = np.asarray(start, np.float64)
    limit: float | None = None
    for iteration in range(1, method.max_iterations + 1):
        if limit is None:
            limit = method.tolerance * _mean_variance(engine, blocks)
        total: LloydSums = _lloyd_step(engine, blocks, centers)
        counts = np.maximum(total.counts, 1)[:, None]
        moved = np.where(total.counts[:, None] > 0, total.sums / counts, centers)
        shift = float(((moved - centers) ** 2).sum())
        centers = moved
        if shift <= limit:
            return Centers(centers, iteration)
    return Centers(centers, method.max_iterations)


def _lloyd_step(engine: Engine, blocks: list[Handle], centers: np.ndarray) -> LloydSums:
    parts = engine.map("cluster", lloyd_sums, blocks, shared=(centers,))
    return engine.gather([engine.fold("cluster", merge_sums, parts)])[0]


def _mean_variance(engine: Engine, blocks: list[Handle]) -> float:
    """Mean over the dimensions of the points' variance."""
    parts = engine.map("cluster", _power_sums, blocks)
    count, first, second = engine.gather([engine.fold("cluster", _add_power_sums, parts)])[0]
    return max(0.0, float((second / count - (first / count) ** 2).mean()))


PowerSums = tuple[int, np.ndarray, np.ndarray]


def _power_sums(points: np.ndarray) -> PowerSums:
    values = points.astype(np.float64)
    return len(values), values.sum(axis=0), (values**2).sum(axis=0)


def _add_power_sums(left: PowerSums, right: PowerSums) -> PowerSums:
    return left[0] + right[0], left[1] + right[1], left[2] + right[2]


def largest_first(centers: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Centres in the order of their clusters' sizes, so that cluster 0 is the largest."""
    return centers[np.argsort(-sizes, kind="stable")]
