"""What a file is, told from its first bytes rather than from its name."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

from daskfer import storage
from daskfer.errors import InputError
from daskfer.ingest.listing import is_image
from daskfer.ingest.unpack import unpacked

EXPECTED = "CSV, Parquet or image files, a folder of them, or an archive of them"

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".pq")
COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz")

_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*", b"P5", b"P6")
_HEAD = 512

HEIC = "expected PNG or JPEG: convert HEIC and AVIF first (heif-convert, ImageMagick)"

_OTHERS = {
    b"%PDF": ("a PDF document", "save its images as PNG or JPEG"),
    b"\x93NUMPY": ("a NumPy array", "write its rows as Parquet or CSV"),
    b"\x89HDF": ("an HDF5 file", "write its rows as Parquet or CSV"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save it as CSV"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it"),
    b"Rar!": ("a RAR archive", "unpack it"),
}
"""Files that people have faces in and that are not read: their first bytes, and a way out."""


@dataclass(frozen=True)
class Kind:
    """A file's form, how it is compressed, and the archive that it is."""

    form: Literal["csv", "parquet", "images"]
    compression: str = ""
    archive: Literal["", "zip", "tar"] = ""


def is_table(name: str) -> bool:
    """Whether a file's name is that of a table, compressed or not."""
    name = name.lower()
    for suffix in COMPRESSED_SUFFIXES:
        name = name.removesuffix(suffix)
    return name.endswith(TABLE_SUFFIXES)


def is_heic(name: str) -> bool:
    """Whether a file's name is that of an image as phones take them, which are not read."""
    return name.lower().endswith((".heic", ".heif", ".avif"))


def is_archive(name: str) -> bool:
    """Whether a file's name is that of an archive."""
    name = name.lower()
    for suffix in COMPRESSED_SUFFIXES:
        name = name.removesuffix(suffix)
    return name.endswith(ARCHIVE_SUFFIXES)


def recognize(path: str) -> Kind:
    """What a file is; what looks like nothing else is taken for CSV.

    Raises
    ------
    InputError
        When it is of a kind that is known not to be read.
    """
    head = storage.read_bytes(path, 0, _HEAD)
    for magic, (what, way) in _OTHERS.items():
        if head.startswith(magic):
            raise InputError(f"{path} is {what}: expected {EXPECTED}; {way}")
    if head[4:8] == b"ftyp" and not is_image(path):
        raise InputError(f"{path} is a HEIC or AVIF image, or a film: {HEIC}")
    for magic, compression in _COMPRESSIONS.items():
        if head.startswith(magic):
            with storage.open_binary(path) as file, unpacked(path, file, compression) as text:
                tar = _is_tar(text.read(_HEAD))
            return Kind("csv", compression, "tar" if tar else "")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return Kind("csv", "", "zip")
    if _is_tar(head):
        return Kind("csv", "", "tar")
    if head.startswith(b"PAR1"):
        return Kind("parquet")
    return Kind("images") if _is_image(head) else Kind("csv")


def _is_tar(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def _is_image(head: bytes) -> bool:
    if not head.startswith((*_IMAGES, b"RIFF")):
        return False
    if head.startswith(b"RIFF"):
        return head[8:12] == b"WEBP"
    # The short signatures are letters that a text may begin with too.
    return not head.startswith((b"BM", b"P5", b"P6")) or not _is_text(head)


def _is_text(head: bytes) -> bool:
    line = io.BytesIO(head).readline()
    return b"," in line and line.rstrip().isascii() and b"\0" not in line
