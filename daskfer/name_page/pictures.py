"""Pictures of groups: the tiles of a sheet in one PNG, the mean face, and sheets for files."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from daskfer.faces import side_of
from daskfer.name_page.gallery import Gallery, Sheet
from daskfer.normalize import normalize
from daskfer.report.sheets import shrunk

COLUMNS = 8
"""Tiles beside each other in the picture of a sheet."""

MEAN_FACES = 128
"""Faces of a group, from its centre outwards, of which the mean is taken."""

ALL_FACES = 1_000
"""Fitted faces, evenly over all, of which the mean is taken to compare with."""

CONTRAST = 0.25
"""Difference of two means, of a range from 0 to 1, that is drawn black or white."""


def average_face(gallery: Gallery) -> np.ndarray:
    """The mean of the fitted faces, float64 (side²,), each from 0 to 1."""
    chosen = np.unique(np.linspace(0, len(gallery.fit) - 1, ALL_FACES).astype(np.int64))
    return _mean(gallery, gallery.fit[chosen])


def _mean(gallery: Gallery, positions: np.ndarray) -> np.ndarray:
    values = normalize(gallery.pixels.rows(positions), "minmax")
    return np.asarray(values.mean(axis=0, dtype=np.float64))


def sheet_png(
    gallery: Gallery, sheet: Sheet, members: np.ndarray, average: np.ndarray | None
) -> bytes:
    """The picture of a sheet: its tiles, then the group's mean face and how it differs.

    Parameters
    ----------
    gallery : Gallery
    sheet : Sheet
    members : int64 array (m,)
        Positions of the group's faces, nearest to its centre first; at least one.
    average : float64 array (side²,) or None
        The mean of all faces; without it, the last two are left out.
    """
    positions = np.array([tile.position for tile in sheet.tiles], np.int64)
    faces = gallery.pixels.rows(positions)
    if average is not None:
        mean = _mean(gallery, members[:MEAN_FACES])
        apart = np.clip(0.5 + (mean - average) / (2 * CONTRAST), 0, 1)
        own = np.array([mean, apart]) * 255
        faces = np.concatenate([faces, own.round().astype(np.uint8)])
    return png(tiled(shrunk(faces), COLUMNS))


def tiled(faces: np.ndarray, columns: int, gap: int = 0) -> np.ndarray:
    """Faces, uint8 (n, side²) with n >= 1, beside each other on white, uint8 (h, w)."""
    side = side_of(faces.shape[1]) or 1
    lines, step = -(-len(faces) // columns), side + gap
    picture = np.full((lines * step - gap, columns * step - gap), 255, np.uint8)
    for number, face in enumerate(faces):
        line, column = divmod(number, columns)
        place = (slice(line * step, line * step + side), slice(column * step, column * step + side))
        picture[place] = face.reshape(side, side)
    return picture


def png(picture: np.ndarray) -> bytes:
    """A grey picture, uint8 (h, w), as a PNG file; packed fast rather than small."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def tile_side(side: int) -> int:
    """Side in pixels of a tile whose face has this side."""
    return side_of(shrunk(np.zeros((1, side * side), np.uint8)).shape[1]) or 1


def labelled_sheet(title: str, strips: Sequence[tuple[str, np.ndarray]], columns: int) -> bytes:
    """A sheet for a file: a title, and under it strips of faces with a heading each, as a PNG.

    Parameters
    ----------
    title : str
    strips : sequence of (str, uint8 array (n, side²))
        Empty ones are left out.
    columns : int
        Faces beside each other.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(15)
    pieces = [
        (heading, tiled(_doubled(faces), columns, 2)) for heading, faces in strips if len(faces)
    ]
    width = max([480, *(piece.shape[1] for _, piece in pieces)]) + 24
    height = 40 + sum(piece.shape[0] + 34 for _, piece in pieces)
    image = Image.new("L", (width, height), 255)
    draw = ImageDraw.Draw(image)
    draw.text((12, 10), title, fill=0, font=font)
    top = 40
    for heading, piece in pieces:
        draw.text((12, top), heading, fill=90, font=font)
        image.paste(Image.fromarray(piece), (12, top + 22))
        top += piece.shape[0] + 34
    return png(np.asarray(image))


def _doubled(faces: np.ndarray) -> np.ndarray:
    """Small faces twice as large, each pixel four times."""
    side = side_of(faces.shape[1]) or 1
    if side > 64:
        return shrunk(faces)
    squares = faces.reshape(len(faces), side, side)
    return squares.repeat(2, axis=1).repeat(2, axis=2).reshape(len(faces), -1)
