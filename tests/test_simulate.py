"""A simulated person's looks and answers, worked out by hand; and that looks leak nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskfer.errors import RecipeError
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.simulate import (
    Person,
    answers,
    check_person,
    majorities,
    mean_and_spread,
    sheets,
)

ANGRY, DISGUST, FEAR, HAPPY = range(4)


def shown(*rows: list[int]) -> np.ndarray:
    """Sheets of these emotions, filled up."""
    width = max(map(len, rows))
    return np.array([row + [UNKNOWN] * (width - len(row)) for row in rows], np.int8)


def test_a_sheet_has_the_nearest_labelled_faces_nearest_first() -> None:
    cluster = np.array([0, 1, 0, 0, 0, UNKNOWN, 1])
    away = np.array([3.0, 1.0, 2.0, 1.0, 4.0, 0.0, 0.5])
    emotion = np.array([HAPPY, FEAR, ANGRY, UNKNOWN, DISGUST, FEAR, HAPPY], np.int8)
    found = sheets(cluster, away, emotion, 3, faces=2)
    # The nearest face of cluster 0 has no label, and the fifth is one too many.
    assert found.tolist() == [[ANGRY, HAPPY], [HAPPY, FEAR], [UNKNOWN, UNKNOWN]]
    assert found.dtype == np.int8


def test_of_equally_near_faces_the_order_of_rows_decides_nothing() -> None:
    cluster, away = np.zeros(3, int), np.ones(3)
    emotion = np.array([HAPPY, ANGRY, FEAR], np.int8)
    for turn in range(3):
        found = sheets(cluster, away, np.roll(emotion, turn), 1, faces=2)
        assert found.tolist() == [[ANGRY, FEAR]]


def test_the_majority_and_its_share() -> None:
    emotion, share = majorities(shown([HAPPY, FEAR, HAPPY, HAPPY], [FEAR], []))
    assert emotion.tolist() == [HAPPY, FEAR, UNKNOWN]
    assert share.tolist() == [0.75, 1.0, 0.0]


@pytest.mark.parametrize(
    ("sheet", "expected"),
    [
        ([HAPPY, ANGRY], HAPPY),
        # Fear has its two faces first, though happy comes first.
        ([HAPPY, FEAR, FEAR, HAPPY], FEAR),
        # Disgust is as near as can be, but has fewer faces.
        ([DISGUST, HAPPY, ANGRY, HAPPY, ANGRY], HAPPY),
        ([DISGUST, HAPPY, ANGRY, ANGRY, HAPPY], ANGRY),
    ],
)
def test_of_equally_frequent_emotions_the_one_that_is_complete_first(
    sheet: list[int], expected: int
) -> None:
    emotion, _ = majorities(shown(sheet))
    assert emotion.tolist() == [expected]


def test_a_sheet_below_the_share_is_mixed_and_one_at_it_is_not() -> None:
    sheet = shown([HAPPY, FEAR, ANGRY, HAPPY], [HAPPY, FEAR, ANGRY], [FEAR], [])
    said = answers(sheet, Person(mixed=0.5), seed=0)
    assert said.emotion.tolist() == [HAPPY, UNKNOWN, FEAR, UNKNOWN]
    assert said.seen.tolist() == [4, 3, 1, 0]
    assert said.looks == 3
    assert not said.wrong.any()


def test_so_many_looks_as_the_error_rate_says_are_answered_with_another_emotion() -> None:
    sheet = shown(*[[HAPPY, HAPPY, FEAR]] * 40, [])
    said = answers(sheet, Person(error=0.1), seed=7)
    assert said.wrong.sum() == 4
    assert not said.wrong[-1]  # nobody looked at it
    assert (said.emotion[:-1] != HAPPY).tolist() == said.wrong[:-1].tolist()
    assert set(said.emotion[said.wrong].tolist()) <= set(range(len(EMOTIONS)))
    again = answers(sheet, Person(error=0.1), seed=7)
    assert (again.emotion == said.emotion).all()
    other = answers(sheet, Person(error=0.1), seed=8)
    assert (other.wrong != said.wrong).any()


def test_wrong_answers_are_any_of_the_other_emotions() -> None:
    said = answers(shown(*[[HAPPY]] * 400), Person(error=1), seed=0)
    assert set(said.emotion.tolist()) == set(range(len(EMOTIONS))) - {HAPPY}


def test_a_wrong_answer_to_a_mixed_sheet_is_an_emotion() -> None:
    said = answers(shown([HAPPY, FEAR], [ANGRY, FEAR]), Person(error=1, mixed=0.9), seed=0)
    assert (said.emotion != UNKNOWN).all()


@given(
    st.lists(
        st.tuples(st.integers(-1, 4), st.integers(0, 3), st.integers(-1, len(EMOTIONS) - 1)),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 6),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_changes_no_answer(
    rows: list[tuple[int, int, int]], faces: int, random: object
) -> None:
    """Also where faces are equally near, which few distances make frequent."""
    person = Person(faces, error=0.3, mixed=0.4)

    def asked(these: list[tuple[int, int, int]]) -> list[int]:
        cluster, away, emotion = np.array(these).T
        sheet = sheets(cluster, away.astype(float), emotion.astype(np.int8), 5, faces)
        return answers(sheet, person, seed=1).emotion.tolist()

    mixed_up = list(rows)
    random.shuffle(mixed_up)  # type: ignore[attr-defined]
    assert asked(mixed_up) == asked(rows)


def test_faces_that_are_not_on_a_sheet_change_no_answer() -> None:
    random = np.random.default_rng(0)
    cluster = random.integers(0, 10, 2000)
    away = random.random(2000)
    emotion = random.integers(0, 7, 2000).astype(np.int8)
    order = np.lexsort((away, cluster))
    rank = np.empty(2000, int)
    for number in range(10):
        members = order[cluster[order] == number]
        rank[members] = np.arange(len(members))
    other = np.where(rank < 24, emotion, (emotion + 1) % 7).astype(np.int8)
    person = Person()
    one, two = (
        answers(sheets(cluster, away, these, 10, 24), person, 0) for these in (emotion, other)
    )
    assert (one.emotion == two.emotion).all()


def test_names_of_a_thousand_random_clusters_tell_nothing_of_held_out_faces() -> None:
    random = np.random.default_rng(1)
    rows, k = 20_000, 1000
    cluster, away = random.integers(0, k, rows), random.random(rows)
    emotion = random.choice(7, rows, p=[0.14, 0.02, 0.14, 0.25, 0.17, 0.11, 0.17]).astype(np.int8)
    fit, held_out = np.arange(rows // 2), np.arange(rows // 2, rows)
    sheet = sheets(cluster[fit], away[fit], emotion[fit], k, 24)
    said = answers(sheet, Person(), seed=0).emotion
    # To those that were looked at, names fit far above chance: they are their own majority.
    assert (said[cluster[fit]] == emotion[fit]).mean() > 0.3
    accuracy = (said[cluster[held_out]] == emotion[held_out]).mean()
    chance = 0.25
    assert accuracy < chance + 3 * (chance * (1 - chance) / len(held_out)) ** 0.5


@pytest.mark.parametrize(
    ("person", "words"),
    [
        (Person(faces=0), "--faces 0: expected 1 or more"),
        (Person(error=1.5), "--error 1.5: expected a share from 0 to 1"),
        (Person(mixed=-0.1), "--mixed -0.1: expected a share from 0 to 1"),
        (Person(error=float("nan")), "--error nan: expected a share"),
    ],
)
def test_what_no_person_is(person: Person, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        check_person(person)


def test_means_and_spreads() -> None:
    assert mean_and_spread([0.4, None, 0.6]) == (0.5, pytest.approx(0.02**0.5))
    assert mean_and_spread([0.4]) == (0.4, None)
    assert mean_and_spread([None]) == (None, None)


def test_answers_about_other_classes() -> None:
    shown = np.array([[8, 8, 1], [0, 0, 8]], np.int8)
    emotion, share = majorities(shown, 9)
    assert emotion.tolist() == [8, 0]
    assert share.tolist() == pytest.approx([2 / 3, 2 / 3])
    said = answers(shown, Person(error=1.0), seed=1, classes=9)
    assert (said.emotion != emotion).all()
    assert ((said.emotion >= 0) & (said.emotion < 9)).all()
