"""Rows as readers give them: consecutive records of one source, good ones and bad ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from daskfer.ingest.quarantine import BadRow


@dataclass(frozen=True)
class Rows:
    """Consecutive records of one source.

    Attributes
    ----------
    records : int
        How many there are, good and bad.
    row : int64 array (n,)
        Number of each good record in its source, from 0, ascending.
    pixels : uint8 array (n, side * side)
        Their grey values in reading order.
    emotion, usage : int8 arrays (n,)
        Their codes, or UNKNOWN.
    bad : tuple of BadRow
        The others, in order.
    bad_row : int64 array (m,)
        Number of each bad record in its source.
    names : tuple of str, or None
        Where each record is a file of its own: the name of each good one's.
    """

    records: int
    row: np.ndarray
    pixels: np.ndarray
    emotion: np.ndarray
    usage: np.ndarray
    bad: tuple[BadRow, ...] = ()
    bad_row: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    names: tuple[str, ...] | None = None

    def part(self, start: int, stop: int, records: int) -> Rows:
        """Those of the records whose number is in [start, stop), `records` of them."""
        low, high = np.searchsorted(self.row, [start, stop])
        first, last = np.searchsorted(self.bad_row, [start, stop])
        return Rows(
            records,
            self.row[low:high],
            self.pixels[low:high],
            self.emotion[low:high],
            self.usage[low:high],
            self.bad[first:last],
            self.bad_row[first:last],
            None if self.names is None else self.names[low:high],
        )


class Part(Protocol):
    """Some of a source's records that one worker reads; `first` is the number of the first."""

    @property
    def first(self) -> int:
        """Number of its first record in the source."""

    def pieces(self) -> Iterator[Rows]:
        """Read them, a bounded number at a time, in order."""


def join(pieces: list[Rows]) -> Rows:
    """One piece of several consecutive ones."""
    if len(pieces) == 1:
        return pieces[0]
    names = None
    if pieces[0].names is not None:
        names = tuple(name for piece in pieces for name in piece.names or ())
    return Rows(
        sum(piece.records for piece in pieces),
        np.concatenate([piece.row for piece in pieces]),
        np.concatenate([piece.pixels for piece in pieces]),
        np.concatenate([piece.emotion for piece in pieces]),
        np.concatenate([piece.usage for piece in pieces]),
        tuple(row for piece in pieces for row in piece.bad),
        np.concatenate([piece.bad_row for piece in pieces]),
        names,
    )


def in_blocks(pieces: Iterable[Rows], block_rows: int, first: int = 0) -> Iterator[Rows]:
    """Cut consecutive pieces into blocks of `block_rows` records; the last may be shorter.

    Parameters
    ----------
    pieces : iterable of Rows
        Without gaps; the first begins at record `first` of the source.
    block_rows : int
    first : int
        Number of the first record; blocks are counted from there.
    """
    waiting: list[Rows] = []
    count, start = 0, first
    for piece in pieces:
        at, end = start + count, start + count + piece.records
        while at < end:
            taken = min(end - at, block_rows - count)
            whole = taken == piece.records
            waiting.append(piece if whole else piece.part(at, at + taken, taken))
            at, count = at + taken, count + taken
            if count == block_rows:
                yield join(waiting)
                waiting, count, start = [], 0, at
    if waiting:
        yield join(waiting)
