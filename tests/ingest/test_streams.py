"""Packed CSV files: the same rows as unpacked, one line when they are damaged, little memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from daskfer.errors import InputError
from daskfer.ingest.finding import find_sources
from daskfer.ingest.rows import Rows, join
from daskfer.ingest.sources import Source
from daskfer.ingest.streams import CsvStream, layout_of
from daskfer.ingest.unpack import read_fully

RANDOM = np.random.default_rng(8)
TEXT = b"emotion,pixels,Usage\n" + b"".join(
    b"%d,%s,Training\n" % (row % 7, " ".join(map(str, RANDOM.integers(0, 256, 16))).encode())
    if row % 20 != 7
    else b"%d,1 2 3,Training\n" % row
    for row in range(400)
)


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._faces.csv", "x")
        archive.writestr("README.txt", "faces")
        archive.writestr("data/faces.csv", data)
    return buffer.getvalue()


def tarred(data: bytes, mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in [("fer/README", b"faces"), ("fer/faces.csv", data)]:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "faces.csv.gz": gzip.compress,
    "two members.csv.gz": lambda data: gzip.compress(data[:3000]) + gzip.compress(data[3000:]),
    "faces.csv.bz2": bz2.compress,
    "faces.csv.xz": lzma.compress,
    "faces.csv.zst": lambda data: pa.compress(data, "zstd", asbytes=True),
    "faces.zip": zipped,
    "faces.tar": lambda data: tarred(data, "w:"),
    "faces.tar.gz": lambda data: tarred(data, "w:gz"),
    "faces.tar.xz": lambda data: tarred(data, "w:xz"),
    # Its name says nothing; its first bytes do.
    "faces": gzip.compress,
}


def read(source: Source) -> Rows:
    return join(list(CsvStream(source, layout_of(source)).pieces()))


@pytest.mark.parametrize("name", PACKINGS)
def test_the_same_rows_as_unpacked(name: str, tmp_path: Path) -> None:
    plain = tmp_path / "plain.csv"
    plain.write_bytes(TEXT)
    (tmp_path / name).write_bytes(PACKINGS[name](TEXT))
    (expected,) = map(read, find_sources([str(plain)]))
    (source,) = find_sources([str(tmp_path / name)])
    assert source.packed
    found = read(source)
    assert found.records == expected.records == 400
    assert len(found.bad) == 20
    for field in ("row", "pixels", "emotion", "usage", "bad_row"):
        np.testing.assert_array_equal(getattr(found, field), getattr(expected, field))
    # Lines and offsets are those of the unpacked text; the source is the packed file.
    assert [(bad.line, bad.offset, bad.reason) for bad in found.bad] == [
        (bad.line, bad.offset, bad.reason) for bad in expected.bad
    ]
    assert {bad.source for bad in found.bad} == {source.name}
    member = {"faces.zip": ":data/faces.csv"}.get(name, "")
    member = ":fer/faces.csv" if ".tar" in name else member
    assert source.name == str(tmp_path / name) + member


@pytest.mark.parametrize("name", [name for name in PACKINGS if name != "faces.tar"])
@pytest.mark.parametrize("share", [0.5, 0.98])
def test_a_file_that_is_cut_off_says_so(name: str, share: float, tmp_path: Path) -> None:
    packed = PACKINGS[name](TEXT)
    (tmp_path / name).write_bytes(packed[: int(len(packed) * share)])
    with pytest.raises(InputError) as caught:
        list(map(read, find_sources([str(tmp_path / name)])))
    message = str(caught.value)
    assert str(tmp_path / name) in message
    assert "\n" not in message
    assert "damaged" in message or "cut off" in message


def test_a_gzip_file_with_a_wrong_checksum_says_so(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 1
    (tmp_path / "f.csv.gz").write_bytes(packed)
    with pytest.raises(InputError, match="CRC"):
        list(map(read, find_sources([str(tmp_path / "f.csv.gz")])))


def test_an_archive_without_faces_names_what_is_in_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("notes.docx", "x")
    with pytest.raises(InputError, match=r"a\.zip holds no faces.*found notes\.docx"):
        find_sources([str(tmp_path / "a.zip")])


def test_several_tables_in_an_archive_are_several_sources(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("train.csv", TEXT)
        archive.writestr("test.csv", b"pixels\n1 2 3 4\n")
    found = find_sources([str(tmp_path / "a.zip")])
    assert [source.member for source in found] == ["train.csv", "test.csv"]
    assert [read(source).records for source in found] == [400, 1]


def test_read_fully_reads_on_when_a_stream_gives_little() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 3))

    assert read_fully(Slow(b"abcdefgh"), 7) == b"abcdefg"
    assert read_fully(Slow(b"abcdefgh"), 100) == b"abcdefgh"
