"""HOG: by hand, and equal to scikit-image's.

scikit-image is given the whole-numbered image, and the kernel a scale of 1, for two reasons.
A gradient of exactly 45 degrees stays exactly 45 only with whole numbers: scaled to 0-1 it rounds
to a neighbour, and scikit-image then puts it into one of two bins by luck. And the small number
that keeps the norms from being zero counts the same on both sides only at the same scale.
What normalization then does is tested against daskfer itself.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.feature import hog as skimage_hog

from daskfer.recipe import Hog
from daskfer.represent import feature_count
from daskfer.represent.hog import hog

SETTINGS = [
    Hog(mirror=False),
    Hog(cell=8, orientations=9, block=2, margin=0, mirror=False),
    Hog(cell=6, orientations=8, block=3, margin=0, mirror=False),
    Hog(cell=5, orientations=12, block=1, margin=3, mirror=False),
    Hog(cell=7, orientations=4, block=2, margin=1, mirror=False),
    Hog(cell=16, orientations=7, block=3, margin=0, mirror=False),
]


def faces(count: int, side: int, seed: int = 0, levels: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, levels, (count, side * side), dtype=np.uint8)


def ones(count: int) -> np.ndarray:
    return np.ones(count, np.float32)


def by_skimage(pixels: np.ndarray, side: int, method: Hog) -> np.ndarray:
    inner = slice(method.margin, side - method.margin)
    return np.array(
        [
            skimage_hog(
                face.reshape(side, side)[inner, inner],
                orientations=method.orientations,
                pixels_per_cell=(method.cell, method.cell),
                cells_per_block=(method.block, method.block),
                block_norm="L2-Hys",
            )
            for face in pixels
        ]
    )


def test_a_vertical_edge_by_hand() -> None:
    # Columns 0 0 9 9: the inner rows see a step of 9 at two columns, all pointing right.
    face = np.tile(np.array([0, 0, 9, 9], np.uint8), 4)[None]
    method = Hog(cell=4, orientations=4, block=1, margin=0, mirror=False)
    # One cell: all gradients in bin 0, whose share is clipped to 0.2 and normalized to 1 again.
    assert hog(face, 4, ones(1), method)[0] == pytest.approx([1, 0, 0, 0], abs=1e-6)
    # In two directions of equal size each gets 1/√2.
    cross = np.zeros((5, 5), np.uint8)
    cross[:, 3:] = 9
    both = np.stack([cross, cross.T]).reshape(2, 25)
    found = hog(both, 5, ones(2), Hog(cell=5, orientations=2, block=1, margin=0, mirror=False))
    assert found == pytest.approx(np.eye(2), abs=1e-6)


def test_a_blank_face_is_zero() -> None:
    blank = np.full((1, 48 * 48), 128, np.uint8)
    assert (hog(blank, 48, ones(1), Hog()) == 0).all()


@pytest.mark.parametrize("method", SETTINGS)
@pytest.mark.parametrize("levels", [256, 4])
def test_equals_skimage(method: Hog, levels: int) -> None:
    # Four grey levels have many gradients of exactly 0, 45, 90 and 135 degrees.
    pixels = faces(3, 48, levels=levels)
    found = hog(pixels, 48, ones(3), method)
    assert found.dtype == np.float32
    assert found.shape == (3, feature_count(48, method))
    assert np.abs(found - by_skimage(pixels, 48, method)).max() < 1e-6


@pytest.mark.parametrize("method", SETTINGS)
def test_mirror_is_the_average_with_the_flipped_face(method: Hog) -> None:
    pixels = faces(2, 48, seed=1)
    flipped = pixels.reshape(2, 48, 48)[:, :, ::-1].reshape(2, -1)
    keys = {key: getattr(method, key) for key in ("cell", "orientations", "block", "margin")}
    mirrored = hog(pixels, 48, ones(2), Hog(mirror=True, **keys))
    average = (hog(pixels, 48, ones(2), method) + hog(flipped, 48, ones(2), method)) / 2
    assert np.abs(mirrored - average).max() < 1e-6
    assert np.abs(mirrored - hog(flipped, 48, ones(2), Hog(mirror=True, **keys))).max() < 1e-6
    # What is asked of a mirror is not true of every face by itself.
    assert np.abs(mirrored - hog(pixels, 48, ones(2), method)).max() > 1e-3


def test_the_scale_cancels_but_for_rounding() -> None:
    pixels = faces(4, 48, seed=2)
    scale = np.array([1, 1 / 255, 1 / 50, 3], np.float32)
    whole = hog(pixels, 48, ones(4), Hog())
    assert np.abs(hog(pixels, 48, scale, Hog()) - whole).max() < 1e-5
    # Far below the small number in the norm it does not: a scale of nothing leaves nothing.
    assert np.abs(hog(pixels, 48, np.full(4, 1e-14, np.float32), Hog())).max() < 1e-2


@settings(max_examples=25)
@given(
    side=st.integers(12, 40),
    cell=st.integers(2, 9),
    orientations=st.integers(2, 12),
    block=st.integers(1, 3),
    margin=st.integers(0, 3),
    seed=st.integers(0, 1000),
    levels=st.sampled_from([2, 8, 256]),
)
def test_equals_skimage_for_any_settings(
    side: int, cell: int, orientations: int, block: int, margin: int, seed: int, levels: int
) -> None:
    method = Hog(cell=cell, orientations=orientations, block=block, margin=margin, mirror=False)
    if (side - 2 * margin) // cell < block:
        return
    pixels = faces(1, side, seed, levels)
    found = hog(pixels, side, ones(1), method)
    assert np.abs(found - by_skimage(pixels, side, method)).max() < 2e-6


def test_faces_do_not_depend_on_their_block() -> None:
    pixels = faces(5, 48, seed=3)
    scale = np.linspace(0.004, 0.02, 5, dtype=np.float32)
    alone = [hog(pixels[i : i + 1], 48, scale[i : i + 1], Hog())[0] for i in range(5)]
    assert (hog(pixels, 48, scale, Hog()) == np.array(alone)).all()
