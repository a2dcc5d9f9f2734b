"""Alignment: a map that is known is found, and the warp by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daskfer.represent.expression.alignment import POINTS, affine, template, to_aligned, warp

OTHER_SIDE = {33: 263, 133: 362, 98: 327}
"""The stable points that are beside the nose, by those of the other side."""

IDENTITY = np.array([[1.0, 0], [0, 1], [0, 0]])


def moved(side: int, by: np.ndarray) -> np.ndarray:
    """The stable points of a face that this map (3, 2) made of an aligned one."""
    return np.column_stack([template(side), np.ones(len(POINTS))]) @ by


def plain_warp(face: np.ndarray, by: np.ndarray) -> np.ndarray:
    """A warp in NumPy, pixel by pixel, unrounded."""
    side = len(face)
    rows, columns = np.indices((side, side))
    x, y = np.moveaxis(np.stack([columns, rows, np.ones_like(rows)], axis=2) @ by, 2, 0)
    x, y = np.clip(x, 0, side - 1), np.clip(y, 0, side - 1)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    right, bottom = np.minimum(left + 1, side - 1), np.minimum(top + 1, side - 1)
    values, across, down = face.astype(float), x - left, y - top
    above = values[top, left] * (1 - across) + values[top, right] * across
    below = values[bottom, left] * (1 - across) + values[bottom, right] * across
    return np.asarray(above * (1 - down) + below * down)


def any_faces(count: int, side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side), dtype=np.uint8)


@pytest.mark.parametrize("side", [24, 47, 48, 64])
def test_the_template_is_symmetric(side: int) -> None:
    place = dict(zip(POINTS, template(side).tolist(), strict=True))
    middle = (side - 1) / 2
    for point, (x, y) in place.items():
        other = OTHER_SIDE.get(point, {new: old for old, new in OTHER_SIDE.items()}.get(point))
        if other is None:
            assert x == pytest.approx(middle)
        else:
            assert place[other] == pytest.approx([2 * middle - x, y])
    assert (template(side) > 0).all()
    assert (template(side) < side - 1).all()


def test_the_template_grows_with_the_face() -> None:
    # The centre of the first pixel of 48 is half a pixel from the border, whatever the side.
    assert template(96) == pytest.approx((template(48) + 0.5) * 2 - 0.5)


def test_faces_at_the_template_stay() -> None:
    maps = affine(np.stack([template(48)] * 3), 48)
    assert maps == pytest.approx(np.stack([IDENTITY] * 3), abs=1e-12)
    faces = any_faces(3, 48)
    assert (warp(faces, maps) == faces).all()


@settings(max_examples=40)
@given(
    st.integers(12, 80),
    st.floats(0.5, 2),
    st.floats(-0.8, 0.8),
    st.floats(-0.3, 0.3),
    st.floats(-9, 9),
    st.floats(-9, 9),
)
def test_a_known_map_is_found_and_undone(
    side: int, scale: float, angle: float, shear: float, right: float, down: float
) -> None:
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    known = np.vstack([scale * turn @ np.array([[1, shear], [0, 1]]), [right, down]])
    found = affine(moved(side, known)[None], side)
    assert found[0] == pytest.approx(known, abs=1e-9)
    assert to_aligned(moved(side, known)[None], found)[0] == pytest.approx(template(side), abs=1e-8)


def test_a_point_that_is_off_counts_as_little_as_the_others() -> None:
    points = template(48)
    points[3] += [2, -1]
    found = affine(points[None], 48)[0]
    known = np.column_stack([template(48), np.ones(14)])
    # What is left is at right angles to all that a map could do: the least squares.
    assert known.T @ (points - known @ found) == pytest.approx(np.zeros((3, 2)), abs=1e-9)
    assert np.abs(found - IDENTITY).max() > 1e-3


def test_a_face_folded_to_a_line_is_no_error() -> None:
    line = np.column_stack([template(48)[:, 0], np.full(14, 7.0)])[None]
    maps = affine(line, 48)
    assert np.isfinite(to_aligned(line, maps)).all()
    assert np.isfinite(warp(any_faces(1, 48), maps)).all()


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, -2), (5, 4)])
def test_a_shift_is_numpys(right: int, down: int) -> None:
    faces = any_faces(2, 20)
    maps = np.stack([np.vstack([IDENTITY[:2], [right, down]])] * 2)
    found = warp(faces, maps)
    assert (found.dtype, found.shape) == (np.uint8, faces.shape)
    # Beyond its border a face goes on as it is there.
    rows = np.clip(np.arange(20) + down, 0, 19)
    columns = np.clip(np.arange(20) + right, 0, 19)
    assert (found == faces[:, rows][:, :, columns]).all()


def test_half_a_pixel_is_the_mean_of_two() -> None:
    face = np.array([[[10, 20, 40], [0, 0, 0], [255, 255, 255]]], np.uint8)
    half = np.vstack([IDENTITY[:2], [0.5, 0]])[None]
    assert warp(face, half)[0].tolist() == [[15, 30, 40], [0, 0, 0], [255, 255, 255]]


@settings(max_examples=40)
@given(
    st.lists(st.floats(-3, 3), min_size=4, max_size=4),
    st.lists(st.floats(-90, 90), min_size=2, max_size=2),
    st.integers(2, 30),
    st.integers(0, 255),
    st.integers(0, 1000),
)
def test_a_warp_is_bilinear_and_within_the_face(
    turn: list[float], shift: list[float], side: int, least: int, seed: int
) -> None:
    face = np.maximum(any_faces(1, side, seed), np.uint8(least))
    by = np.array([*turn, *shift]).reshape(3, 2)
    found = warp(face, by[None])
    assert found.min() >= face.min()
    assert found.max() <= face.max()
    # Rounded, which is half a grey level, but for ties.
    assert np.abs(found[0] - plain_warp(face[0], by)).max() <= 0.5 + 1e-6


def test_faces_do_not_depend_on_one_another() -> None:
    faces = any_faces(4, 48)
    random = np.random.default_rng(1)
    maps = IDENTITY + random.normal(0, 0.1, (4, 3, 2))
    alone = [warp(faces[i : i + 1], maps[i : i + 1])[0] for i in range(4)]
    assert (warp(faces, maps) == np.array(alone)).all()
