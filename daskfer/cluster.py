"""Clustering: KMeans over blocks, the same on any number of workers.

Starting points come from a sample that depends on the seed alone: several restarts of
KMeans run on it side by side, and the centres of the best one start Lloyd's
iterations over all rows (S. Lloyd, "Least squares quantization in PCM", 1982). Sums over blocks
are taken in a fixed tree. The rows stay with the workers, in groups of blocks; an iteration sends
them the centres and gets one sum back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daskfer.blocks import BlockFiles, groups
from daskfer.engine import Engine
from daskfer.errors import RecipeError
from daskfer.randomness import drawn_part, random_state
from daskfer.recipe import Cluster, KMeansClusters


@dataclass(frozen=True)
class Centers:
    """Fitted centres, float64 (k, c), and how they were found."""

    values: np.ndarray
    iterations: int

    kind = "kmeans"

    @property
    def centers(self) -> np.ndarray:
        """The centres."""
        return self.values

    def assign(self, points: np.ndarray) -> Assignment:
        """The nearest centre of each of these points (n, c)."""
        return assign(points, self.values)

    def in_order(self, order: np.ndarray) -> Centers:
        """The same centres in this order."""
        return Centers(self.values[order], self.iterations)

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, by names, for a file."""
        return {"centers": self.values}


SPARE_ROWS = 16
"""How many of the rows farthest from their centres a Lloyd step keeps for empty clusters."""

CHUNK_DISTANCES = 1_000_000
"""Distances from rows to centres that are in memory at once."""


@dataclass(frozen=True)
class FarRows:
    """Rows far from their centres, farthest first, the first of equals before the others.

    Attributes
    ----------
    squares : float64 array (m,)
        Squared distances to their centres.
    cluster : int64 array (m,)
    points : float64 array (m, c)
    """

    squares: np.ndarray
    cluster: np.ndarray
    points: np.ndarray

    def first(self, count: int) -> FarRows:
        """The farthest of them."""
        order = np.argsort(-self.squares, kind="stable")[:count]
        return FarRows(self.squares[order], self.cluster[order], self.points[order])


@dataclass(frozen=True)
class LloydSums:
    """Sums over rows of one Lloyd step: per cluster the rows' sum and count, and the inertia.

    `far` are the rows that would reduce it most as clusters of their own.
    """

    sums: np.ndarray
    counts: np.ndarray
    inertia: float
    far: FarRows


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
    """One group's part of a Lloyd step, over chunks of its rows one after the other."""
    step = max(64, CHUNK_DISTANCES // len(centers))
    found = _chunk_sums(points[:step], centers)
    for low in range(step, len(points), step):
        found = merge_sums(found, _chunk_sums(points[low : low + step], centers))
    return found


def _chunk_sums(points: np.ndarray, centers: np.ndarray) -> LloydSums:
    from scipy.sparse import csr_array

    rows, k = len(points), len(centers)
    values = points.astype(np.float64)
    squares = squared_distances(values, centers)
    cluster = squares.argmin(axis=1)
    nearest = squares[np.arange(rows), cluster]
    # A row of ones and zeros for each point, times the points: their sums by cluster.
    member = csr_array((np.ones(rows), cluster, np.arange(rows + 1)), shape=(rows, k))
    farthest = np.argsort(-nearest, kind="stable")[:SPARE_ROWS]
    return LloydSums(
        np.asarray(member.T @ values),
        np.bincount(cluster, minlength=k),
        float(nearest.sum()),
        FarRows(nearest[farthest], cluster[farthest], values[farthest]),
    )


def merge_sums(left: LloydSums, right: LloydSums) -> LloydSums:
    """Sums over two groups together."""
    far = FarRows(
        np.concatenate([left.far.squares, right.far.squares]),
        np.concatenate([left.far.cluster, right.far.cluster]),
        np.concatenate([left.far.points, right.far.points]),
    )
    return LloydSums(
        left.sums + right.sums,
        left.counts + right.counts,
        left.inertia + right.inertia,
        far.first(SPARE_ROWS),
    )


def moved_centers(centers: np.ndarray, total: LloydSums) -> np.ndarray:
    """The means of the clusters' rows, float64 (k, c).

    A cluster without rows starts again at the row that is farthest from its centre, which its
    old cluster loses, as in scikit-learn; where no row is away from its centre, it stays.
    """
    sums, counts = total.sums.copy(), total.counts.copy()
    far = iter(zip(total.far.squares, total.far.cluster, total.far.points, strict=True))
    for number in np.flatnonzero(counts == 0):
        for square, old, point in far:
            if square > 0 and counts[old] > 1:
                sums[old] -= point
                counts[old] -= 1
                sums[number], counts[number] = point, 1
                break
    return np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centers)


