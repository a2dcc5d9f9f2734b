"""Archives: the same rows as from a folder, in every packing, and damaged ones."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from daskfer import storage
from daskfer.errors import InputError
from daskfer.faces import EMOTIONS, TRAINING, UNKNOWN
from daskfer.ingest import archives
from daskfer.ingest.archives import ArchivedImages, Member, members, open_member
from daskfer.ingest.images import ImageFiles
from daskfer.ingest.rows import Rows, join

Files = dict[str, bytes]


def png(seed: int, side: int = 4) -> bytes:
    face = np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(face).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: Files, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zstd(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, "zstd", asbytes=True)
    return packed


PACKINGS: dict[str, tuple[str, str, Callable[[Files], bytes]]] = {
    "stored.zip": ("zip", "", lambda files: zipped(files, zipfile.ZIP_STORED)),
    "deflated.zip": ("zip", "", zipped),
    "bzip2.zip": ("zip", "", lambda files: zipped(files, zipfile.ZIP_BZIP2)),
    "lzma.zip": ("zip", "", lambda files: zipped(files, zipfile.ZIP_LZMA)),
    "pax.tar": ("tar", "", tarred),
    "gnu.tar": ("tar", "", lambda files: tarred(files, tarfile.GNU_FORMAT)),
    "x.tar.gz": ("tar", "gzip", lambda files: gzip.compress(tarred(files))),
    "x.tar.bz2": ("tar", "bz2", lambda files: bz2.compress(tarred(files))),
    "x.tar.xz": ("tar", "xz", lambda files: lzma.compress(tarred(files))),
    "x.tar.zst": ("tar", "zstd", lambda files: zstd(tarred(files))),
}
FACES = {
    "train/angry/2.png": png(2),
    "train/angry/1.png": png(1),
    "train/joy/" + "long " * 40 + "ü.png": png(3),
    "notes.txt": b"no face",
    "bad.png": b"no image",
    "4.png": png(4),
}


@pytest.fixture(params=["disk", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder on disk, and one in fsspec's memory."""
    if request.param == "disk":
        yield str(tmp_path)
        return
    yield "memory://archives-test"
    memory = fsspec.filesystem("memory")
    if memory.exists("/archives-test"):
        memory.rm("/archives-test", recursive=True)


def write(root: str, packing: str, files: Files) -> tuple[str, Any, str]:
    form, compression, pack = PACKINGS[packing]
    path = storage.join(root, packing)
    storage.write_whole(path, pack(files))
    return path, form, compression


def read(path: str, form: Any, compression: str, side: int = 4) -> Rows:
    return join(list(ArchivedImages(path, form, compression, side).pieces()))


