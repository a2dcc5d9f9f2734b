"""Silhouettes of many rows: how much nearer a row is to its own cluster than to the next one.

P. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster
analysis", 1987. All distances between rows are needed. They are made tile by tile from matrix
products, each once for both of its rows, and summed by cluster before the next tile is made; the
tiles' sums are added in a fixed order, so the figures are the same on any number of workers.

The products are in float32, about the mean of the rows of a tile. Some rows are computed again in
float64; where the two differ, all are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daskfer.blocks import BlockFiles
from daskfer.engine import Engine, Handle, InProcess
from daskfer.randomness import drawn_part

SAMPLE_ROWS = 16_384
"""Most rows of sets too large to be scored whole that are drawn, and scored among themselves."""

TILE_ROWS = 2_048
STRIP_ROWS = 64
"""Rows of a tile, and of the part of it whose distances are in the processor's cache at once."""

TASK_DISTANCES = 80_000_000
"""About how many distances a task makes."""

SUMS_BYTES = 64 * 2**20
"""Most bytes of sums (rows by clusters) that a task may return."""

DOUBLE_ROWS = 4_096
"""Most rows that are computed in float64 from the start, which costs little."""

CHECKED_ROWS = 128
"""Rows that are computed again in float64."""

DIFFERENCE = 5e-6
"""Largest difference of a silhouette in float32 from that in float64."""


@dataclass(frozen=True)
class Silhouette:
    """Mean silhouette of some rows, and what it is worth.

    Attributes
    ----------
    mean : float
        In −1 to 1; NaN with fewer than two clusters.
    standard_error : float
        Of the mean as an estimate of all rows' mean, 0 when it is of all rows.
    rows : int
        How many rows were scored.
    """

    mean: float
    standard_error: float
    rows: int


@dataclass(frozen=True)
class Arranged:
    """Rows sorted by cluster.

    Attributes
    ----------
    points : float64 array (n, c)
    bounds : int64 array (k + 1,)
        Where each cluster's rows begin, and the number of rows.
    order : int64 array (n,)
        The rows' places before they were sorted.
    """

    points: np.ndarray
    bounds: np.ndarray
    order: np.ndarray

    @property
    def clusters(self) -> int:
        """Number of clusters."""
        return len(self.bounds) - 1

    def cluster(self) -> np.ndarray:
        """The cluster of each sorted row."""
        return np.repeat(np.arange(self.clusters), np.diff(self.bounds))


def arrange(points: np.ndarray, cluster: np.ndarray, k: int) -> Arranged:
    """Sort rows by cluster (0 to k - 1), keeping the order within each."""
    order = np.argsort(cluster, kind="stable")
    bounds = np.concatenate([[0], np.cumsum(np.bincount(cluster, minlength=k))])
    return Arranged(points[order].astype(np.float64), bounds, order)


def silhouette_values(
    points: np.ndarray, cluster: np.ndarray, k: int, engine: Engine | None = None
) -> np.ndarray:
    """Silhouettes of all rows.

    Parameters
    ----------
    points : array (n, c)
    cluster : int array (n,)
        Clusters of the rows, from 0 to k - 1.
    k : int
    engine : Engine, optional
        Who computes; the calling thread without one.

    Returns
    -------
    float64 array (n,)
        In −1 to 1; 0 for a row alone in its cluster, as in scikit-learn.
    """
    engine = engine or InProcess()
    (arranged,) = engine.map("silhouette", arrange, [points], [cluster], [k])
    return _values_on(engine, arranged, cluster, k)


def silhouettes_among(
    points: np.ndarray, cluster: np.ndarray, k: int, chosen: np.ndarray
) -> np.ndarray:
    """Silhouettes, float64 (m,), of the `chosen` rows (int64, m) alone, among all rows.

    In float32, and by the calling thread; see `silhouette_values` for the rest.
    """
    arranged = arrange(points, cluster, k)
    place = np.empty(len(points), np.int64)
    place[arranged.order] = np.arange(len(points))
    return _values_of(arranged, place[chosen], "float32")


def silhouette(points: np.ndarray, cluster: np.ndarray, k: int) -> float:
    """Mean silhouette of a whole set of rows; NaN with fewer than two clusters in it."""
    if len(np.unique(cluster)) < 2:
        return float("nan")
    return float(silhouette_values(points, cluster, k).mean())


