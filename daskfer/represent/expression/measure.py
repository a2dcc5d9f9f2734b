"""What is measured of each face of a block, part by part, as it is kept in the store."""

from __future__ import annotations

import numpy as np

from daskfer.normalize import shift_and_scale
from daskfer.recipe import Expression, Hog
from daskfer.represent.expression import alignment
from daskfer.represent.expression.landmarker import SIDE, landmarker, to_face
from daskfer.represent.hog import hog, hog_count

STORED = ("presence", "blendshapes", "tokens", "landmarks", "hog", "layer4", "layer8")
"""The parts that are kept, in the order in which they are written."""


def measure(
    pixels: np.ndarray, side: int, normalization: str, method: Expression, bundle: bytes
) -> dict[str, np.ndarray]:
    """Measure faces, uint8 (n, side * side), with the face model in the bundle.

    Returns
    -------
    dict
        By the names in `STORED`: presence, float32 (n,), as log-odds; blendshapes (n, 52) and
        tokens (n, 64), float32; the rest in float16: landmarks (n, 1434) as x, y, z in pixels of
        the model's input from its middle, HOG of the aligned face, and layers (n, 2048). Half
        precision is at most a sixteenth of a pixel off there, and halves the store.
    """
    faces = pixels.reshape(-1, side, side)
    found = landmarker(bundle).measure(faces, method.face)
    stable = to_face(found.landmarks[:, alignment.POINTS, :2], side, method.face)
    aligned = alignment.warp(faces, alignment.affine(stable, side)).reshape(len(faces), -1)
    _, scale = shift_and_scale(pixels, normalization)
    middle = np.array([SIDE / 2, SIDE / 2, 0], np.float32)
    half = {
        "landmarks": (found.landmarks - middle).reshape(len(faces), -1),
        "hog": hog(aligned, side, scale, hog_of(method)),
        "layer4": found.layer4,
        "layer8": found.layer8,
    }
    return {
        "presence": found.presence,
        "blendshapes": found.blendshapes,
        "tokens": found.tokens,
        **{name: values.astype(np.float16) for name, values in half.items()},
    }


def mirrored(pixels: np.ndarray, side: int) -> np.ndarray:
    """The mirror images of faces (n, side * side)."""
    turned = pixels.reshape(-1, side, side)[:, :, ::-1]
    return np.ascontiguousarray(turned).reshape(len(pixels), -1)


def hog_of(method: Expression) -> Hog:
    """The HOG of aligned faces: of all of the face, averaged with its mirror image's."""
    return Hog(
        cell=method.cell, orientations=method.orientations, block=method.block, margin=0,
        mirror=True,
    )  # fmt: skip


def hog_features(side: int, method: Expression) -> int:
    """How many features the HOG of aligned faces has.

    Raises
    ------
    RecipeError
        When the faces are too small for it.
    """
    return hog_count(side, hog_of(method))
