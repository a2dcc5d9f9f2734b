"""Faces in ordinary photos, found by the detector in the face model's bundle.

V. Bazarevsky, Y. Kartynnik, A. Vakunov, K. Raveendran and M. Grundmann, "BlazeFace: Sub-millisecond
Neural Face Detection on Mobile GPUs", 2019: 896 anchors on grids of 16×16 and 8×8 places, each with
a score and a box. It looks at 128×128 pixels and finds faces from about a tenth of that on, so
larger photos are also looked at in overlapping squares of a half, a quarter and an eighth of their
size.
"""

from __future__ import annotations

import io
import threading
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from daskfer.represent.expression.landmarker import interpreter, landmarker

SIDE = 128
"""Side of the detector's input, in pixels."""

LEAST_SCORE = 0.5
"""Probability from which a box may be a face, as in MediaPipe."""

LEAST_PRESENCE = 0.0
"""Log-odds, by the landmark model, from which what a box holds is a face: the detector alone finds
some in textures, the more so the more squares it is shown."""

OVERLAP = 0.3
"""Intersection over union from which two boxes are of one face, as in MediaPipe."""

SHARES = (1.0, 0.5, 0.25, 0.125)
"""Sides of the squares that are looked at, beside the longer side of the photo."""

MARGIN, RAISED = 1.2, 0.08
"""Side of the square that is cut out, and how much its middle is above the box's, beside the box's
side: so the detector's boxes lie in FER2013's training images (medians; `python
scripts/detected_boxes.py FILE`)."""

DRAWN = 168
"""Pixels that a face is drawn wide into the landmark model's input."""

_GRIDS = ((16, 2), (8, 6))
"""Places along a side, and anchors at each."""


@dataclass(frozen=True)
class Box:
    """A face in a photo: left, top, width and height in pixels, and how likely it is one."""

    x: float
    y: float
    width: float
    height: float
    score: float

    def square(self) -> tuple[int, int, int]:
        """Left, top and side, in whole pixels, of the square that is cut out around it."""
        side = max(round(MARGIN * max(self.width, self.height)), 1)
        left = round(self.x + self.width / 2 - side / 2)
        # A box reaches from the brows to the chin: the middle of the face is a little higher.
        top = round(self.y + self.height / 2 - RAISED * self.height - side / 2)
        return left, top, side


def _anchors() -> np.ndarray:
    """Centres, float32 (896, 2), of the anchors, as shares of the input's sides."""
    found = []
    for places, count in _GRIDS:
        middle = (np.arange(places, dtype=np.float32) + 0.5) / places
        x, y = np.meshgrid(middle, middle)
        found.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), count, axis=0))
    return np.concatenate(found)


