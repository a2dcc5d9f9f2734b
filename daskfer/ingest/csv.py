"""FER2013's CSV form: its header, and blocks of its rows parsed from byte ranges."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass

import numpy as np

from daskfer import storage
from daskfer.errors import InputError
from daskfer.faces import EMOTIONS, UNKNOWN, USAGES, side_of
from daskfer.ingest.duplicates import digests
from daskfer.ingest.quarantine import BEGINNING, BadRow, explain_row

HEAD_BYTES = 1 << 20
"""Bytes read from a file's beginning to learn its columns and the size of its faces."""

_BOM = b"\xef\xbb\xbf"
_EMOTION_CODES = {
    **{str(code).encode(): code for code in range(len(EMOTIONS))},
    **{name.encode(): code for code, name in enumerate(EMOTIONS)},
}
_USAGE_CODES = {name.lower().encode(): code for code, name in enumerate(USAGES)}


@dataclass(frozen=True)
class CsvLayout:
    """What the beginning of a CSV file says of the rest.

    Attributes
    ----------
    path : str
        The file.
    bytes : int
        Its size.
    columns : tuple of str
        The header's names, without blanks around them.
    body : int
        Offset of the first byte after the header line.
    body_line : int
        Number of the line that begins there; the file's first line is 1.
    side : int
        Side of its faces in pixels: the most frequent one among its first rows.
    """

    path: str
    bytes: int
    columns: tuple[str, ...]
    body: int
    body_line: int
    side: int

    def column(self, name: str) -> int:
        """Index of the column with this name in any case, or -1."""
        names = [column.lower() for column in self.columns]
        return names.index(name) if name in names else -1


@dataclass(frozen=True)
class CsvBlock:
    """A block's place in a file: bytes [start, stop), `records` lines, the first one's numbers."""

    start: int
    stop: int
    records: int
    first_row: int
    first_line: int


@dataclass(frozen=True)
class ParsedBlock:
    """The good rows of a block as arrays, and the bad ones with their reasons."""

    row: np.ndarray
    pixels: np.ndarray
    emotion: np.ndarray
    usage: np.ndarray
    digest: np.ndarray
    blank: np.ndarray
    bad: list[BadRow]


def read_layout(path: str, size: int) -> CsvLayout:
    """Read a CSV file's header and first rows.

    Raises
    ------
    InputError
        When the file is empty, has no ``pixels`` column or no row with a square image.
    """
    head = storage.read_bytes(path, 0, min(size, HEAD_BYTES))
    if not head.strip():
        raise InputError(f"{path} is empty: expected a CSV file with a pixels column")
    skipped = len(_BOM) if head.startswith(_BOM) else 0
    while head[skipped : skipped + 1] in (b"\n", b"\r"):
        skipped += 1
    end = head.find(b"\n", skipped)
    end = len(head) if end < 0 else end
    columns = _header_columns(path, head[skipped:end])
    body = min(end + 1, size)
    pixel_column = [column.lower() for column in columns].index("pixels")
    side = _first_side(path, head[body:], len(columns), pixel_column)
    return CsvLayout(path, size, columns, body, head[:body].count(b"\n") + 1, side)


def _header_columns(path: str, line: bytes) -> tuple[str, ...]:
    text = line.decode(errors="replace").strip("\r\n")
    try:
        (fields,) = csv.reader([text])
    except (csv.Error, ValueError):
        fields = [text]
    columns = tuple(field.strip() for field in fields)
    lower = [column.lower() for column in columns]
    if "pixels" not in lower:
        found = ", ".join(
            column if len(column) <= 24 else column[:24] + "…" for column in columns[:12]
        )
        # A binary file has a first line too, and a terminal would obey what is in it.
        found = "".join(letter if letter.isprintable() else "?" for letter in found)
        raise InputError(
            f"{path} has no pixels column: expected a CSV file in UTF-8 with a header such as "
            f"emotion,pixels,Usage, found {found or 'nothing'}"
        )
    for name in ("pixels", "emotion", "usage"):
        if lower.count(name) > 1:
            raise InputError(f"{path} has more than one {name} column: expected one")
    return columns


