"""One image file's bytes as the grey pixels of a face."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

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

from daskfer.errors import one_line

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
    with _opened(data) as image:
        # JPEGs alone: decoded as grey, and at a fraction of their size if that is large enough.
        image.draft("L", (2 * side, 2 * side))
        grey = _loaded(image)
        if grey.size != (side, side):
            grey = _fitted(grey, side)
        return np.frombuffer(grey.tobytes(), np.uint8)


def decode_colours(data: bytes) -> np.ndarray:
    """All of an image file, upright: its colours, uint8 (h, w, 3).

    Raises
    ------
    BadImage
        For whatever is wrong with the file.
    """
    with _opened(data) as image:
        image.load()
        colours = _grey(image) if image.mode.startswith(("I", "F")) else image
        return np.array(_upright(image, colours.convert("RGB")))


def decode_photo(data: bytes) -> np.ndarray:
    """All of an image file, upright: its grey pixels, uint8 (h, w); else as `decode`.

    Raises
    ------
    BadImage
        For whatever is wrong with the file.
    """
    with _opened(data) as image:
        return np.array(_loaded(image))


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height in pixels that an image file states, before it is turned upright.

    Raises
    ------
    BadImage
        For whatever is wrong with the file.
    """
    with _opened(data) as image:
        width, height = image.size
        return int(width), int(height)


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """An image file, opened but not decoded; whatever then goes wrong with it is a `BadImage`."""
    if not data:
        raise BadImage("empty file: expected an image")
    plugin = next((plugin for magic, plugin in _PLUGINS if magic.match(data)), None)
    if plugin is None:
        if data[4:8] == b"ftyp":
            raise BadImage("HEIC or AVIF image: expected PNG or JPEG; convert it")
        raise BadImage("unknown image format: expected PNG, JPEG, BMP, WebP, TIFF, GIF, PGM or PPM")
    _hush()
    try:
        image = plugin(io.BytesIO(data))
        _check_size(*image.size)
        yield image
    except BadImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(f"decompression bomb: {one_line(error)}") from error
    except Exception as error:
        # Pillow's plugins raise whatever comes to them, from struct.error to MemoryError.
        raise BadImage(f"image cannot be decoded: {one_line(error)}") from error


def _loaded(image: Image.Image) -> Image.Image:
    """The image decoded, grey and upright."""
    image.load()
    return _upright(image, _grey(image))


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
