"""Plain sentences: what the figures of a run mean, for someone who did not run it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.recipe.reading import SELECTORS
from daskfer.report.words import (
    classes_of,
    count,
    file_name,
    listed,
    look_up,
    percent,
    plural,
    score,
)

if TYPE_CHECKING:
    from daskfer.pipeline import Result

CLEAR_SILHOUETTE = 0.05
"""By how much a silhouette must exceed that of noise to be called clear; the noise's own varies
by about 0.01 between draws of a few thousand rows."""

STANDARD_ERRORS = 3
"""Standard errors by which an accuracy must exceed chance not to be called luck."""

KEY_FIGURES = {"balance": "per_class", "reduce": "components", "cluster": "clusters"}


def steps(result: Result) -> tuple[tuple[str, str], ...]:
    """Each stage of the recipe that computes something, and its method with its main number."""
    recipe = result.recipe.as_dict()
    shown = []
    for stage in ("split", "normalize", "balance", "represent", "reduce", "cluster", "name",
                  "classify"):  # fmt: skip
        section = recipe.get(stage, {})
        method = str(section.get(SELECTORS.get(stage, "method"), "–"))
        if stage == "name":
            # Names may have been given since, in another way.
            method = result.names.how
        number = section.get(KEY_FIGURES.get(stage, ""))
        key = KEY_FIGURES.get(stage, "").replace("per_class", "a class")
        shown.append((stage, method if number is None else f"{method}, {number} {key}"))
    return tuple(shown)


def beyond(result: Result) -> str:
    """Why true labels, which are other names, do not score the classifier."""
    known = "the seven emotions" if result.names.classes == EMOTIONS else "the classes"
    return f"names beyond {known} are in use"


def labelled(result: Result) -> bool:
    """Whether any fitted row states its emotion."""
    return bool((result.faces.table.emotion[result.selection.fit] != UNKNOWN).any())


def verdict(result: Result, metrics: dict[str, Any]) -> str:
    """The run's verdict, or why it has none."""
    found = look_up(metrics, "verdict")
    if found is not None:
        return str(found)
    if labelled(result):
        return "This run recorded no verdict."
    return "Whether these clusters follow emotion cannot be said: no fitted row states its emotion."


def introduction(result: Result) -> str:
    """What was done, and to which files."""
    files = listed([file_name(path) for path in result.faces.sources])
    grouped = (
        f"Faces from {files} were grouped by how they look; the grouping itself reads no emotion "
        "label. "
    )
    if not labelled(result):
        return grouped + "No fitted row states its emotion, so the groups can only be looked at."
    return grouped + (
        "The groups were then compared with the true emotions, and what came out stands here "
        "beside what chance gives." + _own_classes(result.names.classes)
    )


def _own_classes(classes: tuple[str, ...]) -> str:
    """What the report means by an emotion, where labels are others than the seven."""
    if classes == EMOTIONS:
        return ""
    return f" Where it says emotion, it means the classes of this set: {listed(classes)}."


def held_out(result: Result) -> str:
    """Whether held-out faces are really unseen."""
    if result.recipe.ingest.duplicates == "keep":
        return (
            "Held-out rows are never fitted, but this recipe keeps faces that are identical to a "
            "held-out one among the fitted, so a few may have been seen."
        )
    return "Held-out rows are never fitted, nor are faces that are identical to one of them."


def naming(result: Result, metrics: dict[str, Any]) -> str:
    """How the clusters got their names, and what that cost."""
    how = look_up(metrics, "naming", "how") or result.names.how
    looks = look_up(metrics, "naming", "looks") or 0
    if how == "none":
        return "The clusters were not named, so they have numbers only."
    if how == "dominant":
        return (
            "Each cluster is named after the most frequent true emotion of its fitted faces. "
            "That reads labels: without them nobody would know which cluster is which."
        )
    if how == "facs":
        named = int((result.names.emotion != UNKNOWN).sum())
        return (
            "Nobody looked, and no label was read: each cluster is named after the emotion that "
            "the action units of its faces tell (Facial Action Coding System), where they tell one "
            f"clearly. That is so for {named} of {plural(len(result.names.emotion), 'cluster')}. "
            "Beside an action unit stands by how many standard deviations the cluster's faces "
            "show more of it than usual."
        )
    if how == "page":
        return _named_on_a_page(result, looks)
    if how == "file":
        return f"The clusters were named from a file, at a cost of {plural(looks, 'look')}."
    return f"The clusters were named by the method “{how}”, with {plural(looks, 'look')}."