def check_clusters(method: Cluster, rows: int) -> None:
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
    sample = drawn_part(fit, method.sample_rows, seed, "cluster-sample")
    states = [random_state(seed, "cluster-restart", number) for number in range(method.restarts)]
    found = engine.gather(engine.map("cluster", _restart, states, shared=(sample, points, method)))
    best = min(range(len(found)), key=lambda number: found[number][0])
    return np.asarray(found[best][1])


def _restart(
    state: int, sample: np.ndarray, points: BlockFiles, method: KMeansClusters
) -> tuple[float, np.ndarray]:
    values = points.rows(sample)
    centers = _best_run(values, method, 1, state)
    return float(assign(values, centers).nearest.sum()), centers


def kmeans_on_sample(points: np.ndarray, clusters: int, state: int) -> tuple[float, np.ndarray]:
    """Inertia and centres of one run of KMeans from k-means++ starts."""
    method = KMeansClusters(clusters=clusters, sample_rows=max(clusters, len(points)))
    centers = _best_run(points, method, 1, state)
    return float(assign(points, centers).nearest.sum()), centers


def best_of(points: np.ndarray, method: KMeansClusters, seed: int, stage: str) -> np.ndarray:
    """Centres of the best of the method's restarts on these points, by inertia."""
    return _best_run(points, method, method.restarts, random_state(seed, stage))


def _best_run(points: np.ndarray, method: KMeansClusters, runs: int, state: int) -> np.ndarray:
    """Centres of the best of several runs; compiled for few dimensions, else scikit-learn's."""
    from daskfer import lloyd

    if points.shape[1] <= lloyd.MOST_DIMENSIONS:
        draws = lloyd.draws_needed(method.clusters)
        uniform = np.random.default_rng(state).random((runs, draws))
        return lloyd.kmeans(
            points, method.clusters, uniform, method.max_iterations, method.tolerance
        )
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    # On one thread: scikit-learn sums its threads' shares in the order in which they finish.
    with threadpool_limits(1, user_api="openmp"):
        model = KMeans(
            method.clusters,
            n_init=runs,
            random_state=state,
            max_iter=method.max_iterations,
            tol=method.tolerance,
        ).fit(points.astype(np.float64))
    return np.asarray(model.cluster_centers_)


def fit_kmeans(
    engine: Engine,
    points: BlockFiles,
    pieces: list[np.ndarray],
    method: KMeansClusters,
    start: np.ndarray,
) -> Centers:
    """Lloyd's iterations from given centres over the rows at the positions in `pieces`.

    The iterations end when the centres move by less than `method.tolerance` times the mean
    variance of the points, as in scikit-learn.
    """
    held = engine.map("cluster", load_points, groups(pieces), shared=(points,))
    variance = engine.total("cluster", _power_sums, held, combine=_add_power_sums)
    limit = method.tolerance * _mean_variance(engine.gather([variance])[0])
    centers = np.asarray(start, np.float64)
    for iteration in range(1, method.max_iterations + 1):
        step = engine.total("cluster", lloyd_sums, held, combine=merge_sums, shared=(centers,))
        moved = moved_centers(centers, engine.gather([step])[0])
        shift = float(((moved - centers) ** 2).sum())
        centers = moved
        if shift <= limit:
            return Centers(centers, iteration)
    return Centers(centers, method.max_iterations)


PowerSums = tuple[int, np.ndarray, np.ndarray]


def _power_sums(points: np.ndarray) -> PowerSums:
    values = points.astype(np.float64)
    return len(values), values.sum(axis=0), (values**2).sum(axis=0)


def _add_power_sums(left: PowerSums, right: PowerSums) -> PowerSums:
    return left[0] + right[0], left[1] + right[1], left[2] + right[2]


def _mean_variance(sums: PowerSums) -> float:
    """Mean over the dimensions of the points' variance."""
    count, first, second = sums
    return max(0.0, float((second / count - (first / count) ** 2).mean()))


def largest_first(sizes: np.ndarray) -> np.ndarray:
    """Numbers of clusters of these sizes in the order in which cluster 0 is the largest."""
    return np.argsort(-sizes, kind="stable")
