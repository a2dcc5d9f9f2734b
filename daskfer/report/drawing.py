"""What pictures share: their scale, their inks, and texts on them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

SCALE = 2
"""Everything is drawn this many times as large, for screens with fine pixels."""

MARGIN = 28
"""White around a picture."""

Colour = tuple[int, int, int]

INK: Colour = (32, 33, 36)
FAINT: Colour = (95, 99, 104)


def write(
    draw: ImageDraw.ImageDraw,
    x: int,
    y: int,
    text: str,
    size: int,
    anchor: str,
    ink: Colour = INK,
    halo: int = 0,
) -> None:
    """A text whose `anchor`, in Pillow's letters, is at a place; `halo` is white around it."""
    from PIL import ImageFont

    draw.text(
        (x * SCALE, y * SCALE), text, ink, ImageFont.load_default(size * SCALE), anchor,
        stroke_width=halo * SCALE, stroke_fill="white",
    )  # fmt: skip


def write_upwards(draw: ImageDraw.ImageDraw, x: int, y: int, text: str) -> None:
    """A faint text that reads upwards, its middle at the left of (x, y)."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(13 * SCALE)
    length, height = int(font.getlength(text)) + 2, 18 * SCALE
    strip = Image.new("L", (length, height), 0)
    ImageDraw.Draw(strip).text((0, 0), text, 255, font)
    turned = strip.rotate(90, expand=True)
    draw.bitmap((x * SCALE, y * SCALE - length // 2), turned, FAINT)


def wrapped(draw: ImageDraw.ImageDraw, text: str, size: int, width: int) -> list[str]:
    """A text in lines that fit the width."""
    from PIL import ImageFont

    font = ImageFont.load_default(size * SCALE)
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and draw.textlength(longer, font) > width * SCALE:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def png(picture: Image.Image) -> bytes:
    """A picture as the bytes of a PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
