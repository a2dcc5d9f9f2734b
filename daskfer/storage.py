"""Files written whole or not at all, on a local disk or behind an fsspec URL."""

from __future__ import annotations

import errno
import io
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from daskfer.errors import DaskferError, one_line

if TYPE_CHECKING:
    import numpy as np

READ_AHEAD = 4 << 20
"""Bytes that are fetched beyond what is asked of a remote file: enough that many small reads make
few requests, little beside a block of rows. s3fs alone would fetch 50 MB for each block."""

WEB = ("http://", "https://")

_BUCKETS = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "oci")
"""Protocols without folders, where to make the folders of a file is to make its bucket."""

_PACKAGES = {
    "s3": "pip install 'daskfer[s3]'",
    "s3a": "pip install 'daskfer[s3]'",
    "http": "pip install 'daskfer[http]'",
    "https": "pip install 'daskfer[http]'",
}

SYNC_THREADS = 8
"""Files that are put onto the disk at once: of many small ones it takes several together."""

_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
"""What disks answer that know no syncing; they must do without."""

_UNREACHED = "check AWS_ENDPOINT_URL and the network (AWS_MAX_ATTEMPTS=1 gives up sooner)"
_WAYS_OUT = {
    "NoCredentialsError": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; "
    "FSSPEC_S3_ANON=true reads a public bucket without",
    "EndpointConnectionError": _UNREACHED,
    "ConnectTimeoutError": _UNREACHED,
    "ReadTimeoutError": _UNREACHED,
}
"""What to do about errors of botocore's, which are no `OSError`s, by their names."""


class StorageError(DaskferError):
    """A remote file system that cannot be opened, reached or written to."""


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
        # Others write too, and some file systems remember what they have listed.
        filesystem.invalidate_cache(inner)
        with _named(path, "read"):
            return bool(filesystem.exists(inner))
    return os.path.exists(path)


def read_bytes(path: str, start: int = 0, stop: int | None = None) -> bytes:
    """The bytes of a file from `start` up to `stop` (its end by default)."""
    if is_url(path):
        return _fetch(path, start, stop)
    with open(path, "rb") as file:
        file.seek(start)
        return file.read(-1 if stop is None else stop - start)


def open_binary(path: str) -> BinaryIO:
    """A file to read from, with `read` and `seek`; the caller closes it.

    Where only whole files are sent (see `gives_ranges`) it cannot `seek`.
    """
    if not is_url(path):
        return open(path, "rb")
    ranges = gives_ranges(path)
    filesystem, inner = filesystem_of(path)
    with _named(path, "read"):
        found: BinaryIO = filesystem.open(inner, "rb", block_size=READ_AHEAD if ranges else 0)
    return found if ranges else io.BufferedReader(_Stream(path, found), READ_AHEAD)


@lru_cache(maxsize=1024)
def gives_ranges(path: str) -> bool:
    """Whether parts of a file can be read; some web servers answer with all of it."""
    if not path.startswith(WEB):
        return True
    filesystem, inner = filesystem_of(path)
    with _named(path, "read"), filesystem.open(inner, "rb", block_size=1) as file:
        try:
            file.seek(max((file.size or 0) - 1, 0))
            file.read(1)
        except ValueError:
            # fsspec says so before it has read the answer.
            return False
        return True


def write_whole(path: str, data: bytes | memoryview, *, sync: bool = True) -> None:
    """Write a file so that a reader sees all of it or none of it.

    Locally: a neighbour with a unique name, which is then renamed. Object stores show an object
    only when its upload ends, so there a plain write does; other remote file systems (sftp,
    smb) give no such promise. A bucket must be there already.

    Parameters
    ----------
    path : str
    data : bytes or memoryview
    sync : bool
        Whether a local file is on the disk before it has its name, and its name before this
        returns; else a power cut may leave the name with nothing or half behind it. Who writes
        many files without calls `sync_files` for all of them, before anything says that they are
        there.
    """
    if is_url(path):
        _send(path, bytes(data))
        return
    target = Path(path)
    _make_folder(target.parent)
    # The name is short, so that a target with a long name has room for it.
    neighbour = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with neighbour.open("wb") as file:
            file.write(data)
            if sync:
                file.flush()
                _sync(file.fileno())
        os.replace(neighbour, target)
        if sync:
            sync_folder(str(target.parent))
    except OSError as error:
        if error.errno is not None:
            # A full disk names no file, and the neighbour's name says nothing to anybody.
            error.filename, error.filename2 = str(target), None
        raise
    finally:
        neighbour.unlink(missing_ok=True)