def _named_on_a_page(result: Result, looks: int) -> str:
    """What a person did, and what became of the names that were there before."""
    names = result.names
    named = names.emotion != UNKNOWN
    if not named.any():
        return "The clusters wait for a person to name them: run daskfer name on this folder."
    sentence = f"The clusters were named by a person who looked at {plural(looks, 'sheet')}"
    kept = sum(by == "facs" and known for by, known in zip(names.by, named.tolist(), strict=False))
    if kept:
        all_names = plural(int(named.sum()), "name")
        sentence += f"; {kept:,} of {all_names} were kept from action units"
    return f"{sentence}."


def absent_names(result: Result) -> str:
    """Which categories no cluster is named after; empty when there is none, or no name at all."""
    given = set(result.names.emotion.tolist()) - {UNKNOWN}
    absent = [name for code, name in enumerate(result.names.categories) if code not in given]
    if not given or not absent:
        return ""
    return (
        f"No cluster is named {listed(absent, 'or')}: a classifier that learns these names can "
        "never answer so."
    )


def confidence(result: Result) -> str:
    """What the confidence of a cluster's typical face is."""
    if result.recipe.cluster.method == "gmm":
        return (
            "Confidence is the probability, by the mixture of Gaussians, that a typical face is of "
            "its cluster and of no other; near and far are measured by the cluster's own spread."
        )
    return (
        "Confidence is how much nearer a typical face is to its own centre than to the next: 0 is "
        "the border between two clusters, 1 the centre itself."
    )


def silhouette(metrics: dict[str, Any]) -> str:
    """Whether the faces fall into clusters at all."""
    value = look_up(metrics, "cluster", "silhouette")
    null = look_up(metrics, "cluster", "silhouette_null")
    if value is None or null is None:
        return ""
    beside = f"silhouette {score(value)}, noise {score(null)}"
    if value <= null:
        return f"The clusters are no tighter than those of noise without any clusters ({beside})."
    if value - null < CLEAR_SILHOUETTE:
        return (
            f"The clusters are hardly tighter than those of noise without any clusters ({beside}): "
            "they cut up a continuum rather than find separate groups."
        )
    return f"The clusters are tighter than those of noise without any clusters ({beside})."


def stability(metrics: dict[str, Any]) -> str:
    """Whether other faces would give the same clusters."""
    value = look_up(metrics, "cluster", "stability_ari")
    if value is None:
        return ""
    return (
        f"Clusters fitted to random halves of the faces agree to {score(value)} "
        "(adjusted Rand index: 1 the same clusters, 0 unrelated ones)."
    )


def classifier(result: Result, metrics: dict[str, Any]) -> str:
    """What the classifier is worth on test faces, in words."""
    found = look_up(metrics, "classifier")
    accuracy, chance = look_up(found, "test_accuracy"), look_up(found, "chance_accuracy")
    if result.names.beyond_classes:
        return (
            f"What it is worth cannot be said: {beyond(result)}, and the labels of the faces are "
            "none of these."
        )
    if accuracy is None or chance is None:
        return "What it is worth cannot be said: there are no test faces of known emotion."
    tested = result.faces.table.emotion[result.selection.test]
    known = tested[tested != UNKNOWN]
    answer = result.names.classes[int(np.bincount(known).argmax())] if len(known) else "the same"
    beside = (
        f"it is right on {percent(accuracy)} of {count(len(known))} test faces, and always "
        f"answering “{answer}” would be on {percent(chance)}"
    )
    error = math.sqrt(chance * (1 - chance) / max(len(known), 1))
    if accuracy <= chance:
        return f"The classifier is no better than chance: {beside}."
    if accuracy - chance < STANDARD_ERRORS * error:
        return f"The classifier is not clearly better than chance: {beside}; that may be luck."
    return f"The classifier is better than chance: {beside}."


def never_predicted(metrics: dict[str, Any]) -> str:
    """Which emotions of the test faces the classifier never says."""
    confusion = look_up(metrics, "classifier", "test_confusion")
    if not confusion:
        return ""
    table = np.asarray(confusion)
    absent = (table.sum(axis=0) == 0) & (table.sum(axis=1) > 0)
    names = [name for name, never in zip(classes_of(metrics), absent, strict=True) if never]
    return f"It never answers {listed(names, 'or')}." if names else ""


def no_classifier(result: Result) -> str:
    """Why there is no classifier."""
    if getattr(result.recipe.classify, "model", None) == "none":
        return "No classifier was trained: the recipe asks for none."
    if (result.names.emotion == UNKNOWN).all():
        return "No classifier was trained: it learns the names of the clusters, and none has one."
    return "No classifier was trained."


def left_out(metrics: dict[str, Any]) -> int | None:
    """Good rows that serve for nothing; None where that is not known."""
    rows = look_up(metrics, "rows") or {}
    keys = ("read", "quarantined", "fitted", "validation", "test")
    values = [look_up(rows, key) for key in keys]
    if any(value is None for value in values):
        return None
    return int(values[0] - sum(values[1:]))
