"""The inner loop of silhouettes: distances from products, summed by cluster.

Compiled with numba, because it runs over every pair of rows. Sums may be taken in the order that
suits the processor's lanes, which is fixed when the loop is compiled.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
def add_distances(products, low, left, right, left_bounds, right_bounds, rows, columns, row):  # type: ignore[no-untyped-def]
    """Add the distances of some rows of a tile to the sums of its rows, and of its columns.

    Parameters
    ----------
    products : float array (some, n)
        Twice the products of rows on the left and all on the right; distances afterwards.
    low : int
        The place of the first of these rows on the left.
    left, right : float arrays (m,) and (n,)
        Their squares.
    left_bounds, right_bounds : int64 arrays
        Where the left's and the right's clusters begin within the tile, and the number of rows.
    rows : float64 array (m, clusters on the right)
        Sums of each left row's distances to the right rows of each cluster.
    columns : float64 array (n, clusters on the left)
        Sums of each right row's distances to the left rows; without rows, none are wanted.
    row : float array (n,)
        Room for the distances that are added up for the columns.
    """
    both = columns.shape[0] > 0
    zero = np.float32(0)
    for p in range(left_bounds.shape[0] - 1):
        first = max(left_bounds[p], low)
        last = min(left_bounds[p + 1], low + products.shape[0])
        if first >= last:
            continue
        row[:] = 0
        for i in range(first, last):
            square, line = left[i], products[i - low]
            # Loops of their own, and comparisons rather than max(), so that the compiler spreads
            # each over the processor's lanes.
            for j in range(line.shape[0]):
                distance = square + right[j] - line[j]
                line[j] = np.sqrt(distance if distance > zero else zero)
            for q in range(right_bounds.shape[0] - 1):
                part = line[right_bounds[q] : right_bounds[q + 1]]
                total = zero
                for j in range(part.shape[0]):
                    total += part[j]
                rows[i, q] += total
            if both:
                for j in range(line.shape[0]):
                    row[j] += line[j]
        if both:
            for j in range(row.shape[0]):
                columns[j, p] += row[j]