def write_new(path: str, data: bytes, *, sync: bool = True) -> bool:
    """Write a file whole unless it is there; false when it is.

    Of several that do so at the same time, one succeeds. Where a disk has no links to make that
    sure, or a remote file system does not know what it is to write a new file only, all of them
    may. `sync` is as in `write_whole`.
    """
    if is_url(path):
        return _send_new(path, data)
    target = Path(path)
    _make_folder(target.parent)
    neighbour = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with neighbour.open("wb") as file:
            file.write(data)
            if sync:
                file.flush()
                _sync(file.fileno())
        try:
            os.link(neighbour, target)
        except FileExistsError:
            return False
        except OSError:
            os.replace(neighbour, target)
        if sync:
            sync_folder(str(target.parent))
        return True
    finally:
        neighbour.unlink(missing_ok=True)


def sync_files(paths: Iterable[str]) -> None:
    """Have local files on the disk, and their names: a power cut does not take them any more."""
    local = [path for path in paths if not is_url(path)]
    if len(local) == 1:
        _sync_file(local[0])
    elif local:
        with ThreadPoolExecutor(SYNC_THREADS) as pool:
            list(pool.map(_sync_file, local))
    for folder in {os.path.dirname(path) or "." for path in local}:
        sync_folder(folder)


def sync_folder(folder: str) -> None:
    """Have the names of the files in a local folder on the disk, where the system can do that."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _sync_file(path: str) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        _sync(number)
    finally:
        os.close(number)


def _sync(number: int) -> None:
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it; their names are on the disk then, too."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        sync_folder(str(one.parent))


def write_text(path: str, text: str) -> None:
    """Write a text file whole, as UTF-8; names of files that are not UTF-8 are spelt out."""
    write_whole(path, text.encode(errors="backslashreplace"))


def write_json(path: str, value: Any) -> None:
    """Write plain values as JSON, whole."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str) -> Any:
    """Plain values from a JSON file."""
    return json.loads(read_bytes(path))


def write_array(path: str, array: np.ndarray, *, sync: bool = True) -> None:
    """Write one array as .npy, whole; `sync` is as in `write_whole`."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    write_whole(path, buffer.getbuffer(), sync=sync)


def has_array(path: str) -> bool:
    """Whether a .npy is there, and locally also whether it is as long as it says.

    A file that was not synced may be shorter after a power cut.
    """
    from daskfer import npy

    return exists(path) if is_url(path) else npy.is_whole(path)


def read_array(path: str, *, mapped: bool = False) -> np.ndarray:
    """One array from .npy; `mapped` reads a local file's pages only as they are used."""
    from daskfer import npy

    if is_url(path):
        return npy.from_bytes(read_bytes(path))
    return npy.mapped(path) if mapped else npy.read(path)


def write_arrays(path: str, **arrays: np.ndarray) -> None:
    """Write several named arrays as .npz, whole."""
    write_whole(path, npz(**arrays))


def npz(**arrays: np.ndarray) -> memoryview:
    """The bytes of a .npz with these arrays."""
    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getbuffer()


def read_arrays(path: str) -> dict[str, np.ndarray]:
    """All named arrays of a .npz."""
    from daskfer import npy

    return npy.members(read_bytes(path))


