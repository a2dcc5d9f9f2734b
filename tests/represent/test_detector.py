"""Faces in photos: the detector's arithmetic, and a real photo where the face model is there."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskfer.represent.expression.detector import (
    MARGIN,
    Box,
    Detector,
    _anchors,
    _starts,
    cut_out,
    merged,
    overlap,
)


def test_anchors_are_the_centres_of_two_grids():
    anchors = _anchors()
    assert anchors.shape == (896, 2)
    assert anchors[:2].tolist() == [[1 / 32, 1 / 32]] * 2
    assert anchors[2].tolist() == [3 / 32, 1 / 32]
    assert anchors[512:518].tolist() == [[1 / 16, 1 / 16]] * 6
    assert anchors[-1].tolist() == [15 / 16, 15 / 16]


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_squares_cover_a_length(length, side):
    starts = _starts(length, side)
    if side >= length:
        # One in the middle, which reaches beyond both ends.
        assert starts == [(length - side) // 2]
        return
    assert starts[0] == 0
    assert starts[-1] + side == length
    # No face of half a square is cut by all of them.
    assert all(later - start <= -(-side // 2) for start, later in itertools.pairwise(starts))


def test_overlap_of_two_boxes():
    one = Box(0, 0, 10, 10, 1)
    assert overlap(one, one) == 1
    assert overlap(one, Box(5, 0, 10, 10, 1)) == pytest.approx(1 / 3)
    assert overlap(one, Box(10, 0, 10, 10, 1)) == 0
    # A small one inside counts as the same face.
    assert overlap(one, Box(4, 4, 2, 2, 1)) == 0.5


def test_boxes_of_one_face_become_their_mean():
    boxes = [Box(0, 0, 10, 10, 0.6), Box(2, 0, 10, 10, 0.9), Box(50, 50, 10, 10, 0.7)]
    first, second = merged(boxes)
    assert (first.x, first.score) == (pytest.approx(0.9 * 2 / 1.5), 0.9)
    assert second == boxes[2]
    assert merged([]) == []


def test_what_is_cut_out_is_a_square_around_the_box_with_the_border_repeated():
    photo = np.full((40, 40), 100, np.uint8)
    photo[:, 30:] = 200
    box = Box(30, 10, 10, 10, 1)
    left, _, side = box.square()
    assert side == round(MARGIN * 10)
    assert left == round(35 - side / 2)
    pixels = cut_out(photo, box, side).reshape(side, side)
    expected = np.where(np.arange(left, left + side) < 30, 100, 200)
    assert np.array_equal(pixels, np.tile(expected, (side, 1)))


def test_the_face_in_a_photo_is_found_and_none_in_others(bundle):
    data = pytest.importorskip("skimage.data")
    detector = Detector(bundle)
    photo = (data.astronaut() @ [0.299, 0.587, 0.114]).astype(np.uint8)
    (box,) = detector.find(photo)
    # Eileen Collins's face is in the upper middle.
    assert 160 < box.x < 190
    assert 60 < box.y < 90
    assert 90 < box.width < 120
    for other in (data.coffee(), data.chelsea(), data.rocket()):
        assert detector.find((other @ [0.299, 0.587, 0.114]).astype(np.uint8)) == []
    # In a larger picture, two of them, one small.
    both = np.zeros((700, 1400), np.uint8)
    both[100:612, 50:562] = photo
    both[300:556, 1000:1256] = photo[::2, ::2]
    first, second = detector.find(both)
    assert abs(first.x - (box.x + 50)) < 12
    assert abs(second.x - (box.x / 2 + 1000)) < 8
    assert abs(second.width - box.width / 2) < 12


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (128, 128)])
def test_odd_photos_have_no_faces(bundle, shape):
    assert Detector(bundle).find(np.zeros(shape, np.uint8)) == []