def _first_side(path: str, text: bytes, columns: int, pixel_column: int) -> int:
    counts = []
    sides: Counter[int] = Counter()
    for line in text.split(b"\n")[:1000]:
        fields = line.decode(errors="replace").split(",")
        if not line.strip() or len(fields) != columns:
            continue
        values = fields[pixel_column].strip().strip('"').split()
        side = side_of(len(values))
        if side is not None and side > 1:
            sides[side] += 1
        counts.append(len(values))
    if sides:
        # The most frequent one: the first row may be a bad one that happens to be square.
        return sides.most_common(1)[0][0]
    if not counts:
        raise InputError(f"{path} has no rows: expected at least one face after the header")
    raise InputError(
        f"{path}: no row has the pixels of a square face (the first has {counts[0]}); "
        "expected 2304 numbers for 48×48"
    )


def parse_block(layout: CsvLayout, block: CsvBlock, data: bytes) -> ParsedBlock:
    """Parse one block's bytes into arrays; rows that are not faces are set aside.

    Parameters
    ----------
    layout : CsvLayout
    block : CsvBlock
    data : bytes
        The file's bytes [block.start, block.stop).
    """
    # numba is imported by the kernel, and only where rows are parsed.
    from daskfer.ingest.kernel import parse_records

    buffer = np.frombuffer(data, np.uint8)
    kept = np.array([layout.column("emotion"), layout.column("usage")], np.int64)
    wanted = layout.side * layout.side
    pixels, good, places, fields = parse_records(
        buffer, len(layout.columns), layout.column("pixels"), kept, wanted, block.records
    )
    emotion = np.full(block.records, UNKNOWN, np.int8)
    usage = np.full(block.records, UNKNOWN, np.int8)
    reasons: dict[int, str] = {}
    for record in np.flatnonzero(good):
        (first, last), (third, fourth) = fields[record].tolist()
        if first >= 0:
            text = data[first:last].strip()
            code = _EMOTION_CODES.get(text)
            if code is None:
                code = _EMOTION_CODES.get(text.lower())
            if code is None:
                reasons[int(record)] = (
                    f"emotion {_shown(text)}: expected 0–6 or one of {', '.join(EMOTIONS)}"
                )
                continue
            emotion[record] = code
        if third >= 0:
            text = data[third:fourth].strip()
            code = _USAGE_CODES.get(text.lower())
            if code is None:
                reasons[int(record)] = f"Usage {_shown(text)}: expected one of {', '.join(USAGES)}"
                continue
            usage[record] = code
    for record in np.flatnonzero(~good):
        start, end, _ = places[record].tolist()
        reasons[int(record)] = explain_row(
            data[start:end], list(layout.columns), layout.column("pixels"), wanted
        )
    bad = [
        _bad_row(layout, block, data, places[record], reasons[record]) for record in sorted(reasons)
    ]
    good[list(reasons)] = False
    kept_pixels = pixels if good.all() else pixels[good]
    return ParsedBlock(
        row=block.first_row + np.flatnonzero(good).astype(np.int64),
        pixels=kept_pixels,
        emotion=emotion[good],
        usage=usage[good],
        digest=digests(kept_pixels),
        blank=(kept_pixels == kept_pixels[:, :1]).all(axis=1),
        bad=bad,
    )


def _bad_row(
    layout: CsvLayout, block: CsvBlock, data: bytes, place: np.ndarray, reason: str
) -> BadRow:
    start, end, line = place.tolist()
    beginning = data[start : min(end, start + BEGINNING)].decode(errors="replace")
    return BadRow(layout.path, block.first_line + line, block.start + start, reason, beginning)


def _shown(text: bytes) -> str:
    return repr(text[:24].decode(errors="replace"))
