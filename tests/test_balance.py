"""Balancing, splitting and duplicates, by hand on small tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from daskfer.balance import balance, drop_duplicates, select, split_randomly
from daskfer.errors import InputError
from daskfer.faces import UNKNOWN, FaceTable
from daskfer.recipe import (
    BalanceByClass,
    Ingest,
    NoBalance,
    NoSplit,
    RandomSplit,
    Recipe,
    UsageSplit,
)


def table_of(
    emotion: list[int], usage: list[int] | None = None, images: list[int] | None = None
) -> FaceTable:
    """A table of rows with these codes; equal numbers in `images` are the same image."""
    n = len(emotion)
    digest = np.array(images if images is not None else range(n), np.uint64)
    return FaceTable(
        row=np.arange(n),
        source=np.zeros(n, np.int32),
        emotion=np.array(emotion, np.int8),
        usage=np.array(usage if usage is not None else [UNKNOWN] * n, np.int8),
        digest=np.stack([digest, digest * 7], axis=1),
        blank=np.zeros(n, bool),
        look=np.zeros(n, np.uint64),
    )


def recipe(**keys: Any) -> Recipe:
    return Recipe(**{"ingest": Ingest(duplicates="keep"), "split": NoSplit()} | keys)


EMOTION = [3, 0, 3, 3, 6, 0, 3, 6, 0, UNKNOWN]


def kept(method: BalanceByClass | NoBalance, emotion: list[int] = EMOTION, seed: int = 42) -> Any:
    everything = np.arange(len(emotion))
    found, used = balance(table_of(emotion), everything, recipe(balance=method, seed=seed))
    return found.tolist(), used


def test_the_first_of_each_class_in_file_order() -> None:
    found, used = kept(BalanceByClass("first", 2))
    assert found == [0, 1, 2, 4, 5, 7]
    assert used == [("balance", "first 2 rows of each of 3 classes")]


def test_a_class_with_fewer_rows_gives_all_it_has() -> None:
    assert kept(BalanceByClass("first", 3))[0] == [0, 1, 2, 3, 4, 5, 7, 8]


def test_min_is_the_rarest_class() -> None:
    assert kept(BalanceByClass("first", "min")) == kept(BalanceByClass("first", 2))


def test_no_balance_keeps_all_and_reads_no_labels() -> None:
    assert kept(NoBalance()) == (list(range(10)), [])


def test_random_rows_of_each_class_by_seed() -> None:
    emotion = [0, 3] * 50
    one, used = kept(BalanceByClass("random", 10), emotion)
    assert used == [("balance", "random 10 rows of each of 2 classes")]
    assert one == sorted(one)
    assert len(set(one)) == 20
    assert [emotion[row] for row in one].count(3) == 10
    assert one == kept(BalanceByClass("random", 10), emotion)[0]
    assert one != kept(BalanceByClass("random", 10), emotion, seed=1)[0]
    assert one != kept(BalanceByClass("first", 10), emotion)[0]


def test_balancing_without_labels_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"needs emotion labels.*balance\.method=none"):
        kept(BalanceByClass(), [UNKNOWN] * 4)


USAGE = [0, 0, 1, 2, 0, 0, 2, 0, 1, 0]


def test_the_usage_column_splits_and_only_training_rows_are_balanced() -> None:
    found = select(
        table_of([3, 0, 3, 0, 3, 0, 3, 3, 0, 0], USAGE),
        recipe(split=UsageSplit(), balance=BalanceByClass("first", 2)),
    )
    assert found.fit.tolist() == [0, 1, 4, 5]
    assert found.validation.tolist() == [2, 8]
    assert found.test.tolist() == [3, 6]
    assert [stage for stage, _ in found.labels_used] == ["balance"]
    assert found.notes == ()


def test_without_a_usage_column_a_share_is_held_out_and_said() -> None:
    found = select(table_of([0] * 20), recipe(split=UsageSplit(test=0.25)))
    drawn = select(table_of([0] * 20), recipe(split=RandomSplit(test=0.25)))
    assert (found.fit.tolist(), found.test.tolist()) == (drawn.fit.tolist(), drawn.test.tolist())
    assert len(found.test) == 5
    assert len(found.validation) == 0
    assert found.notes == ("nothing says which rows are for the test: 25% are held out by seed",)
    assert drawn.notes == ()


def test_rows_without_usage_beside_rows_with_it_are_counted_in_a_note() -> None:
    found = select(table_of([0] * 4, [0, UNKNOWN, 2, UNKNOWN]), recipe(split=UsageSplit()))
    assert (found.fit.tolist(), found.test.tolist()) == ([0], [2])
    assert found.notes == ("2 rows have no Usage: they are neither fitted nor tested",)


def test_no_split_fits_everything() -> None:
    found = select(table_of([0] * 5, [0, 1, 2, 0, 0]), recipe())
    assert found.fit.tolist() == [0, 1, 2, 3, 4]
    assert len(found.validation) == len(found.test) == 0


def test_nothing_left_to_fit_is_an_error() -> None:
    with pytest.raises(InputError, match=r"no rows are left to fit.*split\.method=random"):
        select(table_of([0, 0], [2, 2]), recipe(split=UsageSplit()))
    with pytest.raises(InputError, match="no rows are left to fit"):
        select(
            table_of([0, 0], [0, 2], images=[5, 5]),
            recipe(split=UsageSplit(), ingest=Ingest(duplicates="drop-from-fit")),
        )


# Images a b a c b d a e; the last two are held out.
IMAGES = [1, 2, 1, 3, 2, 4, 1, 5]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("keep", [0, 1, 2, 3, 4, 5]), ("drop-from-fit", [1, 3, 4, 5]), ("keep-one", [1, 3, 5])],
)
def test_duplicates_by_hand(rule: str, expected: list[int]) -> None:
    table = table_of([0] * 8, images=IMAGES)
    found = drop_duplicates(table, np.arange(6), np.array([6, 7]), rule)
    assert found.tolist() == expected


def test_images_are_the_same_only_if_both_halves_of_the_digest_are() -> None:
    table = table_of([0] * 3)
    table.digest[:] = [[1, 1], [1, 2], [2, 1]]
    found = drop_duplicates(table, np.array([0, 1]), np.array([2]), "keep-one")
    assert found.tolist() == [0, 1]


def test_held_out_duplicates_leave_the_fit_in_a_whole_selection() -> None:
    table = table_of([0] * 6, [0, 0, 0, 1, 2, 0], images=[1, 2, 3, 1, 2, 3])
    found = select(table, recipe(split=UsageSplit(), ingest=Ingest(duplicates="drop-from-fit")))
    assert found.fit.tolist() == [2, 5]
    assert (found.validation.tolist(), found.test.tolist()) == ([3], [4])


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 300), st.floats(0.05, 0.5), st.integers(0, 2**32 - 1))
def test_random_split_is_scikit_learns(count: int, share: float, seed: int) -> None:
    positions = np.arange(count) * 3
    fit, test = split_randomly(positions, share, seed)
    theirs = train_test_split(positions, test_size=share, random_state=seed)
    assert fit.tolist() == sorted(theirs[0].tolist())
    assert test.tolist() == sorted(theirs[1].tolist())
    assert sorted([*fit.tolist(), *test.tolist()]) == positions.tolist()


@pytest.mark.parametrize(("count", "share"), [(0, 0.1), (1, 0.1), (5, 0.99)])
def test_too_few_rows_to_split(count: int, share: float) -> None:
    with pytest.raises(InputError, match=f"{count} rows cannot be split with split.test={share}"):
        split_randomly(np.arange(count), share, 0)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(-1, 6), st.integers(0, 2), st.integers(0, 8)), min_size=4, max_size=40
    ),
    st.sampled_from(["drop-from-fit", "keep-one"]),
    st.sampled_from([UsageSplit(), RandomSplit(test=0.3), NoSplit()]),
)
def test_no_image_is_fitted_and_held_out(rows: list[Any], rule: Any, split: Any) -> None:
    emotion, usage, images = (list(column) for column in zip(*rows, strict=True))
    table = table_of(emotion, usage, images)
    try:
        found = select(table, recipe(split=split, ingest=Ingest(duplicates=rule)))
    except InputError:
        return
    held_out = {images[row] for row in [*found.validation, *found.test]}
    fitted = [images[row] for row in found.fit]
    assert not held_out & set(fitted)
    assert rule != "keep-one" or len(fitted) == len(set(fitted))
    assert not isinstance(split, UsageSplit) or all(usage[row] == 0 for row in found.fit)
    assert found.fit.tolist() == sorted(set(found.fit.tolist()))
