"""What a face does in each emotion: a table of actions, after the action units of FACS.

An action is 0 in the neutral face and about 1 (or -1, its opposite) at full strength. An expression
of intensity i is the neutral face plus i times its row of the table.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daskfer.faces import EMOTIONS

ACTIONS = (
    "brow_inner",  # inner ends of the brows: up, or down (-)
    "brow_outer",  # outer ends of the brows: up, or down (-)
    "brow_arch",  # middle of the brows bent upwards
    "brow_together",  # brows drawn to one another, with a furrow between them
    "lid_upper",  # upper lids lifted (wide eyes), or drooping (-)
    "lid_lower",  # lower lids raised (narrowed eyes)
    "cheek_raise",  # cheeks lifted: folds beside the mouth and under the eyes
    "nose_wrinkle",  # nose drawn up, with wrinkles across its bridge
    "lip_corner",  # corners of the mouth: up, or down (-)
    "mouth_stretch",  # mouth wider, or narrower (-)
    "mouth_skew",  # one side of the mouth higher
    "mouth_square",  # opening with square corners
    "jaw_drop",  # lower lip and chin down
    "lip_raise",  # upper lip drawn up
    "teeth",  # upper teeth bared
)

_TABLE: dict[str, dict[str, float]] = {
    "angry": {
        "brow_inner": -1.0, "brow_outer": 0.5, "brow_together": 1.0,
        "lid_upper": -0.3, "lid_lower": 0.5, "cheek_raise": 0.3,
        "lip_corner": -0.4, "mouth_square": 1.0, "jaw_drop": 0.2, "lip_raise": 0.4, "teeth": 1.0,
    },
    "disgust": {
        "brow_inner": -0.6, "brow_outer": -0.4, "brow_together": 0.4,
        "lid_upper": -0.6, "lid_lower": 0.7, "cheek_raise": 0.7, "nose_wrinkle": 1.0,
        "lip_corner": -0.8, "mouth_stretch": -0.2, "mouth_skew": 0.7, "lip_raise": 1.0,
    },
    "fear": {
        "brow_inner": 1.0, "brow_outer": 0.1, "brow_together": 0.8,
        "lid_upper": 1.0, "lid_lower": 0.1,
        "lip_corner": -0.5, "mouth_stretch": 0.7, "mouth_square": 0.7, "jaw_drop": 0.65,
    },
    "happy": {
        "lid_upper": -0.1, "lid_lower": 0.7, "cheek_raise": 1.0,
        "lip_corner": 1.0, "mouth_stretch": 0.6, "jaw_drop": 0.4, "teeth": 1.0,
    },
    "sad": {
        "brow_inner": 0.9, "brow_outer": -0.6, "brow_together": 0.3,
        "lid_upper": -0.7, "lip_corner": -1.0, "mouth_stretch": -0.1,
    },
    "surprise": {
        "brow_inner": 0.9, "brow_outer": 0.9, "brow_arch": 1.0,
        "lid_upper": 1.0,
        "lip_corner": 0.2, "mouth_stretch": -0.5, "mouth_square": 0.4, "jaw_drop": 1.0,
        "lip_raise": 0.8,
    },
    "neutral": {},
}  # fmt: skip


def _table() -> NDArray[np.float32]:
    rows = [[_TABLE[emotion].get(action, 0.0) for action in ACTIONS] for emotion in EMOTIONS]
    return np.array(rows, dtype=np.float32)


EXPRESSIONS = _table()
"""float32 (7, len(ACTIONS)), actions of each emotion at full intensity."""


def actions_of(
    emotion: NDArray[np.int8], intensity: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """Actions of n faces by name, float32 (n,) each."""
    strengths = EXPRESSIONS[emotion] * intensity[:, None]
    return {name: strengths[:, column] for column, name in enumerate(ACTIONS)}
