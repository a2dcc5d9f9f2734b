"""Graphs of the second model's confidence: is it right as often as it says, and where is it not?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daskfer.classify import calibration_bins
from daskfer.faces import UNKNOWN
from daskfer.report.graphs.style import (
    CHANCE,
    FILL,
    SOFT,
    WIDTH,
    Graph,
    blank,
    canvas,
    category,
    field,
    house_style,
    percent_axis,
    show_faces,
)
from daskfer.report.sheets import shrunk
from daskfer.report.words import look_up, percent, score

if TYPE_CHECKING:
    from daskfer.pipeline import Result

COLUMNS, LINES = 5, 3
"""Of the sheet of mistakes."""


def _tested(result: Result) -> np.ndarray:
    """Positions of the test rows that have a label which can be right or wrong."""
    test = result.selection.test
    if result.trained is None or result.names.beyond_classes:
        return test[:0]
    return test[result.faces.table.emotion[test] != UNKNOWN]


def reliability(result: Result, metrics: dict[str, Any]) -> Graph | None:
    """Share of right answers over confidence, on test rows; None where none was scored."""
    rows = _tested(result)
    if len(rows) == 0 or result.trained is None:
        return None
    confidence = result.trained.confidence[rows]
    right = result.trained.emotion[rows] == result.faces.table.emotion[rows]
    said, found, counts = calibration_bins(confidence, right)
    error = np.sqrt(found * (1 - found) / counts)
    chance = look_up(metrics, "classifier", "chance_accuracy")
    with house_style():
        figure, axes = canvas(330, left=52, right=14, top=30)
        axes.plot([0, 1], [0, 1], color=SOFT, linestyle=":", label="as right as it says")
        axes.errorbar(said, found, error, color=FILL, marker="o", markersize=5, capsize=0,
                      label="found, ± 1 standard error")  # fmt: skip
        if chance is not None:
            axes.axhline(chance, color=CHANCE, linestyle="--", linewidth=1.2, label="chance")
        axes.set_xlim(0, 1.01)
        axes.set_ylim(0, 1.01)
        for axis in (axes.xaxis, axes.yaxis):
            percent_axis(axis)
        axes.tick_params(axis="y", labelsize=9)
        axes.set_xlabel("confidence")
        axes.set_ylabel("right answers")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.1, 1.0), ncols=3, handlelength=1.6,
                    columnspacing=1.1)  # fmt: skip
    away = look_up(metrics, "classifier", "test_calibration_error")
    mean, share = float(confidence.mean()), float(right.mean())
    said_of_it = "it is surer than it should be" if mean > share else "it says less than it knows"
    means = f"On average it claims {percent(mean)} and is right on {percent(share)}: {said_of_it}"
    if away is not None:
        means += f"; groups are {score(away)} off on average (expected calibration error)"
    return Graph(
        "reliability",
        "Reliability of the confidence",
        f"The share of right answers on {len(rows):,} test faces of known emotion, in "
        f"{len(said)} groups of about equal confidence.",
        f"{means}.",
        figure,
    )


def mistakes(result: Result) -> Graph | None:
    """A sheet of the most confident mistakes on test rows; None where there is none."""
    rows = _tested(result)
    if len(rows) == 0 or result.trained is None:
        return None
    truth, answer = result.faces.table.emotion[rows], result.trained.emotion[rows]
    wrong = np.flatnonzero(truth != answer)
    if len(wrong) == 0:
        return None
    confidence = result.trained.confidence[rows]
    order = wrong[np.argsort(-confidence[wrong], kind="stable")]
    # Of copies of an image, also of slightly changed ones, one is enough to look at.
    _, first = np.unique(result.faces.table.look[rows[order]], return_index=True)
    chosen = order[np.sort(first)[: COLUMNS * LINES]]
    categories = result.names.categories
    captions = [
        f"true {category(int(truth[one]), categories)}\n"
        f"said {category(int(answer[one]), categories)}\n"
        f"{confidence[one]:.0%} sure"
        for one in chosen
    ]
    lines = -(-len(chosen) // COLUMNS)
    height = 116 * lines
    with house_style():
        figure = blank(height)
        show_faces(
            field(figure, height, 0, WIDTH, 0, height),
            shrunk(result.faces.pixels.rows(rows[chosen])), COLUMNS, captions, gap=0.14, room=0.5,
        )  # fmt: skip
    return Graph(
        "mistakes",
        "The most confident mistakes",
        f"The {len(chosen)} test faces on which the second model is wrong and most confident, "
        "of images that hardly differ one.",
        _mistakes_mean(truth, answer, confidence, chosen, categories),
        figure,
    )


def _mistakes_mean(
    truth: np.ndarray,
    answer: np.ndarray,
    confidence: np.ndarray,
    chosen: np.ndarray,
    categories: tuple[str, ...],
) -> str:
    least = float(confidence[chosen].min())
    sure = confidence >= least
    share = float((truth[sure] != answer[sure]).mean())
    pairs, counts = np.unique(np.column_stack([truth, answer])[chosen], axis=0, return_counts=True)
    true, said = pairs[counts.argmax()]
    most = f"{category(int(true), categories)} taken for {category(int(said), categories)}"
    return (
        f"Of the {int(sure.sum()):,} answers at least as confident as these, {percent(share)} are "
        f"wrong; most frequent here is {most} ({int(counts.max())} of {len(chosen)}). "
        "Labels may be wrong, too: judge by the face."
    )
