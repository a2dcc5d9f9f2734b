"""Histograms of oriented gradients of whole blocks of faces.

N. Dalal and B. Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005; the
conventions (central differences, zero at the border, unsigned directions, hard bins, L2-Hys) are
scikit-image's, and `tests/represent/test_hog.py` holds the two equal. Grey values are whole
numbers, so direction and size of a gradient come from a table of all 511 × 511 of them, and
normalization only scales the sizes: that makes it many times faster than scikit-image's.
"""

from __future__ import annotations

from functools import cache

import numba
import numpy as np

from daskfer.errors import RecipeError
from daskfer.recipe import Hog

_CLIP = 0.2
_EPSILON = 1e-5


def hog(pixels: np.ndarray, side: int, scale: np.ndarray, method: Hog) -> np.ndarray:
    """HOG of faces, averaged with that of their mirror images if the recipe says so.

    Parameters
    ----------
    pixels : uint8 array (n, side * side)
    side : int
    scale : float32 array (n,)
        Factor by which normalization stretches each face's grey values.
    method : Hog
        Cells, orientations, blocks, margin and mirror.

    Returns
    -------
    float32 array (n, d)
        d as `hog_count` says.
    """
    bins, sizes = _gradient_table(method.orientations)
    inner = side - 2 * method.margin
    cells = inner // method.cell
    faces = np.ascontiguousarray(
        pixels.reshape(-1, side, side)[
            :, method.margin : side - method.margin, method.margin : side - method.margin
        ]
    )
    blocks = cells - method.block + 1
    out = np.zeros(
        (len(faces), blocks * blocks * method.block**2 * method.orientations), np.float32
    )
    for mirrored in (False, True) if method.mirror else (False,):
        _add_hog(
            faces, mirrored, method.cell, cells, method.block, method.orientations,
            bins, sizes, scale.astype(np.float32), np.float32(0.5 if method.mirror else 1), out,
        )  # fmt: skip
    return out


def hog_count(side: int, method: Hog) -> int:
    """Number of features of a face of this side.

    Raises
    ------
    RecipeError
        When the faces are too small for the method's keys.
    """
    cells = (side - 2 * method.margin) // method.cell
    if cells < method.block:
        raise RecipeError(
            f"represent: faces of {side}×{side} pixels less a margin of {method.margin} hold "
            f"{max(cells, 0)} cells of {method.cell} pixels a side, but a block needs "
            f"{method.block}: lower represent.cell or represent.block"
            + (" or represent.margin" if method.margin else "")
        )
    blocks = cells - method.block + 1
    return blocks * blocks * method.block * method.block * method.orientations


@cache
def _gradient_table(orientations: int) -> tuple[np.ndarray, np.ndarray]:
    """Bin (uint8) and size (float32) of each gradient, indexed by [down + 255, right + 255]."""
    down, right = np.meshgrid(np.arange(-255, 256), np.arange(-255, 256), indexing="ij")
    angle = np.rad2deg(np.arctan2(down, right)) % 180
    bins = np.minimum((angle / (180 / orientations)).astype(np.uint8), orientations - 1)
    return bins.astype(np.uint8), np.hypot(down, right).astype(np.float32)


@numba.njit(nogil=True, cache=True)
def _add_hog(  # type: ignore[no-untyped-def]
    faces, mirrored, cell, cells, block, orientations, bins, sizes, scale, weight, out
):
    """Add `weight` times the HOG of each face (uint8, n × inner × inner) to `out` (n, d)."""
    inner = faces.shape[1]
    used = cells * cell
    blocks = cells - block + 1
    histogram = np.empty((cells, cells, orientations), np.float32)
    epsilon = np.float32(_EPSILON * _EPSILON)
    clip = np.float32(_CLIP)
    last = inner - 1
    for face in range(faces.shape[0]):
        histogram[:] = 0
        for row in range(used):
            for column in range(used):
                # Column in the picture as it is; a mirrored one is read from the right.
                at = last - column if mirrored else column
                down = 0
                right = 0
                if 0 < row < last:
                    down = np.int64(faces[face, row + 1, at]) - np.int64(faces[face, row - 1, at])
                if 0 < column < last:
                    right = np.int64(faces[face, row, at + 1]) - np.int64(faces[face, row, at - 1])
                    if mirrored:
                        right = -right
                histogram[row // cell, column // cell, bins[down + 255, right + 255]] += sizes[
                    down + 255, right + 255
                ]
        factor = scale[face] / np.float32(cell * cell)
        for a in range(cells):
            for b in range(cells):
                for o in range(orientations):
                    histogram[a, b, o] *= factor
        first = 0
        for a in range(blocks):
            for b in range(blocks):
                total = epsilon
                for da in range(block):
                    for db in range(block):
                        for o in range(orientations):
                            total += histogram[a + da, b + db, o] ** 2
                norm = np.float32(1) / np.sqrt(total)
                clipped = epsilon
                for da in range(block):
                    for db in range(block):
                        for o in range(orientations):
                            clipped += min(histogram[a + da, b + db, o] * norm, clip) ** 2
                again = weight / np.sqrt(clipped)
                at = first
                for da in range(block):
                    for db in range(block):
                        for o in range(orientations):
                            out[face, at] += min(histogram[a + da, b + db, o] * norm, clip) * again
                            at += 1
                first = at