def silhouette_on(
    engine: Engine,
    points: BlockFiles,
    fit: np.ndarray,
    cluster: np.ndarray,
    k: int,
    seed: int,
    most: int,
) -> Silhouette:
    """Mean silhouette of the rows at the positions `fit`, computed by the engine.

    Exact up to `most` rows; of more, a part drawn by seed is scored among itself.
    """
    rows, drawn = len(fit), scored_rows(len(fit), most, seed)
    fit, cluster = fit[drawn], cluster[drawn]
    if len(np.unique(cluster)) < 2:
        return Silhouette(float("nan"), float("nan"), len(fit))
    (arranged,) = engine.map("silhouette", _read_arranged, [fit], [cluster], [k], shared=(points,))
    values = _values_on(engine, arranged, cluster, k)
    error = float(values.std(ddof=1)) / np.sqrt(len(fit)) if rows > len(fit) else 0.0
    return Silhouette(float(values.mean()), error, len(fit))


def scored_rows(rows: int, most: int, seed: int) -> np.ndarray:
    """Numbers of the rows that are scored, ascending: all, or a sample of more than `most`."""
    return drawn_part(np.arange(rows), scored_count(rows, most), seed, "silhouette")


def scored_count(rows: int, most: int) -> int:
    """How many of so many rows are scored."""
    return rows if rows <= most else min(most, SAMPLE_ROWS)


def _read_arranged(fit: np.ndarray, cluster: np.ndarray, k: int, points: BlockFiles) -> Arranged:
    return arrange(points.rows(fit), cluster, k)


def _values_on(engine: Engine, arranged: Handle, cluster: np.ndarray, k: int) -> np.ndarray:
    """Silhouettes in the rows' own order, of an `Arranged` that the engine holds."""
    rows = len(cluster)
    if rows <= DOUBLE_ROWS:
        values = _sorted_values(engine, arranged, rows, k, "float64")
    else:
        checked = np.linspace(0, rows - 1, CHECKED_ROWS).astype(np.int64)
        exact = engine.map("silhouette", _values_of, [arranged], [checked], shared=("float64",))
        values = _sorted_values(engine, arranged, rows, k, "float32")
        if np.abs(engine.gather(exact)[0] - values[checked]).max() > DIFFERENCE:
            values = _sorted_values(engine, arranged, rows, k, "float64")
    found = np.empty(rows)
    found[np.argsort(cluster, kind="stable")] = values
    return found


def _sorted_values(engine: Engine, arranged: Handle, rows: int, k: int, kind: str) -> np.ndarray:
    if rows * k * 8 <= SUMS_BYTES:
        dealt = _dealt_pairs(rows)
        same = [arranged] * len(dealt)
        sums = engine.total(
            "silhouette", _sums_of_pairs, same, dealt, combine=np.add, shared=(kind,), at_once=2
        )
        return np.asarray(engine.gather(engine.map("silhouette", _scored, [arranged], [sums]))[0])
    strips = _dealt_strips(rows, k)
    same = [arranged] * len(strips)
    return np.concatenate(
        engine.gather(engine.map("silhouette", _values_of, same, strips, shared=(kind,)))
    )


