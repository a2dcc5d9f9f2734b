"""The 52 blendshape scores of the face model: their names, order and sides.

The order and the 146 landmarks that the scores are made from are those of MediaPipe's
`face_blendshapes_graph.cc` (Google, Apache-2.0); the names are Apple's ARKit's.
"""

from __future__ import annotations

import numpy as np

_SIDES = ("Left", "Right")
_PAIRED = {
    "browDown", "browOuterUp", "cheekSquint", "eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut",
    "eyeLookUp", "eyeSquint", "eyeWide", "mouthDimple", "mouthFrown", "mouthLowerDown",
    "mouthPress", "mouthSmile", "mouthStretch", "mouthUpperUp", "noseSneer",
}  # fmt: skip
"""Shapes that each side of the face has for itself."""

_IN_ORDER = (
    "_neutral", "browDown", "browInnerUp", "browOuterUp", "cheekPuff", "cheekSquint", "eyeBlink",
    "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeSquint", "eyeWide", "jawForward",
    "jawLeft", "jawOpen", "jawRight", "mouthClose", "mouthDimple", "mouthFrown", "mouthFunnel",
    "mouthLeft", "mouthLowerDown", "mouthPress", "mouthPucker", "mouthRight", "mouthRollLower",
    "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmile", "mouthStretch",
    "mouthUpperUp", "noseSneer",
)  # fmt: skip

NAMES: tuple[str, ...] = tuple(
    name + side for name in _IN_ORDER for side in (_SIDES if name in _PAIRED else ("",))
)
"""The 52 scores in the model's order; the first says nothing of the face."""

LANDMARKS = (
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65,
    66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136,
    144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172,
    173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283,
    284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324,
    332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385,
    386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472,
    473, 474, 475, 476, 477,
)  # fmt: skip
"""The landmarks, of 478, that the scores are made from."""

AVERAGED: tuple[str, ...] = (
    *(name for name in _IN_ORDER[1:] if not name.endswith(_SIDES)),
    "jawSideways",
    "mouthSideways",
)
"""The 31 scores of `average_sides`, by their names."""


def average_sides(scores: np.ndarray) -> np.ndarray:
    """Scores (n, 52) with left and right averaged, float32 (n, 31), in the order of `AVERAGED`.

    An expression is nearly symmetric; a turned head and light from one side are not.
    """
    found = np.empty((len(scores), len(AVERAGED)), np.float32)
    for column, name in enumerate(AVERAGED):
        stem = name.removesuffix("Sideways")
        if name in NAMES:
            found[:, column] = scores[:, NAMES.index(name)]
        else:
            left, right = (scores[:, NAMES.index(stem + side)] for side in _SIDES)
            found[:, column] = (left + right) / 2
    return found
