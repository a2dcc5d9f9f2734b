"""What is known of faces, read from the store part by part and made ready for a linear map."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from daskfer.blocks import BlockFiles
from daskfer.recipe import Expression, Parts
from daskfer.represent.expression import alignment, blendshapes
from daskfer.represent.expression.landmarker import LAYER, POINTS, SIDE, to_face
from daskfer.represent.expression.measure import hog_features

LEARNED_MIRROR = ("tokens", "layer4", "layer8")
"""Parts of which a face and its mirror image say different things: blendshapes are averaged over
both sides by their names, HOG over both images, and landmarks are positions."""

SIDES = {"average": len(blendshapes.AVERAGED), "both": len(blendshapes.NAMES) - 1}
"""Columns of the blendshapes."""


@dataclass(frozen=True)
class PartFiles:
    """One part of what is known of all faces, with rows by position and blocks by number.

    Attributes
    ----------
    name : str
        See `daskfer.recipe.PARTS`.
    files : BlockFiles
        What was measured.
    side : int
        Side of the faces in pixels.
    face : int
        How wide they were drawn into the model's input.
    sides, scaling : str
        How blendshapes are made ready (see `daskfer.recipe.Parts`).
    """

    name: str
    files: BlockFiles
    side: int
    face: int
    dimensions: int
    sides: str = "average"
    scaling: str = "sqrt"

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """This part, float32 (m, d), of the faces at these positions."""
        return self._ready(self.files.rows(positions))

    def block(self, number: int) -> np.ndarray:
        """This part of one block of faces."""
        return self._ready(self.files.block(number))

    def _ready(self, stored: np.ndarray) -> np.ndarray:
        values = stored.astype(np.float32, copy=False)
        if self.name == "blendshapes":
            averaged = self.sides == "average"
            values = blendshapes.average_sides(values) if averaged else values[:, 1:]
            return np.sqrt(np.maximum(values, 0)) if self.scaling == "sqrt" else values
        if self.name == "landmarks":
            return self._shape(values)
        return values

    def _shape(self, values: np.ndarray) -> np.ndarray:
        """Landmarks (n, 1434) as positions in the aligned face, (n, 956), in its pixels."""
        points = values.reshape(-1, POINTS, 3)[:, :, :2] + np.float32(SIDE / 2)
        in_face = to_face(points, self.side, self.face).astype(np.float64)
        maps = alignment.affine(in_face[:, alignment.POINTS], self.side)
        aligned = alignment.to_aligned(in_face, maps)
        return aligned.reshape(len(values), -1).astype(np.float32)


@dataclass(frozen=True)
class ExpressionFeatures:
    """All that was measured of all faces, and of some of them as mirror images.

    Attributes
    ----------
    stored : dict of str to BlockFiles
        By part.
    mirrored : dict of str to BlockFiles
        The same parts of the mirror images of the faces at `sample`.
    sample : int64 array (m,)
        Positions.
    side : int
    method : Expression
    """

    stored: dict[str, BlockFiles]
    mirrored: dict[str, BlockFiles]
    sample: np.ndarray
    side: int
    method: Expression

    def part(self, name: str, ready: Parts | None = None) -> PartFiles:
        """One part, with blendshapes made ready as the recipe says (or as by default)."""
        return self._view(name, self.stored[name], ready or Parts())

    def pairs(self, name: str, ready: Parts | None = None) -> tuple[np.ndarray, np.ndarray] | None:
        """A part of the sampled faces and of their mirror images, where that tells something."""
        if name not in LEARNED_MIRROR or len(self.sample) == 0:
            return None
        part = self.part(name, ready)
        images = replace(part, files=self.mirrored[name])
        return part.rows(self.sample), images.rows(np.arange(len(self.sample)))

    def presence(self) -> np.ndarray:
        """Log-odds, float32 (n,), that there is a face, of all faces."""
        files = self.stored["presence"]
        return np.concatenate([files.block(number) for number in range(files.count)])

    def _view(self, name: str, files: BlockFiles, ready: Parts) -> PartFiles:
        columns = part_dimensions(name, self.side, self.method, ready.sides)
        return PartFiles(
            name, files, self.side, self.method.face, columns, ready.sides, ready.scaling
        )

    # What a reduction sees that knows of no parts.

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """Square roots of blendshapes, float32 (m, 31), sides averaged."""
        return self.part("blendshapes").rows(positions)

    def block(self, number: int) -> np.ndarray:
        """The same of one block of faces."""
        return self.part("blendshapes").block(number)

    @property
    def dimensions(self) -> int:
        """Number of these features."""
        return self.part("blendshapes").dimensions


def part_dimensions(name: str, side: int, method: Expression, sides: str = "average") -> int:
    """Number of features of a part of faces of this side."""
    counts = {
        "blendshapes": SIDES[sides],
        "tokens": 64,
        "landmarks": POINTS * 2,
        "layer4": LAYER,
        "layer8": LAYER,
    }
    return hog_features(side, method) if name == "hog" else counts[name]