def _dealt_pairs(rows: int) -> list[np.ndarray]:
    """All pairs of tiles (a, b ≤ a), int64 (m, 2), dealt to tasks of about equal work."""
    tiles = -(-rows // TILE_ROWS)
    pairs = np.array([(a, b) for a in range(tiles) for b in range(a + 1)])
    tasks = max(1, min(len(pairs), round(rows * rows / 2 / TASK_DISTANCES)))
    return [pairs[number::tasks] for number in range(tasks)]


def _dealt_strips(rows: int, k: int) -> list[np.ndarray]:
    """All rows, int64, in strips whose sums and distances are within the bounds of a task."""
    step = max(1, min(SUMS_BYTES // (8 * k), TASK_DISTANCES // rows))
    return [np.arange(low, min(low + step, rows)) for low in range(0, rows, step)]


def _sums_of_pairs(arranged: Arranged, pairs: np.ndarray, kind: str) -> np.ndarray:
    """Sums of distances, float64 (n, k), that these pairs of tiles contribute."""
    rows = len(arranged.points)
    sums = np.zeros((rows, arranged.clusters))
    tiles = Tiles(arranged, kind)
    for a, b in pairs:
        left = np.arange(a * TILE_ROWS, min((a + 1) * TILE_ROWS, rows))
        tiles.add(left, b * TILE_ROWS, sums, left, both=a != b)
    return sums


def _values_of(arranged: Arranged, numbers: np.ndarray, kind: str) -> np.ndarray:
    """Silhouettes, float64 (m,), of the sorted rows with these numbers, from all rows."""
    sums = np.zeros((len(numbers), arranged.clusters))
    tiles = Tiles(arranged, kind)
    places = np.arange(len(numbers))
    for low in range(0, len(numbers), TILE_ROWS):
        part = slice(low, low + TILE_ROWS)
        for start in range(0, len(arranged.points), TILE_ROWS):
            tiles.add(numbers[part], start, sums, places[part], both=False)
    return values_from(sums, arranged.cluster()[numbers], np.diff(arranged.bounds))


def _scored(arranged: Arranged, sums: np.ndarray) -> np.ndarray:
    return values_from(sums, arranged.cluster(), np.diff(arranged.bounds))


def values_from(sums: np.ndarray, own: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Silhouettes, float64 (m,), of rows with these sums of distances.

    Parameters
    ----------
    sums : float64 array (m, k)
        Of each row's distances to the rows of each cluster.
    own : int array (m,)
        The rows' own clusters.
    sizes : int array (k,)
        Rows in each cluster, some of which may be empty.
    """
    rows = np.arange(len(own))
    inner = sums[rows, own] / np.maximum(sizes[own] - 1, 1)
    means = sums / np.maximum(sizes, 1)[None, :]
    means[:, sizes == 0] = np.inf
    means[rows, own] = np.inf
    outer = means.min(axis=1)
    larger = np.maximum(inner, outer)
    values = np.divide(outer - inner, larger, out=np.zeros(len(own)), where=larger > 0)
    return np.where(sizes[own] > 1, values, 0.0)


class Tiles:
    """Distances between rows and a tile of others, in memory that is used again for each."""

    def __init__(self, arranged: Arranged, kind: str) -> None:
        self.points = arranged.points
        self.cluster = arranged.cluster()
        self.kind = np.dtype(kind)
        self.room = np.empty(STRIP_ROWS * TILE_ROWS, self.kind)

    def add(
        self, left: np.ndarray, start: int, sums: np.ndarray, places: np.ndarray, both: bool
    ) -> None:
        """Add the distances of sorted rows to those of the tile that starts at `start`.

        They go to the rows of `sums` at `places`; with `both` also to those of the tile.
        """
        from daskfer.evaluate.distances import add_distances

        right = np.arange(start, min(start + TILE_ROWS, len(self.points)))
        mine, theirs = self.points[left], self.points[right[0] : right[-1] + 1]
        # About their own mean, squares are as small as they can be, and so is their rounding.
        middle = (mine.mean(axis=0) + theirs.mean(axis=0)) / 2
        mine, theirs = (mine - middle).astype(self.kind), (theirs - middle).astype(self.kind)
        squares, their_squares = _squares(mine), _squares(theirs)
        mine *= 2
        left_clusters, left_bounds = segments(self.cluster[left])
        clusters, bounds = segments(self.cluster[right])
        rows = np.zeros((len(left), len(clusters)))
        columns = np.zeros((len(right) if both else 0, len(left_clusters)))
        scratch = np.empty(len(right), self.kind)
        itself = np.flatnonzero((left >= start) & (left <= right[-1]))
        for low in range(0, len(left), STRIP_ROWS):
            part = mine[low : low + STRIP_ROWS]
            products = self.room[: len(part) * len(right)].reshape(len(part), len(right))
            np.dot(part, theirs.T, out=products)
            if len(itself):
                # No row is apart from itself, whatever rounding makes of it.
                here = itself[(itself >= low) & (itself < low + len(part))]
                products[here - low, left[here] - start] = np.inf
            add_distances(
                products, low, squares, their_squares, left_bounds, bounds, rows, columns, scratch
            )
        sums[np.ix_(places, clusters)] += rows
        if both:
            sums[np.ix_(right, left_clusters)] += columns


def _squares(points: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", points, points)


def segments(cluster: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The runs of equal numbers: the numbers, and int64 where each begins and the last ends."""
    starts = np.flatnonzero(np.diff(cluster, prepend=-1))
    return cluster[starts], np.append(starts, len(cluster))
