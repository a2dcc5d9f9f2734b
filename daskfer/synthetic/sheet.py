"""A contact sheet: one row of faces for each emotion, to look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daskfer.faces import DEFAULT_SIZE, EMOTIONS
from daskfer.synthetic.drawing import draw_faces
from daskfer.synthetic.sampling import (
    DEFAULT_DIFFICULTY,
    Difficulty,
    draw_parameters,
)


def contact_sheet(
    seed: int = 0,
    difficulty: float | Difficulty = DEFAULT_DIFFICULTY,
    columns: int = 10,
    magnify: int = 3,
) -> NDArray[np.uint8]:
    """Faces of a set side by side, a row for each emotion in the order of `EMOTIONS`.

    Parameters
    ----------
    seed, difficulty
        As for `draw_parameters`.
    columns
        Faces of each emotion, >= 1: the first ones of the uniformly weighted set.
    magnify
        Side in pixels of the square that stands for one pixel, >= 1.

    Returns
    -------
    uint8 (7 * 48 * magnify, columns * 48 * magnify).

    Raises
    ------
    ValueError
        When `columns` or `magnify` is less than 1, or as in `draw_parameters`.
    """
    for name, value in (("columns", columns), ("magnify", magnify)):
        if value < 1:
            raise ValueError(f"Got {name}={value}, but expected a whole number >= 1")
    bands = []
    for emotion in range(len(EMOTIONS)):
        # All the weight on one emotion: the same people and poses then appear in every row.
        only = [float(index == emotion) for index in range(len(EMOTIONS))]
        faces = draw_faces(draw_parameters(0, columns, seed, difficulty, only))
        images = faces.reshape(columns, DEFAULT_SIZE, DEFAULT_SIZE)
        bands.append(images.swapaxes(0, 1).reshape(DEFAULT_SIZE, columns * DEFAULT_SIZE))
    return np.concatenate(bands).repeat(magnify, axis=0).repeat(magnify, axis=1)
