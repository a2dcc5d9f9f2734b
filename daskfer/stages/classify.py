"""Classify: the second model, trained on the names of the clusters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import numpy as np

from daskfer import classify, storage
from daskfer.balance import Selection, balance_clusters
from daskfer.blocks import BlockFiles, StoredRows, cut
from daskfer.classify import Classifier, Scores, drawn_rows
from daskfer.faces import EMOTIONS, UNKNOWN, FaceTable
from daskfer.model.estimator import load_estimator, save_estimator
from daskfer.model.plain import plain_of
from daskfer.naming import Names
from daskfer.parts import AnyReducer
from daskfer.stages.cluster import Clusters
from daskfer.stages.context import Context
from daskfer.stages.ingest import array_fingerprint
from daskfer.stages.reduce import Reduced, reduce_face
from daskfer.stages.represent import Represented

PREDICTED_ROWS = 16_384
"""Rows that a task labels."""


@dataclass(frozen=True)
class Trained:
    """The second model, and its figures against true labels by the rows they are of.

    `rows` is how many it was trained on, and `notes` what a user should know of that. `emotion`
    (int8) and `confidence` (float32) are what it says of every face (n,). `face` is the map to
    what it sees, where that is not what the clusters see.
    """

    classifier: Classifier
    train: Scores
    validation: Scores
    test: Scores
    rows: int
    emotion: np.ndarray
    confidence: np.ndarray
    notes: tuple[str, ...] = ()
    face: AnyReducer | None = None


@dataclass(frozen=True)
class Learned:
    """A second model in the store: its file, the rows that it sees, and how it was trained."""

    path: str
    seen: Reduced
    classifier: Classifier
    rows: int
    notes: tuple[str, ...]


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
    with context.watch.stage("classify", len(selection.fit)):
        seen = seen_rows(context, represented, reduced, selection.fit)
        learned = learn(context, selection, seen, clusters, names)
        if learned is None:
            return None
        emotion, confidence = predictions(context, learned, np.arange(len(table.emotion)))

        def scored(rows: np.ndarray) -> Scores:
            if names.beyond_classes:
                # True labels are none of these names: beside them they say nothing.
                return Scores(None, None, None, None)
            return classify.score(
                emotion[rows], table.emotion[rows], confidence[rows], len(names.classes)
            )

        return Trained(
            learned.classifier,
            scored(selection.fit),
            scored(selection.validation),
            scored(selection.test),
            learned.rows,
            emotion,
            confidence,
            learned.notes,
            None if seen is reduced else seen.reducer,
        )


def seen_rows(
    context: Context, represented: Represented, reduced: Reduced, fit: np.ndarray
) -> Reduced:
    """What the recipe's second model sees of every face."""
    method = context.recipe.classify
    if method.features == "face" and method.model != "none":
        return reduce_face(context, represented, fit)
    return reduced


def learn(
    context: Context, selection: Selection, seen: Reduced, clusters: Clusters, names: Names
) -> Learned | None:
    """Train the recipe's classifier on the names of the clusters; no other label is at hand.

    None when the recipe wants no classifier, or no cluster has a name.
    """

    def chosen() -> tuple[np.ndarray, np.ndarray, list[str]]:
        kept, notes = _training_rows(context, selection, clusters, names)
        rows = selection.fit[kept]
        return rows, names.of(clusters.cluster[rows]), notes

    trust = None if names.score is None else names.score.astype(np.float64)
    known = (names.emotion,) if trust is None else (names.emotion, trust)
    ingredients = [clusters.key, array_fingerprint(*known)]
    if names.beyond_classes or names.classes != EMOTIONS:
        # Their codes stand for other names in other runs, and a description may tell them.
        ingredients += names.categories[0 if names.classes != EMOTIONS else len(EMOTIONS) :]
    return _learned(
        context, seen, tuple(ingredients), chosen, clusters.cluster, trust, names.categories
    )


