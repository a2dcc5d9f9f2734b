"""A sweep as a picture: what each cell is worth, as colour and as a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from daskfer.report.drawing import FAINT, MARGIN, SCALE, png, wrapped, write, write_upwards
from daskfer.sweep.statement import Judged

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

    from daskfer.sweep.choices import Cell

CELL_WIDTH, CELL_HEIGHT = 60, 34
GAP = 44

_CIVIDIS = np.array([
    (0, 34, 78), (18, 53, 112), (59, 73, 108), (87, 93, 109), (112, 113, 115), (138, 134, 120),
    (165, 156, 116), (195, 179, 105), (225, 204, 85), (254, 232, 56),
])  # fmt: skip
"""Ten colours of cividis, which people with any colour vision see alike and whose lightness rises
evenly, so that it survives a grey printer (J. Nuñez, C. Anderton and R. Renslow, "Optimizing
colormaps with consideration for color vision deficiency", PLOS ONE 13, 2018)."""


@dataclass(frozen=True)
class Panel:
    """One grid: a title, its values (NaN where unknown), which cells are framed, and the chosen.

    `values` and `framed` have a row for each number of components and a column for each number
    of clusters.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    framed: np.ndarray
    chosen: tuple[int, int] | None
    signed: bool = False


def heatmap(judged: list[Judged], choice: Cell | None, title: str, below: str) -> bytes:
    """A PNG of a sweep: for each representation two grids, side by side.

    They are the silhouette above that of noise, and stability; where noise was left out, the
    silhouette and its cross-validation. Supported cells have a frame, the chosen one a thick one.
    """
    represents = list(dict.fromkeys(one.result.represent for one in judged))
    lines = [
        _panels([one for one in judged if one.result.represent == name], choice, name)
        for name in represents
    ]
    return png(_drawn(lines, title, below))


def _panels(judged: list[Judged], choice: Cell | None, name: str) -> list[Panel]:
    if any(one.result.null is not None for one in judged):
        return [
            panel_of(f"{name}: silhouette above noise", judged, choice, excess, signed=True),
            panel_of(f"{name}: stability (ARI of halves)", judged, choice, stability),
        ]
    panels = [panel_of(f"{name}: silhouette", judged, choice, silhouette)]
    if any(one.result.cv_mean is not None for one in judged):
        title = f"{name}: cross-validated silhouette"
        panels.append(panel_of(title, judged, choice, lambda one: one.result.cv_mean))
    return panels


def silhouette(judged: Judged) -> float | None:
    """The silhouette of a cell."""
    return judged.result.silhouette


def excess(judged: Judged) -> float | None:
    """How far it is above that of noise."""
    return judged.result.excess


def stability(judged: Judged) -> float | None:
    """How far clusterings of random halves agree."""
    return judged.result.stability


def panel_of(
    title: str,
    judged: list[Judged],
    choice: Cell | None,
    value: Callable[[Judged], float | None],
    signed: bool = False,
) -> Panel:
    """The grid of one value of the cells of one representation, and what is framed in it."""
    rows = list(dict.fromkeys(one.result.components for one in judged))
    columns = list(dict.fromkeys(one.result.clusters for one in judged))
    values = np.full((len(rows), len(columns)), np.nan)
    framed = np.zeros(values.shape, bool)
    chosen = None
    for one in judged:
        at = rows.index(one.result.components), columns.index(one.result.clusters)
        found = value(one)
        values[at] = np.nan if found is None else found
        framed[at] = one.supported
        if one.result.cell == choice:
            chosen = at
    names = tuple("all" if row is None else str(row) for row in rows)
    return Panel(title, names, tuple(map(str, columns)), values, framed, chosen, signed)


def colour(value: float) -> tuple[int, int, int]:
    """The colour of a value from 0 (dark) to 1 (light)."""
    places = np.linspace(0, 1, len(_CIVIDIS))
    red, green, blue = (round(float(np.interp(value, places, part))) for part in _CIVIDIS.T)
    return red, green, blue


def ink_on(background: tuple[int, int, int]) -> tuple[int, int, int]:
    """Black or white, whichever is easier to read on a colour (WCAG's relative luminance)."""
    share = np.array(background) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    # Contrast with black is (L + 0.05) / 0.05 and with white 1.05 / (L + 0.05).
    return (0, 0, 0) if (luminance + 0.05) ** 2 > 0.05 * 1.05 else (255, 255, 255)


def cell_text(value: float, signed: bool) -> str:
    """A value as it stands in its cell: three digits, no nought before the point."""
    if not np.isfinite(value):
        return "–"
    text = f"{abs(value):.3f}"
    text = text[1:] if text.startswith("0") else text
    if not text.strip(".0"):
        return ".000"
    return ("−" if value < 0 else "+" if signed else "") + text


def _drawn(lines: list[list[Panel]], title: str, below: str) -> Image.Image:
    """All panels on white, under the title, with the text below them."""
    from PIL import Image, ImageDraw

    sizes = [[_panel_size(panel) for panel in line] for line in lines]
    width = max(sum(size[0] for size in line) + GAP * (len(line) - 1) for line in sizes)
    width = max(width, 640)
    scratch = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    heading = wrapped(scratch, title, 17, width)
    footing = wrapped(scratch, below, 13, width)
    top = MARGIN + 24 * len(heading) + 14
    height = top + sum(max(size[1] for size in line) + GAP // 2 for line in sizes)
    picture = Image.new(
        "RGB",
        ((width + 2 * MARGIN) * SCALE, (height + 19 * len(footing) + MARGIN) * SCALE),
        "white",
    )
    draw = ImageDraw.Draw(picture)
    for number, text in enumerate(heading):
        write(draw, MARGIN, MARGIN + 24 * number, text, 17, "la")
    for line, measured in zip(lines, sizes, strict=True):
        left = MARGIN
        for panel, size in zip(line, measured, strict=True):
            _draw_panel(draw, panel, left, top)
            left += size[0] + GAP
        top += max(size[1] for size in measured) + GAP // 2
    for number, text in enumerate(footing):
        write(draw, MARGIN, top + 19 * number, text, 13, "la", FAINT)
    return picture


LABELS, HEAD, FOOT = 62, 30, 84
"""Room for the numbers left of a grid, its title above, and its axis and colour bar below."""


def _panel_size(panel: Panel) -> tuple[int, int]:
    rows, columns = panel.values.shape
    return max(LABELS + columns * CELL_WIDTH, 300), HEAD + rows * CELL_HEIGHT + FOOT


def _draw_panel(draw: ImageDraw.ImageDraw, panel: Panel, left: int, top: int) -> None:
    low, high = span(panel.values)
    rows, columns = panel.values.shape
    x, y = left + LABELS, top + HEAD
    write(draw, left, top, panel.title, 15, "la")
    for row in range(rows):
        for column in range(columns):
            corner = x + column * CELL_WIDTH, y + row * CELL_HEIGHT
            _draw_cell(draw, panel, (row, column), corner, low, high)
    # Frames come last: each lies half on the cells beside it.
    for row, column in np.argwhere(panel.framed):
        weight = 5 if panel.chosen == (row, column) else 2
        _frame(draw, x + column * CELL_WIDTH, y + row * CELL_HEIGHT, weight)
    for row, name in enumerate(panel.rows):
        write(draw, x - 8, y + row * CELL_HEIGHT + CELL_HEIGHT // 2, name, 13, "rm")
    bottom = y + rows * CELL_HEIGHT
    for column, name in enumerate(panel.columns):
        write(draw, x + column * CELL_WIDTH + CELL_WIDTH // 2, bottom + 6, name, 13, "ma")
    write(draw, x + columns * CELL_WIDTH // 2, bottom + 24, "clusters", 13, "ma", FAINT)
    write_upwards(draw, left, y + rows * CELL_HEIGHT // 2, "components")
    _bar(draw, x, bottom + 52, max(columns * CELL_WIDTH, 120), panel, low, high)


def _draw_cell(
    draw: ImageDraw.ImageDraw,
    panel: Panel,
    at: tuple[int, int],
    corner: tuple[int, int],
    low: float,
    high: float,
) -> None:
    value = float(panel.values[at])
    fill = (238, 238, 238)
    if np.isfinite(value):
        fill = colour((value - low) / (high - low))
    x, y = corner
    box = [x * SCALE, y * SCALE, (x + CELL_WIDTH - 1) * SCALE, (y + CELL_HEIGHT - 1) * SCALE]
    draw.rectangle(box, fill)
    middle = x + CELL_WIDTH // 2, y + CELL_HEIGHT // 2
    write(draw, *middle, cell_text(value, panel.signed), 14, "mm", ink_on(fill))


def _frame(draw: ImageDraw.ImageDraw, x: int, y: int, weight: int) -> None:
    """A black frame with a white one inside, to be seen on any colour."""
    outer = [x * SCALE, y * SCALE, (x + CELL_WIDTH - 1) * SCALE, (y + CELL_HEIGHT - 1) * SCALE]
    draw.rectangle(outer, outline="black", width=weight * SCALE // 2 + SCALE)
    inset = weight * SCALE // 2 + SCALE
    inner = [outer[0] + inset, outer[1] + inset, outer[2] - inset, outer[3] - inset]
    draw.rectangle(inner, outline="white", width=SCALE)


def span(values: np.ndarray) -> tuple[float, float]:
    """The values that the darkest and the lightest colour stand for."""
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    # Of values that hardly differ, the differences are not blown up to the whole scale.
    if high - low < 0.02:
        low, high = (low + high) / 2 - 0.01, (low + high) / 2 + 0.01
    return low, high


def _bar(
    draw: ImageDraw.ImageDraw, x: int, y: int, width: int, panel: Panel, low: float, high: float
) -> None:
    """The colours from low to high, with both numbers."""
    room = 52
    for step in range((width - 2 * room) * SCALE):
        share = step / max((width - 2 * room) * SCALE - 1, 1)
        at = (x + room) * SCALE + step
        draw.line([at, y * SCALE, at, (y + 11) * SCALE], colour(share))
    write(draw, x + room - 8, y + 6, cell_text(low, panel.signed), 12, "rm", FAINT)
    write(draw, x + width - room + 8, y + 6, cell_text(high, panel.signed), 12, "lm", FAINT)
