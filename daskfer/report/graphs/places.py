"""Maps of the faces: where they lie on two components, by cluster and by true emotion.

On the page, a face is seen when its point is pointed at. That needs no script: each point holds a
window onto one picture of all faces, which style sheets show while the pointer is on the point.
"""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from daskfer.faces import UNKNOWN, side_of
from daskfer.report.graphs.sample import Sample
from daskfer.report.graphs.style import (
    CARD,
    TEXT,
    WIDTH,
    Graph,
    canvas,
    category,
    house_style,
    look_of,
)
from daskfer.report.words import emotion_name, percent, plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from daskfer.pipeline import Result

COLOURED = 12
"""Up to so many clusters have a colour each; more are coloured by their names."""

NEIGHBOURS = 10

APART = 0.05
"""Numbers nearer to each other, as a share of the map, could not be read."""

TOP, SIDE = 74, 60
"""Room above a map for the face that is pointed at, and the side it is shown with."""

COLUMNS = 40
"""Faces in a line of the picture of all faces."""

SPRITE = "faces-of-maps"


@dataclass(frozen=True)
class Hover:
    """What is told of each point of a map, and in which order the points were drawn."""

    order: np.ndarray
    texts: tuple[str, ...]
    side: int


@dataclass(frozen=True)
class Kind:
    """Points of a kind: their code, their name, and how they look."""

    code: int
    name: str
    colour: str
    marker: str


def maps(result: Result, sample: Sample) -> list[Graph]:
    """The map by cluster and, where labels are known, the one by true emotion."""
    flat, share = _plane(sample.points)
    texts = _texts(result, sample)
    k = len(result.names.emotion)
    shows = (
        f"{len(sample):,} fitted faces, drawn by seed, on the first two principal components of "
        "what the clusters see; point at a face to see it."
    )
    by_number = k <= COLOURED
    codes = sample.cluster if by_number else result.names.of(sample.cluster)
    kinds = [_kind(code, by_number, result.names.categories) for code in np.unique(codes)]
    title = "cluster" if by_number else "the names of their clusters"
    apart = percent(_alike(sample.points, sample.cluster))
    chance = percent(_pairs(sample.cluster))
    found = [
        Graph(
            "map-clusters",
            f"Map of faces by {title}",
            shows,
            f"The two hold {percent(share)} of the variance"
            + (", so much of what parts the clusters is not seen here" if share < 0.8 else "")
            + f": of a face’s {NEIGHBOURS} nearest, in all "
            f"{plural(sample.points.shape[1], 'component')}, {apart} are of its cluster "
            f"(by chance {chance}).",
            _map(flat, codes, kinds),
            hover=_hover(codes, kinds, texts, sample),
        )
    ]
    known = np.flatnonzero(sample.emotion != UNKNOWN)
    if len(known) > 1:
        codes = sample.emotion
        kinds = [_kind(code, False, result.names.classes) for code in np.unique(codes)]
        same = _alike(sample.points[known], sample.emotion[known])
        guess = _pairs(sample.emotion[known])
        found.append(
            Graph(
                "map-emotions",
                "The same map by true emotion",
                "The same faces in the same places, by the emotion of their label.",
                f"Of a face’s {NEIGHBOURS} nearest, in all components, {percent(same)} have its "
                f"emotion (by chance {percent(guess)}): {_closeness(same, guess)}.",
                _map(flat, codes, kinds),
                hover=_hover(codes, kinds, texts, sample),
            )
        )
    return found


def _closeness(same: float, chance: float) -> str:
    if same < chance + 0.02:
        return "faces that are alike here are hardly alike in emotion"
    if same < 0.5:
        return (
            "faces that are alike here share their emotion more often than by chance, but most do "
            "not"
        )
    return "faces that are alike here mostly share their emotion"


def _kind(code: int, by_number: bool, categories: tuple[str, ...]) -> Kind:
    if by_number:
        return Kind(int(code), f"cluster {code}", *look_of(int(code)))
    return Kind(int(code), category(int(code), categories), *look_of(int(code)))


