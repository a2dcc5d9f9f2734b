"""Grids of a sweep as graphs: cells in the colours of heatmap.png, their numbers, their marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daskfer.report.graphs.style import (
    CARD,
    LINE,
    SOFT,
    TEXT,
    WIDTH,
    blank,
    field,
    house_style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from daskfer.report.grid import Panel

LEFT, RIGHT, HEAD, FOOT, LEGEND = 52, 8, 22, 36, 24
"""Room beside a grid: its numbers, its title, its axis; and for the legend above all grids."""

WIDEST, HIGHEST, TALLEST = 62, 26, 364
"""Of a cell its most width and height, and of a grid its height, however many rows it has."""

TINY = 8
"""A cell's width or height below which there is no room for gaps and frames."""

LETTERS, SMALLEST = 9.5, 6.8
"""Sizes of numbers in cells; where not even the smaller fits, colours stand alone."""

MOST_PATHS = 1_000
"""Up to so many cells are drawn one by one; more make a picture, or the page would be slow."""

BLACK, WHITE = "#010101", "#ffffff"
"""Numbers and the run's mark on the colours of cells, which are the same on a light and on a dark
page. Pure black is what Matplotlib leaves out, for the page to fill in."""

CORNER = [(-1, 1), (1, 1), (-1, -1), (-1, 1)]


@dataclass(frozen=True)
class Look:
    """What all grids of a graph share.

    Attributes
    ----------
    limits : tuple of float
        The values that the darkest and the lightest colour stand for.
    width, height : float
        Of a cell, in the figure's units.
    letters : float or None
        Size of the numbers, where they fit.
    """

    limits: tuple[float, float]
    width: float
    height: float
    letters: float | None

    @property
    def tiny(self) -> bool:
        """Whether cells have no room for frames."""
        return min(self.width, self.height) < TINY


def look_of_panels(panels: list[Panel]) -> Look:
    """Colours, sizes and letters that suit all of these grids, which are of the same choices."""
    from daskfer.report.grid import cell_text, span

    rows, columns = panels[0].values.shape
    width, height = min((WIDTH - LEFT - RIGHT) / columns, WIDEST), min(TALLEST / rows, HIGHEST)
    texts = [cell_text(float(one), panel.signed) for panel in panels for one in panel.values.flat]
    # A digit is 0.64 of its size wide.
    letters = min(LETTERS, (width - 5) / (0.64 * max(map(len, texts))), height - 5)
    limits = span(np.concatenate([panel.values.ravel() for panel in panels]))
    return Look(limits, width, height, letters if letters >= SMALLEST else None)


def draw_panels(panels: list[Panel], look: Look, own: list[tuple[int, int] | None]) -> Figure:
    """Grids one below the other, the run's own cell marked in each that has it."""
    rows, columns = panels[0].values.shape
    each = HEAD + rows * look.height + FOOT
    height = LEGEND + each * len(panels)
    with house_style():
        figure = blank(height)
        for number, (panel, place) in enumerate(zip(panels, own, strict=True)):
            top = LEGEND + number * each + HEAD
            right, bottom = LEFT + columns * look.width, top + rows * look.height
            axes = field(figure, height, LEFT, right, top, bottom)
            _draw(axes, panel, look)
            _mark_supported(axes, panel, look)
            if place is not None:
                _mark_own(axes, place, look)
        _legend(figure, panels, any(place is not None for place in own), look.tiny)
    return figure


def _draw(axes: Axes, panel: Panel, look: Look) -> None:
    from daskfer.report.grid import cell_text

    rows, columns = panel.values.shape
    fills = np.array([_fill(float(value), look.limits) for value in panel.values.flat])
    # Between cells, the ground of the page; between tiny ones it would be all that is seen.
    axes.pcolormesh(
        np.arange(columns + 1), np.arange(rows + 1), fills.reshape(rows, columns, 3),
        linewidth=0 if look.tiny else 1, edgecolor="face" if look.tiny else CARD,
        rasterized=panel.values.size > MOST_PATHS,
    )  # fmt: skip
    for (row, column), value in np.ndenumerate(panel.values) if look.letters else ():
        axes.text(
            column + 0.5, row + 0.5, cell_text(float(value), panel.signed), ha="center",
            va="center", fontsize=look.letters, color=_ink(float(value), look.limits),
        )  # fmt: skip
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    _numbers(axes.xaxis, panel.columns, look.width, 18)
    _numbers(axes.yaxis, panel.rows, look.height, 12)
    axes.set_xlabel("clusters", labelpad=2)
    axes.set_ylabel("components")
    axes.annotate(panel.title, (0, 1), (0, 3), xycoords="axes fraction", ha="left", va="bottom",
                  textcoords="offset points", color=TEXT)  # fmt: skip
    for spine in axes.spines.values():
        spine.set_visible(False)