def learn_labels(
    context: Context, seen: Reduced, rows: np.ndarray, emotion: np.ndarray
) -> Learned | None:
    """Train the recipe's classifier on given labels, int8 (m,), of the rows at these positions."""

    def chosen() -> tuple[np.ndarray, np.ndarray, list[str]]:
        method, seed = context.recipe.classify, context.recipe.seed
        drawn = drawn_rows(emotion, method.train_rows, seed, "classify-rows")
        return rows[drawn], emotion[drawn], []

    ingredients = ("labels", seen.key, array_fingerprint(rows, emotion))
    return _learned(context, seen, ingredients, chosen, categories=context.recipe.ingest.labels)


def _learned(
    context: Context,
    seen: Reduced,
    ingredients: tuple[str, ...],
    chosen: Callable[[], tuple[np.ndarray, np.ndarray, list[str]]],
    cluster: np.ndarray | None = None,
    trust: np.ndarray | None = None,
    categories: tuple[str, ...] = EMOTIONS,
) -> Learned | None:
    """The model that the store has for these ingredients, or one trained on the chosen rows.

    `cluster` (n,) is that of every face, where the labels are names of clusters; `trust` (k,) is
    how likely each name is right, where the naming tells; `categories` are what labels stand for.
    """
    recipe = context.recipe
    folder = context.store.stage(
        "classify",
        *ingredients,
        asdict(recipe.classify),
        recipe.seed,
        # A classifier is read back by the version that wrote it.
        metadata.version("scikit-learn"),
    )
    path = folder.file("classifier.skops")
    with context.turn(folder) as mine:
        if mine:
            rows, labels, notes = chosen()
            found = None
            if len(rows) > 0:
                found = classify.train(
                    seen.points.rows(rows),
                    labels,
                    recipe.classify,
                    recipe.seed,
                    context.methods.search,
                    lambda sample: StoredRows(seen.points, rows[sample]),
                    None if cluster is None else cluster[rows],
                    None if cluster is None or trust is None else trust[cluster[rows]],
                    categories,
                )
            if found is not None:
                storage.write_whole(path, save_estimator(found.model))
            folder.finish({**_summary(found), "rows": len(rows), "notes": notes})
        else:
            context.watch.reused()
    summary = folder.summary()
    if summary["description"] is None:
        return None
    agreement = summary["pseudo_label_accuracy"]
    classifier = Classifier(
        read_estimator(path),
        summary["description"],
        float("nan") if agreement is None else agreement,
        summary["temperature"],
    )
    return Learned(path, seen, classifier, summary["rows"], tuple(summary["notes"]))


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
        "temperature": found.temperature,
    }


def score(context: Context, table: FaceTable, learned: Learned, positions: np.ndarray) -> Scores:
    """Figures against true labels of a classifier, which the workers apply to the rows."""
    if len(positions) == 0:
        return Scores(None, None, None, None)
    emotion, confidence = predictions(context, learned, positions)
    classes = len(context.recipe.ingest.labels)
    return classify.score(emotion, table.emotion[positions], confidence, classes)


def predictions(
    context: Context, learned: Learned, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What the classifier says of the faces at these positions: emotion codes and confidence."""
    tasks = context.engine.map(
        "classify",
        predict,
        cut(positions, PREDICTED_ROWS),
        shared=(learned.seen.points, learned.path, learned.classifier.temperature),
    )
    emotion, confidence = zip(*context.engine.gather(tasks), strict=True)
    return np.concatenate(emotion), np.concatenate(confidence)


def predict(
    positions: np.ndarray, points: BlockFiles, path: str, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    """What the classifier in a file says of the rows here (see `daskfer.classify.predict`)."""
    estimator = read_estimator(path)
    # As whoever reads the model will have it, so that both say the same to the last digit.
    return classify.predict(plain_of(estimator) or estimator, points.rows(positions), temperature)


def read_estimator(path: str) -> Any:
    """The classifier in a file of the store."""
    return load_estimator(storage.read_bytes(path), "classifier.skops")
