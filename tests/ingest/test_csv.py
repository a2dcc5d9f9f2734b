"""FER2013's CSV form: header, rows, bad rows; the same whatever the byte ranges."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from alone import context_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daskfer.engine import InProcess
from daskfer.errors import InputError
from daskfer.faces import EMOTIONS, SYNONYMS, UNKNOWN, USAGES
from daskfer.ingest.csv import HEAD_BYTES, CsvLayout, read_layout
from daskfer.ingest.duplicates import difference_hashes, digests
from daskfer.ingest.finding import find_sources
from daskfer.ingest.labels import SPLIT_WORDS
from daskfer.ingest.quarantine import BadRow
from daskfer.ingest.rows import Rows, in_blocks, join
from daskfer.ingest.sources import Source
from daskfer.ingest.text import read_rows
from daskfer.recipe import Ingest, Recipe
from daskfer.stages.context import Context
from daskfer.stages.ingest import ingest
from daskfer.stages.parts import find_blocks

HEADER = b"emotion,pixels,Usage\n"
GOOD = b"3,1 2 3 4,Training\n"


def parse(path: Path, data: bytes, block_rows: int = 100, range_bytes: int = 1 << 20) -> list[Rows]:
    """All blocks of a file with these bytes."""
    path.write_bytes(data)
    source = Source(str(path), len(data), "")
    layout = read_layout(str(path), data[:HEAD_BYTES])
    parts, records = find_blocks(InProcess(), source, layout, block_rows, range_bytes)
    blocks = [list(in_blocks(part.pieces(), block_rows, part.first)) for part in parts]
    assert [[block.records for block in of_part] for of_part in blocks] == [[n] for n in records]
    return [block for of_part in blocks for block in of_part]


def read_text(layout: CsvLayout, text: bytes) -> list[Rows]:
    """The rows of a text that begins in line 2."""
    found = list(read_rows(io.BytesIO(text).read, "f.csv", layout, layout.body, 2, 0))
    return [join(found)] if found else []


def rows_of(blocks: list[Rows]) -> list[tuple[int, list[int], int, int]]:
    """(row, pixels, emotion, usage) of all good rows."""
    return [
        (int(row), pixels.tolist(), int(emotion), int(usage))
        for block in blocks
        for row, pixels, emotion, usage in zip(
            block.row, block.pixels, block.emotion, block.usage, strict=True
        )
    ]


def bad_of(blocks: list[Rows]) -> list[tuple[int, int, str]]:
    """(line, offset, reason) of all bad rows."""
    return [(row.line, row.offset, row.reason) for block in blocks for row in block.bad]


# The header.


@pytest.mark.parametrize(
    "header",
    [
        b"emotion,pixels,Usage\n",
        b"emotion,pixels,Usage\r\n",
        b"\xef\xbb\xbfemotion,pixels,Usage\n",
        b"\n\r\nemotion,pixels,Usage\n",
        b"EMOTION, Pixels ,usage\n",
        b'"emotion","pixels","Usage"\n',
    ],
)
def test_forms_of_the_header(header: bytes, tmp_path: Path) -> None:
    blocks = parse(tmp_path / "faces.csv", header + GOOD)
    assert rows_of(blocks) == [(0, [1, 2, 3, 4], 3, 0)]
    assert bad_of(blocks) == []


def test_another_order_and_a_column_more(tmp_path: Path) -> None:
    data = b"emotion, Usage,id, pixels\n6,PrivateTest,a b,9 8 7 255\n"
    assert rows_of(parse(tmp_path / "faces.csv", data)) == [(0, [9, 8, 7, 255], 6, 2)]


def test_pixels_alone(tmp_path: Path) -> None:
    blocks = parse(tmp_path / "faces.csv", b"pixels\r\n1 2 3 4\r\n\r\n5 6 7 8")
    assert rows_of(blocks) == [
        (0, [1, 2, 3, 4], UNKNOWN, UNKNOWN),
        (1, [5, 6, 7, 8], UNKNOWN, UNKNOWN),
    ]


def test_layout_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "faces.csv"
    data = b"\xef\xbb\xbf\nemotion, pixels,Usage\r\n" + GOOD
    path.write_bytes(data)
    layout = read_layout(str(path), data)
    assert layout == CsvLayout(("emotion", "pixels", "Usage"), 27, 3, 2, 10, ",")
    assert (layout.column("usage"), layout.column("id")) == (2, -1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\r\n \n", "is empty"),
        (b"\xef\xbb\xbf", "found the columns nothing"),
        (b"emotion,Usage\n3,Training\n", "no pixels column.*found the columns emotion, Usage"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "no pixels column"),
        (b"emotion,pixels,Usage", "has no rows"),
        (b"emotion,pixels,Usage\r\n\r\n\n", "has no rows"),
        (b"pixels\n", "has no rows"),
        (b"pixels,Pixels\n1 2 3 4,1 2 3 4\n", "more than one pixels column"),
        (b"pixels\n1 2 3\n", r"square face \(the first has 3\)"),
        (b"pixels\n1\n", r"square face \(the first has 1\)"),
    ],
)
def test_files_that_are_no_faces(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "faces.csv"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        read_layout(str(path), data)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_first_row_does_not_decide_the_size(tmp_path: Path) -> None:
    good = b"0,1 2 3 4 5 6 7 8 9,Training\n"
    blocks = parse(tmp_path / "faces.csv", HEADER + GOOD + good + good)
    assert bad_of(blocks) == [(2, 21, "too few pixels: 4, expected 9")]
    assert [row for row, *_ in rows_of(blocks)] == [1, 2]


# Rows.


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (b"3,1 2 3 4,Training", ([1, 2, 3, 4], 3, 0)),
        (b'"3","1 2 3 4","Training"', ([1, 2, 3, 4], 3, 0)),
        (b"3,1 2 3 4,Training\r\r", ([1, 2, 3, 4], 3, 0)),
        (b"3,1  2\t3 \t 4,Training", ([1, 2, 3, 4], 3, 0)),
        (b"3, 1 2 3 4 ,Training", ([1, 2, 3, 4], 3, 0)),
        (b"3,001 02 000 0255,Training", ([1, 2, 0, 255], 3, 0)),
        (b"3,0001 0002 0000000003 0255,Training", ([1, 2, 3, 255], 3, 0)),
        (b"happy,0 0 0 0,PublicTest", ([0, 0, 0, 0], 3, 1)),
        (b" Happy ,1 2 3 4, privatetest ", ([1, 2, 3, 4], 3, 2)),
        (b"surprised,1 2 3 4,Private Test", ([1, 2, 3, 4], 5, 2)),
        (b"Anger,1 2 3 4,validation", ([1, 2, 3, 4], 0, 1)),
        (b"6.0,1 2 3 4,train", ([1, 2, 3, 4], 6, 0)),
        (b",1 2 3 4,", ([1, 2, 3, 4], UNKNOWN, UNKNOWN)),
        (b'nan,1 2 3 4,""', ([1, 2, 3, 4], UNKNOWN, UNKNOWN)),
    ],
)
def test_accepted_rows(row: bytes, expected: tuple[list[int], int, int], tmp_path: Path) -> None:
    for end in (b"", b"\n", b"\r\n"):
        blocks = parse(tmp_path / "faces.csv", HEADER + GOOD + row + end)
        assert bad_of(blocks) == []
        assert rows_of(blocks)[1] == (1, *expected)


CUT = "cut off at the end of the file: "
BAD = [
    (b"3,1 2 3 256,Training", "pixel above 255: 256"),
    (b"3,1 2 1000 4,Training", "pixel above 255: 1000"),
    (b"3,1 2 0256 4,Training", "pixel above 255: 0256"),
    (b"3,1 2 -1 4,Training", "pixel below 0: -1"),
    (b"3,1 2 3.5 4,Training", "pixel not a whole number: 3.5"),
    (b"3,1 2 nan 4,Training", "pixel not a number: nan"),
    (b"3,1 2 abc 4,Training", "pixel not a number: 'abc'"),
    (b"3,,Training", "no pixels"),
    (b'3,"",Training', "no pixels"),
    (b"3,1 2 3,Training", "too few pixels: 3, expected 4"),
    (b"3,1 2 3 4 5,Training", "too many pixels: 5, expected 4"),
    (b"3," + b"123" * 2000 + b",Training", "pixel above 255: 123123123123…"),
    (b'3,"1 2 3 4,Training', "broken quotes"),
    (b'3,"1 2 3 4" ,Training', "broken quotes"),
    (b"3,1 2 3 4", "wrong column count: 2, expected 3"),
    (b"3,1 2 3 4,Training,x", "wrong column count: 4, expected 3"),
    (b"  ", "wrong column count: 1, expected 3"),
    (b"3,1 2 3\x00 4,Training", "NUL byte in the row"),
    (b"3,1 2 3\xff 4,Training", "not UTF-8 text"),
    (b"7,1 2 3 4,Training", "unknown emotion: '7', expected 0–6 or one of angry"),
    (b"bored,1 2 3 4,Training", "unknown emotion: 'bored', expected"),
    (b"3,1 2 3 4,Exam", "unknown Usage: 'Exam', expected one of Training"),
    (b"3,1\x0b2 3 4,Training", "unusual spacing or quotes"),
]


@pytest.mark.parametrize(("row", "reason"), BAD)
def test_rejected_rows_and_their_place(row: bytes, reason: str, tmp_path: Path) -> None:
    for end in (b"\n", b"\r\n"):
        data = HEADER + GOOD + b"\n" + row + end + GOOD
        blocks = parse(tmp_path / "faces.csv", data)
        ((line, offset, found),) = bad_of(blocks)
        assert found.startswith(reason)
        assert (line, offset) == (4, len(HEADER + GOOD) + 1)
        assert rows_of(blocks) == [(0, [1, 2, 3, 4], 3, 0), (2, [1, 2, 3, 4], 3, 0)]


@pytest.mark.parametrize(("row", "reason"), BAD)
def test_rejected_rows_at_the_end_of_the_file(row: bytes, reason: str, tmp_path: Path) -> None:
    blocks = parse(tmp_path / "faces.csv", HEADER + GOOD + row)
    ((_, _, found),) = bad_of(blocks)
    assert found.removeprefix(CUT).startswith(reason)
    assert found.startswith(CUT) == (row.count(b",") < 2 or reason.startswith("unknown Usage"))
    assert [number for number, *_ in rows_of(blocks)] == [0]


@pytest.mark.parametrize(
    ("header", "row", "reason"),
    [
        (b"emotion,pixels", b"3,1 2 3", CUT + "too few pixels: 3, expected 4"),
        (b"emotion,pixels", b'3,"1 2 3', CUT + "broken quotes"),
        (b"emotion,pixels", b"3,", CUT + "no pixels"),
        (b"emotion,pixels", b"3", CUT + "wrong column count: 1, expected 2"),
        (b"emotion,pixels", b"3,1 2 3 400", "pixel above 255: 400"),
        (b"emotion,pixels", b"3,1 2 3,4", "wrong column count: 3, expected 2"),
        (b"pixels,emotion", b"1 2 3,4", "too few pixels: 3, expected 4"),
        (b"pixels,emotion", b"1 2 3 4,sa", CUT + "unknown emotion: 'sa'"),
        (b"pixels,Usage", b"1 2 3 4,Priv", CUT + "unknown Usage: 'Priv'"),
    ],
)
def test_a_row_cut_off_at_the_end_of_the_file(
    header: bytes, row: bytes, reason: str, tmp_path: Path
) -> None:
    good = row.split(b",")[0] if header.startswith(b"emotion") else b"1 2 3 4"
    other = b"1 2 3 4" if header.startswith(b"emotion") else b""
    data = header + b"\n" + good + b"," + other + b"\n" + row
    ((line, _, found),) = bad_of(parse(tmp_path / "faces.csv", data))
    assert line == 3
    assert found.startswith(reason)
    # With a line end it is a bad row like any other.
    ((_, _, found),) = bad_of(parse(tmp_path / "faces.csv", data + b"\n"))
    assert found.startswith(reason.removeprefix(CUT))


def test_the_beginning_of_a_bad_row_is_kept(tmp_path: Path) -> None:
    data = HEADER + GOOD + b"3," + b"9" * 100 + b",Training\n"
    (block,) = parse(tmp_path / "faces.csv", data)
    assert block.bad == (
        BadRow(
            str(tmp_path / "faces.csv"), 3, len(HEADER + GOOD), block.bad[0].reason, "3," + "9" * 58
        ),
    )


def test_a_block_of_bad_rows_alone(tmp_path: Path) -> None:
    blocks = parse(tmp_path / "faces.csv", HEADER + GOOD + b"x\n" + b"y\n" + GOOD, block_rows=1)
    assert [len(block.row) for block in blocks] == [1, 0, 0, 1]
    assert blocks[1].pixels.shape == (0, 4)


# A plain reading of the same text, to hold the compiled one against.

FIELD = re.compile(rb'"((?:[^"]|"")*)"(?=,|\Z)|(?!")([^,]*)(?=,|\Z)')


def plain_fields(line: bytes) -> list[bytes] | None:
    """The fields of a line: quoted from end to end or not at all; None where quotes are broken."""
    fields, position = [], 0
    while match := FIELD.match(line, position):
        fields.append(match[1] if match[1] is not None else match[2])
        position = match.end() + 1
        if match.end() == len(line):
            return fields
    return None


def plain_row(line: bytes, wanted: int) -> tuple[list[int], int, int] | None:
    """Pixels, emotion and usage of a line ``emotion,pixels,Usage``, or None for a bad one."""
    fields = plain_fields(line)
    if fields is None or len(fields) != 3:
        return None
    emotion, pixels, usage = fields
    if not re.fullmatch(rb"[0-9 \t]*", pixels):
        return None
    values = [int(text) for text in pixels.split()]
    names = {name.encode(): code for code, name in enumerate(EMOTIONS)} | {b"": UNKNOWN}
    names |= {str(code).encode(): code for code in range(7)}
    names |= {
        word.encode(): EMOTIONS.index(name) for name, words in SYNONYMS.items() for word in words
    }
    usages = {name.lower().encode(): code for code, name in enumerate(USAGES)} | {b"": UNKNOWN}
    usages |= {
        word.encode(): USAGES.index(name) for name, words in SPLIT_WORDS.items() for word in words
    }
    emotion, usage = emotion.strip().lower(), usage.strip().lower()
    if len(values) != wanted or max(values) > 255:
        return None
    if emotion not in names or usage not in usages:
        return None
    return values, names[emotion], usages[usage]


def plain_parse(data: bytes, wanted: int) -> tuple[list[Any], list[tuple[int, int]]]:
    """Good rows as `rows_of` gives them, and (line, offset) of the bad ones."""
    good: list[Any] = []
    bad = []
    offset, record = data.index(b"\n") + 1, 0
    for number, line in enumerate(data[offset:].split(b"\n")):
        if line not in (b"", b"\r"):
            found = plain_row(line.removesuffix(b"\r"), wanted)
            if found is None:
                bad.append((number + 2, offset))
            else:
                good.append((record, *found))
            record += 1
        offset += len(line) + 1
    return good, bad


NUMBERS = st.one_of(
    st.integers(0, 255).map(str),
    st.integers(0, 255).map("{:03d}".format),
    st.integers(0, 255).map("{:05d}".format),
)
GAPS = st.sampled_from([" ", " ", " ", "  ", "\t"])
PIXELS = st.tuples(
    st.sampled_from(["", "", " "]), NUMBERS, GAPS, NUMBERS, GAPS, NUMBERS, GAPS, NUMBERS,
    st.sampled_from(["", "", " "]),
).map("".join)  # fmt: skip
GOOD_ROWS = st.tuples(
    st.sampled_from(["0", "6", "happy", '"3"', " 2"]),
    PIXELS.flatmap(lambda text: st.sampled_from([text, f'"{text}"'])),
    st.sampled_from(["Training", "PublicTest", '"PrivateTest"']),
).map(lambda fields: ",".join(fields).encode())
BAD_ROWS = st.sampled_from([row for row, _ in BAD if len(row) < 100])
LINES = st.tuples(
    st.one_of(GOOD_ROWS, GOOD_ROWS, BAD_ROWS, st.just(b"")),
    st.sampled_from([b"\n", b"\n", b"\r\n"]),
)


# The examples once failed.
@settings(max_examples=150)
@given(st.lists(LINES, max_size=14), st.booleans(), st.integers(1, 120), st.integers(1, 6))
@example([(b"3,,Training", b"\n")], True, 1, 1)
@example([(b'3,"1 2 3 4" ,Training', b"\n")], True, 1, 1)
@example([(b"", b"\r\n")], True, 5, 2)
def test_the_same_rows_whatever_the_ranges_and_blocks(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[tuple[bytes, bytes]],
    cut_end: bool,
    range_bytes: int,
    block_rows: int,
) -> None:
    data = HEADER + GOOD * 4 + b"".join(text + end for text, end in lines)
    if cut_end:
        data = data.removesuffix(b"\n")
    path = tmp_path_factory.getbasetemp() / "ranges.csv"
    blocks = parse(path, data, block_rows, range_bytes)
    good, bad = plain_parse(data, 4)
    assert rows_of(blocks) == good
    assert [(line, offset) for line, offset, _ in bad_of(blocks)] == bad
    assert bad_of(blocks) == bad_of(parse(path, data))
    reasons = dict(BAD)
    text = dict(zip([offset for _, offset in bad], bad_of(blocks), strict=True))
    for offset, (_, _, reason) in text.items():
        line = data[offset:].split(b"\n")[0].removesuffix(b"\r")
        assert reason.removeprefix(CUT).startswith(reasons[line])
    sizes = [len(block.row) + len(block.bad) for block in blocks]
    assert sizes[:-1] == [block_rows] * (len(sizes) - 1)
    assert 1 <= sizes[-1] <= block_rows


PIECES = [b"3", b",", b'"', b" ", b"\t", b"\r", b"\n", b"1 2 3 4", b"256", b"12", b"Training",
          b"\xff", b"\0", b"-", b"0", b"0004"]  # fmt: skip


@settings(max_examples=400)
@given(
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=3)), max_size=30).map(b"".join)
)
def test_any_bytes_are_read_as_a_plain_parser_reads_them(text: bytes) -> None:
    data = HEADER + GOOD * 4 + text
    body = len(HEADER)
    layout = CsvLayout(("emotion", "pixels", "Usage"), body, 2, 2)
    records = sum(line not in (b"", b"\r") for line in data[body:].split(b"\n"))
    (block,) = read_text(layout, data[body:])
    good, bad = plain_parse(data, 4)
    assert block.records == records
    assert rows_of([block]) == good
    assert [(row.line, row.offset) for row in block.bad] == bad
    assert all(row.reason for row in block.bad)


@settings(max_examples=60)
@given(st.integers(2, 5), st.integers(0, 2**32 - 1), st.data())
def test_one_character_changed_anywhere(side: int, seed: int, data: st.DataObject) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (2, side * side))
    text = b"".join(b"3,%s,Training\n" % " ".join(map(str, row)).encode() for row in pixels)
    at = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.sampled_from([b"0", b" ", b"9", b",", b"x", b'"', b"\n", b""]))
    text = text[:at] + character + text[at + 1 :]
    body = len(HEADER)
    layout = CsvLayout(("emotion", "pixels", "Usage"), body, 2, side)
    (block,) = read_text(layout, text)
    good, bad = plain_parse(HEADER + text, side * side)
    assert rows_of([block]) == good
    assert [(row.line, row.offset) for row in block.bad] == bad


# The stage: several files, in a store.


def context_in(root: str, **keys: Any) -> Context:
    recipe = Recipe(block_rows=64, ingest=Ingest(**{"max_bad": 0.5} | keys))
    return context_of(recipe, root)


@pytest.fixture
def two_files(tmp_path: Path) -> list[str]:
    random = np.random.default_rng(5)
    (tmp_path / "one.csv").write_bytes(
        HEADER
        + b"".join(
            b"%d,%s,Training\n" % (row % 7, " ".join(map(str, random.integers(0, 256, 4))).encode())
            if row % 10
            else b"broken\n"
            for row in range(150)
        )
    )
    (tmp_path / "two.csv").write_bytes(b"pixels\r\n" + b"1 2 3 4\r\n" * 70)
    return [str(tmp_path / "one.csv"), str(tmp_path / "two.csv")]


def test_two_files_in_a_store(two_files: list[str], tmp_path: Path) -> None:
    faces = ingest(context_in(str(tmp_path / "store")), find_sources(two_files))
    table = faces.table
    assert (faces.read, len(faces.bad), len(table), faces.side) == (220, 15, 205, 2)
    assert table.source.tolist() == [0] * 135 + [1] * 70
    expected = [row for row in range(220) if row >= 150 or row % 10]
    assert table.row.tolist() == expected
    assert table.emotion.tolist()[:135] == [row % 7 for row in expected[:135]]
    assert (table.emotion[135:] == UNKNOWN).all()
    assert (table.usage[135:] == UNKNOWN).all()
    assert [row.line for row in faces.bad] == [row + 2 for row in range(0, 150, 10)]
    pixels = faces.pixels.rows(np.arange(205))
    assert (digests(pixels) == table.digest).all()
    assert (difference_hashes(pixels) == table.look).all()
    assert table.blank.tolist() == (pixels.max(axis=1) == pixels.min(axis=1)).tolist()
    assert pixels[204].tolist() == [1, 2, 3, 4]


def test_the_range_size_changes_nothing_of_the_stage(two_files: list[str], tmp_path: Path) -> None:
    found = [
        ingest(context_in(str(tmp_path / f"store-{size}")), find_sources(two_files), size)
        for size in (37, 1 << 20)
    ]
    assert found[0].content == found[1].content
    assert found[0].bad == found[1].bad
    assert (found[0].table.row == found[1].table.row).all()


def test_the_stage_is_reused_and_continued(two_files: list[str], tmp_path: Path) -> None:
    context = context_in(str(tmp_path / "store"))
    first = ingest(context, find_sources(two_files))
    again = ingest(context, find_sources(two_files))
    assert context.watch.reuses == 1  # type: ignore[attr-defined]
    assert again.content == first.content
    # As after a crash: the blocks are there, the stage is not finished, one block is missing.
    Path(first.pixels.folder.file("stage.json")).unlink()
    Path(first.pixels.folder.file("000001.json")).unlink()
    Path(first.pixels.path(1)).unlink()
    kept = Path(first.pixels.path(0))
    os.utime(kept, ns=(10**18, 10**18))
    resumed = ingest(context, find_sources(two_files))
    assert kept.stat().st_mtime_ns == 10**18
    assert resumed.content == first.content
    assert resumed.bad == first.bad


def test_too_many_bad_rows_fail_the_run(two_files: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="15 of 220 rows are bad"):
        ingest(context_in(str(tmp_path / "store"), max_bad=0.01), find_sources(two_files))


def test_files_of_different_sizes_of_face_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"pixels\n1 2 3 4\n")
    (tmp_path / "b.csv").write_bytes(b"pixels\n1 2 3 4 5 6 7 8 9\n")
    sources = find_sources([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")])
    with pytest.raises(InputError, match="faces of 3×3 pixels"):
        ingest(context_in(str(tmp_path / "store")), sources)


def test_from_and_to_urls(two_files: list[str], tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/csv-test/one.csv", Path(two_files[0]).read_bytes())
    try:
        sources = find_sources(["memory://csv-test/one.csv"])
        there = ingest(context_in("memory://csv-test/store"), sources, 100)
        here = ingest(context_in(str(tmp_path / "store")), find_sources(two_files[:1]))
        assert there.content == here.content
        assert (there.pixels.rows(np.arange(135)) == here.pixels.rows(np.arange(135))).all()
    finally:
        memory.rm("/csv-test", recursive=True)


def test_a_column_of_quoted_commas_and_quotes(tmp_path: Path) -> None:
    header = b"name,emotion,pixels\n"
    rows = b'"Doe, J",3,"1 2 3 4"\n"a ""b"" c",0,5 6 7 8\n"x"y",1,1 2 3 4\n'
    blocks = parse(tmp_path / "f.csv", header + rows)
    assert [(row, emotion) for row, _, emotion, _ in rows_of(blocks)] == [(0, 3), (1, 0)]
    assert bad_of(blocks) == [(4, len(header + rows) - 16, "broken quotes")]


def test_doubled_carriage_returns_are_line_ends_of_windows(tmp_path: Path) -> None:
    # What Python's csv module writes on Windows to a file opened without newline="".
    blocks = parse(tmp_path / "f.csv", b"pixels,emotion\r\r\n1 2 3 4,3\r\r\n5 6 7 8,0\r\r\n")
    assert [(row, emotion) for row, _, emotion, _ in rows_of(blocks)] == [(0, 3), (1, 0)]
    blocks = parse(tmp_path / "f.csv", b"emotion,pixels\r\r\n3,1 2 3 4\r\r\n0,5 6 7 8\r\r\n")
    assert [pixels for _, pixels, *_ in rows_of(blocks)] == [[1, 2, 3, 4], [5, 6, 7, 8]]
