"""Classify: the second model, trained on the names of the clusters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib import metadata

import numpy as np

from daskfer import classify, storage
from daskfer.balance import Selection
from daskfer.classify import Classifier, Scores
from daskfer.faces import FaceTable
from daskfer.model import load_estimator, save_estimator
from daskfer.naming import Names
from daskfer.stages.cluster import Clusters
from daskfer.stages.context import Context
from daskfer.stages.ingest import array_fingerprint
from daskfer.stages.reduce import Reduced


@dataclass(frozen=True)
class Trained:
    """The second model, and its figures against true labels by the rows they are of."""

    classifier: Classifier
    train: Scores
    validation: Scores
    test: Scores


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
        points = reduced.points.rows(selection.fit)
        summary = folder.summary()
        if summary is None:
            pseudo = names.of(clusters.cluster[selection.fit])
            found = classify.train(
                points, pseudo, recipe.classify, recipe.seed, context.methods.search
            )
            if found is not None:
                storage.write_whole(folder.file("classifier.skops"), save_estimator(found.model))
            summary = folder.finish(_summary(found))
        else:
            context.watch.reused()
        if summary["description"] is None:
            return None
        model = load_estimator(
            storage.read_bytes(folder.file("classifier.skops")), "classifier.skops"
        )
        agreement = summary["pseudo_label_accuracy"]
        classifier = Classifier(
            model, summary["description"], float("nan") if agreement is None else agreement
        )
        return Trained(
            classifier,
            classify.score(classifier.predict(points), table.emotion[selection.fit]),
            _score(classifier, table, reduced, selection.validation),
            _score(classifier, table, reduced, selection.test),
        )


def _summary(found: Classifier | None) -> dict[str, object]:
    if found is None:
        return {"description": None}
    agreement = found.pseudo_label_accuracy
    return {
        "description": found.description,
        "pseudo_label_accuracy": None if np.isnan(agreement) else agreement,
    }


def _score(
    classifier: Classifier, table: FaceTable, reduced: Reduced, positions: np.ndarray
) -> Scores:
    if len(positions) == 0:
        return Scores(None, None, None, None)
    predicted = classifier.predict(reduced.points.rows(positions))
    return classify.score(predicted, table.emotion[positions])
