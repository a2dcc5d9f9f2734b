"""The figures that matter, each beside what chance gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daskfer.classify import balanced_chance_accuracy, chance_accuracy
from daskfer.report.sentences import beyond, labelled
from daskfer.report.words import look_up, percent, score

if TYPE_CHECKING:
    from daskfer.pipeline import Result


@dataclass(frozen=True)
class Figure:
    """A figure beside its chance.

    Attributes
    ----------
    name, meaning : str
        What it is, and in a sentence how to read it.
    value, chance : str
        Both as written.
    chance_is : str
        What that chance is: which guess or which noise.
    mark, chance_mark : float or None
        Both on the scale of the bar, 0 to 1.
    missing : str
        Why there is no value; empty where there is one.
    """

    name: str
    meaning: str
    value: str
    chance: str
    chance_is: str
    mark: float | None
    chance_mark: float | None
    missing: str = ""


def figure(
    name: str,
    value: float | None,
    chance: float | None,
    chance_is: str,
    meaning: str,
    missing: str,
    share: bool = True,
) -> Figure:
    """A figure as it is written; `share` writes it in per cent, else to three digits."""
    written = percent if share else score
    return Figure(
        name,
        meaning,
        written(value),
        written(chance),
        chance_is if chance is not None else "",
        _mark(value),
        _mark(chance),
        missing if value is None else "",
    )


def _mark(value: float | None) -> float | None:
    return None if value is None else round(min(max(float(value), 0.0), 1.0), 4)


def head_figures(result: Result, metrics: dict[str, Any]) -> tuple[Figure, ...]:
    """The figures of the page's head: clusters against labels, classifier, and compactness."""
    unlabelled = "not recorded" if labelled(result) else "no fitted row states its emotion"
    matched, k = "", look_up(metrics, "cluster", "k")
    classes = len(result.names.classes)
    if k is not None and k > classes:
        matched = f" With {k:,} clusters only {classes} can be matched, which keeps it low."
    return (
        figure(
            "One-to-one accuracy",
            look_up(metrics, "cluster", "hungarian_accuracy"),
            look_up(metrics, "cluster", "hungarian_chance"),
            "random clusters of the same sizes",
            "Faces that are right when every emotion is matched with one cluster of its own."
            + matched,
            unlabelled,
        ),
        figure(
            "Majority accuracy",
            look_up(metrics, "cluster", "majority_accuracy"),
            look_up(metrics, "cluster", "chance_accuracy"),
            "random clusters of the same sizes",
            "Faces that are right when every cluster is named after its most frequent emotion; "
            "several may share one.",
            unlabelled,
        ),
        figure(
            "Mutual information (NMI)",
            look_up(metrics, "cluster", "nmi"),
            look_up(metrics, "cluster", "nmi_chance"),
            "random clusters of the same sizes",
            "How much the cluster of a face tells of its emotion: 0 nothing, 1 everything.",
            unlabelled,
            share=False,
        ),
        figure(
            "Classifier on test faces",
            look_up(metrics, "classifier", "test_accuracy"),
            look_up(metrics, "classifier", "chance_accuracy"),
            "always answering their most frequent emotion",
            "Held-out faces whose true emotion the classifier says.",
            missing_test(result, metrics),
        ),
        figure(
            "Silhouette",
            look_up(metrics, "cluster", "silhouette"),
            look_up(metrics, "cluster", "silhouette_null"),
            "noise of the same spread, without clusters",
            "How compact and separate the clusters are; it knows nothing of emotions.",
            "the faces do not make two clusters",
            share=False,
        ),
    )


def missing_test(result: Result, metrics: dict[str, Any]) -> str:
    """Why there is no accuracy on test faces."""
    if look_up(metrics, "classifier") is None:
        return "no classifier was trained"
    if result.names.beyond_classes:
        return beyond(result)
    if look_up(metrics, "rows", "test") == 0:
        return "no rows were held out for the test"
    return "no test row states its emotion"


def classifier_figures(result: Result, metrics: dict[str, Any]) -> tuple[Figure, ...]:
    """The classifier's figures, each beside what one constant answer would score."""
    selection, emotion = result.selection, result.faces.table.emotion
    pseudo = result.names.of(result.clusters.cluster[selection.fit])
    unlabelled = "none of these rows states its emotion"
    if result.names.beyond_classes:
        unlabelled = beyond(result)
    constant = "always answering their most frequent emotion"
    tested = emotion[selection.test]
    found: dict[str, Any] = look_up(metrics, "classifier") or {}
    return (
        figure(
            "Agreement with the names", look_up(found, "pseudo_label_accuracy"),
            chance_accuracy(pseudo), "always answering the most frequent name",
            "Cross-validated on fitted faces: how well it repeats the clusters, right or wrong.",
            "not cross-validated: too few faces or names",
        ),
        figure(
            "Accuracy on fitted faces", look_up(found, "train_accuracy"),
            chance_accuracy(emotion[selection.fit]), constant,
            "Faces that the clusters were made from.", unlabelled,
        ),
        figure(
            "Accuracy on validation faces", look_up(found, "validation_accuracy"),
            chance_accuracy(emotion[selection.validation]), constant,
            "Held-out faces on which methods may be chosen.",
            unlabelled if len(selection.validation) else "no rows were held out for validation",
        ),
        figure(
            "Accuracy on test faces", look_up(found, "test_accuracy"),
            look_up(found, "chance_accuracy"), constant,
            "Held-out faces that nothing was chosen on: the figure to quote.",
            missing_test(result, metrics),
        ),
        figure(
            "Balanced accuracy on test faces", look_up(found, "test_balanced_accuracy"),
            balanced_chance_accuracy(tested), "any one constant answer",
            "The mean over the emotions of the share that is recognised.",
            missing_test(result, metrics),
        ),
        figure(
            "Macro F1 on test faces", look_up(found, "test_macro_f1"),
            _constant_f1(tested), constant,
            "The mean over the emotions of F1, which also counts false alarms.",
            missing_test(result, metrics),
        ),
    )  # fmt: skip


def _constant_f1(tested: np.ndarray) -> float | None:
    """Macro F1 of the most frequent answer: its recall is 1, its precision its share."""
    share, recall = chance_accuracy(tested), balanced_chance_accuracy(tested)
    return None if share is None or recall is None else 2 * share / (1 + share) * recall
