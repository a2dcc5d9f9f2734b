"""Rows: parts of them, and cutting them into blocks of a fixed number of records."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daskfer.ingest.quarantine import BadRow
from daskfer.ingest.rows import Rows, in_blocks, join


def rows_of(first: int, good: list[bool], named: bool = False) -> Rows:
    """Records from number `first` on, whose pixels, emotion and name tell their number."""
    numbers = first + np.arange(len(good))
    kept = numbers[np.array(good, bool)]
    bad = numbers[~np.array(good, bool)]
    return Rows(
        len(good),
        kept,
        np.repeat(kept[:, None] % 251, 4, axis=1).astype(np.uint8),
        (kept % 7).astype(np.int8),
        (kept % 3).astype(np.int8),
        tuple(BadRow("a.csv", int(number) + 2, 0, "bad", "") for number in bad),
        bad,
        tuple(f"{number}.png" for number in kept) if named else None,
    )


def as_values(rows: Rows) -> Any:
    return (
        rows.records,
        rows.row.tolist(),
        rows.pixels.tolist(),
        rows.emotion.tolist(),
        rows.usage.tolist(),
        rows.bad,
        rows.bad_row.tolist(),
        rows.names,
    )


def test_blocks_by_hand() -> None:
    pieces = [rows_of(0, [True, False, True]), rows_of(3, [True]), rows_of(4, [False] * 3)]
    blocks = list(in_blocks(pieces, 2))
    assert [block.records for block in blocks] == [2, 2, 2, 1]
    assert [block.row.tolist() for block in blocks] == [[0], [2, 3], [], []]
    assert [[bad.line for bad in block.bad] for block in blocks] == [[3], [], [6, 7], [8]]
    assert blocks[2].pixels.shape == (0, 4)


def test_no_pieces_make_no_blocks() -> None:
    assert list(in_blocks([], 3)) == []


@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=9), min_size=1, max_size=8),
    st.integers(1, 12),
    st.integers(0, 30),
    st.booleans(),
)
def test_blocks_are_the_same_however_the_records_come(
    lengths: list[list[bool]], block_rows: int, first: int, named: bool
) -> None:
    flat = [good for piece in lengths for good in piece]
    at, pieces = first, []
    for piece in lengths:
        pieces.append(rows_of(at, piece, named))
        at += len(piece)
    blocks = list(in_blocks(pieces, block_rows, first))
    expected = [
        rows_of(first + start, flat[start : start + block_rows], named)
        for start in range(0, len(flat), block_rows)
    ]
    assert list(map(as_values, blocks)) == list(map(as_values, expected))
    assert as_values(join(blocks)) == as_values(rows_of(first, flat, named))
