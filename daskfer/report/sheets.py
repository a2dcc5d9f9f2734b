"""Contact sheets: which faces of a cluster are shown, and their picture as a data: URI."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from daskfer.faces import side_of
from daskfer.randomness import generator

if TYPE_CHECKING:
    from daskfer.blocks import BlockFiles

PER_SHEET = 14
"""Faces on a sheet: as many as the original project looked at."""

COLUMNS = 7
GAP = 2
"""Transparent pixels between faces, so that the page's colour, light or dark, shows through."""

LARGEST_SIDE = 96
"""Side in pixels to which larger faces are shrunk, lest the page grow to tens of megabytes."""


@dataclass(frozen=True)
class Picked:
    """Positions (int64) of the faces on a cluster's two sheets."""

    nearest: np.ndarray
    random: np.ndarray


def pick(
    members: np.ndarray, distances: np.ndarray, images: np.ndarray, seed: int, cluster: int
) -> Picked:
    """Choose the faces of a cluster to show.

    Parameters
    ----------
    members : int64 array (m,)
        Positions of the cluster's fitted faces, ascending.
    distances : float array (m,)
        How far each is from the centre; of equally near faces the first ones are shown.
    images : uint64 array (m, 2)
        Hashes of their pixels: copies lie equally near, and one of them is enough to look at.
    seed : int
        With the cluster's number it decides the random sheet.
    cluster : int
    """
    order = np.argsort(distances, kind="stable")
    _, first = np.unique(images[order], axis=0, return_index=True)
    nearest = members[order[np.sort(first)[:PER_SHEET]]]
    drawn = generator(seed, "report-sheet", cluster).permutation(len(members))[:PER_SHEET]
    return Picked(nearest, members[drawn])


def faces_of(pixels: BlockFiles, picked: list[Picked]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pixels, uint8 (n, side²), of each cluster's nearest and random faces.

    All are read at once, so that every block is opened once.
    """
    parts = [part for one in picked for part in (one.nearest, one.random)]
    positions = np.concatenate([np.empty(0, np.int64), *parts])
    if len(positions) == 0:
        nothing = np.empty((0, 1), np.uint8)
        return [(nothing, nothing)] * len(picked)
    rows = np.split(pixels.rows(positions), np.cumsum([len(part) for part in parts])[:-1])
    return list(zip(rows[::2], rows[1::2], strict=True))


def sheet(faces: np.ndarray, columns: int = COLUMNS) -> np.ndarray:
    """Faces, uint8 (n, side²) with n >= 1, side by side: grey and alpha, uint8 (h, w, 2)."""
    faces = shrunk(faces)
    side = side_of(faces.shape[1]) or 1
    lines = -(-len(faces) // columns)
    step = side + GAP
    picture = np.zeros((lines * step - GAP, columns * step - GAP, 2), np.uint8)
    for number, face in enumerate(faces):
        line, column = divmod(number, columns)
        place = picture[line * step : line * step + side, column * step : column * step + side]
        place[..., 0] = face.reshape(side, side)
        place[..., 1] = 255
    return picture


def shrunk(faces: np.ndarray, largest: int = LARGEST_SIDE) -> np.ndarray:
    """Faces, uint8 (n, side²), with sides no larger than `largest`."""
    side = side_of(faces.shape[1]) or 1
    if side <= largest:
        return faces
    from PIL import Image

    small = [
        Image.fromarray(face.reshape(side, side)).resize((largest, largest), Image.Resampling.BOX)
        for face in faces
    ]
    return np.array([np.asarray(image).ravel() for image in small])


def data_uri(picture: np.ndarray) -> str:
    """A picture, uint8 (h, w, 2) of grey and alpha, as the data: URI of a PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
