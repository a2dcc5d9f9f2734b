"""Blendshapes: their names and order, and both sides averaged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daskfer.represent.expression.blendshapes import AVERAGED, LANDMARKS, NAMES, average_sides
from daskfer.represent.expression.features import SIDES
from daskfer.represent.expression.landmarker import POINTS


def turned(name: str) -> str:
    """The name on the face's other side."""
    for side, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(side):
            return name.removesuffix(side) + other
    return name


def test_names_are_the_models_in_its_order() -> None:
    assert len(NAMES) == len(set(NAMES)) == 52
    # Places that MediaPipe's documentation has, over all of the list.
    places = {
        0: "_neutral", 1: "browDownLeft", 2: "browDownRight", 3: "browInnerUp",
        6: "cheekPuff", 9: "eyeBlinkLeft", 22: "eyeWideRight", 23: "jawForward", 24: "jawLeft",
        25: "jawOpen", 26: "jawRight", 27: "mouthClose", 33: "mouthLeft", 38: "mouthPucker",
        39: "mouthRight", 44: "mouthSmileLeft", 45: "mouthSmileRight", 50: "noseSneerLeft",
        51: "noseSneerRight",
    }  # fmt: skip
    assert {number: NAMES[number] for number in places} == places


def test_every_name_has_its_other_side() -> None:
    assert {turned(name) for name in NAMES} == set(NAMES)


def test_landmarks_are_146_of_478() -> None:
    assert len(LANDMARKS) == 146
    assert list(LANDMARKS) == sorted(set(LANDMARKS))
    assert (min(LANDMARKS), max(LANDMARKS)) == (0, POINTS - 1)


def test_number_of_columns_by_hand() -> None:
    # 52 less the first; 18 pairs and the jaw's and the mouth's two sides become one each.
    assert len(AVERAGED) == len(set(AVERAGED)) == SIDES["average"] == 51 - 18 - 2
    assert SIDES["both"] == 51


def test_averages_by_hand() -> None:
    scores = np.zeros((2, 52), np.float32)
    scores[0, NAMES.index("mouthSmileLeft")] = 0.25
    scores[0, NAMES.index("mouthSmileRight")] = 0.75
    scores[0, NAMES.index("jawOpen")] = 0.5
    scores[1, NAMES.index("jawLeft")] = 0.5
    scores[1, NAMES.index("mouthRight")] = 1
    scores[:, 0] = 9
    found = average_sides(scores)
    assert (found.dtype, found.shape) == (np.float32, (2, 31))
    named = [dict(zip(AVERAGED, row.tolist(), strict=True)) for row in found]
    assert {key: value for key, value in named[0].items() if value} == {
        "mouthSmile": 0.5,
        "jawOpen": 0.5,
    }
    assert {key: value for key, value in named[1].items() if value} == {
        "jawSideways": 0.25,
        "mouthSideways": 0.5,
    }


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(0, 4))
def test_averages_are_the_same_of_both_sides_and_lose_no_score(seed: int, count: int) -> None:
    scores = np.random.default_rng(seed).random((count, 52), np.float32)
    other = scores[:, [NAMES.index(turned(name)) for name in NAMES]]
    assert (average_sides(scores) == average_sides(other)).all()
    twice = np.array([1 if name in NAMES else 2 for name in AVERAGED])
    assert (average_sides(scores) * twice).sum(axis=1) == pytest.approx(
        scores[:, 1:].sum(axis=1), rel=1e-5
    )
