"""Which image files are in a folder, and what else is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from daskfer import storage
from daskfer.errors import InputError, one_line

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".pgm", ".ppm",
)  # fmt: skip
"""How the names of image files end, in lower case."""


def is_image(name: str) -> bool:
    """Whether a file's name is that of an image that is read."""
    return name.lower().endswith(SUFFIXES)


def is_clutter(name: str) -> bool:
    """Whether systems leave a file or folder of this name, rather than people."""
    return name.startswith(".") or name.lower() in ("__macosx", "thumbs.db", "desktop.ini")


def as_unicode(name: str) -> str:
    """A file's name as it can be written down: bytes that are not UTF-8 are spelt out."""
    return name if name.isascii() else name.encode(errors="backslashreplace").decode()


@dataclass(frozen=True)
class FoundFile:
    """A file in a folder: its path there, its size, and a version that changes with its content."""

    path: str
    bytes: int
    version: str


@dataclass(frozen=True)
class Listing:
    """What is in a folder and in those below: the images, and the paths of all other files."""

    images: tuple[FoundFile, ...]
    others: tuple[str, ...]


def find_images(root: str) -> Listing:
    """List a folder (a path or an fsspec URL) and those below it, sorted by path.

    Hidden files and what systems leave behind are passed over. Folders that a link leads to are
    listed once each, and not at all where they are in the folder anyway.

    Raises
    ------
    InputError
        When it is no folder, or one in it cannot be read.
    """
    files = _remote_files(root) if storage.is_url(root) else _local_files(root)
    found = sorted(files, key=lambda file: file.path)
    images = tuple(file for file in found if is_image(file.path))
    return Listing(images, tuple(file.path for file in found if not is_image(file.path)))


def _local_files(root: str) -> Iterator[FoundFile]:
    folders, links = [""], list[str]()
    seen = set()
    try:
        while folders or links:
            # Links come last, so that a folder is found under its own name if it has one here.
            links.sort(reverse=True)
            below = folders.pop() if folders else links.pop()
            place = os.stat(os.path.join(root, below))
            if (place.st_dev, place.st_ino) in seen:
                continue
            seen.add((place.st_dev, place.st_ino))
            with os.scandir(os.path.join(root, below)) as entries:
                for entry in entries:
                    path = f"{below}/{entry.name}" if below else entry.name
                    if is_clutter(entry.name):
                        continue
                    if _is_folder(entry):
                        (links if entry.is_symlink() else folders).append(path)
                    elif (found := _stat(entry)) is not None:
                        yield FoundFile(path, found.st_size, str(found.st_mtime_ns))
    except OSError as error:
        raise InputError(
            f"{error.filename or root} cannot be listed ({error.strerror}): expected a folder "
            "that can be read"
        ) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself.
        return False


def local_version(path: str) -> tuple[int, str]:
    """The size of a file, and the time of its last change (ns); of a link to nothing, the link's.

    Raises
    ------
    OSError
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        found = os.lstat(path)
    return found.st_size, str(found.st_mtime_ns)


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """What is known of a file; None for pipes, devices and sockets."""
    try:
        found = entry.stat()
    except OSError:
        # A link to nothing is listed, so that its row is bad instead of missing.
        found = entry.stat(follow_symlinks=False)
    return found if stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode) else None


def _remote_files(root: str) -> Iterator[FoundFile]:
    filesystem, inner = storage.filesystem_of(root)
    try:
        found = filesystem.find(inner, detail=True)
        if not found and not filesystem.isdir(inner):
            raise InputError(f"{root}: no such folder")
    except OSError as error:
        raise InputError(f"{root} cannot be listed: {one_line(error)}") from error
    for name, info in found.items():
        path = name[len(inner.rstrip("/")) :].lstrip("/")
        # Object stores have empty objects in place of folders, whose names end in a slash.
        if path and not path.endswith("/") and not any(map(is_clutter, path.split("/"))):
            version = storage.version_of(filesystem, name, info)
            yield FoundFile(path, int(info.get("size") or 0), version)
