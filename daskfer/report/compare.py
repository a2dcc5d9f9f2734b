"""Two runs side by side: figures beside chance, recipes, classes and confusion.

All of it is in the two folders; no store and no input is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daskfer import storage
from daskfer.report import heat, words
from daskfer.report.graphs.recalls import recall_and_chance
from daskfer.report.heat import HeatRow
from daskfer.report.page import environment
from daskfer.report.words import look_up
from daskfer.run_folder import RunFolder, changed_keys

FIGURES = (
    ("Clusters", "cluster", "k", None, words.count),
    ("One-to-one accuracy", "cluster", "hungarian_accuracy", "hungarian_chance", words.percent),
    ("Majority accuracy", "cluster", "majority_accuracy", "chance_accuracy", words.percent),
    ("Mutual information (NMI)", "cluster", "nmi", "nmi_chance", words.score),
    ("Adjusted Rand index (chance 0)", "cluster", "ari", None, words.score),
    ("Silhouette", "cluster", "silhouette", "silhouette_null", words.score),
    ("Stability of random halves", "cluster", "stability_ari", None, words.score),
    ("Davies–Bouldin (less is better)", "cluster", "davies_bouldin", None, words.score),
    ("Accuracy on validation faces", "classifier", "validation_accuracy", None, words.percent),
    ("Accuracy on test faces", "classifier", "test_accuracy", "chance_accuracy", words.percent),
    (
        "Balanced accuracy on test faces", "classifier", "test_balanced_accuracy",
        "balanced_chance_accuracy", words.percent,
    ),
    ("Macro F1 on test faces", "classifier", "test_macro_f1", None, words.score),
    ("Calibration error", "classifier", "test_calibration_error", None, words.score),
    ("Fitted rows", "rows", "fitted", None, words.count),
    ("Test rows", "rows", "test", None, words.count),
    ("Looks", "naming", "looks", None, words.count),
)  # fmt: skip
"""What is compared: its name, where metrics.json has it and its chance, and how it is written."""

SELDOM = "–"
"""Stands where a run has no such figure."""


@dataclass(frozen=True)
class Line:
    """A figure of both runs, each beside its chance."""

    name: str
    values: tuple[tuple[str, str], tuple[str, str]]


@dataclass(frozen=True)
class Side:
    """What is shown of one run alone."""

    name: str
    inputs: str
    verdict: str
    notes: tuple[str, ...]
    confusion: tuple[HeatRow, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """All that the page shows."""

    sides: tuple[Side, Side]
    same_inputs: bool
    figures: tuple[Line, ...]
    recalls: tuple[Line, ...]
    recipe: tuple[tuple[str, str, str], ...]
    seconds: tuple[Line, ...]


def compare(first: str, second: str) -> Comparison:
    """Gather what the folders of two finished runs say."""
    folders = [RunFolder(first), RunFolder(second)]
    metrics = [folder.metrics() or {} for folder in folders]
    inputs = [storage.read_json(folder.file("run.json"))["inputs"] for folder in folders]
    one, other = (folder.recipe().as_dict() for folder in folders)
    stages = dict.fromkeys(stage for each in metrics for stage in each.get("seconds", {}))
    return Comparison(
        (
            _side(first, metrics[0], inputs[0]),
            _side(second, metrics[1], inputs[1]),
        ),
        inputs[0] == inputs[1],
        tuple(
            line
            for name, section, key, chance, written in FIGURES
            if (line := _line(name, section, key, chance, written, metrics)) is not None
        ),
        _recalls(metrics),
        tuple((key, _plain(mine), _plain(theirs)) for key, mine, theirs in changed_keys(one, other))
        + _changes(metrics),
        tuple(
            Line(stage, tuple(_cost(stage, each) for each in metrics))  # type: ignore[arg-type]
            for stage in stages
        ),
    )


def _side(run: str, metrics: dict[str, Any], inputs: list[dict[str, Any]]) -> Side:
    confusion = look_up(metrics, "classifier", "test_confusion")
    return Side(
        words.file_name(str(Path(run).absolute())),
        words.listed([words.file_name(str(source["path"])) for source in inputs]),
        str(look_up(metrics, "verdict") or "This run has no verdict."),
        tuple(str(note) for note in look_up(metrics, "notes") or ()),
        heat.confusion_rows(confusion, words.classes_of(metrics)) if confusion else (),
        words.classes_of(metrics),
    )


def _line(
    name: str, section: str, key: str, chance: str | None, written: Any, metrics: list[Any]
) -> Line | None:
    """A line of the table, or None where neither run has the figure."""
    found = [look_up(each, section, key) for each in metrics]
    if found == [None, None]:
        return None
    beside = [None if chance is None else look_up(each, section, chance) for each in metrics]
    first, second = (
        (
            SELDOM if value is None else written(value),
            "" if guess is None or value is None else written(guess),
        )
        for value, guess in zip(found, beside, strict=True)
    )
    return Line(name, (first, second))


def _recalls(metrics: list[dict[str, Any]]) -> tuple[Line, ...]:
    """Recall by class on test faces beside chance; nothing where neither run has any."""
    first, second = map(_recalls_of, metrics)
    return tuple(
        Line(name, (first.get(name, (SELDOM, "")), second.get(name, (SELDOM, ""))))
        for name in first | second
    )


def _recalls_of(metrics: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Recall and chance, as they are written, of each class that was tested."""
    confusion = look_up(metrics, "classifier", "test_confusion")
    if not confusion:
        return {}
    recall, chance = recall_and_chance(np.asarray(confusion, np.int64))
    return {
        name: (words.percent(value), words.percent(guess))
        for name, value, guess in zip(
            words.classes_of(metrics), recall.tolist(), chance.tolist(), strict=True
        )
        if np.isfinite(value)
    }


def _changes(metrics: list[dict[str, Any]]) -> tuple[tuple[str, str, str], ...]:
    """What `daskfer train` changed for one training, as a line of the recipes' differences."""
    said = [", ".join(look_up(each, "changes") or ()) for each in metrics]
    if said[0] == said[1]:
        return ()
    return (("changed by daskfer train", said[0] or SELDOM, said[1] or SELDOM),)


def _cost(stage: str, metrics: dict[str, Any]) -> tuple[str, str]:
    """Seconds and peak memory of a stage, as they are written."""
    taken = look_up(metrics, "seconds", stage)
    if taken is None:
        return SELDOM, ""
    held = look_up(metrics, "peak_memory", stage)
    stored = stage in (look_up(metrics, "reused") or ())
    memory = "" if held is None else words.size(held)
    return words.seconds(taken), f"{memory}{' (from the store)' if stored else ''}".strip()


def _plain(value: Any) -> str:
    return SELDOM if value is None else str(value)


def write_comparison(path: str, first: str, second: str) -> None:
    """Write a page that shows two finished runs side by side.

    Parameters
    ----------
    path : str
        Local path or fsspec URL of the page.
    first, second : str
        The runs' folders.
    """
    page = compare(first, second)
    template = environment().get_template("compare.html.j2")
    storage.write_text(path, template.render(page=page))
