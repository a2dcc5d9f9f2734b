"""Files written whole or not at all, on a local disk or behind an fsspec URL."""

from __future__ import annotations

import io
import json
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np


def is_url(path: str) -> bool:
    """Whether a path is an fsspec URL rather than a local one."""
    return "://" in path


def join(folder: str, *names: str) -> str:
    """The path of something in a folder."""
    return "/".join([folder.rstrip("/"), *names])


def exists(path: str) -> bool:
    """Whether a file is there."""
    if is_url(path):
        filesystem, inner = filesystem_of(path)
        return bool(filesystem.exists(inner))
    return os.path.exists(path)


def read_bytes(path: str, start: int = 0, stop: int | None = None) -> bytes:
    """The bytes of a file from `start` up to `stop` (its end by default)."""
    if is_url(path):
        filesystem, inner = filesystem_of(path)
        return bytes(filesystem.cat_file(inner, start=start, end=stop))
    with open(path, "rb") as file:
        file.seek(start)
        return file.read(-1 if stop is None else stop - start)


def open_binary(path: str) -> BinaryIO:
    """A file to read from, with `read` and `seek`; the caller closes it."""
    if is_url(path):
        filesystem, inner = filesystem_of(path)
        found: BinaryIO = filesystem.open(inner, "rb")
        return found
    return open(path, "rb")


def write_whole(path: str, data: bytes | memoryview) -> None:
    """Write a file so that a reader sees all of it or none of it.

    Locally: a neighbour with a unique name, which is then renamed. Object stores show an object
    only when its upload ends, so there a plain write does; other remote file systems (sftp,
    smb) give no such promise.
    """
    if is_url(path):
        filesystem, inner = filesystem_of(path)
        filesystem.makedirs(filesystem._parent(inner), exist_ok=True)
        filesystem.pipe_file(inner, bytes(data))
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # The name is short, so that a target with a long name has room for it.
    neighbour = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with neighbour.open("wb") as file:
            file.write(data)
        os.replace(neighbour, target)
    finally:
        neighbour.unlink(missing_ok=True)


def write_text(path: str, text: str) -> None:
    """Write a text file whole, as UTF-8; names of files that are not UTF-8 are spelt out."""
    write_whole(path, text.encode(errors="backslashreplace"))


def write_json(path: str, value: Any) -> None:
    """Write plain values as JSON, whole."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str) -> Any:
    """Plain values from a JSON file."""
    return json.loads(read_bytes(path))


def write_array(path: str, array: np.ndarray) -> None:
    """Write one array as .npy, whole."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    write_whole(path, buffer.getbuffer())


def read_array(path: str, *, mapped: bool = False) -> np.ndarray:
    """One array from .npy; `mapped` reads a local file's pages only as they are used."""
    from daskfer import npy

    if is_url(path):
        return npy.from_bytes(read_bytes(path))
    return npy.mapped(path) if mapped else npy.read(path)


def write_arrays(path: str, **arrays: np.ndarray) -> None:
    """Write several named arrays as .npz, whole."""
    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_whole(path, buffer.getbuffer())


def read_arrays(path: str) -> dict[str, np.ndarray]:
    """All named arrays of a .npz."""
    from daskfer import npy

    return npy.members(read_bytes(path))


def filesystem_of(path: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it."""
    import fsspec

    found: tuple[Any, str] = fsspec.core.url_to_fs(path)
    return found


def version_of(filesystem: Any, inner: str, info: dict[str, Any]) -> str:
    """What changes when a remote file does: its ETag, checksum or time of change.

    Where its server says none of these, fsspec's key of it, which is made from all that is known.
    """
    for field in ("ETag", "etag", "md5Hash", "Content-MD5", "LastModified", "Last-Modified",
                  "last_modified", "mtime", "updated", "created"):  # fmt: skip
        if info.get(field):
            return str(info[field])
    return str(filesystem.ukey(inner))
