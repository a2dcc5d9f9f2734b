"""The picture of accuracies over looks: its axes, and that nothing lies on something else."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from daskfer.report.curve import (
    BLUE,
    VERMILION,
    Level,
    Line,
    Point,
    apart,
    curves,
    limits,
    place_of,
    ticks,
)


def test_looks_stand_on_an_axis_of_logarithms_with_nought_before_it() -> None:
    looks = (0, 7, 70, 700)
    places = [place_of(number, looks) for number in looks]
    assert places[2] - places[1] == pytest.approx(places[3] - places[2])
    assert places[0] < places[1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.249, 0.571], (0.2, 0.6)), ([0.0, 1.0], (0.0, 1.0)), ([0.3], (0.25, 0.35))],
)
def test_limits_lie_around_all_values(values: list[float], expected: tuple[float, float]) -> None:
    assert limits(values) == pytest.approx(expected)


def test_ticks_are_round_and_within() -> None:
    assert ticks(0.2, 0.4) == pytest.approx([0.2, 0.25, 0.3, 0.35, 0.4])
    assert ticks(0.15, 0.75) == pytest.approx([0.2, 0.3, 0.4, 0.5, 0.6, 0.7])


def test_names_that_are_too_close_are_moved_about_their_middle() -> None:
    assert apart([10.0, 12.0, 100.0], 20) == [1.0, 21.0, 100.0]
    assert apart([0.0, 30.0], 20) == [0.0, 30.0]


@given(st.lists(st.floats(0, 300), min_size=1, max_size=6).map(sorted))
def test_names_never_lie_on_each_other(places: list[float]) -> None:
    found = apart(places, 19)
    assert len(found) == len(places)
    assert (np.diff(found) >= 19 - 1e-6).all()


def pixels(lines: list[Line], levels: list[Level]) -> np.ndarray:
    data = curves(lines, levels, "a title", "what is seen, in many words " * 12)
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def count(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((np.abs(picture - colour).sum(axis=2) < 12).sum())


def test_a_picture_has_the_curves_in_their_colours() -> None:
    looks = Line("looks", (Point(0, 0.3), Point(7, 0.4, 0.02), Point(500, 0.5, 0.0)), BLUE, True)
    random = Line("random", (Point(7, 0.25, 0.05), Point(500, 0.4)), VERMILION)
    levels = [Level("chance", 0.25), Level("ceiling", 0.6)]
    both = pixels([looks, random], levels)
    assert count(both, BLUE) > 1000
    assert count(both, VERMILION) > 1000
    one = pixels([looks, Line("random", (), VERMILION)], levels)
    assert count(one, VERMILION) == 0


def test_one_number_of_looks_or_none_is_drawn_too() -> None:
    assert pixels([Line("looks", (Point(7, 0.4),), BLUE)], []).shape[2] == 3
    assert pixels([Line("looks", (Point(0, 0.4),), BLUE)], []).shape[2] == 3
    assert pixels([], [Level("chance", 0.25)]).shape[2] == 3
