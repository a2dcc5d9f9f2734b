"""Windows of whole lines, rows that are too long, and other line ends and separators."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daskfer.engine import InProcess
from daskfer.errors import InputError
from daskfer.ingest import text
from daskfer.ingest.csv import CsvLayout, read_layout
from daskfer.ingest.rows import Rows, in_blocks, join
from daskfer.ingest.sources import Source
from daskfer.ingest.text import read_rows, windows
from daskfer.stages.parts import find_blocks

HEADER = b"emotion,pixels,Usage\n"
GOOD = b"3,1 2 3 4,Training\n"


def read_text(data: bytes) -> Rows:
    """The rows of a whole file."""
    layout = read_layout("f.csv", data)
    read = io.BytesIO(data[layout.body :]).read
    return join(list(read_rows(read, "f.csv", layout, layout.body, layout.body_line, 0)))


# Windows.


def test_windows_by_hand() -> None:
    read = io.BytesIO(b"ab\ncde\nf\n\nghijkl\nm").read
    found = [
        (window.data[: window.size], window.offset, window.too_long, window.last)
        for window in windows(read, 100, 10, size=5, longest=100)
    ]
    assert found == [
        (b"ab\n", 100, False, False),
        (b"cde\nf\n\n", 103, False, False),
        (b"ghijkl\n", 110, False, False),
        (b"m", 117, False, True),
    ]


@given(
    st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\n", b"x")), max_size=12),
    st.booleans(),
    st.integers(1, 20),
    st.integers(1, 9),
)
@example([b"a" * 12], False, 3, 4)
@example([b"a" * 4, b""], True, 4, 4)
def test_windows_hold_every_line_once(
    lines: list[bytes], ended: bool, size: int, longest: int
) -> None:
    data = b"\n".join(lines) + (b"\n" if ended and lines else b"")
    reads: list[int] = []

    def read(wanted: int) -> bytes:
        reads.append(wanted)
        return stream.read(wanted)

    stream = io.BytesIO(data)
    offset = 7
    for window in windows(read, 7, 10, size, longest):
        assert window.offset == offset
        if window.too_long:
            line = data[offset - 7 :].split(b"\n")[0]
            assert len(line) > longest
            assert line.startswith(window.data)
            offset += len(line) + 1
            continue
        assert len(window.data) <= size + max(size, longest)
        whole = window.data[: window.size]
        assert data[offset - 7 :].startswith(whole)
        assert whole.endswith(b"\n") or window.last
        offset += window.size
    assert offset - 7 in (len(data), len(data) + 1)
    assert set(reads) == {size}


# Rows that are too long.


@pytest.mark.parametrize("window_bytes", [50, 130, 1000])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_row_that_is_too_long_is_set_aside(
    window_bytes: int, end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "MAX_ROW_BYTES", 100)
    monkeypatch.setattr(windows, "__defaults__", (window_bytes, 100))
    long = b"3," + b"1" * 300 + b",Training"
    data = HEADER + GOOD * 3 + long + b"\n" + GOOD * 2 + long + end
    rows = read_text(data)
    assert rows.records == 7
    assert rows.row.tolist() == [0, 1, 2, 4, 5]
    assert [(bad.line, bad.offset, bad.reason) for bad in rows.bad] == [
        (5, len(HEADER + GOOD * 3), "row too long: more than 100 bytes"),
        (8, len(HEADER + GOOD * 5) + len(long) + 1, "row too long: more than 100 bytes"),
    ]
    assert rows.bad[0].beginning == "3," + "1" * 58
    assert rows.bad_row.tolist() == [3, 6]


# Other line ends and separators.


def blocks_of(path: Path, data: bytes, block_rows: int, range_bytes: int) -> list[Rows]:
    path.write_bytes(data)
    layout = read_layout(str(path), data)
    source = Source(str(path), len(data), "")
    parts, _ = find_blocks(InProcess(), source, layout, block_rows, range_bytes)
    return [block for part in parts for block in in_blocks(part.pieces(), block_rows, part.first)]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("ended", [True, False])
def test_line_ends_and_separators(
    separator: str, newline: str, quote: str, ended: bool, tmp_path: Path
) -> None:
    lines = [("emotion", "pixels", "Usage"), ("3", "1 2 3 4", "Training")]
    lines += [("6", "1 2 3", "PrivateTest"), ("0", "255 0 7 8", "PublicTest"), ("",)]
    lines += [("bored", "1 2 3 4", "Training"), ("5", "9 9 9 9", "PrivateTest")]
    texts = [
        separator.join(f"{quote}{cell}{quote}" if cell else "" for cell in line) for line in lines
    ]
    data = (newline.join(texts) + (newline if ended else "")).encode()
    for block_rows, range_bytes in [(1, 7), (2, 30), (100, 1000)]:
        found = join(blocks_of(tmp_path / "f.csv", data, block_rows, range_bytes))
        assert found.records == 5
        assert found.row.tolist() == [0, 2, 4]
        assert found.pixels.tolist() == [[1, 2, 3, 4], [255, 0, 7, 8], [9, 9, 9, 9]]
        assert found.emotion.tolist() == [3, 0, 5]
        assert found.usage.tolist() == [0, 1, 2]
        assert [(bad.line, bad.reason.partition(":")[0]) for bad in found.bad] == [
            (3, "too few pixels"),
            (6, "unknown emotion"),
        ]
        assert [data[bad.offset :].decode()[:3].strip('"')[:1] for bad in found.bad] == ["6", "b"]


def test_a_mac_line_in_another_file_is_one_bad_row() -> None:
    rows = read_text(HEADER + GOOD + b"3,1 2 3 4,Training\r3,1 2 3 4,Training\n" + GOOD)
    assert rows.row.tolist() == [0, 2]
    assert [(bad.line, bad.reason) for bad in rows.bad] == [
        (3, "wrong column count: 5, expected 3")
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_is_named(encoding: str) -> None:
    data = (HEADER + GOOD).decode().encode(encoding)
    data = data if encoding == "utf-16" else b"\xfe\xff" + data
    with pytest.raises(InputError, match=r"text in UTF-16: expected UTF-8 \(iconv"):
        read_layout("f.csv", data)


def test_no_row_with_the_headers_columns() -> None:
    with pytest.raises(InputError, match=r"no row has the header's 3 columns \(the first has 2\)"):
        read_layout("f.csv", HEADER + b"3,1 2 3 4\n" * 3)


def test_a_layout_of_a_head_that_ends_in_a_row() -> None:
    # What is cut off where the head ends says nothing of the file.
    head = HEADER + GOOD * 3
    assert read_layout("f.csv", head + b"3,1 2 3 4 5 6 7 8 9,Tr").side == 2
    assert read_layout("f.csv", head) == CsvLayout(("emotion", "pixels", "Usage"), 21, 2, 2)
