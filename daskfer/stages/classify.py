"""Classify: the second model, trained on the names of the clusters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import numpy as np

from daskfer import classify, storage
from daskfer.balance import Selection, balance_clusters
from daskfer.blocks import BlockFiles, cut
from daskfer.classify import Classifier, Scores, drawn_rows
from daskfer.faces import UNKNOWN, FaceTable
from daskfer.model import load_estimator, save_estimator
from daskfer.naming import Names
from daskfer.stages.cluster import Clusters
from daskfer.stages.context import Context
from daskfer.stages.ingest import array_fingerprint
from daskfer.stages.reduce import Reduced

PREDICTED_ROWS = 32_768
"""Rows that a task labels."""


@dataclass(frozen=True)
class Trained:
    """The second model, and its figures against true labels by the rows they are of.

    `rows` is how many it was trained on, and `notes` what a user should know of that.
    """

    classifier: Classifier
    train: Scores
    validation: Scores
    test: Scores
    rows: int
    notes: tuple[str, ...] = ()


def train(
    context: Context,
    table: FaceTable,
    selection: Selection,
    reduced: Reduced,
    clusters: Clusters,
    names: Names,
) -> Trained | None:
    """Train the recipe's classifier on pseudo-labels and score it on held-out true labels."""
    recipe = context.recipe
    folder = context.store.stage(
        "classify",
        clusters.key,
        array_fingerprint(names.emotion),
        asdict(recipe.classify),
        recipe.seed,
        # A classifier is read back by the version that wrote it.
        metadata.version("scikit-learn"),
    )
    with context.watch.stage("classify", len(selection.fit)):
        path = folder.file("classifier.skops")
        summary = folder.summary()
        if summary is None:
            chosen, notes = _training_rows(context, selection, clusters, names)
            rows = selection.fit[chosen]
            found = None
            if len(rows) > 0:
                found = classify.train(
                    reduced.points.rows(rows),
                    names.of(clusters.cluster[rows]),
                    recipe.classify,
                    recipe.seed,
                    context.methods.search,
                )
            if found is not None:
                storage.write_whole(path, save_estimator(found.model))
            summary = folder.finish({**_summary(found), "rows": len(chosen), "notes": notes})
        else:
            context.watch.reused()
        if summary["description"] is None:
            return None
        agreement = summary["pseudo_label_accuracy"]
        classifier = Classifier(
            read_estimator(path),
            summary["description"],
            float("nan") if agreement is None else agreement,
        )
        return Trained(
            classifier,
            _score(context, path, table, reduced, selection.fit),
            _score(context, path, table, reduced, selection.validation),
            _score(context, path, table, reduced, selection.test),
            summary["rows"],
            tuple(summary["notes"]),
        )


def _training_rows(
    context: Context, selection: Selection, clusters: Clusters, names: Names
) -> tuple[np.ndarray, list[str]]:
    """Indices of the fitting rows that the second model learns from, and what to say of them."""
    method, cluster = context.recipe.classify, clusters.cluster[selection.fit]
    emotion = names.of(cluster)
    named = np.flatnonzero(emotion != UNKNOWN)
    if method.model == "none":
        return named[:0], []
    kept = balance_clusters(selection.fit[named], cluster[named], method, context.recipe.seed)
    notes = []
    if method.balance == "cluster" and method.per_cluster == "min" and 2 * len(kept) < len(named):
        notes.append(
            f"the smallest cluster has {np.bincount(cluster[named[kept]]).max():,} rows, so the "
            f"second model was trained on {len(kept):,} of {len(named):,} named rows "
            "(--set classify.per_cluster=N takes up to N of each cluster)"
        )
    chosen = named[kept]
    if len(chosen) > method.train_rows:
        drawn = drawn_rows(emotion[chosen], method.train_rows, context.recipe.seed, "classify-rows")
        notes.append(
            f"the second model was trained on {len(drawn):,} of {len(chosen):,} rows, drawn by "
            "seed (--set classify.train_rows=N takes more)"
        )
        chosen = chosen[drawn]
    return chosen, notes


def _summary(found: Classifier | None) -> dict[str, object]:
    if found is None:
        return {"description": None}
    agreement = found.pseudo_label_accuracy
    return {
        "description": found.description,
        "pseudo_label_accuracy": None if np.isnan(agreement) else agreement,
    }


def _score(
    context: Context, path: str, table: FaceTable, reduced: Reduced, positions: np.ndarray
) -> Scores:
    """Figures of the classifier in a file, which the workers apply to the rows."""
    if len(positions) == 0:
        return Scores(None, None, None, None)
    pieces = cut(positions, PREDICTED_ROWS)
    tasks = context.engine.map("classify", predict, pieces, shared=(reduced.points, path))
    return classify.score(np.concatenate(context.engine.gather(tasks)), table.emotion[positions])


def predict(positions: np.ndarray, points: BlockFiles, path: str) -> np.ndarray:
    """Emotion codes, int8 (m,), that the classifier in a file gives to the rows here."""
    return classify.predict(read_estimator(path), points.rows(positions))


def read_estimator(path: str) -> Any:
    """The classifier in a file of the store."""
    return load_estimator(storage.read_bytes(path), "classifier.skops")
