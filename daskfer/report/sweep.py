"""A sweep in words and figures: the table at a terminal, sweep.csv, sweep.json."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import asdict
from typing import Any

from daskfer import __version__
from daskfer.recipe import Recipe
from daskfer.stages.sweep import Plan, Sweep
from daskfer.sweep.statement import RULE, Judged, number

FORMAT = 1
"""Of sweep.json; raised when what is there comes to mean something else."""

MOST_LINES = 60
"""Cells that the table at a terminal shows; sweep.csv has all."""


def figures(judged: Judged) -> dict[str, Any]:
    """All figures of a cell, and how it stands to the rule, as plain values by their names."""
    known = judged.result.excess is not None
    return {
        **asdict(judged.result),
        "silhouette_above_null": judged.result.excess,
        # Of one draw of noise there is none, and JSON has no word for what is never exceeded.
        "spread": judged.spread if known and math.isfinite(judged.spread) else None,
        "above_null": judged.above if known else None,
        "more_stable_than_null": judged.stable if known else None,
        "supported": judged.supported if known else None,
    }


def as_dict(
    sweep: Sweep, plan: Plan, recipe: Recipe, inputs: list[Any], more: dict[str, Any]
) -> dict[str, Any]:
    """The content of sweep.json; `more` comes at its end."""
    choice = sweep.statement.choice
    return {
        "format": FORMAT,
        "daskfer": __version__,
        "statement": sweep.statement.text,
        "choice": None if choice is None else asdict(choice),
        "rule": RULE,
        "rows": {"fitted": sweep.fitted, "scored": sweep.scored},
        "folds": plan.folds,
        "cells": [figures(one) for one in sweep.judged],
        "labels_used": [{"stage": stage, "why": why} for stage, why in sweep.labels_used],
        "notes": list(sweep.notes),
        "inputs": inputs,
        "recipe": recipe.as_dict(),
        **more,
    }


def as_csv(sweep: Sweep) -> str:
    """The text of sweep.csv: a line for each cell, what is not known left empty."""
    text = io.StringIO()
    lines = [figures(one) for one in sweep.judged]
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def table(sweep: Sweep, folder: str) -> str:
    """What a person at a terminal sees."""
    shown = sweep.judged
    if len(shown) > MOST_LINES:
        # The furthest above noise; where noise was left out, the highest silhouettes.
        shown = sorted(shown, key=_standing, reverse=True)[:MOST_LINES]
    width = max(len("represent"), *(len(one.result.represent) for one in shown))
    lines = [
        f"{'':2}{'':<{width}}{'compo-':>8}{'clus-':>7}{'silhouette':>22}{'stability':>14}"
        f"{'cross-validated':>18}{'held':>8}{'Davies-':>9}{'Calinski-':>10}",
        f"{'':2}{'represent':<{width}}{'nents':>8}{'ters':>7}{'found':>8}{'noise':>7}{'spread':>7}"
        f"{'found':>8}{'noise':>6}{'silhouette':>18}{'out':>8}{'Bouldin':>9}{'Harabasz':>10}",
    ]
    lines += [_line(one, width, one.result.cell == sweep.statement.choice) for one in shown]
    if len(shown) < len(sweep.judged):
        lines.append(f"the first {len(shown)} of {len(sweep.judged):,} cells; sweep.csv has all")
    if sweep.statement.supported:
        lines.append("* supported by the evidence, → the choice among them")
    rows = "all" if sweep.scored == sweep.fitted else f"{sweep.scored:,} of"
    lines += ["", f"Scored on {rows} {sweep.fitted:,} fitted rows.", sweep.statement.text]
    lines += [f"Labels were read: {stage} ({why})" for stage, why in sweep.labels_used]
    lines += [f"Note: {note}" for note in sweep.notes]
    lines.append(f"Results: {folder} (heatmap.png, sweep.csv, sweep.json)")
    return "\n".join(lines)


def _standing(judged: Judged) -> float:
    result = judged.result
    value = result.silhouette if result.excess is None else result.excess
    return float("-inf") if value is None else value


def _line(judged: Judged, width: int, chosen: bool) -> str:
    one = judged.result
    mark = "→ " if chosen else "* " if judged.supported else "  "
    components = "all" if one.components is None else str(one.components)
    known = one.excess is not None
    folds = "–"
    if one.cv_mean is not None:
        folds = f"{number(one.cv_mean, 3)} ± {number(one.cv_std, 3)}"
    return (
        f"{mark}{one.represent:<{width}}{components:>8}{one.clusters:>7}"
        f"{number(one.silhouette, 3):>8}{number(one.null, 3):>7}"
        f"{number(judged.spread if known else None, 3):>7}"
        f"{number(one.stability, 2):>8}{number(one.null_stability, 2):>6}"
        f"{folds:>18}{number(one.held_out_mean, 3):>8}"
        f"{number(one.davies_bouldin, 3):>9}{number(one.calinski_harabasz, 0):>10}"
    )


def caption(sweep: Sweep) -> str:
    """What stands below the picture."""
    frames = ""
    if sweep.statement.supported:
        frames = " Framed cells are supported by the evidence; the thick frame is the choice."
    return sweep.statement.text + frames
