"""How compact and separate clusters are: scores that read no labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daskfer.blocks import BlockFiles, cut
from daskfer.cluster import assign, best_of
from daskfer.engine import Engine
from daskfer.randomness import generator

EXACT_ROWS = 65_536
"""Most rows of which the silhouette is computed exactly; of more, a sample of that size is."""

HALF_ROWS = 8_192
"""Most rows that a clustering of a random half is fitted to."""


@dataclass(frozen=True)
class Spread:
    """Sums over rows that Davies–Bouldin and Calinski–Harabasz are made from, per cluster."""

    counts: np.ndarray
    distances: np.ndarray
    inertia: float
    sums: np.ndarray
    squares: float


def silhouette_values(
    points: np.ndarray, own: np.ndarray, others: np.ndarray, cluster: np.ndarray, k: int
) -> np.ndarray:
    """Silhouettes of some points among all (P. Rousseeuw, "Silhouettes", 1987).

    Parameters
    ----------
    points : array (m, c)
        Points to score; each is one of `others`.
    own : int array (m,)
        Their clusters.
    others : array (n, c)
    cluster : int array (n,)
        Clusters of all points, from 0 to k - 1.
    k : int

    Returns
    -------
    float64 array (m,)
        In −1 to 1; 0 for a point alone in its cluster, as in scikit-learn.
    """
    order = np.argsort(cluster, kind="stable")
    sizes = np.bincount(cluster, minlength=k)
    filled = np.flatnonzero(sizes)
    firsts = np.concatenate([[0], np.cumsum(sizes[filled])[:-1]])
    targets = others[order].astype(np.float64)
    target_squares = (targets**2).sum(axis=1)
    sums = np.zeros((len(points), k))
    # Slices of rows, so that the matrix of distances stays in the processor's cache.
    step = max(1, 1_500_000 // max(len(others), 1))
    for low in range(0, len(points), step):
        part = points[low : low + step].astype(np.float64)
        distances = part @ targets.T
        distances *= -2
        distances += (part**2).sum(axis=1)[:, None]
        distances += target_squares[None, :]
        np.maximum(distances, 0, out=distances)
        np.sqrt(distances, out=distances)
        sums[low : low + step, filled] = np.add.reduceat(distances, firsts, axis=1)
    rows = np.arange(len(points))
    own_size = sizes[own]
    inner = sums[rows, own] / np.maximum(own_size - 1, 1)
    means = sums / np.maximum(sizes, 1)[None, :]
    means[:, sizes == 0] = np.inf
    means[rows, own] = np.inf
    outer = means.min(axis=1)
    larger = np.maximum(inner, outer)
    values = np.divide(outer - inner, larger, out=np.zeros(len(points)), where=larger > 0)
    return np.where(own_size > 1, values, 0.0)


def silhouette(points: np.ndarray, cluster: np.ndarray, k: int) -> float:
    """Mean silhouette of a whole set of points; NaN with fewer than two clusters in it."""
    if len(np.unique(cluster)) < 2:
        return float("nan")
    return float(silhouette_values(points, cluster, points, cluster, k).mean())


def silhouette_on(
    engine: Engine, points: BlockFiles, fit: np.ndarray, cluster: np.ndarray, k: int,
    block_rows: int, seed: int,
) -> tuple[float, int]:  # fmt: skip
    """Mean silhouette of the fitted rows, a block of them a task, and how many rows it is of.

    Exact up to `EXACT_ROWS` rows; of more, a sample drawn by seed is scored among itself.
    """
    if len(fit) > EXACT_ROWS:
        drawn = np.sort(generator(seed, "silhouette").choice(len(fit), EXACT_ROWS, replace=False))
        fit, cluster = fit[drawn], cluster[drawn]
    if len(np.unique(cluster)) < 2:
        return float("nan"), len(fit)
    numbers = cut(np.arange(len(fit)), block_rows)
    sums = engine.gather(
        engine.map("evaluate", _silhouette_sum, numbers, shared=(points, fit, cluster, k))
    )
    return float(sum(sums) / len(fit)), len(fit)


def _silhouette_sum(
    numbers: np.ndarray, points: BlockFiles, fit: np.ndarray, cluster: np.ndarray, k: int
) -> float:
    others = points.rows(fit)
    values = silhouette_values(others[numbers], cluster[numbers], others, cluster, k)
    return float(values.sum())


def spread(points: np.ndarray, centers: np.ndarray) -> Spread:
    """One block's part of the sums behind Davies–Bouldin and Calinski–Harabasz."""
    k = len(centers)
    found = assign(points, centers)
    distances = np.bincount(found.cluster, weights=np.sqrt(found.nearest), minlength=k)
    values = points.astype(np.float64)
    return Spread(
        np.bincount(found.cluster, minlength=k),
        distances,
        float(found.nearest.sum()),
        values.sum(axis=0),
        float((values**2).sum()),
    )


