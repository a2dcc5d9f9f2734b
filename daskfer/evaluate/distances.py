"""The inner loop of silhouettes: distances from products, summed by cluster.

Compiled with numba, because it runs over every pair of rows. Sums may be taken in the order that
suits the processor's lanes, which is fixed when the loop is compiled.
"""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})
def add_distances(products, left, right, left_bounds, right_bounds, rows, columns, row):  # type: ignore[no-untyped-def]
    """Add the distances of a tile to the sums of its rows, and of its columns if there are any.

    Parameters
    ----------
    products : float array (m, n)
        Twice the products of the rows on the left and on the right; distances afterwards.
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
    zero = left[0] - left[0]
    for p in range(left_bounds.shape[0] - 1):
        row[:] = zero
        for i in range(left_bounds[p], left_bounds[p + 1]):
            square, line = left[i], products[i]
            # Loops of their own, which the compiler can spread over the processor's lanes.
            for j in range(line.shape[0]):
                line[j] = np.sqrt(max(square + right[j] - line[j], zero))
            for q in range(right_bounds.shape[0] - 1):
                total = zero
                for distance in line[right_bounds[q] : right_bounds[q + 1]]:
                    total += distance
                rows[i, q] += total
            if both:
                for j in range(line.shape[0]):
                    row[j] += line[j]
        if both:
            for j in range(row.shape[0]):
                columns[j, p] += row[j]
