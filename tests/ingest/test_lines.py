"""Records in byte ranges: each line is found once, with its number, however the file is cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskfer.ingest.lines import BlockStart, RangeIndex, block_starts, byte_ranges, index_range


def index_all(data: bytes, body: int, size: int) -> tuple[list[int], list[int]]:
    """Starts and absolute line numbers of all records, from ranges of `size` bytes."""
    starts: list[int] = []
    numbers: list[int] = []
    newlines = 0
    for start, stop in byte_ranges(body, len(data), size):
        first = max(start - 1, body)
        window = np.frombuffer(data[first : stop + 2], np.uint8)
        index = index_range(window, first, start, stop, body)
        starts += index.starts.tolist()
        numbers += (index.lines + newlines).tolist()
        newlines += index.newlines
    return starts, numbers


def records_by_splitting(data: bytes, body: int) -> tuple[list[int], list[int]]:
    """The same from the text as a whole."""
    starts, numbers, offset = [], [], body
    for number, line in enumerate(data[body:].split(b"\n")):
        if line not in (b"", b"\r"):
            starts.append(offset)
            numbers.append(number)
        offset += len(line) + 1
    return starts, numbers


def test_byte_ranges_are_consecutive_and_the_last_is_shorter() -> None:
    assert byte_ranges(3, 10, 3) == [(3, 6), (6, 9), (9, 10)]
    assert byte_ranges(3, 9, 3) == [(3, 6), (6, 9)]
    assert byte_ranges(5, 5, 3) == []


def test_a_range_of_no_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="size=0"):
        byte_ranges(0, 10, 0)


def test_a_line_belongs_to_the_range_with_its_first_byte() -> None:
    data = np.frombuffer(b"h\nab\ncd\n", np.uint8)
    first = index_range(data[2:], 2, 2, 5, 2)
    assert (first.starts.tolist(), first.lines.tolist(), first.newlines) == ([2], [0], 0)
    second = index_range(data[4:], 4, 5, 8, 2)
    assert (second.starts.tolist(), second.lines.tolist(), second.newlines) == ([5], [1], 1)


def test_empty_lines_count_as_lines_but_not_as_records() -> None:
    data = b"\na\r\n\r\n\nb\r\n\r"
    starts, numbers = index_all(data, 0, 100)
    assert starts == [1, 7]
    assert numbers == [1, 4]


def test_a_line_of_blanks_is_a_record() -> None:
    assert index_all(b"a\n  \n", 0, 2)[0] == [0, 2]


@given(
    st.binary(max_size=12),
    st.lists(st.sampled_from([b"\n", b"\r\n", b"a", b"bc", b"\r", b" "]), max_size=40),
    st.integers(1, 30),
)
def test_ranges_of_any_size_find_what_splitting_the_text_finds(
    head: bytes, parts: list[bytes], size: int
) -> None:
    data = head + b"".join(parts)
    assert index_all(data, len(head), size) == records_by_splitting(data, len(head))


def test_block_starts_by_hand() -> None:
    index = RangeIndex(np.array([10, 20, 30, 40, 50]), np.array([0, 1, 2, 4, 5]), 6)
    # Four records came before, so with blocks of three the next block begins at record 6.
    assert block_starts(index, 4, 3) == [BlockStart(6, 30, 2)]
    assert block_starts(index, 0, 3) == [BlockStart(0, 10, 0), BlockStart(3, 40, 4)]
    assert block_starts(index, 1, 100) == []


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.integers(1, 7))
def test_every_block_begins_once_whatever_the_ranges(counts: list[int], block_rows: int) -> None:
    before, found = 0, []
    for count in counts:
        places = np.arange(before, before + count) * 10
        found += block_starts(RangeIndex(places, places, count), before, block_rows)
        before += count
    assert [start.record for start in found] == list(range(0, before, block_rows))
    assert all(start.offset == start.record * 10 for start in found)
