"""Normalization by hand and in general."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from daskfer.normalize import normalize, shift_and_scale

FACES = arrays(np.uint8, st.tuples(st.integers(0, 5), st.integers(1, 20)))


def test_minmax_by_hand() -> None:
    found = normalize(np.array([[10, 20, 60], [0, 255, 51]], np.uint8), "minmax")
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array([[0, 0.2, 1], [0, 1, 0.2]]), abs=1e-7)


def test_zscore_by_hand() -> None:
    found = normalize(np.array([[2, 4, 4, 4, 5, 5, 7, 9]], np.uint8), "zscore")
    assert found[0] == pytest.approx([-1.5, -0.5, -0.5, -0.5, 0, 0, 1, 2], abs=1e-6)


def test_unit_by_hand() -> None:
    found = normalize(np.array([[0, 51, 255]], np.uint8), "unit")
    assert found[0] == pytest.approx([0, 0.2, 1], abs=1e-7)


@pytest.mark.parametrize("method", ["minmax", "zscore"])
def test_a_blank_face_becomes_zero(method: str) -> None:
    assert (normalize(np.full((1, 9), 200, np.uint8), method) == 0).all()


def test_a_blank_face_by_unit_keeps_its_value() -> None:
    found = normalize(np.full((1, 9), 51, np.uint8), "unit")
    assert found == pytest.approx(np.full((1, 9), 0.2), abs=1e-7)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="'max'"):
        normalize(np.zeros((1, 4), np.uint8), "max")


@given(FACES, st.sampled_from(["minmax", "zscore", "unit"]))
def test_the_map_is_affine_and_faces_are_independent(pixels: np.ndarray, method: str) -> None:
    shift, scale = shift_and_scale(pixels, method)
    assert shift.dtype == scale.dtype == np.float32
    assert shift.shape == scale.shape == (len(pixels),)
    expected = (pixels - shift[:, None].astype(float)) * scale[:, None].astype(float)
    found = normalize(pixels, method)
    assert np.allclose(found, expected, atol=1e-4, rtol=1e-5)
    for row in range(len(pixels)):
        assert (normalize(pixels[row : row + 1], method) == found[row]).all()


@given(FACES)
def test_ranges_and_moments(pixels: np.ndarray) -> None:
    varied = pixels[pixels.min(axis=1) != pixels.max(axis=1)]
    scaled = normalize(varied, "minmax")
    assert (scaled.min(axis=1) == 0).all()
    assert np.allclose(scaled.max(axis=1), 1, atol=1e-6)
    standard = normalize(varied, "zscore").astype(np.float64)
    assert np.allclose(standard.mean(axis=1), 0, atol=1e-3)
    assert np.allclose(standard.std(axis=1), 1, atol=1e-3)
