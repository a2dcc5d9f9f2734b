"""Faces of another size."""

from __future__ import annotations

import numpy as np

from daskfer.ingest.sizes import resized


def test_the_same_size_is_left_alone() -> None:
    pixels = np.arange(32, dtype=np.uint8).reshape(2, 16)
    assert resized(pixels, 4) is pixels


def test_even_faces_stay_even_and_in_order() -> None:
    pixels = np.repeat(np.array([[10], [200], [77]], np.uint8), 64, axis=1)
    for side in (3, 8, 20):
        found = resized(pixels, side)
        assert found.shape == (3, side * side)
        assert found.dtype == np.uint8
        assert (found == pixels[:, :1]).all()


def test_halves_keep_their_sides() -> None:
    face = np.zeros((8, 8), np.uint8)
    face[:, 4:] = 200
    (found,) = resized(face.reshape(1, -1), 4).reshape(1, 4, 4)
    assert (found[:, 0] < 20).all()
    assert (found[:, 3] > 180).all()


def test_no_faces() -> None:
    assert resized(np.zeros((0, 16), np.uint8), 3).shape == (0, 9)