class Detector:
    """The detector of a bundle, ready to run on the thread that made it.

    Parameters
    ----------
    bundle : bytes
        The content of ``face_landmarker.task``.

    Raises
    ------
    MissingPackage
        Without ai-edge-litert.
    """

    def __init__(self, bundle: bytes) -> None:
        self._bundle = bundle
        parts = zipfile.ZipFile(io.BytesIO(bundle))
        self._model, self._outputs = interpreter(parts.read("face_detector.tflite"), [])
        self._anchors = _anchors()

    def find(self, photo: np.ndarray) -> list[Box]:
        """The faces in a photo, uint8 (h, w), from left to right."""
        return [box for box in self.candidates(photo) if self._is_face(photo, box)]

    def _is_face(self, photo: np.ndarray, box: Box) -> bool:
        pixels = cut_out(photo, box, DRAWN).reshape(1, DRAWN, DRAWN)
        return bool(landmarker(self._bundle).measure(pixels, DRAWN).presence[0] >= LEAST_PRESENCE)

    def candidates(self, photo: np.ndarray) -> list[Box]:
        """Where the detector alone sees faces in a photo, from left to right."""
        height, width = photo.shape
        boxes: list[Box] = []
        for share in SHARES:
            square = max(height, width) * share
            if share < 1 and square < SIDE:
                break
            # The whole photo is made small once, rather than each of its squares.
            scale = SIDE / square
            size = max(round(width * scale), 1), max(round(height * scale), 1)
            small = Image.fromarray(photo).resize(size, Image.Resampling.BILINEAR)
            values = np.asarray(small, np.float32) / np.float32(127.5) - 1
            for top in _starts(values.shape[0], SIDE):
                for left in _starts(values.shape[1], SIDE):
                    boxes += self._look(values, left, top, scale)
        return sorted(merged(boxes), key=lambda box: (box.x, box.y))

    def _look(self, values: np.ndarray, left: int, top: int, scale: float) -> list[Box]:
        """The faces in a square of a photo, float32 (h, w) from −1 to 1; beyond it is black."""
        part = values[max(top, 0) : top + SIDE, max(left, 0) : left + SIDE]
        square = np.full((SIDE, SIDE), -1, np.float32)
        down, right = max(-top, 0), max(-left, 0)
        square[down : down + part.shape[0], right : right + part.shape[1]] = part
        self._model.set_tensor(0, np.repeat(square[None, :, :, None], 3, axis=3))
        self._model.invoke()
        found = {len(array[0, 0]): array[0] for array in map(self._model.get_tensor, self._outputs)}
        score = 1 / (1 + np.exp(-np.clip(found[1][:, 0], -80, 80)))
        kept = np.flatnonzero(score >= LEAST_SCORE)
        middle = found[16][kept, :2] + self._anchors[kept] * SIDE
        size = found[16][kept, 2:4]
        corner = middle - size / 2 + (left, top)
        rows = np.column_stack([corner / scale, size / scale, score[kept]]).tolist()
        return [Box(*row) for row in rows]


def _starts(length: int, side: int) -> list[int]:
    """Where squares start that cover a length, each half over the one before."""
    if side >= length:
        return [(length - side) // 2]
    count = -(-2 * (length - side) // side) + 1
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def merged(boxes: list[Box]) -> list[Box]:
    """One box for each face: the mean of those that overlap, weighted by their scores."""
    waiting = sorted(boxes, key=lambda box: -box.score)
    found = []
    while waiting:
        best = waiting[0]
        same = [box for box in waiting if overlap(best, box) > OVERLAP or box is best]
        waiting = [box for box in waiting if box not in same]
        weights = np.array([box.score for box in same])
        corners = np.array([(box.x, box.y, box.width, box.height) for box in same])
        x, y, width, height = (weights @ corners / weights.sum()).tolist()
        found.append(Box(x, y, width, height, best.score))
    return found


def overlap(one: Box, other: Box) -> float:
    """The intersection of two boxes, as a share of their union (or of the smaller, if inside)."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = one.width * one.height, other.width * other.height
    # A square that cuts a face finds a box of half of it, which lies in the whole one.
    return max(shared / (sum(areas) - shared), 0.5 * shared / min(areas))


def cut_out(photo: np.ndarray, box: Box, side: int) -> np.ndarray:
    """Pixels, uint8 (side * side,), of the face in a box; beyond the photo its border repeats."""
    left, top, edge = box.square()
    height, width = photo.shape
    rows = np.clip(np.arange(top, top + edge), 0, height - 1)
    columns = np.clip(np.arange(left, left + edge), 0, width - 1)
    square = Image.fromarray(photo[np.ix_(rows, columns)])
    return np.asarray(square.resize((side, side), Image.Resampling.BICUBIC)).ravel()


_own: Any = threading.local()


def detector(bundle: bytes) -> Detector:
    """The detector of this thread, made at its first use."""
    if getattr(_own, "bundle", None) is not bundle:
        _own.detector, _own.bundle = Detector(bundle), bundle
    found: Detector = _own.detector
    return found
