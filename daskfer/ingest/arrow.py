"""Cells of Arrow columns as faces: texts, lists of numbers, or raw bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from daskfer.errors import InputError
from daskfer.faces import UNKNOWN
from daskfer.ingest.kernel import parse_texts
from daskfer.ingest.labels import Reader, readers
from daskfer.ingest.quarantine import BEGINNING, BadRow, explain_pixels
from daskfer.ingest.rows import Rows


class Columns(Protocol):
    """Which columns of a table hold what, and the side of its faces."""

    @property
    def path(self) -> str:
        """The table's file."""

    @property
    def pixels(self) -> str:
        """Name of the column with the pixels."""

    @property
    def emotion(self) -> str | None:
        """Name of the column with the emotions."""

    @property
    def usage(self) -> str | None:
        """Name of the column with the splits."""

    @property
    def side(self) -> int:
        """Side of the faces in pixels."""

    @property
    def classes(self) -> tuple[str, ...]:
        """What the labels' codes stand for."""


def parse_batch(columns: Columns, first: int, batch: pa.RecordBatch) -> Rows:
    """Rows of consecutive records of a table, the first of which has the number `first`."""
    column, wanted = decoded(batch.column(columns.pixels)), columns.side * columns.side
    fine, pixels = parser_of(columns.path, batch.schema.field(columns.pixels))(column, wanted)
    classes, splits = readers(columns.classes)
    emotion, no_emotion = _codes(batch, columns.emotion, classes)
    usage, no_usage = _codes(batch, columns.usage, splits)
    no_pixels = {int(row): _explain(column[int(row)], wanted) for row in np.flatnonzero(~fine)}
    # Of several faults the pixels' counts, then the emotion's.
    reasons = no_usage | no_emotion | no_pixels
    good = fine.copy()
    good[list(reasons)] = False
    bad = sorted(reasons)
    return Rows(
        records=batch.num_rows,
        row=first + np.flatnonzero(good).astype(np.int64),
        pixels=pixels if len(no_pixels) == len(reasons) else pixels[good[fine]],
        emotion=emotion[good],
        usage=usage[good],
        bad=tuple(
            BadRow(columns.path, first + row + 1, None, reasons[row], _beginning(column[row]))
            for row in bad
        ),
        bad_row=first + np.array(bad, np.int64),
    )


# Pixels. A parser takes a column and the number of pixels of a face.

Parsed = tuple[np.ndarray, np.ndarray]
"""Which rows are good, bool (n,), and the pixels of those, uint8 (m, wanted)."""


def _parse_texts(column: pa.Array, wanted: int) -> Parsed:
    pixels, good = parse_texts(*_bytes_of(column), wanted)
    good &= column.is_valid().to_numpy(zero_copy_only=False)
    return good, pixels if good.all() else pixels[good]


def _parse_bytes(column: pa.Array, wanted: int) -> Parsed:
    good, kept = _of_length(column, pc.binary_length(column), wanted)
    data, ends = _bytes_of(kept)
    return good, data[ends[0] : ends[-1]].reshape(-1, wanted)


def _parse_lists(column: pa.Array, wanted: int) -> Parsed:
    good, kept = _of_length(column, pc.list_value_length(column), wanted)
    values = kept.flatten()
    numbers = (values.fill_null(0) if values.null_count else values).to_numpy()
    numbers = numbers.reshape(-1, wanted)
    # What comes back unchanged was a whole number from 0 to 255, however the rest wrapped.
    with np.errstate(invalid="ignore"):
        pixels = numbers.astype(np.uint8)
    fine = np.ones(len(numbers), bool)
    if numbers.dtype != np.uint8:
        fine = (pixels == numbers).all(axis=1)
    if values.null_count:
        valid = values.is_valid().to_numpy(zero_copy_only=False)
        fine &= valid.reshape(-1, wanted).all(axis=1)
    good[good] = fine
    return good, pixels if fine.all() else pixels[fine]


def _of_length(column: pa.Array, lengths: pa.Array, wanted: int) -> tuple[np.ndarray, pa.Array]:
    """Which rows have this length, and those rows."""
    good = pc.equal(lengths, wanted).fill_null(False)
    mask = good.to_numpy(zero_copy_only=False).copy()
    return mask, column if mask.all() else column.filter(good)


