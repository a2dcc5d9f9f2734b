"""Compiled KMeans of rows in few dimensions, for the many fits that a run or a sweep makes.

Restarts, random halves, draws of noise and folds each cluster some thousands of rows. The loops
take coordinates as contiguous columns, float32 (c, n) about the mean, so that each step of the
innermost ones is on neighbouring rows, eight or more at once. Sums over many rows are in float64.
"""

from __future__ import annotations

import numba
import numpy as np

MOST_DIMENSIONS = 64
"""Beyond, scikit-learn's distances by products of matrices are used."""

BLOCK = 512
"""Rows whose distances are in the processor's first cache at once."""


@numba.njit(cache=True, nogil=True, fastmath=True)
def _squares(columns: np.ndarray, center: np.ndarray, low: int, high: int, out: np.ndarray) -> None:
    """Squared distances of the rows from low to high to a centre."""
    count = high - low
    place, column = np.float32(center[0]), columns[0, low:high]
    for at in range(count):
        step = column[at] - place
        out[at] = step * step
    for axis in range(1, len(columns)):
        place, column = np.float32(center[axis]), columns[axis, low:high]
        for at in range(count):
            step = column[at] - place
            out[at] += step * step


@numba.njit(cache=True, nogil=True, fastmath=True)
def _assign(
    columns: np.ndarray, centers: np.ndarray, cluster: np.ndarray, nearest: np.ndarray
) -> None:
    """The nearest centre of each row, the first of equals, and the squared distance to it."""
    rows = columns.shape[1]
    squares, best = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    # As wide as the distances: so the compiler chooses among several rows at once.
    own = np.empty(BLOCK, np.float32)
    for low in range(0, rows, BLOCK):
        count = min(BLOCK, rows - low)
        _squares(columns, centers[0], low, low + count, best)
        for at in range(count):
            own[at] = np.float32(0)
        for number in range(1, len(centers)):
            _squares(columns, centers[number], low, low + count, squares)
            name = np.float32(number)
            for at in range(count):
                square, least = squares[at], best[at]
                own[at] = name if square < least else own[at]
                best[at] = square if square < least else least
        for at in range(count):
            cluster[low + at] = np.int32(own[at])
            nearest[low + at] = best[at]


@numba.njit(cache=True, nogil=True, fastmath=True)
def _lower(candidate: np.ndarray, nearest: np.ndarray) -> float:
    """Bring each candidate down to what is nearer, and add all up."""
    total = 0.0
    for low in range(0, len(candidate), BLOCK):
        part = np.float32(0)
        for at in range(low, min(low + BLOCK, len(candidate))):
            square, least = candidate[at], nearest[at]
            square = square if square < least else least
            candidate[at] = square
            part += square
        total += float(part)
    return total


@numba.njit(cache=True, nogil=True)
def _start(columns: np.ndarray, clusters: int, uniform: np.ndarray) -> np.ndarray:
    """Centres by greedy k-means++: of a few rows drawn by squared distance, the best one.

    D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding", 2007; how
    many are drawn is scikit-learn's choice.
    """
    dimensions, rows = columns.shape
    trials = 2 + int(np.log(clusters))
    centers = np.empty((clusters, dimensions))
    centers[0] = columns[:, min(int(uniform[0] * rows), rows - 1)]
    nearest, total = np.empty(rows, np.float32), np.empty(rows)
    _squares(columns, centers[0], 0, rows, nearest)
    candidate, best = np.empty(rows, np.float32), np.empty(rows, np.float32)
    draw = 1
    for number in range(1, clusters):
        running = 0.0
        for at in range(rows):
            running += nearest[at]
            total[at] = running
        least, chosen = np.inf, 0
        for _ in range(trials):
            row = min(np.searchsorted(total, uniform[draw] * total[-1]), rows - 1)
            draw += 1
            centers[number] = columns[:, row]
            _squares(columns, centers[number], 0, rows, candidate)
            left = _lower(candidate, nearest)
            if left < least:
                least = left
                chosen = row
                best, candidate = candidate, best
        centers[number] = columns[:, chosen]
        nearest, best = best, nearest
    return centers


@numba.njit(cache=True, nogil=True)
def _lloyd(columns: np.ndarray, centers: np.ndarray, iterations: int, limit: float) -> float:
    """Lloyd's iterations on `centers`, in place, until they move by no more than `limit`.

    An empty cluster takes the row that is farthest from its centre. Returns the inertia.
    """
    dimensions, rows = columns.shape
    cluster, nearest = np.empty(rows, np.int32), np.empty(rows, np.float32)
    before = np.full(rows, -1, np.int32)
    sums, counts = np.zeros(centers.shape), np.zeros(len(centers))
    for _ in range(iterations):
        _assign(columns, centers, cluster, nearest)
        # After a few iterations few rows move: the sums of the others stand.
        for at in range(rows):
            own, other = cluster[at], before[at]
            if own != other:
                before[at] = own
                counts[own] += 1.0
                for axis in range(dimensions):
                    sums[own, axis] += columns[axis, at]
                if other >= 0:
                    counts[other] -= 1.0
                    for axis in range(dimensions):
                        sums[other, axis] -= columns[axis, at]
        for number in range(len(centers)):
            if counts[number] == 0.0:
                far = nearest.argmax()
                # No row is away from its centre, or it is a cluster already: the centre stays.
                if nearest[far] == 0 or counts[before[far]] < 2:
                    continue
                counts[before[far]] -= 1.0
                for axis in range(dimensions):
                    sums[before[far], axis] -= columns[axis, far]
                    sums[number, axis] = columns[axis, far]
                counts[number] = 1.0
                before[far] = number
                nearest[far] = np.float32(0)
        shift = 0.0
        for number in range(len(centers)):
            if counts[number] == 0.0:
                continue
            for axis in range(dimensions):
                place = sums[number, axis] / counts[number]
                shift += (place - centers[number, axis]) ** 2
                centers[number, axis] = place
        if shift <= limit:
            break
    _assign(columns, centers, cluster, nearest)
    inertia = 0.0
    for at in range(rows):
        inertia += nearest[at]
    return inertia


@numba.njit(cache=True, nogil=True)
def _best_of(
    columns: np.ndarray, clusters: int, uniform: np.ndarray, iterations: int, limit: float
) -> np.ndarray:
    found = np.empty((clusters, len(columns)))
    least = np.inf
    for number in range(len(uniform)):
        centers = _start(columns, clusters, uniform[number])
        inertia = _lloyd(columns, centers, iterations, limit)
        if inertia < least:
            least = inertia
            found = centers
    return found


def kmeans(
    points: np.ndarray,
    clusters: int,
    uniform: np.ndarray,
    max_iterations: int = 300,
    tolerance: float = 1e-4,
) -> np.ndarray:
    """Centres, float64 (k, c), of the best of several KMeans runs on points (n, c), by inertia.

    Parameters
    ----------
    points : float array (n, c)
    clusters : int
    uniform : float64 array (restarts, draws)
        Numbers drawn from 0 to 1, `draws_needed` of them for each restart.
    max_iterations : int
    tolerance : float
        The iterations end when the centres move by less than this times the mean variance.
    """
    mean = points.mean(axis=0, dtype=np.float64)
    columns = np.ascontiguousarray((points - mean).T, np.float32)
    limit = tolerance * float(columns.var(axis=1, dtype=np.float64).mean())
    return np.asarray(_best_of(columns, clusters, uniform, max_iterations, limit)) + mean


def draws_needed(clusters: int) -> int:
    """How many random numbers one restart takes."""
    return 1 + (clusters - 1) * (2 + int(np.log(clusters)))