def filesystem_of(path: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it.

    Raises
    ------
    StorageError
        When there is none for its protocol, or the package for it is missing.
    """
    import fsspec

    try:
        options = {"timeout": _patience()} if path.startswith(WEB) else {}
        found: tuple[Any, str] = fsspec.core.url_to_fs(path, **options)
    except ImportError as error:
        package = _PACKAGES.get(path.partition("://")[0])
        way_out = f"; {package}" if package else ""
        raise StorageError(
            f"{path} needs a package that is not installed: {one_line(error)}{way_out}"
        ) from error
    except ValueError as error:
        raise StorageError(f"{path} cannot be opened: {one_line(error)}") from error
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


def is_remote_error(error: BaseException) -> bool:
    """Whether an error is one that file systems raise, rather than a fault of ours.

    Libraries for remote ones have many of their own.
    """
    builtin = type(error).__module__ == "builtins"
    return not builtin or isinstance(error, OSError | ValueError | NotImplementedError)


def reason(error: BaseException) -> str:
    """What an error of a file system's says, in one line, and the way out where we know it."""
    way_out = _WAYS_OUT.get(type(error).__name__)
    if not str(error) and error.__cause__ is not None:
        # A timeout of fsspec's says nothing of itself.
        error = error.__cause__
    text = (isinstance(error, OSError) and error.strerror) or one_line(error)
    return f"{text}; {way_out}" if way_out else text


def _patience() -> Any:
    """No limit to how long a web server sends a file, but to how long it is silent.

    aiohttp alone gives up after five minutes, however the file goes on.
    """
    import aiohttp

    return aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=30)


@contextmanager
def _named(path: str, done: str) -> Iterator[None]:
    """Let errors of a remote file system name the URL.

    What the system has a number for stays an `OSError` (of the same class), everything else
    becomes a `StorageError` that says what could not be `done`.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, DaskferError) or not is_remote_error(error):
            raise
        number = getattr(error, "errno", None)
        if isinstance(error, FileNotFoundError | PermissionError):
            number = errno.ENOENT if isinstance(error, FileNotFoundError) else errno.EACCES
        if isinstance(error, OSError) and number is not None:
            raise OSError(number, reason(error), path) from error
        raise StorageError(f"{path} cannot be {done}: {reason(error)}") from error


class _Stream(io.RawIOBase):
    """A remote file that is sent once, from beginning to end."""

    def __init__(self, path: str, file: BinaryIO) -> None:
        self._path, self._file, self._ended = path, file, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # aiohttp takes somebody who reads on after the end for a loop without one, and says so.
        if self._ended:
            return 0
        with _named(self._path, "read"):
            data = self._file.read(len(buffer))
        self._ended = not data
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _fetch(path: str, start: int, stop: int | None) -> bytes:
    whole = start == 0 and stop is None
    if not whole and not gives_ranges(path):
        with open_binary(path) as file:
            return file.read(-1 if stop is None else stop)[start:]
    filesystem, inner = filesystem_of(path)
    # Object stores refuse any range of an empty file.
    limits = {} if whole else {"start": start, "end": stop}
    with _named(path, "read"):
        data = bytes(filesystem.cat_file(inner, **limits))
    if stop is not None and len(data) > stop - start:
        raise StorageError(
            f"{path} cannot be read: its server sent {len(data):,} bytes where {stop - start:,} "
            "were asked for; get the file and give that"
        )
    return data


def _send_new(path: str, data: bytes) -> bool:
    if exists(path):
        return False
    filesystem, inner = filesystem_of(path)
    try:
        if path.partition("://")[0] not in _BUCKETS:
            filesystem.makedirs(filesystem._parent(inner), exist_ok=True)
        filesystem.pipe_file(inner, data, mode="create")
    except Exception:
        # Each has its own error for a file that is there, and for not knowing this mode.
        if exists(path):
            # It may be ours: what is sent again after a timeout finds what was sent before.
            return read_bytes(path) == data
        _send(path, data)
    return True


def _send(path: str, data: bytes) -> None:
    filesystem, inner = filesystem_of(path)
    try:
        with _named(path, "written"):
            if path.partition("://")[0] not in _BUCKETS:
                filesystem.makedirs(filesystem._parent(inner), exist_ok=True)
            filesystem.pipe_file(inner, data)
    except FileNotFoundError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}; expected a bucket that is there"
        ) from error
