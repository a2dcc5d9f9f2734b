"""Image files as rows: those of a folder, and what they share with those of an archive."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from daskfer import storage
from daskfer.errors import InputError, one_line
from daskfer.faces import EMOTIONS
from daskfer.ingest.decoding import BadImage, decode
from daskfer.ingest.labels import folder_labels, is_split
from daskfer.ingest.listing import as_unicode, is_clutter
from daskfer.ingest.quarantine import BadRow
from daskfer.ingest.rows import Rows

LIMIT = 64 << 20
"""Bytes of the largest image file that is read; a face has some thousand."""

TOO_LARGE = f"file too large: expected at most {LIMIT:,} bytes"
"""Why a larger one is not."""

DANGLING = "link to nothing: the file that it names is not there"
"""What is wrong with a link to a file that is not there."""

PIECE = 256
"""Images that are read at a time."""

_FETCHED = 16
"""Files behind a URL that are fetched side by side."""


Content = tuple[str, list[str], bytes | BadImage]
"""The name of an image file, the folders that may tell its labels, and its bytes or what is wrong
with it."""


class Unreadable(BadImage):
    """A file that cannot be read now, which is no fault of its own.

    A run would keep it in the store as a bad row, and it would be bad for ever: to `gather` it is
    an error.
    """


def gather(
    first: int,
    files: Iterable[Content],
    side: int,
    classes: tuple[str, ...] = EMOTIONS,
) -> Rows:
    """Decode image files into rows.

    Parameters
    ----------
    first : int
        Number of the first in its source.
    files : iterable of (name, folders, content)
        The names of the folders may tell class and split; what could not be read has the
        reason in place of its bytes.
    side : int
        Side of a face in pixels.
    classes : tuple of str
        What the labels may be.

    Raises
    ------
    InputError
        For a file that is unreadable.
    """
    good, pixels, names = [], [], []
    labels: list[tuple[int, int]] = []
    bad_row, bad = [], []
    count = 0
    for count, (name, folders, content) in enumerate(files, 1):
        row = first + count - 1
        if isinstance(content, Unreadable):
            raise InputError(f"{name} {content}") from content
        try:
            if isinstance(content, BadImage):
                raise content
            pixels.append(decode(content, side))
        except BadImage as error:
            bad_row.append(row)
            bad.append(BadRow(name, None, None, str(error), ""))
            continue
        good.append(row)
        names.append(name)
        labels.append(folder_labels(folders, classes))
    emotion, usage = np.array(labels, np.int8).reshape(-1, 2).T
    return Rows(
        records=count,
        row=np.array(good, np.int64),
        pixels=np.stack(pixels) if pixels else np.zeros((0, side * side), np.uint8),
        emotion=np.ascontiguousarray(emotion),
        usage=np.ascontiguousarray(usage),
        bad=tuple(bad),
        bad_row=np.array(bad_row, np.int64),
        names=tuple(names),
    )


def in_pieces(
    first: int, contents: Iterator[Content], side: int, classes: tuple[str, ...]
) -> Iterator[Rows]:
    """Decode image files into rows, `PIECE` at a time; see `gather`."""
    while (rows := gather(first, islice(contents, PIECE), side, classes)).records:
        yield rows
        first += rows.records


@dataclass(frozen=True)
class ImageFiles:
    """Image files in a folder.

    Attributes
    ----------
    root : str
        The folder: a path or an fsspec URL.
    files : tuple of str
        Their paths in it, with "/" between folders.
    first : int
        Number of the first of them in the source.
    side : int
        Side of a face in pixels.
    classes : tuple of str
        What their folders may be named after.
    """

    root: str
    files: tuple[str, ...]
    first: int
    side: int
    classes: tuple[str, ...] = EMOTIONS

    def pieces(self) -> Iterator[Rows]:
        """Read and decode them."""
        return in_pieces(self.first, self.contents(), self.side, self.classes)

    def contents(self) -> Iterator[Content]:
        """Read them one after the other, those that are `Unreadable` too."""
        above = root_folders(self.root)
        read = _fetch if storage.is_url(self.root) else _read
        for name, content in zip(self.files, read(self.root, self.files), strict=True):
            whole = as_unicode(storage.join(self.root, name))
            yield whole, [*above, *as_unicode(name).split("/")[:-1]], content


def root_folders(root: str) -> list[str]:
    """What the folder that was given adds to the folders of its images, whose names tell labels.

    Its own name, and before that its parent's where that is a split's: whoever gives
    ``train/happy`` means both. Hidden folders are none, as in what they hold.
    """
    *_, above, top = ["", "", *as_unicode(root.rstrip("/")).split("/")]
    found = [above if is_split(above) else "", top]
    return [name for name in found if name and not is_clutter(name)]


def _read(root: str, files: tuple[str, ...]) -> Iterator[bytes | BadImage]:
    for name in files:
        path = storage.join(root, name)
        try:
            large = os.stat(path).st_size > LIMIT
            yield BadImage(TOO_LARGE) if large else storage.read_bytes(path)
        except OSError as error:
            dangling = os.path.islink(path) and not os.path.exists(path)
            yield BadImage(DANGLING) if dangling else _unreadable(error)


def _fetch(root: str, files: tuple[str, ...]) -> Iterator[bytes | BadImage]:
    filesystem, inner = storage.filesystem_of(root)
    for start in range(0, len(files), _FETCHED):
        paths = [storage.join(inner, name) for name in files[start : start + _FETCHED]]
        for found in filesystem.cat_ranges(paths, 0, LIMIT + 1, on_error="return"):
            if isinstance(found, Exception):
                yield _unreadable(found)
            else:
                yield BadImage(TOO_LARGE) if len(found) > LIMIT else bytes(found)


def _unreadable(error: Exception) -> Unreadable:
    reason = getattr(error, "strerror", None) or one_line(error)
    return Unreadable(
        f"cannot be read ({reason}): expected what was there when files were listed, readable by "
        "every worker"
    )
