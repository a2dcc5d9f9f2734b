"""Classify: the second model, trained on the names of the clusters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import numpy as np

from daskfer import classify, storage
from daskfer.balance import Selection, balance_clusters
from daskfer.blocks import BlockFiles, StoredRows, cut
from daskfer.classify import Classifier, Scores, drawn_rows
from daskfer.faces import UNKNOWN, FaceTable
from daskfer.model import load_estimator, save_estimator
from daskfer.naming import Names
from daskfer.parts import AnyReducer
from daskfer.stages.cluster import Clusters
from daskfer.stages.context import Context
from daskfer.stages.ingest import array_fingerprint
from daskfer.stages.reduce import Reduced, reduce_face
from daskfer.stages.represent import Represented

PREDICTED_ROWS = 32_768
"""Rows that a task labels."""


@dataclass(frozen=True)
class Trained:
    """The second model, and its figures against true labels by the rows they are of.

    `rows` is how many it was trained on, and `notes` what a user should know of that. `face` is
    the map to what it sees, where that is not what the clusters see.
    """

    classifier: Classifier
    train: Scores
    validation: Scores
    test: Scores
    rows: int
    notes: tuple[str, ...] = ()
    face: AnyReducer | None = None


def train(
    context: Context,
    table: FaceTable,
    selection: Selection,
    represented: Represented,
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
        seen = reduced
        if recipe.classify.features == "face" and recipe.classify.model != "none":
            seen = reduce_face(context, represented, selection.fit)
        path = folder.file("classifier.skops")
        summary = folder.summary()
        if summary is None:
            chosen, notes = _training_rows(context, selection, clusters, names)
            rows = selection.fit[chosen]
            found = None
            if len(rows) > 0:
                found = classify.train(
                    seen.points.rows(rows),
                    names.of(clusters.cluster[rows]),
                    recipe.classify,
                    recipe.seed,
                    context.methods.search,
                    lambda sample: StoredRows(seen.points, rows[sample]),
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
            _score(context, path, table, seen, selection.fit),
            _score(context, path, table, seen, selection.validation),
            _score(context, path, table, seen, selection.test),
            summary["rows"],
            tuple(summary["notes"]),
            None if seen is reduced else seen.reducer,
        )


def _training_rows(
    context: Context, selection: Selection, clusters: Clusters, names: Names
) -> tuple[np.ndarray, list[str]]:
    """Indices of the fitting rows that the second model learns from, and what to say of them."""
    method, cluster = context.recipe.classify, clusters.cluster[selection.fit]
    emotion = names.of(cluster)
    named = np.flatnonzero((emotion != UNKNOWN) & _near(clusters, selection.fit, method.nearest))
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


def _near(clusters: Clusters, fit: np.ndarray, share: float) -> np.ndarray:
    """Which fitted rows are among this share of their cluster's that is nearest to its centre."""
    if share == 1:
        return np.ones(len(fit), bool)
    cluster, away = clusters.cluster[fit], clusters.nearest[fit]
    order = np.lexsort((away, cluster))
    counts = np.bincount(cluster, minlength=len(clusters.centers))
    rank = np.empty(len(fit), np.int64)
    rank[order] = np.arange(len(fit)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rank < np.maximum(np.ceil(share * counts), 1)[cluster]


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
