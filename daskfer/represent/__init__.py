"""Representations: what of a face the clusters see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daskfer.blocks import BlockFiles
from daskfer.errors import RecipeError
from daskfer.normalize import normalize, shift_and_scale
from daskfer.recipe import Hog, Represent


def is_stored(method: Represent) -> bool:
    """Whether a representation costs more to compute again than to read back."""
    return isinstance(method, Hog)


def represent(pixels: np.ndarray, side: int, normalization: str, method: Represent) -> np.ndarray:
    """Features, float32 (n, d), of faces given as uint8 pixels (n, side * side)."""
    if isinstance(method, Hog):
        from daskfer.represent.hog import hog

        _, scale = shift_and_scale(pixels, normalization)
        return hog(pixels, side, scale, method)
    return normalize(pixels, normalization)


def feature_count(side: int, method: Represent) -> int:
    """Number of features of a face of this side.

    Raises
    ------
    RecipeError
        When the faces are too small for the method's keys.
    """
    if not isinstance(method, Hog):
        return side * side
    cells = (side - 2 * method.margin) // method.cell
    if cells < method.block:
        raise RecipeError(
            f"represent: faces of {side}×{side} pixels less a margin of {method.margin} hold "
            f"{max(cells, 0)} cells of {method.cell} pixels a side, but a block needs "
            f"{method.block}: lower represent.cell, represent.block or represent.margin"
        )
    blocks = cells - method.block + 1
    return blocks * blocks * method.block * method.block * method.orientations


@dataclass(frozen=True)
class Features:
    """The features of all faces, read from the store or made from the pixels on the way."""

    pixels: BlockFiles
    stored: BlockFiles | None
    side: int
    normalization: str
    method: Represent

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """Features, float32 (m, d), of the faces at these positions."""
        if self.stored is not None:
            return self.stored.rows(positions)
        return represent(self.pixels.rows(positions), self.side, self.normalization, self.method)

    def block(self, number: int) -> np.ndarray:
        """Features of one block of faces."""
        if self.stored is not None:
            return self.stored.block(number)
        return represent(self.pixels.block(number), self.side, self.normalization, self.method)

    @property
    def dimensions(self) -> int:
        """Number of features of a face."""
        return feature_count(self.side, self.method)
