"""Faces brought to one place: an affine map of points that no expression moves, and the warp."""

from __future__ import annotations

import numba
import numpy as np

POINTS = (33, 263, 133, 362, 98, 327, 168, 6, 197, 195, 5, 4, 1, 2)
"""Landmarks at the corners of the eyes and on the nose."""

_TEMPLATE = np.array(
    [
        (-12.52, 17.88), (12.52, 17.88), (-5.00, 18.56), (5.00, 18.56), (-4.63, 30.07),
        (4.63, 30.07), (0, 17.18), (0, 19.51), (0, 21.50), (0, 23.29), (0, 25.20), (0, 27.48),
        (0, 29.16), (0, 30.89),
    ]
)  # fmt: skip
"""Where they lie in a face of 48×48 pixels, from its vertical middle: the median of FER2013's
Training faces (no label was read), made symmetric."""

_TEMPLATE_SIDE = 48


def template(side: int) -> np.ndarray:
    """Where the stable points lie, float64 (14, 2) as x and y, in an aligned face of this side."""
    middle = (_TEMPLATE_SIDE - 1) / 2
    at_48 = _TEMPLATE + np.array([middle, 0.0])
    return (at_48 + 0.5) * (side / _TEMPLATE_SIDE) - 0.5


def affine(points: np.ndarray, side: int) -> np.ndarray:
    """The maps from pixels of aligned faces to those of the faces, by least squares.

    Parameters
    ----------
    points : array (n, 14, 2)
        The stable points of each face, in pixels of a face of this side.
    side : int

    Returns
    -------
    float64 array (n, 3, 2)
        A position (x, y, 1) in the aligned face times it is the one in the face.
    """
    known = np.column_stack([template(side), np.ones(len(POINTS))])
    return np.asarray(np.linalg.pinv(known) @ points)


def to_aligned(landmarks: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Positions (n, m, 2) in faces as positions in the aligned faces, by their maps (n, 3, 2).

    A map that folds the face to a line has no inverse; the nearest one is taken.
    """
    inverse = np.linalg.pinv(maps[:, :2])
    return np.asarray((landmarks - maps[:, 2:]) @ inverse)


@numba.njit(nogil=True, cache=True)
def warp(faces, maps):  # type: ignore[no-untyped-def]
    """Aligned faces, uint8 (n, side, side), of faces (n, side, side) and maps (n, 3, 2).

    Bilinear; beyond its border a face goes on as it is there.
    """
    count, side, _ = faces.shape
    aligned = np.empty_like(faces)
    last = np.float64(side - 1)
    for face in range(count):
        for row in range(side):
            for column in range(side):
                x = column * maps[face, 0, 0] + row * maps[face, 1, 0] + maps[face, 2, 0]
                y = column * maps[face, 0, 1] + row * maps[face, 1, 1] + maps[face, 2, 1]
                x = min(max(x, 0.0), last)
                y = min(max(y, 0.0), last)
                left, top = int(x), int(y)
                right, bottom = min(left + 1, side - 1), min(top + 1, side - 1)
                across, down = x - left, y - top
                above = faces[face, top, left] * (1 - across) + faces[face, top, right] * across
                below = (
                    faces[face, bottom, left] * (1 - across) + faces[face, bottom, right] * across
                )
                aligned[face, row, column] = np.uint8(above * (1 - down) + below * down + 0.5)
    return aligned
