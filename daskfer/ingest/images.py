"""Image files as rows: those of a folder, and what they share with those of an archive."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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

PIECE = 256
"""Images that are read at a time."""

_FETCHED = 16
"""Files behind a URL that are fetched side by side."""


def gather(
    first: int,
    files: Iterable[tuple[str, list[str], bytes | BadImage]],
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
    """
    good, pixels, names = [], [], []
    labels: list[tuple[int, int]] = []
    bad_row, bad = [], []
    count = 0
    for count, (name, folders, content) in enumerate(files, 1):
        row = first + count - 1
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
        for start in range(0, len(self.files), PIECE):
            files = self.files[start : start + PIECE]
            yield gather(self.first + start, self._contents(files), self.side, self.classes)

    def _contents(
        self, files: tuple[str, ...]
    ) -> Iterator[tuple[str, list[str], bytes | BadImage]]:
        above = root_folders(self.root)
        read = _fetch if storage.is_url(self.root) else _read
        for name, content in zip(files, read(self.root, files), strict=True):
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
            if not os.path.islink(path) or os.path.exists(path):
                raise _unreadable(path, error) from error
            yield BadImage("link to nothing: the file that it names is not there")


def _fetch(root: str, files: tuple[str, ...]) -> Iterator[bytes | BadImage]:
    filesystem, inner = storage.filesystem_of(root)
    for start in range(0, len(files), _FETCHED):
        paths = [storage.join(inner, name) for name in files[start : start + _FETCHED]]
        for found in filesystem.cat_ranges(paths, 0, LIMIT + 1, on_error="return"):
            if isinstance(found, Exception):
                raise _unreadable(root, found) from found
            yield BadImage(TOO_LARGE) if len(found) > LIMIT else bytes(found)


def _unreadable(path: str, error: Exception) -> InputError:
    """The error of a file that cannot be read now: no fault of its own, so no bad row."""
    reason = getattr(error, "strerror", None) or one_line(error)
    return InputError(
        f"{path} cannot be read ({reason}): expected what was there when the run began, readable "
        "by every worker"
    )