def merge_spread(left: Spread, right: Spread) -> Spread:
    """Sums over two blocks together."""
    return Spread(
        left.counts + right.counts,
        left.distances + right.distances,
        left.inertia + right.inertia,
        left.sums + right.sums,
        left.squares + right.squares,
    )


def davies_bouldin(of: Spread, centers: np.ndarray) -> float:
    """Mean over clusters of the worst ratio of spread to separation (Davies and Bouldin 1979)."""
    filled = of.counts > 0
    if filled.sum() < 2:
        return float("nan")
    mean = of.distances[filled] / of.counts[filled]
    places = centers[filled]
    apart = np.sqrt(((places[:, None, :] - places[None, :, :]) ** 2).sum(axis=2))
    np.fill_diagonal(apart, np.inf)
    ratios = (mean[:, None] + mean[None, :]) / np.where(apart > 0, apart, np.inf)
    return float(ratios.max(axis=1).mean())


def calinski_harabasz(of: Spread) -> float:
    """Ratio of the spread between clusters to that within, per degree of freedom (1974)."""
    rows, k = int(of.counts.sum()), int((of.counts > 0).sum())
    total = of.squares - float((of.sums**2).sum()) / rows
    if k < 2 or of.inertia <= 0:
        return float("nan")
    return float((total - of.inertia) / of.inertia * (rows - k) / (k - 1))


def null_silhouette(
    covariance: np.ndarray, k: int, restarts: int, rows: int, seed: int, number: int
) -> float:
    """Silhouette of k KMeans clusters of Gaussian noise with this covariance (c, c): one draw.

    That is what data without any clusters score; a set's own silhouette means something only
    where it is well above. The noise is clustered with as many restarts as the set was.
    """
    random = generator(seed, "null", number)
    noise = random.multivariate_normal(np.zeros(len(covariance)), covariance, rows, method="eigh")
    centers = best_of(noise, k, restarts, seed, f"null-{number}")
    return silhouette(noise, assign(noise, centers).cluster, k)


def half_clustering(
    fit: np.ndarray, points: BlockFiles, k: int, restarts: int, seed: int, number: int
) -> np.ndarray:
    """Clusters (int32) of all fitted rows by centres fitted to a random half of them.

    Of a large set, half of a sample of twice `HALF_ROWS`.
    """
    random = generator(seed, "stability", number)
    size = min(HALF_ROWS, max(k, len(fit) // 2))
    half = np.sort(random.choice(fit, size, replace=False))
    centers = best_of(points.rows(half), k, restarts, seed, f"stability-{number}")
    return assign(points.rows(fit), centers).cluster


def covariance(fit: np.ndarray, points: BlockFiles) -> np.ndarray:
    """Covariance, float64 (c, c), of the fitted rows."""
    return np.atleast_2d(np.cov(points.rows(fit).astype(np.float64), rowvar=False))


def spread_of(positions: np.ndarray, points: BlockFiles, centers: np.ndarray) -> Spread:
    """`spread` of the rows at these positions."""
    return spread(points.rows(positions), centers)


def mean_pairwise_ari(labelings: list[np.ndarray]) -> float:
    """Mean adjusted Rand index of all pairs of labelings of the same rows; NaN without a pair."""
    from itertools import combinations

    from sklearn.metrics import adjusted_rand_score

    scores = [adjusted_rand_score(one, other) for one, other in combinations(labelings, 2)]
    return float(np.mean(scores)) if scores else float("nan")
