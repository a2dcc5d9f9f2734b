"""FER2013's CSV form: what the beginning of a file says of the rest."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass

from daskfer.errors import InputError
from daskfer.faces import EMOTIONS, side_of
from daskfer.ingest.lines import NEWLINE, RETURN
from daskfer.ingest.quarantine import split_fields

MAX_ROW_BYTES = 4 << 20
"""Longest row that is read: enough for a face of 1024×1024 pixels."""

HEAD_BYTES = 2 * MAX_ROW_BYTES
"""Bytes of a file's beginning that suffice to learn its columns and the size of its faces."""

SEPARATORS = ",;\t"

_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@dataclass(frozen=True)
class CsvLayout:
    """What the beginning of a CSV file says of the rest.

    Attributes
    ----------
    columns : tuple of str
        The header's names, without blanks around them.
    body : int
        Offset of the first byte after the header line.
    body_line : int
        Number of the line that begins there; the file's first line is 1.
    side : int
        Side of its faces in pixels: the most frequent one among its first rows.
    newline : int
        The byte that ends its lines: a line feed, or the carriage return of old Macs.
    separator : str
        What separates its columns: a comma, a semicolon or a tab.
    classes : tuple of str
        What its labels may be.
    """

    columns: tuple[str, ...]
    body: int
    body_line: int
    side: int
    newline: int = NEWLINE
    separator: str = ","
    classes: tuple[str, ...] = EMOTIONS

    def column(self, name: str) -> int:
        """Index of the column with this name in any case, or -1."""
        names = [column.lower() for column in self.columns]
        return names.index(name) if name in names else -1


def read_layout(path: str, head: bytes) -> CsvLayout:
    """Read a CSV file's header and first rows.

    Parameters
    ----------
    path : str
        Its name, for errors.
    head : bytes
        Its text, or the first HEAD_BYTES of it.

    Raises
    ------
    InputError
        When the file is empty, has no ``pixels`` column or no row with a square image.
    """
    if not head.strip():
        raise InputError(f"{path} is empty: expected a CSV file with a pixels column")
    if encoding := _OTHER_BOMS.get(head[:2]):
        raise InputError(
            f"{path} is text in {encoding}: expected UTF-8 "
            f"(iconv -f {encoding} -t UTF-8 turns it into that)"
        )
    start = len(_BOM) if head.startswith(_BOM) else 0
    while head[start : start + 1] in (b"\n", b"\r"):
        start += 1
    newline = _newline_of(head, start)
    end = head.find(newline, start)
    end = len(head) if end < 0 else end
    columns, separator = _header(path, head[start:end])
    body = min(end + 1, len(head))
    rows = head[body:].split(bytes([newline]), 1000)
    if len(rows) > 1000 or len(head) >= HEAD_BYTES:
        # The rest, or a row that is cut off where the head ends.
        del rows[-1]
    pixel_column = [column.lower() for column in columns].index("pixels")
    side = _first_side(path, rows, columns, pixel_column, separator)
    line = head[:body].count(newline) + 1
    return CsvLayout(columns, body, line, side, newline, separator)


def _newline_of(head: bytes, start: int) -> int:
    """The byte that ends the header: a carriage return only where no line feed follows it."""
    feed, carriage = head.find(NEWLINE, start), head.find(RETURN, start)
    if carriage < 0 or 0 <= feed < carriage:
        return NEWLINE
    after = head[carriage : carriage + 8].lstrip(b"\r")
    return NEWLINE if after.startswith(b"\n") else RETURN


def _header(path: str, line: bytes) -> tuple[tuple[str, ...], str]:
    """The header's columns and what separates them."""
    text = line.decode(errors="replace").strip("\r\n")
    for separator in SEPARATORS:
        columns = _split(text, separator)
        lower = [column.lower() for column in columns]
        if "pixels" in lower:
            for name in ("pixels", "emotion", "usage"):
                if lower.count(name) > 1:
                    raise InputError(f"{path} has more than one {name} column: expected one")
            return columns, separator
    columns = max((_split(text, separator) for separator in SEPARATORS), key=len)
    found = ", ".join(column if len(column) <= 24 else column[:24] + "…" for column in columns[:12])
    # A binary file has a first line too, and a terminal would obey what is in it.
    found = "".join(letter if letter.isprintable() else "?" for letter in found)
    raise InputError(
        f"{path} has no pixels column: expected a CSV file in UTF-8 with a header such as "
        f"emotion,pixels,Usage, found the columns {found or 'nothing'}{_hint(columns)}"
    )


def _hint(columns: tuple[str, ...]) -> str:
    """What may be the matter with a header that has no pixels."""
    if any("\0" in column for column in columns):
        return " (is it a binary file, or text in UTF-16?)"
    if len(columns) > 64:
        return f", {len(columns):,} in all (one a pixel? join them with blanks in one column)"
    if any(len(column.split()) > 3 and column[:1].isdigit() for column in columns):
        return " (is the header missing? its first line names the columns)"
    return ""


def _split(text: str, separator: str) -> tuple[str, ...]:
    try:
        (fields,) = csv.reader([text], delimiter=separator)
    except (csv.Error, ValueError):
        fields = [text]
    return tuple(field.strip() for field in fields)


def _first_side(
    path: str, rows: list[bytes], columns: tuple[str, ...], pixel_column: int, separator: str
) -> int:
    counts = []
    sides: Counter[int] = Counter()
    filled = [row for row in rows if row.strip()]
    for row in filled:
        fields = split_fields(row.decode(errors="replace").rstrip("\r"), separator)
        if fields is None or len(fields) != len(columns):
            continue
        values = fields[pixel_column].split()
        side = side_of(len(values))
        if side is not None and side > 1:
            sides[side] += 1
        counts.append(len(values))
    if sides:
        # The most frequent one: the first row may be a bad one that happens to be square.
        return sides.most_common(1)[0][0]
    if counts:
        raise InputError(
            f"{path}: no row has the pixels of a square face (the first has {counts[0]}); "
            "expected 2304 numbers for 48×48"
        )
    if filled:
        found = filled[0].decode(errors="replace").count(separator) + 1
        raise InputError(
            f"{path}: no row has the header's {len(columns)} columns (the first has {found}); "
            f"expected {', '.join(columns)}"
        )
    raise InputError(f"{path} has no rows: expected at least one face after the header")
