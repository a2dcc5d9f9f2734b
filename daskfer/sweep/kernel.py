"""Compiled silhouettes of few rows in few dimensions, of which a sweep needs thousands.

Coordinates are contiguous columns, float32 (c, n) about the mean, as in `daskfer.lloyd`.
"""

from __future__ import annotations

import numba
import numpy as np

from daskfer.lloyd import BLOCK, MOST_DIMENSIONS

__all__ = ["MOST_DIMENSIONS", "silhouette"]


@numba.njit(cache=True, nogil=True, fastmath=True)
def _silhouette_sum(columns: np.ndarray, firsts: np.ndarray) -> float:
    """Sum of the silhouettes of rows that lie cluster by cluster, from firsts[i] to firsts[i+1]."""
    dimensions = len(columns)
    clusters = len(firsts) - 1
    total = 0.0
    squares = np.empty(BLOCK, np.float32)
    for own in range(clusters):
        size = firsts[own + 1] - firsts[own]
        if size < 2:
            continue
        for row in range(firsts[own], firsts[own + 1]):
            inner, outer = 0.0, np.inf
            for other in range(clusters):
                last = firsts[other + 1]
                if last == firsts[other]:
                    continue
                distances = 0.0
                for low in range(firsts[other], last, BLOCK):
                    count = min(BLOCK, last - low)
                    for at in range(count):
                        squares[at] = np.float32(0)
                    for axis in range(dimensions):
                        place = columns[axis, row]
                        column = columns[axis, low : low + count]
                        for at in range(count):
                            step = column[at] - place
                            squares[at] += step * step
                    # A block's distances are added in float32, blocks in float64.
                    part = np.float32(0)
                    for at in range(count):
                        part += np.sqrt(squares[at])
                    distances += float(part)
                if other == own:
                    inner = distances / (size - 1)
                else:
                    outer = min(outer, distances / (last - firsts[other]))
            larger = max(inner, outer)
            if larger > 0:
                total += (outer - inner) / larger
    return total


def silhouette(points: np.ndarray, cluster: np.ndarray, clusters: int) -> float:
    """Mean silhouette of points (n, c) in few dimensions; NaN with fewer than two clusters.

    To about seven digits what `daskfer.evaluate.silhouette.silhouette` gives.
    """
    sizes = np.bincount(cluster, minlength=clusters)
    if (sizes > 0).sum() < 2:
        return float("nan")
    order = np.argsort(cluster, kind="stable")
    centred = points - points.mean(axis=0, dtype=np.float64)
    columns = np.ascontiguousarray(centred[order].T, np.float32)
    firsts = np.concatenate([[0], np.cumsum(sizes)])
    return float(_silhouette_sum(columns, firsts) / len(points))
