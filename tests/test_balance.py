"""Balancing, splitting and duplicates, by hand on small tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from daskfer.balance import (
    balance,
    balance_clusters,
    drawn,
    drop_duplicates,
    select,
    smallest,
    split_randomly,
)
from daskfer.errors import InputError, RecipeError
from daskfer.faces import UNKNOWN, FaceTable
from daskfer.randomness import row_hashes
from daskfer.recipe import (
    BalanceByClass,
    Classify,
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


def test_a_class_with_fewer_rows_is_named() -> None:
    _, used = kept(BalanceByClass("random", 3))
    assert used == [("balance", "random 3 rows of each of 3 classes (fewer of neutral 2)")]


def test_the_smallest_by_hand() -> None:
    values = np.array([5, 1, 4, 1, 9, 4, 4], np.uint64)
    assert smallest(values, 1).tolist() == [1]
    assert smallest(values, 2).tolist() == [1, 3]
    assert smallest(values, 4).tolist() == [1, 2, 3, 5]
    assert smallest(values, 7).tolist() == smallest(values, 70).tolist() == list(range(7))
    assert smallest(values[:0], 3).tolist() == []


def test_the_rows_drawn_are_those_with_the_smallest_published_numbers() -> None:
    # Of SplitMix64's outputs 0 to 4 for (seed 42, "balance"), in their order.
    hashes = row_hashes(42, "balance", np.arange(5)).tolist()
    lowest = sorted(range(5), key=hashes.__getitem__)[:2]
    assert drawn(np.arange(5), 2, 42, "balance").tolist() == sorted(lowest)


CODES = st.lists(st.integers(0, 3), min_size=1, max_size=120)


@given(CODES, st.integers(1, 30), st.integers(0, 30), st.integers(0, 99))
def test_a_larger_sample_holds_the_smaller(
    codes: list[int], few: int, more: int, seed: int
) -> None:
    small, _ = kept(BalanceByClass("random", few), codes, seed)
    large, _ = kept(BalanceByClass("random", few + more), codes, seed)
    assert set(small) <= set(large)
    for code in set(codes):
        assert [codes[row] for row in small].count(code) == min(few, codes.count(code))


@given(CODES, st.data(), st.integers(1, 20), st.integers(0, 99))
def test_a_class_is_sampled_whatever_the_others_are(
    codes: list[int], data: st.DataObject, count: int, seed: int
) -> None:
    others = [
        code if code == 0 else data.draw(st.integers(1, 3), label="other class") for code in codes
    ]
    one, _ = kept(BalanceByClass("random", count), codes, seed)
    other, _ = kept(BalanceByClass("random", count), others, seed)
    assert [row for row in one if codes[row] == 0] == [row for row in other if codes[row] == 0]


@given(st.integers(0, 200), st.integers(0, 200), st.integers(1, 50), st.integers(0, 99))
def test_blocks_sampled_apart_and_merged_are_sampled_together(
    left: int, right: int, count: int, seed: int
) -> None:
    rows = np.arange(left + right)
    parts = [part[drawn(part, count, seed, "x")] for part in (rows[:left], rows[left:])]
    candidates = np.concatenate(parts)
    merged = candidates[drawn(candidates, count, seed, "x")]
    assert merged.tolist() == rows[drawn(rows, count, seed, "x")].tolist()


@pytest.mark.parametrize("stride", [1, 2, 1024])
def test_every_row_is_as_likely(stride: int) -> None:
    rows, seeds, count = np.arange(40) * stride, 4000, 10
    times = np.zeros(40)
    for seed in range(seeds):
        times[drawn(rows, count, seed, "balance")] += 1
    expected = seeds * count / 40
    # Rows are drawn without replacement, which narrows their counts by 39/40 · 3/4.
    chi_square = ((times - expected) ** 2).sum() / (expected * (1 - count / 40)) * 39 / 40
    assert 39 - 4 * np.sqrt(78) < chi_square < 39 + 4 * np.sqrt(78)


# The second model's rows: clusters 0 0 0 0 1 1 1 2 2 2 2 2.
CLUSTER = np.repeat([0, 1, 2], [4, 3, 5]).astype(np.int32)


def of_clusters(method: Classify, cluster: np.ndarray = CLUSTER, seed: int = 42) -> Any:
    return balance_clusters(np.arange(len(cluster)) * 3, cluster, method, seed)


def counts(indices: np.ndarray) -> list[int]:
    return np.bincount(CLUSTER[indices], minlength=3).tolist()


def test_clusters_by_hand() -> None:
    assert of_clusters(Classify(balance="none")).tolist() == list(range(12))
    assert counts(of_clusters(Classify(balance="cluster"))) == [3, 3, 3]
    assert counts(of_clusters(Classify(balance="cluster", per_cluster=4))) == [4, 3, 4]
    assert counts(of_clusters(Classify(balance="cluster", per_cluster=100))) == [4, 3, 5]
    nothing = balance_clusters(np.zeros(0, int), CLUSTER[:0], Classify(balance="cluster"), 0)
    assert len(nothing) == 0


def test_clusters_are_sampled_by_seed_and_in_order() -> None:
    cluster = np.arange(3000) % 3
    method = Classify(balance="cluster", per_cluster=50)
    one = of_clusters(method, cluster)
    assert one.tolist() == sorted(set(one.tolist()))
    assert one.tolist() == of_clusters(method, cluster).tolist()
    assert one.tolist() != of_clusters(method, cluster, seed=1).tolist()
    more = of_clusters(Classify(balance="cluster", per_cluster=60), cluster)
    assert set(one.tolist()) <= set(more.tolist())


def test_a_cluster_too_small_to_cross_validate_is_refused_for_min_alone() -> None:
    cluster = np.repeat([0, 4], [20, 2])
    message = r"per_cluster=min: cluster 4 has 2 .* needs 3 of each: --set classify\.per_cluster"
    with pytest.raises(RecipeError, match=message):
        of_clusters(Classify(balance="cluster"), cluster)
    assert len(of_clusters(Classify(balance="cluster", per_cluster=5), cluster)) == 7
    assert len(of_clusters(Classify(balance="cluster", folds=2), cluster)) == 4


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


@settings(max_examples=30)
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


@settings(max_examples=60)
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
