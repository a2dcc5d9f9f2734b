"""Inputs: which files a run reads, and how to know them again."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass

from daskfer import storage
from daskfer.errors import InputError


@dataclass(frozen=True)
class Source:
    """A file to read, its size in bytes, and a version that changes when its content does.

    The version is the time of the last change (ns) for a local file, and what fsspec knows as
    the file's unique key (an etag, say) behind a URL.
    """

    path: str
    bytes: int
    version: str


def find_sources(inputs: list[str]) -> list[Source]:
    """The files that the inputs (paths, globs, fsspec URLs) name, in their order.

    Raises
    ------
    InputError
        For an input that does not exist, is a folder or is empty, and for a file named twice.
    """
    paths = [path for text in inputs for path in _expand(text)]
    sources = [_describe(path) for path in paths]
    seen = set()
    for source in sources:
        if source.path in seen:
            raise InputError(f"{source.path} is given twice: name each input once")
        seen.add(source.path)
    return sources


def _expand(text: str) -> list[str]:
    if storage.is_url(text):
        import fsspec

        filesystem, inner = fsspec.core.url_to_fs(text)
        if not glob.has_magic(text):
            return [text]
        found = sorted(filesystem.glob(inner))
        if not found:
            raise InputError(f"{text}: no file matches")
        return [str(filesystem.unstrip_protocol(path)) for path in found]
    text = os.path.expanduser(text)
    if os.path.exists(text) or not glob.has_magic(text):
        return [text]
    found = sorted(glob.glob(text, recursive=True))
    if not found:
        raise InputError(f"{text}: no file matches")
    return found


def _describe(path: str) -> Source:
    if storage.is_url(path):
        import fsspec

        try:
            filesystem, inner = fsspec.core.url_to_fs(path)
            info = filesystem.info(inner)
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except (ImportError, ValueError, OSError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path} cannot be read: {reason}") from error
        source = Source(path, int(info["size"]), str(filesystem.ukey(inner)))
    else:
        if not os.path.exists(path):
            raise InputError(f"{path}: no such file; expected a CSV file of faces")
        if os.path.isdir(path):
            raise InputError(f"{path} is a folder: expected a CSV file of faces, or a glob of them")
        found = os.stat(path)
        source = Source(os.path.abspath(path), found.st_size, str(found.st_mtime_ns))
    if source.bytes == 0:
        raise InputError(f"{path} is empty: expected a CSV file with a pixels column")
    return source
