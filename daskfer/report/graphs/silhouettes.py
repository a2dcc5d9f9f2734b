"""The silhouette plot: how much nearer each face is to its own cluster than to the next.

P. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster
analysis", 1987.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daskfer.evaluate.silhouette import scored_rows, silhouettes_among
from daskfer.randomness import drawn_part
from daskfer.report.graphs.style import (
    CHANCE,
    FILL,
    PALE,
    TEXT,
    Graph,
    canvas,
    house_style,
)
from daskfer.report.words import look_up, percent, plural, score

if TYPE_CHECKING:
    from daskfer.pipeline import Result

DRAWN = 2_000
"""Faces whose silhouettes are drawn."""

AMONG, LEAST = 16_384, 512
"""Most faces among which they are computed, and the fewest to which many components reduce it."""

PRODUCTS = 2_000_000_000
"""About how many products of two numbers that may take: a second's work."""

NUMBERED = 24
"""Up to so many clusters are numbered beside the plot."""

APART = 0.25
"""Room between two clusters, as a share of the clusters' mean height."""


def silhouettes(result: Result, metrics: dict[str, Any]) -> Graph | None:
    """Silhouettes of drawn faces by cluster, or None where there is one cluster alone."""
    fit, seed = result.selection.fit, result.recipe.seed
    affordable = PRODUCTS // (DRAWN * result.reduced.reducer.components)
    most = min(AMONG, max(affordable, LEAST), result.recipe.evaluate.silhouette_rows)
    rows = scored_rows(len(fit), most, seed)
    cluster = result.clusters.cluster[fit[rows]]
    if len(np.unique(cluster)) < 2:
        return None
    chosen = drawn_part(np.arange(len(rows)), DRAWN, seed, "report-silhouettes")
    points = result.reduced.points.rows(fit[rows])
    k = len(result.names.emotion)
    values = silhouettes_among(points, cluster, k, chosen)
    own = cluster[chosen]
    numbers = np.unique(own)
    means = np.array([values[own == number].mean() for number in numbers])
    few = len(numbers) <= NUMBERED
    # Of few clusters in their order; of many, the tightest first, since none is numbered.
    order = np.arange(len(numbers)) if few else np.argsort(-means, kind="stable")
    mean = look_up(metrics, "cluster", "silhouette")
    null = look_up(metrics, "cluster", "silhouette_null")
    with house_style():
        figure, axes = canvas(400, left=74 if few else 30, top=30)
        (_draw if few else _draw_many)(axes, values, own, numbers[order])
        for value, name, colour, style in (
            (mean, "this run", TEXT, "-"),
            (null, "structureless noise", CHANCE, "--"),
        ):
            if value is not None:
                axes.axvline(value, color=colour, linestyle=style, label=f"{name}: {score(value)}")
        axes.axvline(0, color=PALE, linewidth=0.8)
        axes.set_xlabel("silhouette")
        if mean is not None or null is not None:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, handlelength=1.8)
    what = (
        "A bar for each"
        if few
        else (
            "For each cluster, the tightest first, its mean (dot), the middle half (dark) and nine "
            "tenths (pale)"
        )
    )
    return Graph(
        "silhouettes",
        "Silhouette plot",
        f"{what} of {len(chosen):,} fitted faces drawn by seed: right of 0 a face is nearer to its "
        "own cluster than to the next one, left of it the other way round.",
        _means_here(values, means, null),
        figure,
    )


def _draw(axes: Any, values: np.ndarray, own: np.ndarray, numbers: np.ndarray) -> None:
    room = APART * len(values) / len(numbers)
    low, ticks = 0.0, []
    for turn, number in enumerate(numbers):
        mine = np.sort(values[own == number])[::-1]
        edges = low + np.arange(len(mine) + 1)
        axes.stairs(mine, edges, orientation="horizontal", fill=True,
                    color=FILL if turn % 2 == 0 else PALE)  # fmt: skip
        ticks.append(low + len(mine) / 2)
        low += len(mine) + room
    axes.set_ylim(low - room, 0)
    axes.set_yticks(ticks, [f"cluster {number}" for number in numbers], fontsize=9)


def _draw_many(axes: Any, values: np.ndarray, own: np.ndarray, numbers: np.ndarray) -> None:
    """Clusters in a line each, for as many as bars of single faces would blur."""
    edges = np.array([np.quantile(values[own == one], [0.05, 0.25, 0.75, 0.95]) for one in numbers])
    means = [values[own == one].mean() for one in numbers]
    places = np.arange(len(numbers))
    axes.hlines(places, edges[:, 0], edges[:, 3], color=PALE, linewidth=1.4)
    axes.hlines(places, edges[:, 1], edges[:, 2], color=FILL, linewidth=2.2)
    axes.plot(means, places, "o", color=TEXT, markersize=2)
    axes.set_ylim(len(numbers) - 0.4, -0.6)
    axes.set_yticks([])
    axes.set_ylabel(f"{len(numbers):,} clusters")


def _means_here(values: np.ndarray, means: np.ndarray, null: float | None) -> str:
    wrong = f"{percent(float((values < 0).mean()))} of these faces are nearer to another cluster"
    if null is None:
        return f"{wrong}; what noise would give was not measured."
    above = int((means > null).sum())
    return (
        f"{wrong}; of {plural(len(means), 'cluster')} {above:,} are tighter than the mean of "
        f"structureless noise cut the same way ({score(null)})."
    )
