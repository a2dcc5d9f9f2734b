"""The graph of simulated naming: how accurate the second model gets with how many looks."""

from __future__ import annotations

from typing import Any

import numpy as np

from daskfer.report.graphs.style import CHANCE, FILL, SOFT, Graph, canvas, house_style, percent_axis
from daskfer.report.words import look_up, percent, plural


def looks(simulation: dict[str, Any] | None) -> Graph | None:
    """Accuracy over looks, from the content of simulate.json; None where there is none."""
    rows = [
        row for row in look_up(simulation, "figures") or () if look_up(row, "accuracy") is not None
    ]
    if not rows:
        return None
    # No look has no logarithm: symmetric logarithms keep it, a step left of one look.
    by_looks = _curve(rows, "accuracy", "accuracy_spread")
    random = _curve(rows, "random_accuracy", "random_accuracy_spread")
    chance = look_up(simulation, "chance_accuracy")
    ceiling = look_up(simulation, "ceiling", "accuracy")
    with house_style():
        figure, axes = canvas(300, left=52, right=16, top=46)
        axes.errorbar(
            *by_looks, color=FILL, marker="o", markersize=5, label="clusters named by looks"
        )
        if len(random[0]):
            axes.errorbar(*random, color=SOFT, marker="s", markersize=4.5, linestyle="-.",
                          label="as many random faces labelled")  # fmt: skip
        if ceiling is not None:
            axes.axhline(ceiling, color=SOFT, linestyle=":", label=f"all labels {percent(ceiling)}")
        if chance is not None:
            axes.axhline(chance, color=CHANCE, linestyle="--", label=f"chance {percent(chance)}")
        ticks = sorted({int(row["looks"]) for row in rows})
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        percent_axis(axes.yaxis)
        axes.tick_params(axis="y", labelsize=9)
        axes.set_xlabel("looks at a sheet of one cluster")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.1, 1.0), ncols=2, handlelength=1.8)
    last = max(rows, key=lambda row: row["looks"])
    beside = "" if chance is None else f" (chance {percent(chance)})"
    against = look_up(last, "random_accuracy")
    other = "" if against is None else f"; as many labels on random faces give {percent(against)}"
    return Graph(
        "looks",
        "What looks are worth",
        "Simulated: accuracy of the second model when a person names so many clusters, each "
        "after one look at a sheet, with the spread over seeds.",
        f"With {plural(int(last['looks']), 'look')} it is right on "
        f"{percent(float(last['accuracy']))}{beside}{other}.",
        figure,
    )


def _curve(
    rows: list[dict[str, Any]], value: str, spread: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    known = [row for row in rows if look_up(row, value) is not None]
    return (
        np.array([row["looks"] for row in known], float),
        np.array([row[value] for row in known], float),
        np.array([look_up(row, spread) or 0.0 for row in known], float),
    )
