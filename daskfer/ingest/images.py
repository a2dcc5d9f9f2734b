"""Image files: what is one, how its bytes become grey pixels, and folders of them."""

from __future__ import annotations

import io
import os
import re
import stat
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from daskfer import storage
from daskfer.errors import InputError
from daskfer.ingest.labels import folder_labels
from daskfer.ingest.quarantine import BadRow
from daskfer.ingest.rows import Rows

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".pgm", ".ppm",
)  # fmt: skip
"""How the names of image files end, in lower case."""

LIMIT = 64 << 20
"""Bytes of the largest image file that is read; a face has some thousand."""

TOO_LARGE = f"file too large: expected at most {LIMIT:,} bytes"
"""Why a larger one is not."""

PIECE = 256
"""Images that are read at a time."""

_FETCHED = 16
"""Files behind a URL that are fetched side by side."""

# The plugins by name, rather than `Image.open`: it warns of sizes that are refused here anyway,
# and tries formats that have no business among faces (PostScript, say, runs a program).
_PLUGINS = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PngImagePlugin.PngImageFile),
    (re.compile(rb"\xff\xd8\xff"), JpegImagePlugin.JpegImageFile),
    (re.compile(rb"BM"), BmpImagePlugin.BmpImageFile),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), WebPImagePlugin.WebPImageFile),
    (re.compile(rb"GIF8[79]a"), GifImagePlugin.GifImageFile),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), TiffImagePlugin.TiffImageFile),
    (re.compile(rb"P[1-6][\s#]"), PpmImagePlugin.PpmImageFile),
)
_OF_PILLOW = ("ignore", None, Warning, re.compile(r"PIL\."), 0)

_ORIENTED = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class BadImage(Exception):
    """A file that is no face: what kind of fault, then a colon and the details."""


def is_image(name: str) -> bool:
    """Whether a file's name is that of an image that is read."""
    return name.lower().endswith(SUFFIXES)


def is_clutter(name: str) -> bool:
    """Whether systems leave a file or folder of this name, rather than people."""
    return name.startswith(".") or name.lower() in ("__macosx", "thumbs.db", "desktop.ini")


def decode(data: bytes, side: int) -> np.ndarray:
    """The grey pixels of an image file, upright, square and of one size.

    Colours become luma (ITU-R 601) and transparency is ignored; of an animation the first frame
    counts. Greys of 16 bits are scaled to 8. What is not square loses its longer side's ends,
    and what is not of the right size is resampled by Pillow's antialiased bicubic filter. A grey
    8-bit image of the right size comes back as it is.

    Parameters
    ----------
    data : bytes
        A PNG, JPEG, BMP, WebP, TIFF, GIF, PGM or PPM file.
    side : int
        Side of the result in pixels.

    Returns
    -------
    uint8 array (side * side,), read-only

    Raises
    ------
    BadImage
        For whatever is wrong with the file.
    """
    if not data:
        raise BadImage("empty file: expected an image")
    plugin = next((plugin for magic, plugin in _PLUGINS if magic.match(data)), None)
    if plugin is None:
        raise BadImage("unknown image format: expected PNG, JPEG, BMP, WebP, TIFF, GIF, PGM or PPM")
    _hush()
    try:
        image = plugin(io.BytesIO(data))
        _check_size(*image.size)
        # JPEGs alone: decoded as grey, and at a fraction of their size if that is large enough.
        image.draft("L", (2 * side, 2 * side))
        image.load()
        grey = _upright(image, _grey(image))
        if grey.size != (side, side):
            grey = _fitted(grey, side)
        return np.frombuffer(grey.tobytes(), np.uint8)
    except BadImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(f"decompression bomb: {_details(error)}") from error
    except Exception as error:
        # Pillow's plugins raise whatever comes to them, from struct.error to MemoryError.
        raise BadImage(f"image cannot be decoded: {_details(error)}") from error


def _hush() -> None:
    """Keep Pillow's warnings from the terminal: what is wrong with a file is said of its row.

    `warnings.catch_warnings` is not for threads, so the filter stays; it is set again only where
    another has been put before it.
    """
    if not warnings.filters or warnings.filters[0] != _OF_PILLOW:
        warnings.filterwarnings("ignore", module=r"PIL\.")


def _check_size(width: int, height: int) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and width * height > limit:
        raise BadImage(f"decompression bomb: {width}×{height} pixels, expected at most {limit:,}")


