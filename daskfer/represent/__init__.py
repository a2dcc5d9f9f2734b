"""Representations: what of a face the clusters see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from daskfer.blocks import BlockFiles
from daskfer.normalize import normalize, shift_and_scale
from daskfer.recipe import PARTS, Expression, Hog, Pixels, Represent


class FeatureRows(Protocol):
    """Features of all faces, wherever they come from."""

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """Features, float32 (m, d), of the faces at these positions."""

    def block(self, number: int) -> np.ndarray:
        """Features of one block of faces."""

    @property
    def dimensions(self) -> int:
        """Number of features of a face."""


def is_stored(method: Represent) -> bool:
    """Whether a representation costs more to compute again than to read back."""
    return not isinstance(method, Pixels)


def represent(
    pixels: np.ndarray, side: int, normalization: str, method: Pixels | Hog
) -> np.ndarray:
    """Features, float32 (n, d), of faces given as uint8 pixels (n, side * side)."""
    if isinstance(method, Hog):
        from daskfer.represent.hog import hog

        _, scale = shift_and_scale(pixels, normalization)
        return hog(pixels, side, scale, method)
    return normalize(pixels, normalization)


def feature_count(side: int, method: Represent) -> int:
    """Number of features of a face of this side, as a reduction sees them that knows no parts.

    Raises
    ------
    RecipeError
        When the faces are too small for the method's keys.
    """
    if isinstance(method, Hog):
        from daskfer.represent.hog import hog_count

        return hog_count(side, method)
    if isinstance(method, Expression):
        from daskfer.represent.expression.features import part_dimensions

        part_dimensions("hog", side, method)
        return part_dimensions("blendshapes", side, method)
    return side * side


def widest(side: int, method: Represent) -> int:
    """Number of features of the largest part that is reduced by itself."""
    if isinstance(method, Expression):
        from daskfer.represent.expression.features import part_dimensions

        return max(part_dimensions(name, side, method) for name in PARTS)
    return feature_count(side, method)


@dataclass(frozen=True)
class Features:
    """The features of all faces, read from the store or made from the pixels on the way."""

    pixels: BlockFiles
    stored: BlockFiles | None
    side: int
    normalization: str
    method: Pixels | Hog

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
