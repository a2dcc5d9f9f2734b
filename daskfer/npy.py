"""Arrays from .npy bytes, without Python's parser.

NumPy reads the header of a .npy with `ast.literal_eval`. CPython up to 3.12 counts the parser's
recursion depth in one place for all threads (python/cpython#106905), so that two threads that
read arrays at the same moment can fail with "SystemError: AST constructor recursion depth
mismatch". Workers read arrays in several threads all the time; a regular expression is enough
for the headers that this package writes.
"""

from __future__ import annotations

import io
import math
import os
import re
import zipfile
import zlib

import numpy as np

HEADER = re.compile(
    rb"\{'descr': '([^']+)', 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\), \}"
)
HEADER_BYTES = 128
"""Enough for the header of any array of numbers: NumPy pads it to a multiple of 64."""


def parse_header(start: bytes) -> tuple[np.dtype, tuple[int, ...], bool, int]:
    """What the first bytes of a .npy say.

    Parameters
    ----------
    start : bytes
        At least the whole header.

    Returns
    -------
    dtype : numpy.dtype
    shape : tuple of int
    fortran_order : bool
    offset : int
        Where the values start.

    Raises
    ------
    ValueError
        Not the header of an array of plain values, as `numpy.save` writes it (format 1.0).
    """
    if start[:8] != b"\x93NUMPY\x01\x00":
        raise ValueError(f"not a .npy file of format 1.0: it starts with {bytes(start[:8])!r}")
    offset = 10 + int.from_bytes(start[8:10], "little")
    found = HEADER.match(start, 10, offset)
    if found is None:
        raise ValueError(f"not a .npy of plain values: {bytes(start[10:offset])!r}")
    descr, order, shape = found.groups()
    try:
        dtype = np.dtype(descr.decode("ascii"))
    except (TypeError, SyntaxError) as error:
        raise ValueError(f"not a .npy of plain values: {descr!r} is no type") from error
    if dtype.hasobject:
        raise ValueError("a .npy of Python objects is not read: it would need pickle")
    sizes = tuple(int(size) for size in shape.split(b",") if size.strip())
    return dtype, sizes, order == b"True", offset


def from_bytes(data: bytes) -> np.ndarray:
    """The array in the bytes of a .npy; it is a copy and may be written to.

    Raises
    ------
    ValueError
        When it is no such file, or states more values than it has.
    """
    dtype, shape, fortran, offset = parse_header(data)
    stated = _count(shape) * dtype.itemsize
    if stated > len(data) - offset:
        # Before anything is asked of NumPy, which cannot count as far as a header may.
        raise ValueError(
            f"a .npy is cut off: it states {stated:,} bytes of values and has "
            f"{max(len(data) - offset, 0):,}"
        )
    flat = np.frombuffer(data, dtype, count=_count(shape), offset=offset)
    return flat.reshape(shape, order="F" if fortran else "C").copy()


def read(path: str) -> np.ndarray:
    """The array in a local .npy."""
    with open(path, "rb") as file:
        dtype, shape, fortran, offset = parse_header(file.read(HEADER_BYTES))
        file.seek(offset)
        flat = np.fromfile(file, dtype, count=_count(shape))
    if len(flat) != _count(shape):
        raise ValueError(f"{path} is cut off: {len(flat)} of {_count(shape)} values")
    return flat.reshape(shape, order="F" if fortran else "C")


def mapped(path: str) -> np.ndarray:
    """A local .npy as a read-only memory map: its pages are read as they are used."""
    with open(path, "rb") as file:
        dtype, shape, fortran, offset = parse_header(file.read(HEADER_BYTES))
    if not _count(shape):
        return np.empty(shape, dtype)
    order = "F" if fortran else "C"
    return np.memmap(path, dtype, mode="r", offset=offset, shape=shape, order=order)  # type: ignore[call-overload]


def is_whole(path: str) -> bool:
    """Whether a local file is a .npy of plain values, and has as many as it states."""
    try:
        with open(path, "rb") as file:
            dtype, shape, _, offset = parse_header(file.read(HEADER_BYTES))
            return os.fstat(file.fileno()).st_size == offset + _count(shape) * dtype.itemsize
    except (FileNotFoundError, ValueError):
        return False


def members(data: bytes) -> dict[str, np.ndarray]:
    """All arrays in the bytes of a .npz, by name.

    Its members are not compressed, as `numpy.savez` leaves them: so it takes no more memory than
    it has bytes, whatever it says.

    Raises
    ------
    ValueError
        When it is no such file, or its members have more bytes than it has itself.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            check_unpacked(archive, len(data))
            return {
                name.removesuffix(".npy"): from_bytes(archive.read(name))
                for name in archive.namelist()
            }
    except BROKEN_ZIP as error:
        raise ValueError(f"not a .npz: {error}") from error


BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What `zipfile` raises of files that are cut off, changed, encrypted or packed in other ways."""


def check_unpacked(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse an archive of `size` bytes whose members say that they have more than that.

    `zipfile` reads no more of a member than it says that it has.

    Raises
    ------
    ValueError
    """
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > size:
        raise ValueError(
            f"its members would take {unpacked:,} bytes and it has {size:,}: expected members "
            "that are not compressed"
        )


def _count(shape: tuple[int, ...]) -> int:
    """Number of values in an array of this shape."""
    return math.prod(shape)
