"""Where records begin in a file: arithmetic on byte ranges and line ends, and nothing else.

A record is a line that is not empty. A line belongs to the byte range that holds its first
byte, so ranges of any size find each line once, and blocks of a fixed number of records follow
from counting them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEWLINE, RETURN = 10, 13


@dataclass(frozen=True)
class RangeIndex:
    """Records that begin in one byte range.

    Attributes
    ----------
    starts : int64 array (n,)
        Byte offset of each record in the file.
    lines : int64 array (n,)
        Number of line ends between the beginning of the range and the record.
    newlines : int
        Number of line ends in the range, counted so that ranges add up.
    """

    starts: np.ndarray
    lines: np.ndarray
    newlines: int


@dataclass(frozen=True)
class BlockStart:
    """Where a block of records begins: byte offset, and line ends before it in its range."""

    record: int
    offset: int
    line: int


def byte_ranges(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    """Cut [start, stop) into consecutive ranges of at most `size` bytes."""
    if size < 1:
        raise ValueError(f"size={size}: expected at least 1 byte")
    return [(low, min(low + size, stop)) for low in range(start, stop, size)]


def index_range(
    data: np.ndarray, first: int, start: int, stop: int, body: int, newline: int = NEWLINE
) -> RangeIndex:
    """Find the records that begin in the range [start, stop) of a file.

    Parameters
    ----------
    data : uint8 array
        The file's bytes from offset `first`; at least from ``max(start - 1, body)`` up to two
        bytes beyond `stop` (or the file's end), so that line ends across the edges are seen.
    first, start, stop : int
        Offsets in the file.
    body : int
        Offset at which the first line after the header begins; a line begins there by itself.
    newline : int
        The byte that ends lines: a line feed, or the carriage return of old Macs.
    """
    # A line begins after each line end in [start - 1, stop - 1).
    low = max(start - 1, body)
    ends = np.flatnonzero(data[low - first : stop - 1 - first] == newline) + (low + 1)
    newlines = len(ends)
    lines = np.arange(1, newlines + 1, dtype=np.int64)
    starts = ends.astype(np.int64)
    if start <= body:
        starts = np.concatenate([[np.int64(body)], starts])
        lines = np.concatenate([[np.int64(0)], lines])
    padded = np.concatenate([data, np.full(2, newline, np.uint8)])
    byte, following = padded[starts - first], padded[starts - first + 1]
    filled = (byte != newline) & ~((byte == RETURN) & (following == newline))
    return RangeIndex(starts[filled], lines[filled], newlines)


def block_starts(index: RangeIndex, records_before: int, block_rows: int) -> list[BlockStart]:
    """The starts of blocks among a range's records, when so many records came before it."""
    first = -records_before % block_rows
    return [
        BlockStart(records_before + at, int(index.starts[at]), int(index.lines[at]))
        for at in range(first, len(index.starts), block_rows)
    ]
