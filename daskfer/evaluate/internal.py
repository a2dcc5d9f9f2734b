"""How compact and separate clusters are: scores that read no labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daskfer.blocks import BlockFiles, cut
from daskfer.clusterers import fit_points
from daskfer.evaluate.silhouette import silhouette
from daskfer.randomness import generator
from daskfer.recipe import Cluster
from daskfer.reduce import Moments, moments_of

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


def spread(points: np.ndarray, centers: np.ndarray, cluster: np.ndarray) -> Spread:
    """One block's part of the sums behind Davies–Bouldin and Calinski–Harabasz."""
    k = len(centers)
    values = points.astype(np.float64)
    nearest = ((values - centers[cluster]) ** 2).sum(axis=1)
    return Spread(
        np.bincount(cluster, minlength=k),
        np.bincount(cluster, weights=np.sqrt(nearest), minlength=k),
        float(nearest.sum()),
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
    covariance: np.ndarray, number: int, method: Cluster, rows: int, seed: int
) -> float:
    """Silhouette of clusters of Gaussian noise with this covariance (c, c): one draw.

    That is what data without any clusters score; a set's own silhouette means something only
    where it is well above. The noise is clustered as the set was, with as many restarts.
    """
    random = generator(seed, "null", number)
    noise = random.multivariate_normal(np.zeros(len(covariance)), covariance, rows, method="eigh")
    model = fit_points(noise, method, seed, f"null-{number}")
    return silhouette(noise, model.assign(noise).cluster, method.clusters)


def halves(fit: np.ndarray, clusters: int, count: int, seed: int) -> list[np.ndarray]:
    """Positions, ascending, of random halves of the rows: of a large set, `HALF_ROWS` each."""
    size = min(max(HALF_ROWS, clusters), max(clusters, len(fit) // 2))
    return [
        fit[np.sort(generator(seed, "stability", number).choice(len(fit), size, replace=False))]
        for number in range(count)
    ]


def half_clustering(
    half: np.ndarray,
    number: int,
    compared: np.ndarray,
    points: BlockFiles,
    method: Cluster,
    seed: int,
) -> np.ndarray:
    """Clusters (int32) of the compared rows by a clusterer fitted to one of the `halves`."""
    fitted = fit_points(points.rows(half), method, seed, f"stability-{number}")
    return fitted.assign(points.rows(compared)).cluster


def moments_at(positions: np.ndarray, points: BlockFiles, block_rows: int) -> Moments:
    """Moments of the rows at these positions, in float64, read so many at a time."""
    return moments_of(points.rows(piece).astype(np.float64) for piece in cut(positions, block_rows))


def covariance(of: Moments) -> np.ndarray:
    """Covariance, float64 (c, c), of rows with these moments."""
    return of.scatter / max(of.count - 1, 1)


def spread_of(
    positions: np.ndarray, cluster: np.ndarray, points: BlockFiles, centers: np.ndarray
) -> Spread:
    """`spread` of the rows at these positions, which are in these clusters."""
    return spread(points.rows(positions), centers, cluster)


def member_sums(
    positions: np.ndarray, cluster: np.ndarray, points: BlockFiles, k: int
) -> np.ndarray:
    """Number of rows in each cluster, and their sums by column: float64 (k, 1 + c)."""
    values = points.rows(positions).astype(np.float64)
    member = (np.arange(k)[:, None] == cluster).astype(np.float64)
    return np.column_stack([member.sum(axis=1), member @ values])


def member_means(sums: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Means (k, c) of clusters with these `member_sums`; an empty one has its centre."""
    counts = sums[:, :1]
    return np.where(counts > 0, sums[:, 1:] / np.maximum(counts, 1), centers)


def mean_pairwise_ari(labelings: list[np.ndarray]) -> float:
    """Mean adjusted Rand index of all pairs of labelings of the same rows; NaN without a pair."""
    from itertools import combinations

    from sklearn.metrics import adjusted_rand_score

    scores = [adjusted_rand_score(one, other) for one, other in combinations(labelings, 2)]
    return float(np.mean(scores)) if scores else float("nan")
