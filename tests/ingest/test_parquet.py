"""Faces in Parquet: each type of column, bad rows, row groups; the same whatever the parts."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO
from unittest import mock

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daskfer.errors import InputError
from daskfer.faces import UNKNOWN
from daskfer.ingest import arrow, parquet
from daskfer.ingest.labels import explain_class, explain_usage
from daskfer.ingest.parquet import ParquetLayout, ParquetRows, parts, read_layout
from daskfer.ingest.quarantine import BadRow
from daskfer.ingest.rows import Rows, in_blocks

Values = list[int] | None


def texts(kind: pa.DataType) -> Callable[[list[Values]], pa.Array]:
    """Faces as texts."""
    return lambda faces: pa.array(
        [None if face is None else " ".join(map(str, face)) for face in faces], kind
    )


def lists(kind: pa.DataType) -> Callable[[list[Values]], pa.Array]:
    """Faces as lists of numbers."""
    return lambda faces: pa.array(faces, kind)


def raw(kind: pa.DataType) -> Callable[[list[Values]], pa.Array]:
    """Faces as bytes."""
    return lambda faces: pa.array([None if face is None else bytes(face) for face in faces], kind)


FORMS = {
    "string": texts(pa.string()),
    "large_string": texts(pa.large_string()),
    "dictionary of string": texts(pa.dictionary(pa.int32(), pa.string())),
    "list of uint8": lists(pa.list_(pa.uint8())),
    "list of int16": lists(pa.list_(pa.int16())),
    "list of int64": lists(pa.list_(pa.int64())),
    "list of uint64": lists(pa.list_(pa.uint64())),
    "list of half float": lists(pa.list_(pa.float16())),
    "list of float": lists(pa.list_(pa.float32())),
    "list of double": lists(pa.list_(pa.float64())),
    "large_list": lists(pa.large_list(pa.int32())),
    "fixed_size_list of uint8": lists(pa.list_(pa.uint8(), 4)),
    "fixed_size_list of double": lists(pa.list_(pa.float64(), 4)),
    "binary": raw(pa.binary()),
    "large_binary": raw(pa.large_binary()),
    "fixed_size_binary": raw(pa.binary(4)),
    "dictionary of binary": raw(pa.dictionary(pa.int32(), pa.binary())),
}

GOOD = [[70, 80, 90, 255], [0, 1, 2, 3], [255, 0, 7, 100], [9, 9, 9, 9]]


def write(path: Path, row_group_size: int | None = None, **columns: Any) -> str:
    """A file with these columns."""
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return str(path)


def read(path: str, block_rows: int = 100) -> list[Rows]:
    """All blocks of a file."""
    found = parts(read_layout(path), block_rows)
    return [block for part in found for block in in_blocks(part.pieces(), block_rows, part.first)]


def good_of(blocks: list[Rows]) -> list[tuple[int, list[int], int, int]]:
    """(row, pixels, emotion, usage) of all good rows."""
    return [
        (int(row), pixels.tolist(), int(emotion), int(usage))
        for block in blocks
        for row, pixels, emotion, usage in zip(
            block.row, block.pixels, block.emotion, block.usage, strict=True
        )
    ]


def bad_of(blocks: list[Rows]) -> list[tuple[int, str, str]]:
    """(row, reason, beginning) of all bad rows."""
    found = []
    for block in blocks:
        assert [row.line for row in block.bad] == (block.bad_row + 1).tolist()
        assert {row.offset for row in block.bad} <= {None}
        found += [(row.line or 0, row.reason, row.beginning) for row in block.bad]
    return found


# Columns.


@pytest.mark.parametrize("form", FORMS)
def test_each_type_of_pixels(form: str, tmp_path: Path) -> None:
    path = write(
        tmp_path / "faces.parquet",
        emotion=pa.array([3, 0, 6, 1]),
        pixels=FORMS[form](GOOD),
        Usage=pa.array(["Training", "PublicTest", "PrivateTest", "Training"]),
    )
    assert read_layout(path) == ParquetLayout(path, (4,), "pixels", "emotion", "Usage", 2)
    (block,) = read(path)
    assert good_of([block]) == [
        (0, GOOD[0], 3, 0),
        (1, GOOD[1], 0, 1),
        (2, GOOD[2], 6, 2),
        (3, GOOD[3], 1, 0),
    ]
    assert (block.records, block.bad, block.names) == (4, (), None)
    dtypes = [block.row.dtype, block.pixels.dtype, block.emotion.dtype, block.usage.dtype]
    assert dtypes == [np.int64, np.uint8, np.int8, np.int8]


@pytest.mark.parametrize("form", FORMS)
def test_null_is_a_row_without_pixels_in_each_type(form: str, tmp_path: Path) -> None:
    faces: list[Values] = [None, *GOOD[:2], None, *GOOD[2:], None]
    path = write(tmp_path / "faces.parquet", pixels=FORMS[form](faces))
    blocks = read(path, 2)
    assert bad_of(blocks) == [(line, "no pixels", "") for line in (1, 4, 7)]
    assert [(row, pixels) for row, pixels, *_ in good_of(blocks)] == [
        (1, GOOD[0]),
        (2, GOOD[1]),
        (4, GOOD[2]),
        (5, GOOD[3]),
    ]


@pytest.mark.parametrize("form", FORMS)
def test_any_range_of_rows_in_each_type(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A part that begins within a row group reads sliced arrays.
    monkeypatch.setattr(parquet, "PIECE_ROWS", 4)
    faces: list[Values] = [*GOOD, None, *GOOD, *GOOD]
    emotion = pa.array([number % 7 for number in range(13)])
    path = write(tmp_path / "faces.parquet", 5, pixels=FORMS[form](faces), emotion=emotion)
    layout = read_layout(path)
    everything = good_of(list(ParquetRows(layout, 0, 13).pieces()))
    assert everything == [
        (row, face, row % 7, UNKNOWN) for row, face in enumerate(faces) if face is not None
    ]
    for first in range(13):
        for stop in range(first + 1, 14):
            pieces = list(ParquetRows(layout, first, stop).pieces())
            assert sum(piece.records for piece in pieces) == stop - first
            assert max(piece.records for piece in pieces) <= 4
            assert good_of(pieces) == [row for row in everything if first <= row[0] < stop]
            assert [line for line, *_ in bad_of(pieces)] == [5] * (first <= 4 < stop)


@pytest.mark.parametrize("form", ["string", "list of int64", "fixed_size_list of uint8", "binary"])
def test_a_file_written_from_sliced_columns(form: str, tmp_path: Path) -> None:
    column = FORMS[form]([None, *GOOD, None]).slice(1, 4)
    path = write(tmp_path / "faces.parquet", pixels=column, usage=pa.array(["", "test"] * 4)[1:5])
    assert good_of(read(path)) == [
        (row, face, UNKNOWN, usage)
        for row, face, usage in zip(range(4), GOOD, [2, UNKNOWN, 2, UNKNOWN], strict=True)
    ]


def test_names_in_any_case_and_order_and_columns_more(tmp_path: Path) -> None:
    path = write(
        tmp_path / "faces.parquet",
        **{
            " USAGE": pa.array(["val"]),
            "origin": pa.array([{"deep": [1]}]),
            " Pixels ": FORMS["binary"](GOOD[:1]),
            "Emotion": pa.array(["Joy"]),
        },
    )
    assert read_layout(path) == ParquetLayout(path, (1,), " Pixels ", "Emotion", " USAGE", 2)
    assert good_of(read(path)) == [(0, GOOD[0], 3, 1)]


def test_a_file_behind_a_url() -> None:
    table = pa.table({"pixels": FORMS["string"](GOOD)})
    with fsspec.open("memory://faces/some.parquet", "wb") as file:
        pq.write_table(table, file)
    assert [pixels for _, pixels, *_ in good_of(read("memory://faces/some.parquet"))] == GOOD
    with pytest.raises(FileNotFoundError):
        read_layout("memory://faces/none.parquet")


TEXT = FORMS["string"](GOOD)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"emotion": [1], "Usage": ["x"]}, "no pixels column: .* found emotion, Usage$"),
        ({}, "no pixels column: .* found nothing$"),
        ({f"c{i}": [1] for i in range(15)}, "found c0, .*, c11$"),
        ({"a" * 30 + "\n": [1]}, "found a{24}…$"),
        ({"a\x1b\nb": [1]}, r"found a\? b$"),
        ({"pixels": TEXT, " PIXELS": TEXT}, "more than one pixels column: expected one"),
        ({"pixels": TEXT, "emotion": [1] * 4, "Emotion": [1] * 4}, "more than one emotion column"),
        ({"pixels": TEXT, "usage": ["a"] * 4, "Usage": ["a"] * 4}, "more than one usage column"),
        ({"pixels": [1, 2]}, "column pixels is int64: expected text such as"),
        ({"pixels": [None, None]}, "column pixels is null: expected"),
        ({"pixels": [["1", "2"]]}, "column pixels is list<element: string>: expected"),
        ({"pixels": [[True]]}, "column pixels is list<element: bool>: expected"),
        ({"pixels": [[[1, 2], [3, 4]]]}, "is list<element: list<element: int64>>: expected"),
        ({"pixels": [{"bytes": b"", "p" * 99: 1}]}, "is struct<bytes: binary, p{38}…: expected"),
        ({"pixels": TEXT, "Emotion": [True] * 4}, "column Emotion is bool: expected numbers or"),
        ({"pixels": TEXT, "usage": [[1]] * 4}, "column usage is list.*: expected numbers or words"),
        ({"pixels": pa.array([], pa.string())}, "has no rows: expected at least one face"),
        ({"pixels": ["1 2 3", "1 2"]}, r"square face \(the first has 3\)"),
        ({"pixels": ["5", "6"]}, r"square face \(the first has 1\)"),
        ({"pixels": [None, "", " "]}, r"square face \(the first has 0\)"),
        ({"pixels": [[1, 2], [1, 2, 3]]}, r"square face \(the first has 2\)"),
        ({"pixels": [b"abcde"]}, r"square face \(the first has 5\)"),
    ],
)
def test_files_that_are_no_faces(columns: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "faces.parquet", **columns)
    with pytest.raises(InputError, match=message) as caught:
        read_layout(path)
    assert str(caught.value).startswith(path)
    assert "\n" not in str(caught.value)


def test_the_most_frequent_size_among_the_first_thousand_rows_decides(tmp_path: Path) -> None:
    four, nine = "1 2 3 4", "1 2 3 4 5 6 7 8 9"
    path = write(tmp_path / "faces.parquet", pixels=[four, nine, nine])
    assert bad_of(read(path)) == [(1, "too few pixels: 4, expected 9", four)]
    path = write(tmp_path / "faces.parquet", pixels=[four] * 501 + [nine] * 499 + [nine] * 100)
    assert read_layout(path).side == 2


# Bad rows.

BAD_TEXTS = [
    ("1 2 3 256", "pixel above 255: 256"),
    ("1 2 300 4", "pixel above 255: 300"),
    ("1 2 0256 4", "pixel above 255: 0256"),
    ("1 2 -1 4", "pixel below 0: -1"),
    ("1 2 3.5 4", "pixel not a whole number: 3.5"),
    ("1 2 nan 4", "pixel not a number: nan"),
    ("1 2 abc 4", "pixel not a number: 'abc'"),
    ("1 2 3,4", "pixel not a number: '3,4'"),
    ("[1 2 3 4]", "pixel not a number: '[1'"),
    ("", "no pixels"),
    (" \t", "no pixels"),
    ("1 2 3", "too few pixels: 3, expected 4"),
    ("1 2 3 4 5", "too many pixels: 5, expected 4"),
    ("1 2 3 4\n", "unusual spacing or quotes in the row"),
    ("1 2\n3 4", "unusual spacing or quotes in the row"),
    ("1\u00a02 3 4", "unusual spacing or quotes in the row"),
    ("1 2 3\0 4", "NUL byte in the row"),
]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@pytest.mark.parametrize(("text", "reason"), BAD_TEXTS)
def test_bad_texts(text: str, reason: str, kind: pa.DataType, tmp_path: Path) -> None:
    # Neighbours that a parser that runs over a text's end would take for its own.
    column = pa.array(["9 9 9 9", "9 9 9 9", text, "7 7 7 7", text], kind)
    blocks = read(write(tmp_path / "faces.parquet", pixels=column), 2)
    assert bad_of(blocks) == [(3, reason, text), (5, reason, text)]
    assert [(row, pixels) for row, pixels, *_ in good_of(blocks)] == [
        (0, [9] * 4),
        (1, [9] * 4),
        (3, [7] * 4),
    ]


@pytest.mark.parametrize("text", ["  1 2 3 4 ", "1\t2 \t 3  4", "001 0002 000003 4", "1 2 3 4"])
def test_texts_with_other_spacing_and_zeros(text: str, tmp_path: Path) -> None:
    path = write(tmp_path / "faces.parquet", pixels=[text])
    assert good_of(read(path)) == [(0, [1, 2, 3, 4], UNKNOWN, UNKNOWN)]


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    column = pa.array([b"1 2 3 4", b"1 2 3\xff 4", b"5 6 7 8"])
    invalid = pa.Array.from_buffers(pa.string(), 3, column.buffers())
    path = write(tmp_path / "faces.parquet", pixels=invalid, emotion=invalid)
    # A bad emotion in each row as well: of two faults the pixels' counts.
    assert bad_of(read(path)) == [
        (1, explain_class(b"1 2 3 4"), "1 2 3 4"),
        (2, "not UTF-8 text", "1 2 3\ufffd 4"),
        (3, explain_class(b"5 6 7 8"), "5 6 7 8"),
    ]


def test_bytes_under_a_null_are_no_text() -> None:
    # Arrow allows them, though what it reads from a file has none today.
    column = pa.array(["1 2 3 4", "5 6 7 8"])
    hidden = pa.Array.from_buffers(pa.string(), 2, [pa.py_buffer(b"\x02"), *column.buffers()[1:]])
    assert hidden.to_pylist() == [None, "5 6 7 8"]
    good, pixels = arrow._parse_texts(hidden, 4)
    assert good.tolist() == [False, True]
    assert pixels.tolist() == [[5, 6, 7, 8]]


INTEGERS = [pa.int16(), pa.int32(), pa.int64(), pa.uint16(), pa.uint32(), pa.uint64()]
FLOATS = [pa.float16(), pa.float32(), pa.float64()]
BAD_LISTS = [
    *[(kind, [1, 2, 300, 4], "pixel above 255: 300") for kind in INTEGERS + FLOATS],
    *[(kind, [1, 2, 256, 4], "pixel above 255: 256") for kind in INTEGERS + FLOATS],
    *[(kind, [1, -1, 3, 300], "pixel below 0: -1") for kind in [*INTEGERS[:3], *FLOATS]],
    (pa.int8(), [1, -1, 3, 4], "pixel below 0: -1"),
    (pa.uint32(), [1, 2, 3, 2**32 - 1], "pixel above 255: 4294967295"),
    (pa.uint64(), [2**64 - 1, 2, 3, 4], "pixel above 255: 184467440737…"),
    (pa.int64(), [2**32 + 1, 2, 3, 4], "pixel above 255: 4294967297"),
    *[(kind, [1, 2, 3.5, 4], "pixel not a whole number: 3.5") for kind in FLOATS],
    *[(kind, [1, 2, 3, math.nan], "pixel not a number: nan") for kind in FLOATS],
    *[(kind, [math.inf, 2, 3, 4], "pixel not a whole number: inf") for kind in FLOATS],
    (pa.float64(), [-0.5, 2, 3, 4], "pixel below 0: -0.5"),
    (pa.float64(), [-0.0, 300, 3, 4], "pixel above 255: 300"),
    (pa.float64(), [1e300, 2, 3, 4], "pixel above 255: 100000000000…"),
    *[(kind, [1, None, 300, 4], "pixel not a number: null") for kind in [*INTEGERS, *FLOATS]],
    (pa.int16(), [300, None, 3, 4], "pixel above 255: 300"),
    (pa.uint8(), [1, None, 3, 4], "pixel not a number: null"),
    (pa.uint8(), [None, None], "pixel not a number: null"),
    (pa.uint8(), [], "no pixels"),
    (pa.uint8(), [1, 2, 3], "too few pixels: 3, expected 4"),
    (pa.float64(), [1, 2, 3, 4, 5], "too many pixels: 5, expected 4"),
]


@pytest.mark.parametrize(("kind", "values", "reason"), BAD_LISTS)
def test_bad_lists(kind: pa.DataType, values: list[Any], reason: str, tmp_path: Path) -> None:
    good = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
    forms = [pa.list_(kind), pa.large_list(kind)]
    if len(values) == 4:
        forms.append(pa.list_(kind, 4))
    for form in forms:
        column = pa.array([good[0], values, good[1], good[2], values], form)
        blocks = read(write(tmp_path / "faces.parquet", pixels=column), 3)
        assert [(line, found) for line, found, _ in bad_of(blocks)] == [(2, reason), (5, reason)]
        assert [(row, pixels) for row, pixels, *_ in good_of(blocks)] == [
            (0, good[0]),
            (2, good[1]),
            (3, good[2]),
        ]


def test_the_beginning_of_a_bad_list_is_what_a_csv_would_have(tmp_path: Path) -> None:
    values = [7.0, -0.0, None, 3.5, math.nan] + [100.0] * 60
    path = write(tmp_path / "faces.parquet", pixels=[[1.0, 2.0, 3.0, 4.0], values])
    ((_, _, beginning),) = bad_of(read(path))
    assert beginning == ("7 0 null 3.5 nan" + " 100" * 20)[:60]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_bad_bytes(kind: pa.DataType, tmp_path: Path) -> None:
    cells = [
        b"\x01\xff\x03\x04",
        b"\x01\xff\x03",
        b"",
        b"\x00" * 5,
        b"1 2 3 4",
        b"\x05\x06\x07\x08",
    ]
    blocks = read(write(tmp_path / "faces.parquet", pixels=pa.array(cells, kind)), 4)
    assert bad_of(blocks) == [
        (2, "too few pixels: 3, expected 4", "1 255 3"),
        (3, "no pixels", ""),
        (4, "too many pixels: 5, expected 4", "0 0 0 0 0"),
        (5, "too many pixels: 7, expected 4", "49 32 50 32 51 32 52"),
    ]
    assert [(row, pixels) for row, pixels, *_ in good_of(blocks)] == [
        (0, [1, 255, 3, 4]),
        (5, [5, 6, 7, 8]),
    ]


def test_a_block_of_bad_rows_alone(tmp_path: Path) -> None:
    for column in (
        pa.array(["1 2 3 4", "x", "y", "5 6 7 8"]),
        pa.array([[1, 2, 3, 4], [1], [300] * 4, [5, 6, 7, 8]]),
        pa.array([b"\x01\x02\x03\x04", b"", b"x", b"\x05\x06\x07\x08"]),
    ):
        blocks = read(write(tmp_path / "faces.parquet", pixels=column), 1)
        assert [block.pixels.tolist() for block in blocks] == [
            [[1, 2, 3, 4]],
            [],
            [],
            [[5, 6, 7, 8]],
        ]
        assert blocks[1].pixels.shape == (0, 4)
        assert [block.records for block in blocks] == [1] * 4


def test_a_bad_row_in_full(tmp_path: Path) -> None:
    path = write(tmp_path / "faces.parquet", 2, pixels=["1 2 3 4"] * 4 + ["9" * 100])
    (block,) = read(path)
    assert block.bad == (BadRow(path, 5, None, "pixel above 255: 999999999999…", "9" * 60),)
    assert block.bad_row.tolist() == [4]
    assert block.bad_row.dtype == np.int64


# Labels.


@pytest.mark.parametrize(
    ("column", "codes"),
    [
        (pa.array([0, 6, None, 3], pa.int8()), [0, 6, -1, 3]),
        (pa.array([0, 6, None, 3], pa.uint64()), [0, 6, -1, 3]),
        (pa.array([0.0, 6.0, None, math.nan], pa.float64()), [0, 6, -1, -1]),
        (pa.array([0.0, 6.0, None, 3.0], pa.float32()), [0, 6, -1, 3]),
        (pa.array([0.0, 6.0, None, 3.0], pa.float16()), [0, 6, -1, 3]),
        (pa.array(["0", "6.0", None, ""]), [0, 6, -1, -1]),
        (pa.array(["Happy ", "SADNESS", None, "nan"], pa.large_string()), [3, 4, -1, -1]),
        (pa.array(["happy", "fear", None, "happy"]).dictionary_encode(), [3, 2, -1, 3]),
        (pa.array([5, 2, None, 5]).dictionary_encode(), [5, 2, -1, 5]),
        (pa.nulls(4), [-1, -1, -1, -1]),
    ],
)
def test_emotions(column: pa.Array, codes: list[int], tmp_path: Path) -> None:
    blocks = read(write(tmp_path / "faces.parquet", emotion=column, pixels=TEXT), 3)
    assert good_of(blocks) == [
        (row, face, code, UNKNOWN) for row, face, code in zip(range(4), GOOD, codes, strict=True)
    ]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pa.array([1, 7, 1, 1]), b"7"),
        (pa.array([1, -1, 1, 1], pa.int8()), b"-1"),
        (pa.array([1.0, 3.5, None, 1.0]), b"3.5"),
        (pa.array(["fear", "bored", None, "fear"]), b"bored"),
        (pa.array(["fear", "bored", "fear", "fear"]).dictionary_encode(), b"bored"),
    ],
)
def test_bad_emotions(column: pa.Array, text: bytes, tmp_path: Path) -> None:
    blocks = read(write(tmp_path / "faces.parquet", emotion=column, pixels=TEXT), 3)
    assert bad_of(blocks) == [(2, explain_class(text), "0 1 2 3")]
    assert [row for row, *_ in good_of(blocks)] == [0, 2, 3]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())]
)
def test_usages(kind: pa.DataType, tmp_path: Path) -> None:
    column = pa.array(["Training", None, "Somewhere", "private test"], kind)
    blocks = read(write(tmp_path / "faces.parquet", usage=column, pixels=TEXT))
    assert bad_of(blocks) == [(3, explain_usage(b"Somewhere"), "255 0 7 100")]
    assert good_of(blocks) == [
        (0, GOOD[0], UNKNOWN, 0),
        (1, GOOD[1], UNKNOWN, UNKNOWN),
        (3, GOOD[3], UNKNOWN, 2),
    ]


def test_of_several_faults_the_pixels_and_then_the_emotion_count(tmp_path: Path) -> None:
    path = write(
        tmp_path / "faces.parquet",
        usage=["x", "x", "x", None],
        emotion=["bored", "bored", None, None],
        pixels=["1 2 3", "1 2 3 4", "1 2 3 4", "5 6 7 8"],
    )
    assert [reason for _, reason, _ in bad_of(read(path))] == [
        "too few pixels: 3, expected 4",
        explain_class(b"bored"),
        explain_usage(b"x"),
    ]
    assert good_of(read(path)) == [(3, [5, 6, 7, 8], UNKNOWN, UNKNOWN)]


# Parts.


@pytest.mark.parametrize(
    ("groups", "block_rows", "expected"),
    [
        # One row group is one part, however long.
        ((100,), 1, [(0, 100)]),
        # Row groups of whole blocks.
        ((8, 8, 8), 2, [(0, 8), (8, 16), (16, 24)]),
        # The first block that begins in the row group of rows 9 to 19 is at 10.
        ((9, 10, 1), 2, [(0, 10), (10, 20)]),
        # Row groups shorter than four blocks come together.
        ((2, 2, 2, 2, 2, 2), 1, [(0, 4), (4, 8), (8, 12)]),
        ((3, 3, 3), 10, [(0, 9)]),
        # No part begins at the file's end, and an empty row group is none.
        ((8, 1), 2, [(0, 8), (8, 9)]),
        ((7, 1), 2, [(0, 8)]),
        ((0, 8, 0, 8, 0), 2, [(0, 8), (8, 16)]),
    ],
)
def test_parts_by_hand(
    groups: tuple[int, ...], block_rows: int, expected: list[tuple[int, int]]
) -> None:
    layout = ParquetLayout("faces.parquet", groups, "pixels", None, None, 2)
    assert [(part.first, part.stop) for part in parts(layout, block_rows)] == expected


@given(st.lists(st.integers(0, 30), min_size=1).filter(any), st.integers(1, 12))
def test_parts_are_runs_of_whole_blocks_that_cover_the_file(
    groups: list[int], block_rows: int
) -> None:
    layout = ParquetLayout("faces.parquet", tuple(groups), "pixels", None, None, 2)
    found = parts(layout, block_rows)
    assert [part.first for part in found] == [0] + [part.stop for part in found[:-1]]
    assert found[-1].stop == layout.rows == sum(groups)
    assert all(part.first % block_rows == 0 for part in found)
    assert all(part.stop - part.first >= 4 * block_rows for part in found[:-1])


def test_a_part_reads_its_own_row_groups_only(tmp_path: Path) -> None:
    path = write(tmp_path / "faces.parquet", 8, pixels=FORMS["binary"](GOOD * 6))
    layout = read_layout(path)
    pieces = [list(part.pieces()) for part in parts(layout, 2)]
    assert [sum(piece.records for piece in part) for part in pieces] == [8, 8, 8]
    # Break the second row group: what lies in the others can still be read.
    chunk = pq.read_metadata(path).row_group(1).column(0)
    data = bytearray(Path(path).read_bytes())
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    data[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    Path(path).write_bytes(data)
    first, second, third = parts(layout, 2)
    assert good_of(list(first.pieces())) == good_of(pieces[0])
    assert good_of(list(third.pieces())) == good_of(pieces[2])
    with pytest.raises(InputError, match=r"is damaged or no Parquet file: .*; get or write it"):
        list(second.pieces())


class Watched(io.BytesIO):
    """A file that notes how much is read at once."""

    most = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, and note how much it was."""
        found = super().read(size)
        self.most = max(self.most, len(found))
        return found


