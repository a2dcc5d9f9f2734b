"""Compressed files, unpacked as they are read."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from daskfer.errors import InputError, one_line

DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)


@contextmanager
def unpacked(path: str, file: IO[bytes], compression: str) -> Iterator[IO[bytes]]:
    """A stream of what a file holds, compressed in this way or not at all.

    Raises
    ------
    InputError
        When it is cut off or damaged; `path` is its name in the message.
    """
    try:
        with _opened(file, compression) as stream:
            yield stream
    except DAMAGE as error:
        raise damaged(path, error) from error
    except OSError as error:
        # Arrow and bz2 have no class of their own for damage; a system's error has a number.
        if error.errno is not None or not compression:
            raise
        raise damaged(path, error) from error


def damaged(path: str, error: Exception) -> InputError:
    """The error of a file whose packing is broken."""
    return InputError(
        f"{path} is cut off or damaged ({one_line(error)}): get it again, or unpack what can be "
        "unpacked and give that"
    )


def _opened(file: IO[bytes], compression: str) -> IO[bytes]:
    if compression == "gzip":
        return gzip.open(file)  # type: ignore[return-value]
    if compression == "bz2":
        return bz2.open(file)
    if compression == "xz":
        return lzma.open(file)
    if compression == "zstd":
        import pyarrow as pa

        stream: IO[bytes] = pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")
        return stream
    return file


def read_fully(stream: IO[bytes], size: int) -> bytes:
    """So many bytes of a stream that may give fewer at a time; fewer only at its end."""
    parts = []
    while size > 0 and (data := stream.read(size)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)
