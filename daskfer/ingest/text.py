"""Rows of CSV text: windows of whole lines become arrays, and bad rows are set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from daskfer import storage
from daskfer.faces import UNKNOWN
from daskfer.ingest.csv import MAX_ROW_BYTES, CsvLayout
from daskfer.ingest.labels import Reader, readers
from daskfer.ingest.quarantine import BEGINNING, BadRow, explain_row
from daskfer.ingest.rows import Rows

WINDOW_BYTES = 1 << 20
"""Bytes of text that are read at a time: few enough to be in the processor's cache still when they
are parsed."""

BATCH = 1024
"""Most rows that are parsed at a time."""

LAST_COLUMN_CUT = {
    "pixels": ("too few pixels", "no pixels"),
    "usage": ("unknown Usage",),
    "emotion": ("unknown emotion",),
}
"""Reasons for which a row may be bad when the end of its last column is missing."""


@dataclass(frozen=True)
class CsvBlock:
    """A block of rows in a CSV file.

    Attributes
    ----------
    path : str
        The file.
    layout : CsvLayout
    start, stop : int
        Its bytes.
    first : int
        Number of its first record in the file.
    line : int
        Number of the line that begins at `start`.
    """

    path: str
    layout: CsvLayout
    start: int
    stop: int
    first: int
    line: int

    def pieces(self) -> Iterator[Rows]:
        """Read the block's rows."""
        with storage.open_binary(self.path) as file:
            file.seek(self.start)
            left = self.stop - self.start

            def read(size: int) -> bytes:
                nonlocal left
                data = file.read(min(size, left))
                left -= len(data)
                return data

            yield from read_rows(read, self.path, self.layout, self.start, self.line, self.first)


@dataclass(frozen=True)
class Window:
    """Whole lines of a text, from byte `offset` of it: the first `size` bytes of `data`.

    `too_long` says that this is only the beginning of one line that is longer than a row may be,
    and `last` that the text ends here.
    """

    data: bytes
    size: int
    offset: int
    too_long: bool
    last: bool


def windows(
    read: Callable[[int], bytes],
    offset: int,
    newline: int,
    size: int = WINDOW_BYTES,
    longest: int = MAX_ROW_BYTES,
) -> Iterator[Window]:
    """Cut a text into windows of whole lines, in memory bounded by `size` and `longest`.

    Parameters
    ----------
    read : callable
        Gives at most so many of the next bytes, and none at the end of the text.
    offset : int
        Where the text begins in its file.
    newline : int
        The byte that ends lines.
    size : int
        Bytes that are read at a time.
    longest : int
        Bytes after which a line without an end is given up.
    """
    rest = b""
    while True:
        new = read(size)
        data = rest + new
        end = data.rfind(newline) + 1 if new else len(data)
        if end:
            yield Window(data, end, offset, False, not new)
            offset += end
        rest = data[end:]
        if not new:
            return
        if len(rest) > longest:
            yield Window(rest[:BEGINNING], 0, offset, True, False)
            skipped, rest = _skip_line(read, newline, size)
            offset += len(data) - end + skipped


def _skip_line(read: Callable[[int], bytes], newline: int, size: int) -> tuple[int, bytes]:
    """Skip to the end of a line: how many bytes that takes, and those read after it."""
    skipped = 0
    while data := read(size):
        end = data.find(newline) + 1
        if end:
            return skipped + end, data[end:]
        skipped += len(data)
    return skipped, b""


def read_rows(
    read: Callable[[int], bytes], source: str, layout: CsvLayout, offset: int, line: int, first: int
) -> Iterator[Rows]:
    """Parse a text from the beginning of a line to its end.

    Parameters
    ----------
    read : callable
        Gives at most so many of the next bytes, and none at the end.
    source : str
        Name of the file, for its bad rows.
    layout : CsvLayout
    offset, line, first : int
        Byte offset and line number at which the text begins, and the number of its first record.
    """
    for window in windows(read, offset, layout.newline):
        if window.too_long:
            text = window.data.decode(errors="replace")
            reason = f"row too long: more than {MAX_ROW_BYTES:,} bytes"
            yield _only_bad(layout, BadRow(source, line, window.offset, reason, text), first)
            line, first = line + 1, first + 1
            continue
        buffer = np.frombuffer(window.data, np.uint8, window.size)
        position = 0
        while position < len(buffer):
            batch = _Batch(source, layout, window, buffer, line, first)
            rows, position, lines = batch.parse(position)
            if rows.records:
                yield rows
            line, first = line + lines, first + rows.records


