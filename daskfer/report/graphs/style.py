"""The house style of graphs: one size of letters, few colours, and a page that is light or dark.

A graph is drawn once, by Matplotlib, in the colours of paper. On the page, each of these is
replaced by the page's own variable of that role, so that a graph follows light and dark as the
text around it does.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from daskfer.faces import EMOTIONS, UNKNOWN, side_of
from daskfer.report.words import emotion_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEXT, SOFT, LINE = "#1a1f26", "#56606d", "#dfe3e8"
FILL, PALE, CHANCE, CARD = "#5b84dd", "#bccdf2", "#b3470b", "#fefefe"
MUTED = "#b4bcc7"

ROLES = {
    TEXT: "--text", SOFT: "--soft", LINE: "--line", FILL: "--fill", PALE: "--pale",
    CHANCE: "--chance", CARD: "--card", MUTED: "--muted",
}  # fmt: skip
"""Which of the page's variables stands for a colour of paper."""

COLOURS = ("#d55e00", "#8a9a00", "#b05fa3", "#e69f00", "#3b82c4", "#009e73", "#808890")
"""After M. Okabe and K. Ito, "Color universal design" (2008), in tones that are seen on white and
on black; those of the seven emotions."""

MORE_COLOURS = ("#7a5cc4", "#c43b6a", "#3fa7b5", "#a0703c")
MARKERS = ("^", "P", "D", "o", "v", "*", "s")
MORE_MARKERS = ("X", "p", "<", ">")
UNNAMED_MARKER = "."

WIDTH = 390
"""Width of a graph in its own units, in which letters are 10 high: as wide as a phone."""

POINTS = 72
"""Units to an inch."""


@dataclass(frozen=True)
class Graph:
    """A graph, with what it shows and what that means here.

    Attributes
    ----------
    name : str
        Of its files.
    title, shows, means : str
        A heading and two sentences.
    figure : Figure
    page : bool
        Whether report.html shows it; a table there may say the same already.
    faces : Faces or None
        What is shown of single points when they are pointed at.
    """

    name: str
    title: str
    shows: str
    means: str
    figure: Figure
    page: bool = True
    hover: Any = None


@contextmanager
def house_style(text_as_paths: bool = False, salt: str = "daskfer") -> Iterator[None]:
    """Matplotlib's settings while something is drawn or written.

    Names may hold dollar signs, which are no formulas here; and letters that the font lacks,
    which a browser finds elsewhere.
    """
    # A home that cannot be written to, or fonts that are looked for, concern nobody at a terminal;
    # this must be there before the import.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib

    settings = {
        "font.size": 10.5, "font.family": "sans-serif", "text.parse_math": False,
        "text.color": TEXT, "axes.labelcolor": SOFT, "axes.edgecolor": LINE,
        "xtick.color": SOFT, "ytick.color": TEXT, "xtick.labelsize": 9.5, "ytick.labelsize": 10.5,
        "axes.labelsize": 9.5, "axes.spines.top": False, "axes.spines.right": False,
        "axes.titlesize": 10, "axes.titlecolor": SOFT, "legend.frameon": False,
        "legend.fontsize": 9.5, "axes.facecolor": "none", "figure.facecolor": "none",
        "savefig.facecolor": "none", "grid.color": LINE, "axes.unicode_minus": True,
        "xtick.major.size": 0, "ytick.major.size": 0, "lines.linewidth": 1.6,
        "svg.fonttype": "path" if text_as_paths else "none", "svg.hashsalt": salt,
    }  # fmt: skip
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def canvas(
    height: float, left: float = 74, right: float = 14, top: float = 10, bottom: float = 38
) -> tuple[Figure, Axes]:
    """A figure of `WIDTH` by this height with one field, the margins in the figure's units."""
    figure = blank(height)
    return figure, field(figure, height, left, WIDTH - right, top, height - bottom)


def blank(height: float) -> Figure:
    """A figure of `WIDTH` by this height without a field."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH / POINTS, height / POINTS))


def field(
    figure: Figure, height: float, left: float, right: float, top: float, bottom: float
) -> Axes:
    """A field between these places, counted from the left and from the top."""
    size = (left / WIDTH, 1 - bottom / height, (right - left) / WIDTH, (bottom - top) / height)
    return figure.add_axes(size)


def bare(axes: Axes) -> None:
    """Take frame and scales away."""
    axes.set_axis_off()


def percent_axis(axis: Any) -> None:
    """Write a scale of shares in per cent."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(5, min_n_ticks=3))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))


