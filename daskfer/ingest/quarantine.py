"""Bad rows: why each is bad, and the file in which they are set aside."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple, dataclass

from daskfer.errors import InputError

BEGINNING = 60
"""Characters of a bad row that are kept."""

COLUMNS = ("source", "line", "byte offset", "reason", "beginning of the row")


class TooManyBad(InputError):
    """More rows are bad than the recipe tolerates; `rows` has all of them."""

    def __init__(self, message: str, rows: tuple[BadRow, ...]) -> None:
        super().__init__(message)
        self.rows = rows


@dataclass(frozen=True)
class BadRow:
    """A row that was set aside: where it stands, why, and how it begins.

    Attributes
    ----------
    source : str
        The file, and its member where the file is an archive.
    line : int or None
        Its line in a text file, its row in Parquet (the first is 1); None for an image.
    offset : int or None
        Byte at which the line begins, in the unpacked text of a compressed file; None elsewhere.
    reason : str
        What kind of fault, then a colon and the details.
    beginning : str
        Its first characters.
    """

    source: str
    line: int | None
    offset: int | None
    reason: str
    beginning: str

    @property
    def place(self) -> str:
        """Where it stands, for a message."""
        return self.source if self.line is None else f"line {self.line} of {self.source}"

    @property
    def kind(self) -> str:
        """The reason without its details."""
        return self.reason.partition(":")[0]


def explain_row(
    text: bytes, columns: list[str], pixel_column: int, wanted: int, separator: str = ","
) -> str:
    """Say why a line is not a good row.

    Parameters
    ----------
    text : bytes
        The line without its line end.
    columns : list of str
        The header's columns.
    pixel_column : int
        Which of them holds the pixels.
    wanted : int
        The number of pixels that a face of this file has.
    separator : str
        What separates columns.
    """
    if b"\0" in text:
        return "NUL byte in the row"
    try:
        line = text.decode()
    except UnicodeDecodeError:
        return "not UTF-8 text"
    fields = split_fields(line, separator)
    if fields is None:
        return "broken quotes"
    if len(fields) != len(columns):
        return f"wrong column count: {len(fields)}, expected {len(columns)}"
    return explain_pixels(fields[pixel_column].split(), wanted)


def split_fields(line: str, separator: str) -> list[str] | None:
    """The fields of a line, quoted from end to end or not at all; None where quotes are broken.

    Two quotes within a quoted field are one of its text; they are left as they are.
    """
    fields, start = [], 0
    while True:
        quoted = line.startswith('"', start)
        end = line.find('"' if quoted else separator, start + quoted)
        while quoted and line.startswith('""', end) and end >= 0:
            end = line.find('"', end + 2)
        if quoted and end < 0:
            return None
        fields.append(line[start + quoted : end] if end >= 0 else line[start:])
        end += quoted
        if end < 0 or end == len(line):
            return fields
        if line[end] != separator:
            return None
        start = end + 1


def explain_pixels(values: list[str], wanted: int) -> str:
    """Say why these texts are not the pixels of a face; the first fault counts."""
    if not values:
        return "no pixels"
    for value in values:
        if value.isascii() and value.isdigit():
            # By its length first: Python refuses to read thousands of digits.
            if len(value.lstrip("0")) > 3 or int(value[-3:]) > 255:
                return f"pixel above 255: {_short(value)}"
            continue
        try:
            number = float(value)
        except ValueError:
            return f"pixel not a number: {_short(value)!r}"
        if number != number:
            return f"pixel not a number: {_short(value)}"
        if number < 0:
            return f"pixel below 0: {_short(value)}"
        return f"pixel not a whole number: {_short(value)}"
    if len(values) != wanted:
        amount = "too few" if len(values) < wanted else "too many"
        return f"{amount} pixels: {len(values)}, expected {wanted}"
    return "unusual spacing or quotes in the row"


def by_reason(bad: Iterable[BadRow]) -> dict[str, int]:
    """How many rows are bad for each kind of reason, the most frequent first."""
    return dict(Counter(row.kind for row in bad).most_common())


def check_share(bad: Iterable[BadRow], read: int, max_bad: float) -> None:
    """Raise when more of the rows are bad than the recipe tolerates, with a count by reason.

    Raises
    ------
    TooManyBad
        It carries the rows, so that whoever catches it can write them down.
    """
    rows = tuple(bad)
    if not rows or len(rows) / read <= max_bad:
        return
    if len(rows) == read:
        raise none_is_a_face(rows, read)
    raise TooManyBad(
        f"{len(rows):,} of {read:,} rows are bad, more than ingest.max_bad={max_bad:g} allows "
        f"({_summary(rows)}); mend them or allow more with --max-bad "
        f"{_enough(len(rows) / read):g}",
        rows,
    )


def none_is_a_face(bad: Iterable[BadRow], read: int) -> TooManyBad:
    """The error of an input that holds nothing but bad rows."""
    rows = tuple(bad)
    found = f" ({_summary(rows)})" if rows else ""
    return TooManyBad(f"none of {read:,} rows is a face{found}", rows)


def _summary(rows: tuple[BadRow, ...]) -> str:
    """Counts by reason, and where the first is."""
    listed = ", ".join(f"{count:,} × {reason}" for reason, count in by_reason(rows).items())
    first = rows[0]
    return f"{listed}; first: {first.place}, {first.reason}"


def quarantine_csv(bad: Iterable[BadRow]) -> str:
    """The text of quarantine.csv."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(astuple(row) for row in bad)
    return buffer.getvalue()


def _short(value: str) -> str:
    return value if len(value) <= 12 else value[:12] + "…"


def _enough(share: float) -> float:
    """The share rounded up to two digits after the point."""
    return min(1.0, (int(share * 100) + 1) / 100)
