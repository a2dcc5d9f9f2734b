"""The tree of pairs, and the engine that computes at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskfer.engine import InProcess, batched, fold_pairs, fold_stream


def bracket(left: str, right: str) -> str:
    return f"({left}{right})"


@pytest.mark.parametrize(
    ("items", "tree"),
    [
        ("a", "a"),
        ("ab", "(ab)"),
        ("abc", "((ab)c)"),
        ("abcd", "((ab)(cd))"),
        ("abcde", "(((ab)(cd))e)"),
        ("abcdef", "(((ab)(cd))(ef))"),
        ("abcdefg", "(((ab)(cd))((ef)g))"),
    ],
)
def test_the_tree_by_hand(items: str, tree: str) -> None:
    assert fold_pairs(list(items), bracket) == tree


def test_nothing_to_combine_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        fold_pairs([], bracket)


@given(st.lists(st.integers(), min_size=1, max_size=70))
def test_order_and_depth(items: list[int]) -> None:
    leaves = [([item], 0) for item in items]
    found, depth = fold_pairs(
        leaves, lambda left, right: (left[0] + right[0], 1 + max(left[1], right[1]))
    )
    assert found == items
    assert depth == (len(items) - 1).bit_length()


def test_in_process_maps_columns_with_what_is_shared() -> None:
    engine = InProcess()
    handles = engine.map("x", lambda a, b, c: (a, b, c), [1, 2], "pq", shared=("s",))
    assert engine.gather(handles, rows=[1, 1]) == [(1, "p", "s"), (2, "q", "s")]
    total = engine.total("x", lambda letter: letter, "abc", combine=bracket)
    assert engine.gather([total]) == ["((ab)c)"]


def test_in_process_knows_no_limit_of_memory() -> None:
    assert InProcess().memory() is None


def test_in_process_refuses_columns_of_unequal_length() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        InProcess().map("x", bracket, [1, 2], [1])


@given(st.integers(1, 70), st.sampled_from([2, 4, 32]))
def test_batches_of_a_power_of_two_keep_the_tree(count: int, size: int) -> None:
    level = [str(number) for number in range(count)]
    tree = fold_pairs(level, bracket)
    while len(level) > 1:
        level = [fold_pairs(some, bracket) for some in batched(level, size)]
    assert level == [tree]


@given(st.integers(1, 200))
def test_a_stream_is_folded_to_the_same_tree(count: int) -> None:
    items = [str(number) for number in range(count)]
    assert fold_stream(iter(items), bracket) == fold_pairs(items, bracket)


def test_of_a_stream_few_parts_are_held() -> None:
    held = most = 0

    def parts():
        nonlocal held, most
        for _ in range(1000):
            held += 1
            most = max(most, held)
            yield 1

    def add(left: int, right: int) -> int:
        nonlocal held
        held -= 1
        return left + right

    assert fold_stream(parts(), add) == 1000
    assert most <= 11


def test_an_empty_stream_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        fold_stream([], bracket)