def _bytes_of(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """All bytes under a column of texts or bytes, uint8, and where its rows end, int64 (n + 1,)."""
    column = column.cast(pa.large_binary())
    _, ends, data = column.buffers()
    numbers = np.frombuffer(ends or bytes(8), np.int64)
    view = np.frombuffer(data or b"", np.uint8)
    # Arrow's buffers are sometimes writable; the loop shall be compiled once.
    view.flags.writeable = numbers.flags.writeable = False
    return view, numbers[column.offset : column.offset + len(column) + 1]


# Labels.


def _codes(
    batch: pa.RecordBatch, name: str | None, reader: Reader
) -> tuple[np.ndarray, dict[int, str]]:
    """The code of each row's label, and the fault of each row whose label is none."""
    codes = np.full(batch.num_rows, UNKNOWN, np.int8)
    faults: dict[int, str] = {}
    if name is None:
        return codes, faults
    column = decoded(batch.column(name))
    # As bytes, because the texts of a damaged file need not be UTF-8.
    encoded = (
        column.cast(pa.large_binary()) if _is_text(column.type) else column
    ).dictionary_encode()
    places = encoded.indices.fill_null(-1).to_numpy()
    for place, value in enumerate(encoded.dictionary.to_pylist()):
        text = value if isinstance(value, bytes) else str(value).encode()
        code, rows = reader.code_of(text), np.flatnonzero(places == place)
        if code is None:
            faults |= dict.fromkeys(rows.tolist(), reader.explain(text))
        else:
            codes[rows] = code
    return codes, faults


# Cells, one by one: the first ones, and those of bad rows.


def pixel_count(cell: pa.Scalar) -> int:
    """How many pixels a cell has, whatever they are."""
    return len(_raw(cell).split() if _is_text(cell.type) else cell.as_py() or ())


def _explain(cell: pa.Scalar, wanted: int) -> str:
    """Say why a cell is not the pixels of a face."""
    if not _is_text(cell.type):
        # A text is quoted there; this null is none.
        return explain_pixels(_numbers(cell), wanted).replace("'null'", "null")
    if b"\0" in _raw(cell):
        return "NUL byte in the row"
    try:
        return explain_pixels(_raw(cell).decode().split(), wanted)
    except UnicodeDecodeError:
        return "not UTF-8 text"


def _beginning(cell: pa.Scalar) -> str:
    text = _is_text(cell.type)
    return (_raw(cell).decode(errors="replace") if text else " ".join(_numbers(cell)))[:BEGINNING]


def _raw(cell: pa.Scalar) -> bytes:
    """The bytes of a text, UTF-8 or not."""
    return bytes(cell.as_buffer() or b"")


def _numbers(cell: pa.Scalar) -> list[str]:
    """The numbers of a cell as a CSV file would have them."""
    return [
        "null" if value is None else str(int(value) if float(value).is_integer() else float(value))
        for value in cell.as_py() or ()
    ]


# Types.


def parser_of(path: str, field: pa.Field) -> Callable[[pa.Array, int], Parsed]:
    """What reads the pixels of a column, once it is decoded."""
    kind = _within(field.type)
    if _is_text(kind):
        return _parse_texts
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return _parse_bytes
    if (
        types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    ) and _is_number(kind.value_type):
        return _parse_lists
    expected = "text such as '70 80 …', lists of numbers or raw bytes of grey values"
    raise wrong_type(path, field, expected)


def is_label(kind: pa.DataType) -> bool:
    kind = _within(kind)
    # A column of nothing but null has a type of its own.
    return _is_text(kind) or _is_number(kind) or types.is_null(kind)


def _is_text(kind: pa.DataType) -> bool:
    return types.is_string(kind) or types.is_large_string(kind)


def _is_number(kind: pa.DataType) -> bool:
    return types.is_integer(kind) or types.is_floating(kind)


def _within(kind: pa.DataType) -> pa.DataType:
    """The type of what a dictionary holds."""
    return kind.value_type if types.is_dictionary(kind) else kind


def decoded(column: pa.Array) -> pa.Array:
    """A column as its values, where it is a dictionary of them."""
    return column.dictionary_decode() if types.is_dictionary(column.type) else column


def shortened(text: str, most: int) -> str:
    """A text in one line, without what a terminal would obey."""
    text = "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
    return text if len(text) <= most else text[:most] + "…"


def wrong_type(path: str, field: pa.Field, expected: str) -> InputError:
    """The error of a column whose type is of no use."""
    found = shortened(str(field.type), 60)
    return InputError(f"{path}: column {field.name.strip()} is {found}: expected {expected}")