def refused(function: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(InputError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("packing", PACKINGS)
def test_members_in_the_archives_order(root: str, packing: str) -> None:
    archive = write(root, packing, FACES)
    assert members(*archive) == [Member(name, len(data)) for name, data in FACES.items()]


@pytest.mark.parametrize("packing", PACKINGS)
def test_rows_as_from_a_folder(root: str, packing: str) -> None:
    archive = write(root, packing, FACES)
    names = [name for name in FACES if name.endswith(".png")]
    for name in names:
        storage.write_whole(storage.join(root, "folder", name), FACES[name])
    found = read(*archive)
    (expected,) = ImageFiles(storage.join(root, "folder"), tuple(names), 0, 4).pieces()
    assert found.records == expected.records == 5
    for field in ("row", "pixels", "emotion", "usage", "bad_row"):
        assert np.array_equal(getattr(found, field), getattr(expected, field)), field
    assert found.names == tuple(f"{archive[0]}:{name}" for name in names if name != "bad.png")
    (bad,) = found.bad
    assert (bad.source, bad.line, bad.offset) == (f"{archive[0]}:bad.png", None, None)
    assert bad.reason == expected.bad[0].reason


def test_labels_of_folders(tmp_path: Path) -> None:
    rows = read(*write(str(tmp_path), "deflated.zip", FACES))
    angry, happy = EMOTIONS.index("angry"), EMOTIONS.index("happy")
    assert rows.emotion.tolist() == [angry, angry, happy, UNKNOWN]
    assert rows.usage.tolist() == [TRAINING] * 3 + [UNKNOWN]


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_member_is_a_stream(root: str, packing: str) -> None:
    table = b"emotion,pixels\n" + b"0,1 2 3 4\n" * 50_000
    archive = write(root, packing, {"a.txt": b"a", "deep/faces.csv": table, "z.txt": b"z"})
    with open_member(*archive, "deep/faces.csv") as stream:
        assert stream.read(8) == b"emotion,"
        rest = b"".join(iter(lambda: stream.read(100_000), b""))
    assert b"emotion," + rest == table
    with open_member(*archive, "z.txt") as stream:
        assert stream.read() == b"z"


@pytest.mark.parametrize("packing", ["deflated.zip", "pax.tar", "x.tar.gz"])
def test_a_member_that_is_not_there(tmp_path: Path, packing: str) -> None:
    archive = write(str(tmp_path), packing, {"a.csv": b"a"})

    def read_member() -> bytes:
        with open_member(*archive, "b.csv") as stream:
            return stream.read()

    assert f"{archive[0]} has no member b.csv" in refused(read_member)


@pytest.mark.parametrize("packing", ["deflated.zip", "pax.tar", "x.tar.gz"])
def test_errors_of_who_reads_stay_their_own(tmp_path: Path, packing: str) -> None:
    archive = write(str(tmp_path), packing, {"a.csv": b"a"})
    with pytest.raises(KeyError, match="mine"), open_member(*archive, "a.csv"):
        raise KeyError("mine")


@pytest.mark.parametrize("packing", ["deflated.zip", "pax.tar"])
def test_what_systems_leave_is_passed_over(tmp_path: Path, packing: str) -> None:
    left = [".DS_Store", "__MACOSX/a/._1.png", "a/Thumbs.db", "a/.git/1.png", "../1.png"]
    archive = write(str(tmp_path), packing, dict.fromkeys(left, b"x") | {"./a/1.png": png(1)})
    assert members(*archive) == [Member("a/1.png", len(png(1)))]
    assert read(*archive).names == (f"{archive[0]}:a/1.png",)
    with open_member(*archive, "a/1.png") as stream:
        assert stream.read() == png(1)


def test_folders_and_links_are_no_members(tmp_path: Path) -> None:
    path = str(tmp_path / "x.tar")
    with tarfile.open(path, "w") as tar:
        for name, kind in [("f", tarfile.DIRTYPE), ("l.png", tarfile.SYMTYPE),
                           ("h.png", tarfile.LNKTYPE), ("p.png", tarfile.FIFOTYPE)]:  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "1.png"
            tar.addfile(info)
    assert members(path, "tar") == []
    path = str(tmp_path / "x.zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("f.png")
        archive.writestr("windows\\folder.png\\", b"")
        link = zipfile.ZipInfo("l.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "1.png")
    assert members(path, "zip") == []


def test_slashes_of_windows(tmp_path: Path) -> None:
    archive = write(str(tmp_path), "deflated.zip", {"train\\happy\\1.png": png(1)})
    rows = read(*archive)
    assert rows.names == (f"{archive[0]}:train/happy/1.png",)
    assert rows.emotion.tolist() == [EMOTIONS.index("happy")]


def test_a_name_twice_is_two_records(tmp_path: Path) -> None:
    path = str(tmp_path / "x.tar")
    for seed in (1, 2):
        with tarfile.open(path, "a") as tar:
            info = tarfile.TarInfo("1.png")
            info.size = len(png(seed))
            tar.addfile(info, io.BytesIO(png(seed)))
    rows = read(path, "tar", "")
    assert rows.row.tolist() == [0, 1]
    assert (rows.pixels[0] != rows.pixels[1]).any()


def test_names_that_are_not_unicode_can_be_written_down(tmp_path: Path) -> None:
    path = str(tmp_path / "x.tar")
    with tarfile.open(path, "w", encoding="latin-1", format=tarfile.GNU_FORMAT) as tar:
        info = tarfile.TarInfo("sad/é.png")
        info.size = len(png(1))
        tar.addfile(info, io.BytesIO(png(1)))
    (name,) = read(path, "tar", "").names or ()
    assert name.encode().endswith(b"sad/\\udce9.png")


@pytest.mark.parametrize("packing", ["deflated.zip", "pax.tar", "x.tar.zst"])
def test_pieces_are_bounded_and_consecutive(root: str, packing: str) -> None:
    path, form, compression = write(
        root, packing, {f"{number}.png": png(number % 5) for number in range(520)}
    )
    pieces = list(ArchivedImages(path, form, compression, 4, first=100).pieces())
    assert [piece.records for piece in pieces] == [256, 256, 8]
    assert [int(piece.row[0]) for piece in pieces] == [100, 356, 612]
    assert join(pieces).row.tolist() == list(range(100, 620))


def test_a_part_goes_to_other_processes() -> None:
    part = ArchivedImages("/x.tar.gz", "tar", "gzip", 48)
    assert pickle.loads(pickle.dumps(part)) == part


def test_an_archive_without_images(tmp_path: Path) -> None:
    for packing in PACKINGS:
        path, form, compression = write(str(tmp_path), packing, {"a.txt": b"a"})
        assert list(ArchivedImages(path, form, compression, 4).pieces()) == []
        path, form, compression = write(str(tmp_path), packing, {})
        assert members(path, form, compression) == []


@pytest.mark.parametrize("packing", ["deflated.zip", "pax.tar", "x.tar.gz"])
def test_a_member_that_is_too_large(
    tmp_path: Path, packing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write(str(tmp_path), packing, {"a.png": png(1) + bytes(5000), "b.png": png(2)})
    monkeypatch.setattr(archives, "LIMIT", 4000)
    rows = read(*archive)
    assert rows.row.tolist() == [1]
    assert rows.bad[0].reason.startswith("file too large: ")


# Damage


def test_a_damaged_member_of_a_zip_is_a_bad_row(root: str) -> None:
    files = {f"{number}.png": png(number, 48) for number in range(4)}
    path = storage.join(root, "x.zip")
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        data = bytearray(zipped(files, method))
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            info = archive.getinfo("1.png")
        middle = info.header_offset + 30 + len(info.filename) + info.compress_size // 2
        data[middle] ^= 0xFF
        storage.write_whole(path, bytes(data))
        rows = read(path, "zip", "", side=48)
        assert rows.row.tolist() == [0, 2, 3], method
        assert rows.bad[0].source == f"{path}:1.png"
        assert rows.bad[0].reason.startswith("archive member is damaged: ")


@pytest.mark.parametrize("claimed", [10, 1 << 31])
def test_a_zip_that_lies_about_a_size(tmp_path: Path, claimed: int) -> None:
    data = zipped({"a.png": png(1), "b.png": png(2)})
    size = len(png(1)).to_bytes(4, "little")
    entry = data.index(b"PK\1\2")
    assert data[entry + 24 : entry + 28] == size
    data = data[: entry + 24] + claimed.to_bytes(4, "little") + data[entry + 28 :]
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    rows = read(str(path), "zip", "")
    assert rows.row.tolist() == [1]
    kind = rows.bad[0].reason.partition(":")[0]
    assert kind == ("archive member is damaged" if claimed == 10 else "file too large")


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_an_archive_that_is_cut_off(root: str, packing: str, share: float) -> None:
    path, form, compression = write(
        root, packing, {f"{number}.png": png(number, 48) for number in range(9)}
    )
    data = storage.read_bytes(path)
    storage.write_whole(path, data[: int(len(data) * share)])
    message = refused(members, path, form, compression)
    assert message.startswith(f"{path} is cut off or damaged (")
    assert refused(read, path, form, compression) == message


def test_a_tar_that_is_cut_off_between_members(tmp_path: Path) -> None:
    data = tarred({"a.png": png(1), "b.png": png(2)}, tarfile.GNU_FORMAT)
    path = tmp_path / "x.tar"
    path.write_bytes(data[:1024])
    assert "is cut off or damaged" in refused(members, str(path), "tar")


def test_a_damaged_header_is_not_the_end_of_a_tar(tmp_path: Path) -> None:
    data = bytearray(tarred({"a.png": png(1), "b.png": png(2)}, tarfile.GNU_FORMAT))
    data[1024] ^= 1
    path = tmp_path / "x.tar"
    path.write_bytes(data)
    assert "(bad checksum)" in refused(members, str(path), "tar")
    path.write_bytes(gzip.compress(bytes(data)))
    assert "(bad checksum)" in refused(members, str(path), "tar", "gzip")


@pytest.mark.parametrize("size", ["-512", "-1024"])
def test_a_size_below_zero_does_not_lead_back(tmp_path: Path, size: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("a.png")
        info.pax_headers = {"size": size}
        tar.addfile(info)
    path = tmp_path / "x.tar"
    path.write_bytes(buffer.getvalue())
    assert "is cut off or damaged" in refused(members, str(path), "tar")


def test_the_checksum_behind_a_packed_tar_is_read(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(tarred(FACES)))
    data[-6] ^= 1
    path = tmp_path / "x.tar.gz"
    path.write_bytes(data)
    assert "CRC check failed" in refused(members, str(path), "tar", "gzip")


def test_an_encrypted_zip(tmp_path: Path) -> None:
    data = bytearray(zipped({"folder/a.png": png(1)}))
    data[data.index(b"PK\1\2") + 8] |= 1
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    message = refused(members, str(path), "zip")
    assert message.startswith(f"{path} is encrypted (first: folder/a.png)")
    assert "unpack it" in message


def test_a_zip_packed_by_another_method(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.png": png(1)}))
    data[data.index(b"PK\1\2") + 10] = 9
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    assert "packed by method 9 (first: a.png)" in refused(members, str(path), "zip")


def test_a_zip_with_a_feature_that_is_not_there(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.png": png(1), "b.png": png(2)}))
    # Patch data, which only PKWARE's own program reads.
    data[data.index(b"PK\1\2") + 8] |= 0x20
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    rows = read(str(path), "zip", "")
    assert rows.row.tolist() == [1]
    assert "patched data" in rows.bad[0].reason


def test_a_zip_whose_headers_differ(tmp_path: Path) -> None:
    data = zipped({"ä.png": png(1), "b.png": png(2)})
    path = tmp_path / "x.zip"
    for name in (b"\xc3\x28.png", "ö.png".encode()):
        path.write_bytes(data.replace("ä.png".encode(), name, 1))
        rows = read(str(path), "zip", "")
        assert rows.row.tolist() == [1]
        assert rows.bad[0].reason.startswith("archive member is damaged: ")


def test_an_error_of_the_disk_is_not_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    for packing in ("pax.tar", "x.tar.gz"):
        archive = write(str(tmp_path), packing, {"a.png": png(1)})
        data = storage.read_bytes(archive[0])
        with monkeypatch.context() as patch:
            patch.setattr(storage, "open_binary", lambda _, data=data: Broken(data))
            with pytest.raises(OSError, match="Input/output error"):
                members(*archive)


def test_what_is_no_archive(root: str) -> None:
    path = storage.join(root, "x")
    packings = {(form, compression) for form, compression, _ in PACKINGS.values()}
    for data in (b"", b"no archive", b"x" * 3000):
        storage.write_whole(path, data)
        for form, compression in sorted(packings):
            assert path in refused(members, path, form, compression)


def test_an_archive_that_is_gone(root: str) -> None:
    for form in ("zip", "tar"):
        assert "no such file" in refused(members, storage.join(root, "gone"), form)


def test_a_member_that_breaks_while_it_is_read(tmp_path: Path) -> None:
    table = np.random.default_rng(0).bytes(300_000)
    for packing in PACKINGS:
        archive = write(str(tmp_path), packing, {"faces.csv": table, "z.txt": b"z"})
        data = bytearray(storage.read_bytes(archive[0]))
        middle = slice(len(data) // 2, len(data) // 2 + 200)
        if archive[1] == "zip":
            data[middle] = bytes(200)
        else:
            # The checksum of a tar stands at its end; `members` has read it before.
            del data[middle.start :]
        storage.write_whole(archive[0], bytes(data))

        def read_member(archive: tuple[str, Any, str] = archive) -> bytes:
            with open_member(*archive, "faces.csv") as stream:
                return b"".join(iter(lambda: stream.read(1000), b""))

        assert "is cut off or damaged" in refused(read_member), packing


SMALL = {"angry/1.png": png(1), "sad/é.png": png(2), "faces.csv": b"emotion,pixels\n" * 9}


@settings(max_examples=200)
@given(
    st.sampled_from(sorted(PACKINGS)),
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), min_size=1, max_size=3),
    st.integers(0, 20_000),
)
def test_damage_is_an_input_error_or_a_bad_row(
    packing: str, changes: list[tuple[int, int]], length: int
) -> None:
    form, compression, pack = PACKINGS[packing]
    data = bytearray(pack(SMALL))
    for place, value in changes:
        data[place % len(data)] = value
    path = "memory://archives-damage"
    storage.write_whole(path, bytes(data[: max(length, 1)]))

    def read_member(*archive: Any) -> bytes:
        with open_member(*archive, "faces.csv") as stream:
            return stream.read()

    def read_images(*archive: Any) -> list[Rows]:
        return list(ArchivedImages(*archive, 4).pieces())

    messages = []
    for function in (members, read_images, read_member):
        try:
            function(path, form, compression)
        except InputError as error:
            messages.append(str(error))
    assert all(message.startswith(path) for message in messages)