def count_axis(axis: Any) -> None:
    """Write a scale of numbers with commas."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=2))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def look_of(code: int) -> tuple[str, str]:
    """Colour and marker of an emotion or another category, or of none: never a colour alone."""
    if code == UNKNOWN:
        return SOFT, UNNAMED_MARKER
    colours, markers = COLOURS + MORE_COLOURS, MARKERS + MORE_MARKERS
    if code < len(markers):
        return colours[code], markers[code]
    # Later ones go through other pairs of the two.
    rest = code - len(markers)
    return colours[rest % len(colours)], markers[(rest // len(colours) + rest + 1) % len(markers)]


def short(text: str, most: int = 16) -> str:
    """A name that fits beside a graph."""
    return text if len(text) <= most else text[: most - 1] + "…"


def category(code: int, categories: tuple[str, ...] = EMOTIONS) -> str:
    """A name of a category that fits beside a graph."""
    return short(emotion_name(code, categories))


def show_faces(
    axes: Axes,
    faces: np.ndarray,
    columns: int,
    captions: list[str] | None = None,
    gap: float = 0.06,
    room: float = 0.0,
) -> None:
    """Draw faces in lines.

    Parameters
    ----------
    axes : Axes
    faces : array (n, side²)
        Grey values, each face from its own least to its largest where they are no bytes.
    columns : int
    captions : list of str, optional
        Text below each, as high as `room`.
    gap, room : float
        In sides of a face.
    """
    side = side_of(faces.shape[1]) or 1
    lines = -(-len(faces) // columns)
    high = 1 + room + gap
    for number, face in enumerate(faces):
        line, column = divmod(number, columns)
        left, top = column * (1 + gap), line * high
        low, most = (0, 255) if faces.dtype == np.uint8 else _range(face)
        axes.imshow(
            face.reshape(side, side), cmap="gray", vmin=low, vmax=most, interpolation="none",
            extent=(left, left + 1, top + 1, top),
        )  # fmt: skip
        if captions is not None:
            axes.text(left + 0.5, top + 1 + 0.04, captions[number], ha="center", va="top",
                      fontsize=8.5, linespacing=1.15)  # fmt: skip
    axes.set_xlim(0, columns * (1 + gap) - gap)
    axes.set_ylim(lines * high - gap, 0)
    axes.set_aspect("equal", anchor="W")
    bare(axes)


def _range(values: np.ndarray) -> tuple[float, float]:
    low, most = float(values.min()), float(values.max())
    return (low, most) if most > low else (low, low + 1)


def svg_of(graph: Graph, text_as_paths: bool) -> str:
    """A graph as SVG, the same each time."""
    with house_style(text_as_paths, salt=graph.name):
        buffer = io.BytesIO()
        # The page counts on places in the figure; for paper, empty margins go.
        tight: dict[str, Any] = (
            {"bbox_inches": "tight", "pad_inches": 0.05} if text_as_paths else {}
        )
        metadata = {"Date": None, "Creator": None}
        graph.figure.savefig(buffer, format="svg", metadata=metadata, **tight)
    return buffer.getvalue().decode("utf-8")


def png_of(graph: Graph, dots: int = 300) -> bytes:
    """A graph as PNG on white, with so many dots to the inch."""
    with house_style():
        buffer = io.BytesIO()
        graph.figure.savefig(
            buffer, format="png", dpi=dots, facecolor="white", bbox_inches="tight", pad_inches=0.05
        )
    return buffer.getvalue()


def inline(graph: Graph) -> str:
    """A graph as a piece of HTML: in the page's colours and letters, and with names of its own.

    What Matplotlib writes is XML whose texts it has escaped; from it goes whatever a page has
    already or could take for another's: declarations, comments, style sheets, references to other
    files, and identifiers that two graphs may share.
    """
    text = svg_of(graph, text_as_paths=False)
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.S)
    text = re.sub(r"<clipPath.*?</clipPath>", "", text, flags=re.S)
    text = re.sub(r' clip-path="url\([^)]*\)"', "", text)
    text = re.sub(r"<defs>\s*</defs>", "", text)
    root, rest = text.split(">", 1)
    root = re.sub(r' (?:xmlns(?::xlink)?|version|width|height)="[^"]*"', "", root)
    text = f"{root}>{rest}"
    text = text.replace("xlink:href=", "href=")
    text = re.sub(r' id="[a-zA-Z0-9.]+_\d+"', "", text)
    text = re.sub(r' (id="|href="#)', rf" \g<1>{graph.name}-", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    text = re.sub(r"font-family: [^;\"]*;?", "", text)
    for colour, variable in ROLES.items():
        text = text.replace(colour, f"var({variable})")
    text = re.sub(r"\n\s*", "\n", text)
    label = escape(f"{graph.title}. {graph.shows} {graph.means}", quote=True)
    return text.replace("<svg", f'<svg class="graph" role="img" aria-label="{label}"', 1)