def _grey(image: Image.Image) -> Image.Image:
    """The image in mode L, that is 8 bits of grey."""
    if image.mode == "L":
        return image
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if image.mode == "I" and (values.min() < 0 or values.max() > 65535):
            raise BadImage(
                f"unsupported pixels: greys from {values.min()} to {values.max()}, "
                "expected 8 or 16 bits"
            )
        # Rounded to the nearest: 65535 is 255 × 257.
        return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        raise BadImage(
            "unsupported pixels: floating point, expected 8 or 16 bits of grey or colour"
        )
    # Pillow would look for the transparent colour's grey, and warn where there are several.
    image.info.pop("transparency", None)
    return image.convert("L")


def _upright(image: Image.Image, grey: Image.Image) -> Image.Image:
    """The grey image, turned as the image's EXIF block (or XMP) says."""
    # Without one of these there is no orientation; Pillow has turned TIFFs already.
    if not any(key in image.info for key in _ORIENTED):
        return grey
    try:
        method = _UPRIGHT.get(image.getexif().get(0x0112, 1))
    except Exception:
        # A picture is not bad because what a camera wrote beside it is.
        return grey
    return grey if method is None else grey.transpose(method)


def _fitted(grey: Image.Image, side: int) -> Image.Image:
    width, height = grey.size
    edge = min(width, height)
    left, top = (width - edge) // 2, (height - edge) // 2
    box = (left, top, left + edge, top + edge)
    return grey.resize((side, side), Image.Resampling.BICUBIC, box)


def _details(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def gather(first: int, files: Iterable[tuple[str, list[str], bytes | BadImage]], side: int) -> Rows:
    """Decode image files into rows.

    Parameters
    ----------
    first : int
        Number of the first in its source.
    files : iterable of (name, folders, content)
        The names of the folders may tell emotion and split; what could not be read has the
        reason in place of its bytes.
    side : int
        Side of a face in pixels.
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
        labels.append(folder_labels(folders))
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


def as_unicode(name: str) -> str:
    """A file's name as it can be written down: bytes that are not UTF-8 are spelt out."""
    return name if name.isascii() else name.encode(errors="backslashreplace").decode()


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
    """

    root: str
    files: tuple[str, ...]
    first: int
    side: int

    def pieces(self) -> Iterator[Rows]:
        """Read and decode them."""
        for start in range(0, len(self.files), PIECE):
            files = self.files[start : start + PIECE]
            yield gather(self.first + start, self._contents(files), self.side)

    def _contents(
        self, files: tuple[str, ...]
    ) -> Iterator[tuple[str, list[str], bytes | BadImage]]:
        top = as_unicode(self.root.rstrip("/").rpartition("/")[2])
        read = _fetch if storage.is_url(self.root) else _read
        for name, content in zip(files, read(self.root, files), strict=True):
            whole = as_unicode(storage.join(self.root, name))
            yield whole, [top, *as_unicode(name).split("/")[:-1]], content


def _read(root: str, files: tuple[str, ...]) -> Iterator[bytes | BadImage]:
    for name in files:
        path = storage.join(root, name)
        try:
            large = os.stat(path).st_size > LIMIT
            yield BadImage(TOO_LARGE) if large else storage.read_bytes(path)
        except OSError as error:
            yield BadImage(f"file cannot be read: {error.strerror or _details(error)}")


def _fetch(root: str, files: tuple[str, ...]) -> Iterator[bytes | BadImage]:
    filesystem, inner = storage.filesystem_of(root)
    for start in range(0, len(files), _FETCHED):
        paths = [storage.join(inner, name) for name in files[start : start + _FETCHED]]
        for found in filesystem.cat_ranges(paths, 0, LIMIT + 1, on_error="return"):
            if isinstance(found, Exception):
                yield BadImage(f"file cannot be read: {_details(found)}")
            else:
                yield BadImage(TOO_LARGE) if len(found) > LIMIT else bytes(found)


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
        raise InputError(f"{root} cannot be listed: {_details(error)}") from error
    for name, info in found.items():
        path = name[len(inner.rstrip("/")) :].lstrip("/")
        # Object stores have empty objects in place of folders, whose names end in a slash.
        if path and not path.endswith("/") and not any(map(is_clutter, path.split("/"))):
            version = storage.version_of(filesystem, name, info)
            yield FoundFile(path, int(info.get("size") or 0), version)
