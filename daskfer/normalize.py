"""Normalization: the grey values of each face brought to a common range.

Each method is an affine map of one face's values, ``(value - shift) * scale``; a representation
that only needs the scale (gradients do not see the shift) takes it from here.
"""

from __future__ import annotations

import numpy as np


def shift_and_scale(pixels: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
    """The affine map of each face.

    Parameters
    ----------
    pixels : uint8 array (n, d)
    method : {"minmax", "zscore", "unit"}
        ``minmax`` maps the face's range to 0-1, ``zscore`` its mean and standard deviation to 0
        and 1, ``unit`` 0-255 to 0-1.

    Returns
    -------
    shift, scale : float32 arrays (n,)
        A blank face (all values equal) gets the scale 1 and so becomes zero, except by ``unit``.
    """
    rows = len(pixels)
    if method == "minmax":
        shift = pixels.min(axis=1).astype(np.float32)
        spread = pixels.max(axis=1).astype(np.float32) - shift
    elif method == "zscore":
        shift = pixels.mean(axis=1, dtype=np.float64).astype(np.float32)
        spread = pixels.std(axis=1, dtype=np.float64).astype(np.float32)
    elif method == "unit":
        shift, spread = np.zeros(rows, np.float32), np.full(rows, 255, np.float32)
    else:
        raise ValueError(f"method={method!r}: expected minmax, zscore or unit")
    return shift, 1 / np.where(spread > 0, spread, np.float32(1))


def normalize(pixels: np.ndarray, method: str) -> np.ndarray:
    """Normalized faces, float32 (n, d), of uint8 pixels (n, d); see `shift_and_scale`."""
    shift, scale = shift_and_scale(pixels, method)
    values = pixels.astype(np.float32)
    values -= shift[:, None]
    values *= scale[:, None]
    return values
