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


@dataclass(frozen=True)
class BadRow:
    """A row that was set aside: where it stands, why, and how it begins."""

    source: str
    line: int
    offset: int
    reason: str
    beginning: str


def explain_row(text: bytes, columns: list[str], pixel_column: int, wanted: int) -> str:
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
    """
    if b"\0" in text:
        return "NUL byte in the row"
    try:
        line = text.decode()
    except UnicodeDecodeError:
        return "not UTF-8 text"
    try:
        (fields,) = csv.reader([line], strict=True)
    except (csv.Error, ValueError):
        return "broken quotes"
    if len(fields) != len(columns):
        return f"wrong column count: {len(fields)}, expected {len(columns)}"
    return explain_pixels(fields[pixel_column].split(), wanted)


def explain_pixels(values: list[str], wanted: int) -> str:
    """Say why these texts are not the pixels of a face; the first fault counts."""
    if not values:
        return "no pixels"
    for value in values:
        if value.isascii() and value.isdigit():
            # By its length first: Python refuses to read thousands of digits.
            if len(value.lstrip("0")) > 3 or int(value[-3:]) > 255:
                return f"pixel {_short(value)} above 255"
            continue
        try:
            number = float(value)
        except ValueError:
            return f"pixel {_short(value)!r} is not a number"
        if number != number:
            return "pixel NaN"
        if number < 0:
            return f"pixel {_short(value)} is negative"
        return f"pixel {_short(value)} is not a whole number"
    if len(values) != wanted:
        amount = "too few" if len(values) < wanted else "too many"
        return f"{amount} pixels: {len(values)}, expected {wanted}"
    return "unusual spacing or quotes in the row"


def check_share(bad: Iterable[BadRow], read: int, max_bad: float) -> None:
    """Raise when more of the rows are bad than the recipe tolerates, with a count by reason."""
    rows = list(bad)
    if not rows or len(rows) / read <= max_bad:
        return
    reasons = Counter(row.reason.partition(":")[0] for row in rows)
    listed = ", ".join(f"{count:,} × {reason}" for reason, count in reasons.most_common(5))
    raise InputError(
        f"{len(rows):,} of {read:,} rows are bad, more than ingest.max_bad={max_bad:g} allows "
        f"({listed}; first: line {rows[0].line} of {rows[0].source}); mend the file or raise "
        f"the limit with --set ingest.max_bad={_enough(len(rows) / read):g}"
    )


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