def test_one_large_row_group_is_never_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (2000, 576)).astype(np.uint8)
    path = str(tmp_path / "faces.parquet")
    table = pa.table({"pixels": [face.tobytes() for face in faces]})
    pq.write_table(table, path, use_dictionary=False, data_page_size=1 << 14, write_batch_size=16)
    assert pq.read_metadata(path).num_row_groups == 1
    data = Path(path).read_bytes()
    opened: list[Watched] = []

    def open_watched(path: str) -> BinaryIO:
        opened.append(Watched(data))
        return opened[-1]

    monkeypatch.setattr(parquet, "READ_BYTES", 1 << 16)
    monkeypatch.setattr("daskfer.storage.open_binary", open_watched)
    pieces = list(ParquetRows(read_layout(path), 0, 2000).pieces())
    assert (np.concatenate([piece.pixels for piece in pieces]) == faces).all()
    assert [piece.records for piece in pieces] == [1024, 976]
    # A page or a buffer at a time, and the pages of this file are of about 80 kB.
    assert 0 < max(file.most for file in opened) < len(data) // 8
    assert all(file.closed for file in opened)


def test_larger_faces_come_fewer_at_a_time(tmp_path: Path) -> None:
    face = np.full(1024 * 1024, 7, np.uint8)
    path = write(tmp_path / "faces.parquet", pixels=[face.tobytes()] * 9)
    pieces = list(ParquetRows(read_layout(path), 0, 9).pieces())
    assert [piece.records for piece in pieces] == [4, 4, 1]
    assert all((piece.pixels == 7).all() for piece in pieces)


