"""Copies of images with their faces marked."""

from __future__ import annotations

import io
import os
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from daskfer import storage
from daskfer.ingest.decoding import BadImage, decode_colours

LEAST_SIDE = 240
"""Smaller images are enlarged, so that words fit beside their faces."""


class Marks:
    """Gathers what was said of images, and writes them marked.

    Parameters
    ----------
    folder : str
        Where to. Names end in ``-marked.png``, so that no photo that lies there is lost; images of
        the same name from several folders get numbers.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._taken: set[str] = set()
        self._inputs: set[str] = set()

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Take what was said of faces; of rows of tables nothing can be drawn."""
        for row in rows:
            self._rows.setdefault(row["source"], []).append(row)

    def write(self) -> None:
        """Write a PNG for each image that can be read."""
        self._inputs = {os.path.realpath(source) for source in self._rows}
        for source, rows in self._rows.items():
            try:
                photo = decode_colours(storage.read_bytes(source))
            except (BadImage, OSError):
                continue
            storage.write_whole(os.path.join(self.folder, self._name(source)), marked(photo, rows))

    def _name(self, source: str) -> str:
        stem = os.path.splitext(os.path.basename(source))[0][:80]
        name, number = f"{stem}-marked.png", 2
        while name in self._taken or self._is_input(name):
            name, number = f"{stem}-{number}-marked.png", number + 1
        self._taken.add(name)
        return name

    def _is_input(self, name: str) -> bool:
        return os.path.realpath(os.path.join(self.folder, name)) in self._inputs


def marked(photo: Any, rows: list[dict[str, Any]]) -> bytes:
    """A photo, uint8 (h, w, 3), with a box and words for each face, as a PNG."""
    image = Image.fromarray(photo)
    times = max(-(-LEAST_SIDE // min(image.size)), 1)
    if times > 1:
        image = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image)
    size = max(min(image.size) // 28, 12)
    font = ImageFont.load_default(size)
    for row in rows:
        if row["problem"]:
            words, corner = str(row["problem"]), (4, 4)
        else:
            words = f"{row['emotion']} {row['confidence']:.2f}"
            corner = (4, 4)
            if row["x"] is not None:
                left, top = row["x"] * times, row["y"] * times
                right, bottom = left + row["width"] * times, top + row["height"] * times
                draw.rectangle(
                    (left, top, right, bottom), outline="yellow", width=max(size // 6, 2)
                )
                corner = (left, top - size - 6 if top > size + 6 else bottom + 2)
        box = draw.textbbox(corner, words, font=font)
        draw.rectangle((box[0] - 3, box[1] - 2, box[2] + 3, box[3] + 2), fill="black")
        draw.text(corner, words, fill="yellow", font=font)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