def _only_bad(layout: CsvLayout, bad: BadRow, number: int) -> Rows:
    nothing = np.zeros(0, np.int8)
    return Rows(
        1,
        np.zeros(0, np.int64),
        np.zeros((0, layout.side**2), np.uint8),
        nothing,
        nothing,
        (bad,),
        np.array([number]),
    )


@dataclass(frozen=True)
class _Batch:
    """Some lines of a window; `line` and `first` are the numbers of the first one."""

    source: str
    layout: CsvLayout
    window: Window
    buffer: np.ndarray
    line: int
    first: int

    def parse(self, start: int) -> tuple[Rows, int, int]:
        """Parse at most BATCH rows: them, where the next line begins, and the lines before it."""
        # numba is imported by the kernel, and only where rows are parsed.
        from daskfer.ingest.kernel import parse_records

        layout = self.layout
        kept = np.array([layout.column("emotion"), layout.column("usage")], np.int64)
        # As many as can be good; bad ones may be shorter, and then come in the next batch.
        shortest = 2 * layout.side**2
        rows = min(BATCH, max(16, (len(self.buffer) - start) // shortest + 1))
        pixels = np.empty((rows, layout.side**2), np.uint8)
        good = np.empty(rows, np.bool_)
        places = np.empty((rows, 3), np.int64)
        fields = np.empty((rows, 2, 2), np.int64)
        records, position, lines = parse_records(
            self.buffer, start, layout.newline, ord(layout.separator), len(layout.columns),
            layout.column("pixels"), kept, pixels, good, places, fields,
        )  # fmt: skip
        good, places = good[:records], places[:records]
        reasons = {
            int(row): self._explain(*places[row, :2].tolist()) for row in np.flatnonzero(~good)
        }
        classes, splits = readers(layout.classes)
        emotion, wrong = self._codes(fields[:records, 0], good, classes)
        reasons |= wrong
        usage, wrong = self._codes(fields[:records, 1], good, splits)
        reasons |= {row: reason for row, reason in wrong.items() if row not in reasons}
        for row in np.flatnonzero(places[:, 1] - places[:, 0] > MAX_ROW_BYTES):
            reasons[int(row)] = f"row too long: more than {MAX_ROW_BYTES:,} bytes"
        bad_row = np.array(sorted(reasons), np.int64)
        good[bad_row] = False
        bad = tuple(self._bad_row(places[row].tolist(), reasons[row]) for row in bad_row.tolist())
        if good.all():
            good = slice(records)  # type: ignore[assignment]
        numbers = self.first + np.arange(records, dtype=np.int64)
        found = Rows(
            records, numbers[good], pixels[:records][good], emotion[good], usage[good],
            bad, self.first + bad_row,
        )  # fmt: skip
        return found, position, lines

    def _codes(
        self, places: np.ndarray, good: np.ndarray, reader: Reader
    ) -> tuple[np.ndarray, dict[int, str]]:
        """The codes of a column's texts, and the reasons of those that have none."""
        data = self.window.data
        # A row that broke off before this column has no text here, and no code.
        codes = [reader.code_of(data[start:end]) for start, end in places.tolist()]
        wrong: dict[int, str] = {}
        for row, code in enumerate(codes) if None in codes else ():
            if code is None:
                codes[row] = UNKNOWN
                if good[row]:
                    start, end = places[row].tolist()
                    wrong[row] = reader.explain(data[start:end].strip())
        return np.array(codes, np.int8), wrong

    def _explain(self, start: int, end: int) -> str:
        layout, text = self.layout, self.window.data[start:end]
        return explain_row(
            text, list(layout.columns), layout.column("pixels"), layout.side**2, layout.separator
        )

    def _bad_row(self, place: list[int], reason: str) -> BadRow:
        start, end, line = place
        data = self.window.data
        if (
            self.window.last
            and end == self.window.size
            and self._looks_cut(data[start:end], reason)
        ):
            reason = f"cut off at the end of the file: {reason}"
        beginning = data[start : min(end, start + BEGINNING)].decode(errors="replace")
        return BadRow(self.source, self.line + line, self.window.offset + start, reason, beginning)

    def _looks_cut(self, text: bytes, reason: str) -> bool:
        """Whether a last row without a line end is bad because its end is missing.

        Then columns are missing, or the fault is in the last one.
        """
        columns, separator = self.layout.columns, self.layout.separator.encode()
        found = text.count(separator) + 1
        if found != len(columns):
            return found < len(columns)
        if reason == "broken quotes":
            return text.rpartition(separator)[2].count(b'"') == 1
        return reason.startswith(LAST_COLUMN_CUT.get(columns[-1].lower(), ()))
