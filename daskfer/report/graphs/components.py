"""Graphs of the reduction: how much its components explain, and what they are of a face."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daskfer.faces import side_of
from daskfer.recipe import NoReduction
from daskfer.reduce import Reducer
from daskfer.report.graphs.sample import Sample
from daskfer.report.graphs.style import (
    CHANCE,
    FILL,
    WIDTH,
    Graph,
    blank,
    canvas,
    count_axis,
    field,
    house_style,
    percent_axis,
    show_faces,
)
from daskfer.report.words import percent, plural

if TYPE_CHECKING:
    from daskfer.pipeline import Result

SHOWN = 6
"""Components that are drawn as faces."""

ENDS = 0.05
"""Share of the sample's faces at either end of a component that are averaged."""


def variance(result: Result) -> Graph | None:
    """Explained variance by component; None where the reduction has no share to tell."""
    reducer = result.reduced.reducer
    if isinstance(result.recipe.reduce, NoReduction) or not isinstance(reducer, Reducer):
        return None
    if not reducer.explained_share:
        return None
    shares = reducer.explained_variance / reducer.total_variance
    numbers = np.arange(1, len(shares) + 1)
    with house_style():
        figure, axes = canvas(230, left=52, right=58)
        axes.bar(numbers, shares, color=FILL, width=0.8)
        axes.plot(numbers, np.cumsum(shares), color=CHANCE, marker="o", markersize=3)
        axes.annotate(
            f"together\n{percent(float(shares.sum()))}", (len(shares), shares.sum()), (8, 0),
            textcoords="offset points", color=CHANCE, va="center", fontsize=9.5,
        )  # fmt: skip
        axes.set_ylim(0, min(1.0, float(shares.sum()) * 1.15))
        axes.set_xlim(0.4, len(shares) + 0.6)
        count_axis(axes.xaxis)
        axes.set_xlabel("component")
        axes.tick_params(axis="y", labelsize=9)
        percent_axis(axes.yaxis)
    even = 1 / len(reducer.mean)
    return Graph(
        "variance",
        "Explained variance",
        "Bars: the share of the variance of what represents a face that each component explains; "
        "the line adds them up.",
        f"{plural(len(shares), 'component')} of {len(reducer.mean):,} features keep "
        f"{percent(float(shares.sum()))} of the variance, the first "
        f"{percent(float(shares[0]))}; were all features alike and independent, each would "
        f"explain {percent(even) if even >= 0.001 else f'{even:.2%}'}. "
        "Variance is not emotion: light and pose make much of it.",
        figure,
    )


def as_faces(result: Result, sample: Sample) -> Graph:
    """The first components as faces: their axes where these are pixels, else their two ends."""
    reducer, columns = result.reduced.reducer, result.faces.side**2
    if isinstance(reducer, Reducer) and reducer.axes.shape[1] == columns and not isinstance(
        result.recipe.reduce, NoReduction
    ):  # fmt: skip
        return _eigenfaces(reducer, sample)
    return _ends(result, sample)


def _eigenfaces(reducer: Reducer, sample: Sample) -> Graph:
    from daskfer.report.sheets import LARGEST_SIDE

    axes_of_faces = reducer.axes[:SHOWN]
    pictures = np.vstack([reducer.mean[None, :], axes_of_faces])
    captions = ["mean", *(f"{number + 1}" for number in range(len(axes_of_faces)))]
    side = side_of(pictures.shape[1]) or 1
    step = -(-side // LARGEST_SIDE)
    if step > 1:
        pictures = pictures.reshape(-1, side, side)[:, ::step, ::step]
        pictures = pictures.reshape(len(captions), -1)
    columns = max(len(pictures), 4)
    height = 1.3 * WIDTH / columns
    with house_style():
        figure = blank(height)
        show_faces(field(figure, height, 0, WIDTH, 2, height), pictures, columns, captions,
                   room=0.25)  # fmt: skip
    return Graph(
        "components",
        "Eigenfaces",
        "The mean of the fitted faces, and what the first components add to it: light is more, "
        "dark is less (or the other way round, a component has no sign).",
        _tells(sample),
        figure,
    )


def _ends(result: Result, sample: Sample) -> Graph:
    spread = sample.points.std(axis=0)
    first = np.arange(min(SHOWN, sample.points.shape[1]))
    if np.ptp(spread[first]) > 0 and not isinstance(result.reduced.reducer, Reducer):
        # Of a face part by part, the widest components, which need not stand first.
        first = np.sort(np.argsort(-spread, kind="stable")[:SHOWN])
    take = max(1, round(len(sample) * ENDS))
    pictures, captions = [], []
    for row in (0, 1):
        for component in first:
            order = np.argsort(sample.points[:, component], kind="stable")
            chosen = order[:take] if row == 0 else order[-take:]
            pictures.append(sample.pixels[chosen].mean(axis=0))
            captions.append(f"{'low' if row == 0 else 'high'} {component + 1}")
    greys = np.round(np.array(pictures)).astype(np.uint8)
    height = 186
    with house_style():
        figure = blank(height)
        show_faces(field(figure, height, 0, WIDTH, 4, height - 2), greys, len(first), captions,
                   room=0.26)  # fmt: skip
    return Graph(
        "components",
        "What components are of a face",
        f"The mean of the {plural(take, 'face')} with the lowest and with the highest value of a "
        f"component, among {len(sample):,} fitted faces drawn by seed.",
        _tells(sample),
        figure,
    )


def _tells(sample: Sample) -> str:
    """Which of the components goes most with emotion, by its share of variance between classes."""
    known = sample.emotion >= 0
    emotion, points = sample.emotion[known], sample.points[known]
    codes, counts = np.unique(emotion, return_counts=True)
    if len(codes) < 2 or len(emotion) <= len(codes):
        return "Whether any of them goes with emotion cannot be said without labels."
    total = ((points - points.mean(axis=0)) ** 2).sum(axis=0)
    between = sum(
        count * (points[emotion == code].mean(axis=0) - points.mean(axis=0)) ** 2
        for code, count in zip(codes, counts, strict=True)
    )
    share = np.divide(between, total, out=np.zeros(points.shape[1]), where=total > 0)
    best = int(np.argmax(share))
    chance = (len(codes) - 1) / (len(emotion) - 1)
    return (
        f"Of all {plural(points.shape[1], 'component')}, number {best + 1} goes most with emotion: "
        f"{percent(float(share[best]))} of its variance is between the true emotions (labels "
        f"that mean nothing would give {percent(chance)} on average), the rest is within them."
    )
