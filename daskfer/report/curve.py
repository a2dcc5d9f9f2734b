"""Accuracy over the number of looks, as a picture: curves with their spread, and level lines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daskfer.report.drawing import (
    FAINT,
    INK,
    MARGIN,
    SCALE,
    Colour,
    png,
    wrapped,
    write,
    write_upwards,
)

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

WIDTH, HEIGHT = 560, 340
"""The field that curves are drawn in."""

LEFT, RIGHT, FOOT = 64, 236, 62
"""Room for the numbers and the axis' name left of it, the names of lines right of it, and the
numbers and the axis' name below it."""

FINE = 2
"""Lines are drawn this many times finer than they are shown, for smooth edges."""

BLUE: Colour = (0, 114, 178)
VERMILION: Colour = (190, 80, 0)
GRID: Colour = (226, 228, 231)
"""Blue and vermilion are told apart with any colour vision (M. Okabe and K. Ito, "Color universal
design", 2008); the second is a little darker here, to be read as text."""

NAMES_APART, TICKS_APART, NUMBERS_APART = 19, 34, 44
"""Least pixels between the names of two lines, two numbers of the axis, and two on a line."""


@dataclass(frozen=True)
class Point:
    """A mean accuracy with so many looks, and its spread where it is known."""

    looks: int
    mean: float
    spread: float | None = None


@dataclass(frozen=True)
class Line:
    """A curve of points, ascending in looks, and its name."""

    name: str
    points: tuple[Point, ...]
    colour: Colour
    numbered: bool = False


@dataclass(frozen=True)
class Level:
    """A value that no look changes, drawn dashed."""

    name: str
    value: float


@dataclass(frozen=True)
class _Axes:
    """Where numbers of looks and accuracies lie, in pixels of the picture before scaling."""

    left: int
    top: int
    looks: tuple[int, ...]
    low: float
    high: float

    def x(self, looks: int) -> float:
        places = [place_of(number, self.looks) for number in (looks, self.looks[0], self.looks[-1])]
        at, first, last = places
        share = (at - first) / (last - first) if last > first else 0.5
        return self.left + 26 + share * (WIDTH - 52)

    def y(self, value: float) -> float:
        return self.top + HEIGHT * (self.high - value) / (self.high - self.low)


def place_of(looks: int, all_looks: tuple[int, ...]) -> float:
    """Where a number stands on an axis of logarithms; 0 is one step of 3 before the least other."""
    if looks > 0:
        return math.log(looks)
    return math.log(min((other for other in all_looks if other > 0), default=1)) - math.log(3)


def curves(lines: list[Line], levels: list[Level], title: str, below: str) -> bytes:
    """A PNG of curves and levels, under a title and above a text.

    Lines without points are left out; there must be a point or a level.
    """
    from PIL import Image, ImageDraw

    lines = [line for line in lines if line.points]
    width = LEFT + WIDTH + RIGHT
    scratch = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    heading, footing = wrapped(scratch, title, 17, width), wrapped(scratch, below, 13, width)
    top = MARGIN + 24 * len(heading) + 20
    under = top + HEIGHT + FOOT
    size = (width + 2 * MARGIN, under + 19 * len(footing) + MARGIN)
    axes = _axes(lines, levels, top)
    picture = _lines_drawn(lines, levels, axes, size)
    draw = ImageDraw.Draw(picture)
    for number, text in enumerate(heading):
        write(draw, MARGIN, MARGIN + 24 * number, text, 17, "la")
    for number, text in enumerate(footing):
        write(draw, MARGIN, under + 19 * number, text, 13, "la", FAINT)
    _write_axes(draw, axes)
    _write_numbers(draw, lines, axes)
    _write_names(draw, lines, levels, axes)
    return png(picture)


def _axes(lines: list[Line], levels: list[Level], top: int) -> _Axes:
    values = [level.value for level in levels]
    for line in lines:
        for point in line.points:
            spread = point.spread or 0.0
            values += [point.mean - spread, point.mean + spread]
    low, high = limits(values)
    looks = sorted({point.looks for line in lines for point in line.points}) or [1]
    return _Axes(MARGIN + LEFT, top, tuple(looks), low, high)


def limits(values: list[float]) -> tuple[float, float]:
    """The twentieths between which all values lie, with some room, from 0 to 1."""
    low = math.floor((min(values) - 0.01) * 20) / 20
    high = math.ceil((max(values) + 0.02) * 20) / 20
    return max(low, 0.0), min(high, 1.0)


def ticks(low: float, high: float) -> list[float]:
    """Accuracies that have a line of the grid: tenths, or twentieths of a narrow range."""
    step = 0.1 if high - low > 0.45 else 0.05
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _lines_drawn(
    lines: list[Line], levels: list[Level], axes: _Axes, size: tuple[int, int]
) -> Image.Image:
    """All that is no text, drawn fine and then shrunk."""
    from PIL import Image, ImageDraw

    scale = SCALE * FINE
    picture = Image.new("RGB", (size[0] * scale, size[1] * scale), "white")
    draw = ImageDraw.Draw(picture)
    left, right = axes.left, axes.left + WIDTH
    for value in ticks(axes.low, axes.high):
        _segment(draw, (left, axes.y(value)), (right, axes.y(value)), GRID, 1)
    for level in levels:
        _dashes(draw, left, right, axes.y(level.value))
    bottom = axes.top + HEIGHT
    _segment(draw, (left, bottom), (right, bottom), FAINT, 1)
    for looks in axes.looks:
        _segment(draw, (axes.x(looks), bottom), (axes.x(looks), bottom + 5), FAINT, 1)
    # The first line comes last, above the others.
    for line in reversed(lines):
        _draw_line(draw, line, axes)
    return picture.resize((size[0] * SCALE, size[1] * SCALE), Image.Resampling.LANCZOS)


