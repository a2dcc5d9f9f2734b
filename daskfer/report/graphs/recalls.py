"""Graphs of a confusion matrix: recall by class beside chance, and the matrix itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daskfer.evaluate.external import contingency
from daskfer.report.graphs.style import (
    CHANCE,
    FILL,
    Graph,
    canvas,
    category,
    house_style,
    percent_axis,
    short,
)
from daskfer.report.words import classes_of, listed, look_up, percent

if TYPE_CHECKING:
    from daskfer.pipeline import Result

MOST_ROWS = 30
"""Clusters on the picture of clusters by emotion: the largest."""

TEXT_ON_HEAT = "#10131a"


def recall_and_chance(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Recall of each class and what it is by chance, float64 (c,); NaN of classes without rows.

    By chance, a face gets an answer as often as that answer is given at all, whatever its class.
    """
    rows, total = confusion.sum(axis=1), confusion.sum()
    recall = np.divide(np.diag(confusion), rows, out=np.full(len(rows), np.nan), where=rows > 0)
    chance = confusion.sum(axis=0) / max(total, 1)
    return recall, np.where(rows > 0, chance, np.nan)


def recalls(metrics: dict[str, Any]) -> Graph | None:
    """Recall by class on test rows; None where they were not scored."""
    found = look_up(metrics, "classifier", "test_confusion")
    if not found or not np.sum(found):
        return None
    table = np.asarray(found, np.int64)
    recall, chance = recall_and_chance(table)
    classes = [short(name) for name in classes_of(metrics)]
    places = np.arange(len(classes))
    with house_style():
        figure, axes = canvas(48 + 26 * len(classes), top=28)
        axes.barh(places, np.nan_to_num(recall), 0.62, color=FILL, label="recall")
        axes.plot(chance, places, "|", color=CHANCE, markersize=15, markeredgewidth=2.5,
                  label="the same answers given to random faces")  # fmt: skip
        for place, value in enumerate(recall):
            if np.isfinite(value):
                axes.text(
                    max(value, chance[place]) + 0.015,
                    place,
                    percent(float(value)),
                    va="center",
                    fontsize=9,
                )
        axes.set_yticks(places, classes)
        axes.set_ylim(len(classes) - 0.5, -0.5)
        top = max(float(np.nanmax(recall)), float(np.nanmax(chance)))
        axes.set_xlim(0, min(top * 1.18 + 0.05, 1.15))
        percent_axis(axes.xaxis)
        axes.set_xlabel("test faces of the class that are recognised")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, handlelength=1.2)
    return Graph(
        "recall",
        "Recall by class",
        "The share of the test faces of each true emotion that the second model recognises, "
        "beside what its answers would get if they were dealt to the faces at random.",
        _recall_means(recall, chance, classes),
        figure,
    )


def _recall_means(recall: np.ndarray, chance: np.ndarray, classes: list[str]) -> str:
    present = np.isfinite(recall)
    best = int(np.nanargmax(recall))
    better = [
        name
        for name, value, guess, known in zip(classes, recall, chance, present, strict=True)
        if known and value > guess
    ]
    worse = [
        name
        for name, value, guess, known in zip(classes, recall, chance, present, strict=True)
        if known and value <= guess
    ]
    said = (
        f"It recognises {classes[best]} best ({percent(float(recall[best]))}, by chance "
        f"{percent(float(chance[best]))})"
    )
    if not worse:
        return f"{said}, and every class more often than by chance."
    if not better:
        return f"{said}, and no class more often than by chance."
    return f"{said}; {listed(worse)} no more often than by chance."


def confusion(metrics: dict[str, Any]) -> Graph | None:
    """The confusion matrix as a picture, for papers; the page has it as a table."""
    found = look_up(metrics, "classifier", "test_confusion")
    if not found or not np.sum(found):
        return None
    table = np.asarray(found, np.int64)
    return heat(
        "confusion",
        "Confusion matrix",
        table,
        [short(name) for name in classes_of(metrics)],
        classes_of(metrics),
        "true emotion",
        "answer of the second model",
    )


def emotions(result: Result) -> Graph | None:
    """Clusters by true emotion as a picture, for papers; the page has it as a table."""
    fit, emotion = result.selection.fit, result.faces.table.emotion
    names = result.names
    table = contingency(
        result.clusters.cluster[fit], emotion[fit], len(names.emotion), len(names.classes)
    )
    if table.sum() == 0:
        return None
    shown = np.sort(np.argsort(-table.sum(axis=1), kind="stable")[:MOST_ROWS])
    rows = [
        f"{number} {category(code, names.categories)}"
        for number, code in zip(shown.tolist(), names.emotion[shown].tolist(), strict=True)
    ]
    return heat(
        "clusters-emotions", "Clusters by true emotion", table[shown], rows, names.classes,
        "cluster and its name", "true emotion",
    )  # fmt: skip


def heat(
    name: str,
    title: str,
    table: np.ndarray,
    rows: list[str],
    classes: tuple[str, ...],
    left: str,
    below: str,
) -> Graph:
    """A table (r, c) of counts as shares of its rows, with classes in columns."""
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    height = 60 + 30 * len(rows)
    most = float(shares.max()) or 1.0
    with house_style():
        figure, axes = canvas(height, left=92, bottom=52)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=most * 1.25, aspect="auto")
        for (row, column), share in np.ndenumerate(shares):
            axes.text(column, row, f"{share:.0%}", ha="center", va="center", fontsize=9,
                      color="white" if share > 0.75 * most else TEXT_ON_HEAT)  # fmt: skip
        many = len(classes) > 8
        axes.set_xticks(
            range(len(classes)), [short(one) for one in classes], rotation=90 if many else 0
        )
        axes.set_yticks(range(len(rows)), rows)
        axes.set_xlabel(below)
        axes.set_ylabel(left)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return Graph(name, title, "Counts as shares of each row.", "", figure, page=False)