def _plane(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Two principal components, float64 (n, 2), of points (n, c), and their share of variance."""
    from scipy.linalg import eigh

    centred = points - points.mean(axis=0)
    scatter = centred.T @ centred
    columns = len(scatter)
    variances, axes = eigh(scatter, subset_by_index=[max(columns - 2, 0), columns - 1])
    axes = axes[:, ::-1]
    # Which way an axis points is not settled by what it is; here its largest entry is positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    flat = np.zeros((len(points), 2))
    flat[:, : axes.shape[1]] = centred @ axes
    total = float(np.trace(scatter))
    return flat, float(variances.sum() / total) if total > 0 else 1.0


def _alike(points: np.ndarray, codes: np.ndarray) -> float:
    """Mean share of each point's nearest others that have its code."""
    squares = (points**2).sum(axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * points @ points.T
    np.fill_diagonal(distances, np.inf)
    most = min(NEIGHBOURS, len(points) - 1)
    if most < 1:
        return 1.0
    nearest = np.argpartition(distances, most - 1, axis=1)[:, :most]
    return float((codes[nearest] == codes[:, None]).mean())


def _pairs(codes: np.ndarray) -> float:
    """Share of all pairs of different points that have the same code: what chance gives."""
    counts, n = np.unique(codes, return_counts=True)[1].astype(float), len(codes)
    return float((counts * (counts - 1)).sum() / (n * (n - 1))) if n > 1 else 1.0


def _map(flat: np.ndarray, codes: np.ndarray, kinds: list[Kind]) -> Figure:
    below = 10 + 14 * -(-len(kinds) // 4)
    height = TOP + 340 + below
    with house_style():
        figure, axes = canvas(height, left=8, right=8, top=TOP, bottom=below)
        for kind in kinds:
            here = flat[codes == kind.code]
            found = axes.scatter(
                here[:, 0], here[:, 1], s=22 if kind.marker != "." else 14, c=kind.colour,
                marker=kind.marker, linewidths=0.4, edgecolors=CARD, label=kind.name,
            )  # fmt: skip
            found.set_gid(f"points{kind.code}")
        if kinds[0].name.startswith("cluster "):
            _number(axes, flat, codes, kinds)
        axes.set_xticks([])
        axes.set_yticks([])
        _frame(axes, flat)
        axes.legend(
            loc="upper left", bbox_to_anchor=(-0.01, 0.0), ncols=4, columnspacing=1.0,
            handletextpad=0.2, markerscale=1.3,
        )  # fmt: skip
    return figure


def _number(axes: Axes, flat: np.ndarray, codes: np.ndarray, kinds: list[Kind]) -> None:
    """Write the clusters' numbers at their middles, unless some would lie upon each other."""
    middles = np.array([np.median(flat[codes == kind.code], axis=0) for kind in kinds])
    away = np.abs(middles[:, None] - middles[None, :]) / np.maximum(np.ptp(flat, axis=0), 1e-9)
    apart = away.max(axis=-1)[~np.eye(len(kinds), dtype=bool)]
    if len(apart) and apart.min() < APART:
        return
    for kind, (x, y) in zip(kinds, middles.tolist(), strict=True):
        axes.text(x, y, str(kind.code), color=TEXT, weight="bold", fontsize=13, ha="center",
                  va="center", zorder=5)  # fmt: skip


def _frame(axes: Axes, flat: np.ndarray) -> None:
    """Limits with room for all points: nothing is cut off, so nothing may stick out."""
    lows, highs = flat.min(axis=0), flat.max(axis=0)
    room = np.where(highs > lows, 0.03 * (highs - lows), 1.0)
    axes.set_xlim(lows[0] - room[0], highs[0] + room[0])
    axes.set_ylim(lows[1] - room[1], highs[1] + room[1])


def _texts(result: Result, sample: Sample) -> list[str]:
    names, categories = result.names.of(sample.cluster), result.names.categories
    return [
        f"cluster {cluster}: {emotion_name(int(name), categories)}\n"
        + ("true emotion not known" if truth == UNKNOWN else f"true emotion: {categories[truth]}")
        for cluster, name, truth in zip(sample.cluster, names, sample.emotion, strict=True)
    ]


def _hover(codes: np.ndarray, kinds: list[Kind], texts: list[str], sample: Sample) -> Hover:
    order = np.concatenate([np.flatnonzero(codes == kind.code) for kind in kinds])
    return Hover(order, tuple(texts), side_of(sample.pixels.shape[1]) or 1)


def with_faces(markup: str, hover: Hover) -> str:
    """The markup of a map in which each point shows its face while it is pointed at."""
    places = iter(hover.order.tolist())

    def wrapped(use: re.Match[str]) -> str:
        return f'<g class="pt">{use[0]}{_tip(next(places), hover)}</g>'

    def group(found: re.Match[str]) -> str:
        return re.sub(r"<use [^>]*/>", wrapped, found[0])

    # Matplotlib writes the marker first and then a <use> for each point, in the order given.
    markup = re.sub(r'<g id="[\w-]*points-?\d+">.*?</g>\s*</g>', group, markup, flags=re.S)
    assert next(places, None) is None
    rest = f'<text class="rest" x="2" y="{TOP - 12}">Point at a face to see it.</text>'
    # Below all windows, so first.
    opening, inner = markup.split(">", 1)
    return f"{opening}>{rest}{inner}"


def _tip(place: int, hover: Hover) -> str:
    line, column = divmod(place, COLUMNS)
    side = hover.side
    window = f"{column * side} {line * side} {side} {side}"
    first, second = hover.texts[place].split("\n")
    return (
        f'<g class="tip"><rect width="{WIDTH}" height="{TOP - 6}"/>'
        f'<svg x="2" y="2" width="{SIDE}" height="{SIDE}" viewBox="{window}">'
        f'<use href="#{SPRITE}"/></svg>'
        f'<text x="{SIDE + 12}" y="26">{escape(first)}</text>'
        f'<text x="{SIDE + 12}" y="44">{escape(second)}</text></g>'
    )


def sprite(sample: Sample) -> str:
    """One picture of all faces of the maps, which is drawn nowhere by itself."""
    from PIL import Image

    side = side_of(sample.pixels.shape[1]) or 1
    lines = -(-len(sample) // COLUMNS)
    picture = np.zeros((lines * side, COLUMNS * side), np.uint8)
    for place, face in enumerate(sample.pixels):
        line, column = divmod(place, COLUMNS)
        picture[line * side : (line + 1) * side, column * side : (column + 1) * side] = (
            face.reshape(side, side)
        )
    buffer = io.BytesIO()
    # JPEG: a third of what PNG takes, and nobody measures these.
    Image.fromarray(picture).save(buffer, "JPEG", quality=80, optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    height, width = picture.shape
    return (
        '<svg class="sprite" aria-hidden="true"><defs>'
        f'<image id="{SPRITE}" width="{width}" height="{height}" '
        f'href="data:image/jpeg;base64,{data}"/></defs></svg>'
    )