# Damage.


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PAR1",
        b"emotion,pixels,Usage\n3,1 2 3 4,Training\n",
        b"PAR1" + bytes(100) + b"PAR1",
        bytes(1000),
    ],
)
def test_files_that_are_not_parquet(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "faces.parquet"
    path.write_bytes(data)
    with pytest.raises(InputError, match="is damaged or no Parquet file: ") as caught:
        read_layout(str(path))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_files_that_end_early(tmp_path: Path) -> None:
    path = write(tmp_path / "faces.parquet", pixels=TEXT)
    data = Path(path).read_bytes()
    for size in range(0, len(data), 7):
        Path(path).write_bytes(data[:size])
        with pytest.raises(InputError, match="is damaged or no Parquet file: "):
            read_layout(path)


def test_fewer_rows_than_the_footer_says(tmp_path: Path) -> None:
    path = write(tmp_path / "faces.parquet", pixels=TEXT)
    layout = ParquetLayout(path, (9,), "pixels", None, None, 2)
    with pytest.raises(InputError, match=r"is damaged: expected 9 rows .*, found 4;"):
        list(ParquetRows(layout, 0, 9).pieces())


def test_a_missing_file_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_layout(str(tmp_path / "none.parquet"))


# A plain reading of the same cells, to hold the compiled and the vectorised ones against.


def plain_text(text: str | None) -> list[int] | str:
    """The pixels of a text, or the reason why it has none."""
    values = (text or "").split()
    kinds = {"-1": "pixel below 0: -1", "3.5": "pixel not a whole number: 3.5"}
    for value in values:
        if not re.fullmatch("[0-9]+", value):
            return kinds.get(value, f"pixel not a number: {value!r}")
        if int(value) > 255:
            return f"pixel above 255: {value}"
    return plain_count(values) or [int(value) for value in values]


def plain_list(values: list[float | None] | None) -> list[int] | str:
    """The pixels of a list, or the reason why it has none."""
    for value in values or ():
        if value is None or value != value:
            return f"pixel not a number: {'null' if value is None else 'nan'}"
        if value < 0:
            return f"pixel below 0: {value:g}"
        if value % 1:
            return f"pixel not a whole number: {value:g}"
        if value > 255:
            return f"pixel above 255: {value:g}"
    return plain_count(values or []) or [int(value or 0) for value in values or ()]


def plain_bytes(values: bytes | None) -> list[int] | str:
    """The pixels of bytes, or the reason why there are none."""
    return plain_count(values or b"") or list(values or b"")


def plain_count(values: Any) -> str | None:
    if not len(values):
        return "no pixels"
    words = {-1: "too few", 1: "too many"}
    side = (len(values) > 4) - (len(values) < 4)
    return f"{words[side]} pixels: {len(values)}, expected 4" if side else None


# Of the other lengths none is a square, so that the good rows decide the size.
COUNTS = st.sampled_from([4, 4, 4, 4, 4, 3, 5, 6])
PIXEL = st.integers(0, 255)


def cells(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Lists of values of one of the counts."""
    return COUNTS.flatmap(lambda count: st.lists(value, min_size=count, max_size=count))


TEXT_CELLS = st.one_of(
    cells(PIXEL.map(str)),
    cells(st.one_of(PIXEL.map(str), PIXEL.map("{:04d}".format))),
    cells(st.sampled_from(["1", "12", "255", "256", "-1", "3.5", "abc", "1000", "0300"])),
).flatmap(lambda values: st.sampled_from([" ", " ", "  ", "\t"]).map(lambda gap: gap.join(values)))
INTEGER_CELLS = st.one_of(
    cells(PIXEL), cells(st.sampled_from([0, 255, 256, 300, -1, -256, 512, None]))
)
FLOAT_CELLS = st.one_of(
    cells(PIXEL.map(float)), cells(st.sampled_from([0.0, 255.0, 300.0, -1.0, 3.5, math.nan, None]))
)
BYTE_CELLS = cells(PIXEL).map(bytes)
TABLES: list[tuple[pa.DataType, st.SearchStrategy[Any], Callable[[Any], list[int] | str]]] = [
    (pa.string(), TEXT_CELLS, plain_text),
    (pa.large_string(), TEXT_CELLS, plain_text),
    (pa.dictionary(pa.int32(), pa.string()), TEXT_CELLS, plain_text),
    (pa.list_(pa.uint8()), cells(PIXEL), plain_list),
    (pa.list_(pa.int16()), INTEGER_CELLS, plain_list),
    (pa.list_(pa.int64()), INTEGER_CELLS, plain_list),
    (pa.large_list(pa.int32()), INTEGER_CELLS, plain_list),
    (pa.list_(pa.float32()), FLOAT_CELLS, plain_list),
    (pa.list_(pa.float64()), FLOAT_CELLS, plain_list),
    (
        pa.list_(pa.float64(), 4),
        FLOAT_CELLS.filter(lambda values: len(values) == 4),
        plain_list,
    ),
    (pa.binary(), BYTE_CELLS, plain_bytes),
    (pa.large_binary(), BYTE_CELLS, plain_bytes),
    (pa.binary(4), BYTE_CELLS.filter(lambda values: len(values) == 4), plain_bytes),
]
EMOTIONS = {None: -1, "3": 3, "6.0": 6, "Angry": 0, " joy": 3, "": -1, "bored": None, "9": None}
USAGES = {None: -1, "Training": 0, "val": 1, "Private-Test": 2, "Elsewhere": None}


@st.composite
def tables(draw: st.DrawFn) -> tuple[pa.Table, list[tuple[Any, ...]]]:
    """A table, and each row as (pixels, emotion, usage) or (reason,)."""
    kind, cell, plain = draw(st.sampled_from(TABLES))
    start = {"s": "1 2 3 4", "l": [1, 2, 3, 4], "b": b"\x01\x02\x03\x04"}
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    first = start["s" if "string" in str(value) else "l" if "list" in str(value) else "b"]
    pixels = [first, *draw(st.lists(st.one_of(cell, cell, cell, st.none()), max_size=20))]
    emotion = [draw(st.sampled_from([*EMOTIONS])) for _ in pixels]
    usage = [draw(st.sampled_from([*USAGES])) for _ in pixels]
    expected: list[tuple[Any, ...]] = []
    for values, word, split in zip(pixels, emotion, usage, strict=True):
        found = plain(values)
        if isinstance(found, str):
            expected.append((found,))
        elif EMOTIONS[word] is None:
            expected.append((explain_class(str(word).encode()),))
        elif USAGES[split] is None:
            expected.append((explain_usage(str(split).encode()),))
        else:
            expected.append((found, EMOTIONS[word], USAGES[split]))
    table = pa.table({"Usage": usage, "pixels": pa.array(pixels, kind), "emotion": emotion})
    return table, expected


@settings(max_examples=250)
@given(tables(), st.integers(1, 9), st.integers(1, 6), st.integers(1, 5), st.integers(1, 3))
def test_the_same_rows_whatever_the_row_groups_and_blocks(
    tmp_path_factory: pytest.TempPathFactory,
    made: tuple[pa.Table, list[tuple[Any, ...]]],
    row_group_size: int,
    block_rows: int,
    piece_rows: int,
    part_blocks: int,
) -> None:
    table, expected = made
    path = str(tmp_path_factory.mktemp("faces") / "faces.parquet")
    pq.write_table(table, path, row_group_size=row_group_size)
    with (
        mock.patch.object(parquet, "PIECE_ROWS", piece_rows),
        mock.patch.object(parquet, "PART_BLOCKS", part_blocks),
    ):
        blocks = read(path, block_rows)
    whole, rest = divmod(len(expected), block_rows)
    assert [block.records for block in blocks] == [block_rows] * whole + [rest] * (rest > 0)
    numbered = list(enumerate(expected))
    assert good_of(blocks) == [(row, *found) for row, found in numbered if len(found) == 3]
    assert [(line, reason) for line, reason, _ in bad_of(blocks)] == [
        (row + 1, *found) for row, found in numbered if len(found) == 1
    ]
