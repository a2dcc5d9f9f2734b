"""Zip and tar archives, read from where they lie: nothing of them is unpacked to disk."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Literal, Self

from daskfer import storage
from daskfer.errors import InputError, one_line
from daskfer.faces import EMOTIONS
from daskfer.ingest.decoding import BadImage
from daskfer.ingest.images import LIMIT, TOO_LARGE, Content, in_pieces
from daskfer.ingest.listing import as_unicode, is_clutter, is_image
from daskfer.ingest.rows import Rows
from daskfer.ingest.unpack import DAMAGE, damaged, unpacked

Form = Literal["zip", "tar"]

_STEP = 4096
"""Bytes of a member that are read at a time: `zipfile` unpacks all that bzip2 and LZMA make of
as many packed ones, which may be twenty thousand times more."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_ENCRYPTED = 0x1
_DAMAGE = (*DAMAGE, zipfile.BadZipFile, tarfile.TarError)


@dataclass(frozen=True)
class Member:
    """A file in an archive: its path there, and its unpacked size in bytes."""

    name: str
    bytes: int


@dataclass(frozen=True)
class _Entry:
    """A member that can be opened, until the next one is asked for."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def members(path: str, form: Form, compression: str = "") -> list[Member]:
    """List the files in an archive, in its order; a tar archive is read to its end for that.

    Links, hidden files and what systems leave behind are passed over.

    Parameters
    ----------
    path : str
        A path or an fsspec URL.
    form : {"zip", "tar"}
    compression : {"", "gzip", "bz2", "xz", "zstd"}
        Of a tar archive as a whole.

    Raises
    ------
    InputError
        When the archive is damaged, cut off or encrypted.
    """
    with _entries(path, form, compression) as entries:
        return [Member(entry.name, entry.size) for entry in entries]


@contextmanager
def open_member(path: str, form: Form, compression: str, name: str) -> Iterator[IO[bytes]]:
    """A stream of one member's unpacked bytes, from its beginning; see `members`.

    Raises
    ------
    InputError
        When there is no such member, or what is read proves damaged.
    """
    with _entries(path, form, compression) as entries:
        for entry in entries:
            if entry.name == name:
                with entry.open() as stream:
                    yield stream
                return
    raise InputError(f"{path} has no member {name}: has it changed since it was listed?")


@dataclass(frozen=True)
class ArchivedImages:
    """All images in an archive, in its order; see `members` for the attributes.

    Attributes
    ----------
    path, form, compression : str
    side : int
        Side of a face in pixels.
    first : int
        Number of the first image in the source.
    classes : tuple of str
        What folders may be named after.
    """

    path: str
    form: Form
    compression: str
    side: int
    first: int = 0
    classes: tuple[str, ...] = EMOTIONS

    def pieces(self) -> Iterator[Rows]:
        """Read and decode them."""
        return in_pieces(self.first, self.contents(), self.side, self.classes)

    def contents(self) -> Iterator[Content]:
        """Read them one after the other."""
        with _entries(self.path, self.form, self.compression) as entries:
            for entry in entries:
                if is_image(entry.name):
                    folders = entry.name.split("/")[:-1]
                    content = BadImage(TOO_LARGE) if entry.size > LIMIT else self._content(entry)
                    yield f"{self.path}:{entry.name}", folders, content

    def _content(self, image: _Entry) -> bytes | BadImage:
        if self.form == "tar":
            # Where one member is damaged, nobody knows where the next begins.
            return _read(image)
        try:
            return _read(image)
        except Exception as error:
            if not _is_damage(error):
                raise
            reason = one_line(error)
            return BadImage(f"archive member is damaged: {reason}")


def _read(entry: _Entry) -> bytes:
    with entry.open() as stream:
        return b"".join(iter(lambda: stream.read(_STEP), b""))


@contextmanager
def _entries(path: str, form: Form, compression: str) -> Iterator[Iterator[_Entry]]:
    """The files in an archive, while it is open."""
    try:
        with storage.open_binary(path) as file:
            if form == "zip":
                with _open_zip(path, file) as archive:
                    yield _zip_entries(path, archive)
            else:
                with unpacked(path, file, compression) as text:
                    yield _tar_entries(text, seekable=not compression)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; expected a {form} archive") from error
    except Exception as error:
        if not _is_damage(error):
            raise
        raise damaged(path, error) from error


def _is_damage(error: Exception) -> bool:
    # bz2 has no class of its own for it; an error of the system's has a number.
    unnumbered = type(error) is OSError and error.errno is None
    return unnumbered or isinstance(error, _DAMAGE)


def _open_zip(path: str, file: IO[bytes]) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except Exception as error:
        # A damaged directory shows itself as anything from BadZipFile to a UnicodeDecodeError.
        raise damaged(path, error) from error


def _zip_entries(path: str, archive: zipfile.ZipFile) -> Iterator[_Entry]:
    for info in archive.infolist():
        # Some programs of Windows write their own kind of slashes.
        name = _plain(info.filename.replace("\\", "/"))
        link = stat.S_ISLNK(info.external_attr >> 16)
        if not name or link or info.is_dir() or info.filename.endswith("\\"):
            continue
        if info.header_offset < 0:
            raise zipfile.BadZipFile("its beginning is missing")
        if info.flag_bits & _ENCRYPTED:
            raise InputError(
                f"{path} is encrypted (first: {name}): expected an archive without a password; "
                "unpack it and give the folder"
            )
        if info.compress_type not in _METHODS:
            raise InputError(
                f"{path} is packed by method {info.compress_type} (first: {name}): expected "
                "deflate, bzip2 or LZMA; unpack it and give the folder"
            )
        yield _Entry(name, info.file_size, partial(_unzipped, archive, info))


def _unzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    try:
        return archive.open(info)
    except (ValueError, NotImplementedError) as error:
        # A name that is no text, or what no program but PKWARE's reads.
        raise zipfile.BadZipFile(str(error)) from error


class _Header(tarfile.TarInfo):
    """A header of which damage is an error; `tarfile` takes it for the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                # The end mark.
                raise
            raise tarfile.ReadError(str(error)) from error


def _tar_entries(text: IO[bytes], *, seekable: bool) -> Iterator[_Entry]:
    mode: Literal["r:", "r|"] = "r:" if seekable else "r|"
    with tarfile.open(fileobj=text, mode=mode, tarinfo=_Header) as archive:
        while (info := archive.next()) is not None:
            # It keeps all headers that it has seen.
            archive.members.clear()  # type: ignore[attr-defined]
            if info.size < 0:
                # It would lead back to where it was read, again and again.
                raise tarfile.ReadError("a size below 0")
            name = _plain(info.name)
            if name and info.isreg():
                yield _Entry(name, info.size, partial(_extracted, archive, info))
    # The checksum of what is compressed stands behind the archive's end.
    while not seekable and text.read(1 << 16):
        pass


def _extracted(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    return archive.extractfile(info) or io.BytesIO()


def _plain(name: str) -> str:
    """A member's path without "./", or "" where a system left it behind."""
    folders = [folder for folder in as_unicode(name).split("/") if folder not in ("", ".")]
    return "" if any(map(is_clutter, folders)) else "/".join(folders)