def _fill(value: float, limits: tuple[float, float]) -> tuple[float, ...]:
    from matplotlib.colors import to_rgb

    from daskfer.report.grid import colour

    if not np.isfinite(value):
        return to_rgb(LINE)
    return tuple(one / 255 for one in colour(_share(value, limits)))


def _ink(value: float, limits: tuple[float, float]) -> str:
    from daskfer.report.grid import colour, ink_on

    if not np.isfinite(value):
        return SOFT
    return BLACK if ink_on(colour(_share(value, limits))) == (0, 0, 0) else WHITE


def _share(value: float, limits: tuple[float, float]) -> float:
    return (value - limits[0]) / (limits[1] - limits[0])


def _mark_supported(axes: Axes, panel: Panel, look: Look) -> None:
    """A frame for each supported cell, or a dot where cells are tiny; the choice has a frame."""
    for row, column in np.argwhere(panel.framed).tolist():
        if panel.chosen == (row, column):
            _frame(axes, (row, column), 2.4, -1.8 if look.tiny else 0.4, look)
        elif look.tiny:
            axes.plot(column + 0.5, row + 0.5, "o", markersize=2.2, markerfacecolor=CARD,
                      markeredgecolor=TEXT, markeredgewidth=0.5)  # fmt: skip
        else:
            _frame(axes, (row, column), 1.0, 0.9, look)


def _frame(axes: Axes, at: tuple[int, int], weight: float, inset: float, look: Look) -> None:
    """A line in the colour of text between two of the page's ground, to be seen on any colour."""
    from matplotlib.patches import Rectangle

    across, down = inset / look.width, inset / look.height
    for colour, line in ((CARD, weight + 1.4), (TEXT, weight)):
        axes.add_patch(Rectangle(
            (at[1] + across, at[0] + down), 1 - 2 * across, 1 - 2 * down,
            fill=False, edgecolor=colour, linewidth=line, clip_on=False, zorder=3,
        ))  # fmt: skip


def _mark_own(axes: Axes, at: tuple[int, int], look: Look) -> None:
    """A triangle in the cell's upper left corner; of a tiny cell it is larger than the cell."""
    from matplotlib.patches import Polygon

    side = float(np.clip(0.38 * min(look.width, look.height), 7, 10))
    row, column = at
    axes.add_patch(Polygon(
        [(column, row), (column + side / look.width, row), (column, row + side / look.height)],
        facecolor=WHITE, edgecolor=BLACK, linewidth=1.0, clip_on=False, zorder=4,
    ))  # fmt: skip


def _numbers(axis: Any, names: tuple[str, ...], room: float, needed: float) -> None:
    """Write the numbers of a grid's rows or columns, as many as there is room for."""
    places = np.arange(0, len(names), int(np.ceil(needed / room)))
    axis.set_ticks(places + 0.5, [names[place] for place in places])


def _legend(figure: Any, panels: list[Panel], own: bool, tiny: bool) -> None:
    """What the marks are that there are."""
    from matplotlib.lines import Line2D

    look: dict[str, Any] = {"linestyle": "", "markeredgecolor": TEXT, "markerfacecolor": CARD}
    marks = []
    if own:
        marks.append(Line2D([], [], linestyle="", marker=CORNER, markersize=8, color=WHITE,
                            markeredgecolor=TEXT, label="this run"))  # fmt: skip
    if any(panel.chosen for panel in panels):
        marks.append(Line2D([], [], marker="s", markersize=7, markeredgewidth=2.4,
                            label="the sweep’s choice", **look))  # fmt: skip
    if any(panel.framed.sum() > (panel.chosen is not None) for panel in panels):
        marks.append(Line2D([], [], marker="o" if tiny else "s", markersize=3 if tiny else 8,
                            markeredgewidth=1.0, label="supported, too", **look))  # fmt: skip
    if marks:
        figure.legend(handles=marks, loc="upper left", bbox_to_anchor=(0, 1), ncols=3,
                      borderaxespad=0.2, handletextpad=0.2, columnspacing=1.4)  # fmt: skip
