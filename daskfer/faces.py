"""What a set of faces is: the emotions, the splits, the geometry, and the table of its rows.

A face is a square grey image, held as a row of ``size * size`` uint8 values in reading order.
FER2013's conventions are the default: 48 x 48 pixels, seven emotions numbered 0-6, and a
``Usage`` column with the values Training, PublicTest and PrivateTest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Names of the emotions, in the order of FER2013's labels 0-6."""

SYNONYMS = {
    "angry": ("anger",),
    "disgust": ("disgusted",),
    "fear": ("fearful", "afraid", "scared"),
    "happy": ("happiness", "joy"),
    "sad": ("sadness",),
    "surprise": ("surprised",),
    "neutral": (),
}
"""Other words for the emotions."""

USAGES = ("Training", "PublicTest", "PrivateTest")
"""Values of FER2013's Usage column, in the order of the codes 0-2."""

TRAINING, PUBLIC_TEST, PRIVATE_TEST = range(3)

UNKNOWN = -1
"""Code of an emotion or a split that the input does not state."""

DEFAULT_SIZE = 48
"""Side of a FER2013 face in pixels."""


def side_of(pixel_count: int) -> int | None:
    """Side of the square image with this many pixels, or None when there is none."""
    side = math.isqrt(pixel_count)
    return side if side > 0 and side * side == pixel_count else None


@dataclass(frozen=True)
class FaceTable:
    """What is known of each good row, in reading order; a row's index here is its position.

    Attributes
    ----------
    row : int64 array (n,)
        Number of the record over all inputs, from 0; bad rows have numbers too.
    source : int32 array (n,)
        Which input the row came from.
    emotion, usage : int8 array (n,)
        Codes, or UNKNOWN.
    digest : uint64 array (n, 2)
        BLAKE2b hash of the pixels.
    blank : bool array (n,)
        Whether all pixels are equal.
    look : uint64 array (n,)
        Difference hash of the image; similar images have the same.
    """

    row: np.ndarray
    source: np.ndarray
    emotion: np.ndarray
    usage: np.ndarray
    digest: np.ndarray
    blank: np.ndarray
    look: np.ndarray

    def __len__(self) -> int:
        return len(self.row)