def _draw_line(draw: ImageDraw.ImageDraw, line: Line, axes: _Axes) -> None:
    places = [(axes.x(point.looks), axes.y(point.mean)) for point in line.points]
    for number in range(1, len(places)):
        # Naming without a person is another way of naming, not fewer looks.
        if line.points[number - 1].looks > 0:
            _segment(draw, places[number - 1], places[number], line.colour, 2.5)
    for point, (x, y) in zip(line.points, places, strict=True):
        if point.spread:
            for end in (axes.y(point.mean - point.spread), axes.y(point.mean + point.spread)):
                _segment(draw, (x, y), (x, end), line.colour, 1.5)
                _segment(draw, (x - 5, end), (x + 5, end), line.colour, 1.5)
        _dot(draw, x, y, line.colour)


def _segment(
    draw: ImageDraw.ImageDraw,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: Colour,
    weight: float,
) -> None:
    scale = SCALE * FINE
    places = [coordinate * scale for place in (start, end) for coordinate in place]
    draw.line(places, colour, round(weight * scale))


def _dashes(draw: ImageDraw.ImageDraw, left: int, right: int, y: float) -> None:
    for start in range(left, right, 12):
        _segment(draw, (start, y), (min(start + 7, right), y), FAINT, 1.5)


def _dot(draw: ImageDraw.ImageDraw, x: float, y: float, colour: Colour) -> None:
    scale = SCALE * FINE
    box = [round((at + by) * scale) for by in (-5, 5) for at in (x, y)]
    draw.ellipse(box, colour, "white", scale)


def spaced(axes: _Axes, looks: tuple[int, ...], least: int) -> list[int]:
    """Those of the looks (ascending) that lie at least so far apart, counted from the last."""
    chosen: list[int] = []
    for number in reversed(looks):
        if not chosen or axes.x(chosen[-1]) - axes.x(number) >= least:
            chosen.append(number)
    return chosen


def _write_axes(draw: ImageDraw.ImageDraw, axes: _Axes) -> None:
    for value in ticks(axes.low, axes.high):
        write(draw, axes.left - 10, round(axes.y(value)), f"{value:.2f}", 13, "rm")
    bottom = axes.top + HEIGHT
    for looks in spaced(axes, axes.looks, TICKS_APART):
        write(draw, round(axes.x(looks)), bottom + 8, f"{looks:,}", 13, "ma")
    middle = axes.left + WIDTH // 2
    write(draw, middle, bottom + 30, "looks, one a cluster (logarithmic)", 13, "ma", FAINT)
    write_upwards(draw, MARGIN, axes.top + HEIGHT // 2, "accuracy")


def _write_numbers(draw: ImageDraw.ImageDraw, lines: list[Line], axes: _Axes) -> None:
    """Means above the points of numbered lines."""
    for line in lines:
        if not line.numbered:
            continue
        written = spaced(axes, tuple(point.looks for point in line.points), NUMBERS_APART)
        for point in line.points:
            if point.looks in written:
                x, y = axes.x(point.looks), axes.y(point.mean + (point.spread or 0.0)) - 9
                text = f"{point.mean:.3f}"
                write(draw, round(x), round(y), text, 12, "ms", line.colour, halo=2)


def _write_names(
    draw: ImageDraw.ImageDraw, lines: list[Line], levels: list[Level], axes: _Axes
) -> None:
    """Names right of the field, each as near to its line's end as the others let it."""
    named = [(axes.y(level.value), level.name, FAINT) for level in levels]
    named += [(axes.y(line.points[-1].mean), line.name, line.colour) for line in lines]
    named.sort()
    places = apart([y for y, _, _ in named], NAMES_APART)
    for y, (_, name, colour) in zip(places, named, strict=True):
        write(draw, axes.left + WIDTH + 10, round(y), name, 13, "lm", colour or INK)


def apart(places: list[float], least: float) -> list[float]:
    """Places (ascending) moved as little as it takes to lie at least so far apart.

    Those that are too close make a group, which is centred on the mean of its places.
    """
    found: list[list[float]] = []
    for place in places:
        found.append([place])
        while len(found) > 1 and _first(found[-1], least) - _last(found[-2], least) < least:
            joined = found.pop()
            found[-1] += joined
    return [
        _first(group, least) + number * least for group in found for number in range(len(group))
    ]


def _first(group: list[float], least: float) -> float:
    return sum(group) / len(group) - least * (len(group) - 1) / 2


def _last(group: list[float], least: float) -> float:
    return _first(group, least) + least * (len(group) - 1)
