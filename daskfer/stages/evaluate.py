"""Evaluate: what the clusters and the second model are worth, each figure beside its chance."""

from __future__ import annotations

import operator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from daskfer.balance import Selection
from daskfer.blocks import BlockFiles, cut, groups
from daskfer.classify import balanced_chance_accuracy, chance_accuracy
from daskfer.engine import Handle
from daskfer.evaluate import external, folds, internal
from daskfer.evaluate.external import Agreement, agreement
from daskfer.evaluate.silhouette import scored_rows, silhouette_on
from daskfer.faces import EMOTIONS, UNKNOWN, FaceTable
from daskfer.ingest.duplicates import redundant_count
from daskfer.mixture import Mixture
from daskfer.naming import Names
from daskfer.recipe import NoReduction, Parts, Pca, Reduce
from daskfer.reduce import merge_moments
from daskfer.represent import FeatureRows
from daskfer.stages.classify import Trained
from daskfer.stages.cluster import Clusters
from daskfer.stages.context import Context
from daskfer.stages.ingest import Faces
from daskfer.stages.reduce import Reduced


@dataclass(frozen=True)
class Evaluation:
    """Internal scores (plain values by their keys in metrics.json) and agreement with labels."""

    internal: dict[str, Any]
    agreement: Agreement | None


def evaluate(
    context: Context,
    table: FaceTable,
    selection: Selection,
    features: FeatureRows,
    reduced: Reduced,
    clusters: Clusters,
) -> Evaluation:
    """Score the clusters of the fitting rows."""
    recipe = context.recipe
    folder = context.store.stage("evaluate", clusters.key, asdict(recipe.evaluate), recipe.seed)
    with context.watch.stage("evaluate", len(selection.fit)):
        with context.turn(folder) as mine:
            if mine:
                folder.finish(_internal(context, selection, features, reduced, clusters))
            else:
                context.watch.reused()
        summary = folder.summary()
        fitted = np.concatenate([selection.fit, selection.unplaced])
        scores = agreement(
            clusters.cluster[fitted],
            table.emotion[fitted],
            len(clusters.centers),
            recipe.seed,
            len(recipe.ingest.labels),
        )
    return Evaluation(summary, scores)


def _internal(
    context: Context,
    selection: Selection,
    features: FeatureRows,
    reduced: Reduced,
    clusters: Clusters,
) -> dict[str, Any]:
    recipe, engine = context.recipe, context.engine
    fit, k, seed = selection.fit, len(clusters.centers), recipe.seed
    labels, points, method = clusters.cluster[fit], reduced.points, recipe.cluster
    # All at once, so that the workers are busy to the end; the long ones first.
    scored = _start_folds(context, selection, features, reduced)
    pieces, pieces_labels = cut(fit, recipe.block_rows), cut(labels, recipe.block_rows)
    halves = internal.halves(fit, k, recipe.evaluate.stability_draws, seed)
    most = recipe.evaluate.silhouette_rows
    compared = fit[scored_rows(len(fit), most, seed)]
    agreeing = engine.map(
        "stability",
        internal.half_clustering,
        halves,
        range(len(halves)),
        shared=(compared, points, method, seed),
    )
    nulls = _start_nulls(context, pieces, points)
    centers = clusters.centers
    if isinstance(clusters.model, Mixture):
        # Means of whole faces: a component's own mean has parts of those of other clusters.
        sums = engine.total(
            "evaluate",
            internal.member_sums,
            pieces,
            pieces_labels,
            combine=operator.add,
            shared=(points, k),
        )
        centers = internal.member_means(engine.gather([sums])[0], centers)
    spreads = engine.total(
        "evaluate",
        internal.spread_of,
        pieces,
        pieces_labels,
        combine=internal.merge_spread,
        shared=(points, centers),
    )
    found = silhouette_on(engine, points, fit, labels, k, seed, most)
    spread = engine.gather([spreads])[0]
    return {
        "k": k,
        "silhouette": _finite(found.mean),
        "silhouette_rows": found.rows,
        "silhouette_error": _finite(found.standard_error),
        "silhouette_null": _mean(engine.gather(nulls)),
        "davies_bouldin": _finite(internal.davies_bouldin(spread, centers)),
        "calinski_harabasz": _finite(internal.calinski_harabasz(spread)),
        "inertia": spread.inertia,
        "iterations": clusters.model.iterations,
        **_likelihood(clusters, len(fit)),
        "stability_ari": _finite(internal.mean_pairwise_ari(engine.gather(agreeing))),
        "silhouette_cv": _fold_figures(engine.gather(scored)),
    }


def _start_nulls(context: Context, pieces: list[np.ndarray], points: BlockFiles) -> list[Handle]:
    """Start the draws of noise with the covariance of the rows in these pieces."""
    recipe, engine = context.recipe, context.engine
    draws = recipe.evaluate.null_draws
    if draws == 0:
        return []
    rows = sum(map(len, pieces))
    moments = engine.total(
        "null",
        internal.moments_at,
        groups(pieces),
        combine=merge_moments,
        shared=(points, recipe.block_rows),
        at_once=2,
    )
    covariance = engine.map("null", internal.covariance, [moments])
    scored = max(recipe.cluster.clusters, min(rows, recipe.evaluate.null_rows))
    return engine.map(
        "null",
        internal.null_silhouette,
        covariance * draws,
        range(draws),
        shared=(recipe.cluster, scored, recipe.seed),
    )


def _likelihood(clusters: Clusters, rows: int) -> dict[str, float | None]:
    """Mean log-likelihood of the fitted rows and BIC; None where the clusters have no density."""
    if not isinstance(clusters.model, Mixture):
        return {"log_likelihood": None, "bic": None}
    return {
        "log_likelihood": _finite(clusters.model.log_likelihood),
        "bic": _finite(clusters.model.bic(rows)),
    }


def _start_folds(
    context: Context, selection: Selection, features: FeatureRows, reduced: Reduced
) -> list[Any]:
    recipe = context.recipe
    count = recipe.evaluate.folds
    if count == 0:
        return []
    fit = selection.fit[
        scored_rows(len(selection.fit), recipe.evaluate.silhouette_rows, recipe.seed)
    ]
    most = folds.fewest_fitted(len(fit), count) - 1
    held_out = folds.fold_rows(len(fit), count, recipe.seed)
    rows: FeatureRows | BlockFiles = features
    reduction = _as_fitted(recipe.reduce, min(reduced.reducer.components, most))
    if isinstance(recipe.reduce, Parts):
        # Parts are not reduced again without each fold: only the clusters are.
        rows, reduction = reduced.points, NoReduction()
    return context.engine.map(
        "folds",
        folds.score_fold,
        held_out,
        range(count),
        shared=(
            rows,
            fit,
            reduction,
            recipe.cluster,
            recipe.seed,
        ),
    )


def _as_fitted(method: Reduce, components: int) -> Reduce:
    """The recipe's reduction with the number of components that the run chose."""
    if isinstance(method, Pca) and method.components == "auto":
        return replace(method, components=components)
    return method


def _fold_figures(scores: list[folds.FoldScore]) -> dict[str, Any] | None:
    if not scores:
        return None
    fitted = np.array([score.fitted for score in scores])
    held_out = np.array([score.held_out for score in scores])
    held_out = held_out[np.isfinite(held_out)] if np.isfinite(held_out).any() else held_out
    return {
        "folds": len(scores),
        "mean": _finite(float(fitted.mean())),
        "std": _finite(float(fitted.std())),
        "held_out_mean": _finite(float(held_out.mean())),
        "held_out_std": _finite(float(held_out.std())),
    }


def _mean(values: list[float]) -> float | None:
    return _finite(float(np.mean(values))) if values else None


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def figures(
    context: Context,
    faces: Faces,
    selection: Selection,
    reduced: Reduced,
    clusters: Clusters,
    names: Names,
    trained: Trained | None,
    found: Evaluation,
) -> dict[str, Any]:
    """The figures of metrics.json but for time, memory and versions."""
    table, classes = faces.table, context.recipe.ingest.labels
    tested = table.emotion[selection.test]
    used = [*selection.labels_used, *names.labels_used]
    scored = trained is not None and any(
        part.accuracy is not None for part in (trained.train, trained.validation, trained.test)
    )
    if found.agreement is not None or scored:
        used.append(("evaluate", "scores beside the true emotions; nothing is fitted"))
    reducer = reduced.reducer
    explained = None
    if not isinstance(context.recipe.reduce, NoReduction):
        explained = reducer.explained_share
    return {
        "classes": list(classes),
        "rows": {
            "read": faces.read,
            "quarantined": len(faces.bad),
            "blank": int(table.blank.sum()),
            "duplicate": redundant_count(table.digest),
            "fitted": len(selection.fit),
            "without_landmarks": int((clusters.cluster == UNKNOWN).sum()),
            "validation": len(selection.validation),
            "test": len(selection.test),
        },
        "reduce": {
            "components": reducer.components,
            "rule": _rule(context.recipe.reduce),
            "explained_variance": explained,
        },
        "cluster": {**found.internal, **external.as_metrics(found.agreement)},
        "classifier": _classifier_figures(trained, tested),
        "naming": {"how": names.how, "looks": names.looks},
        "labels_used": [{"stage": stage, "why": why} for stage, why in used],
        "notes": [
            *faces.notes,
            *selection.notes,
            *_notes(selection, tested, names, trained, clusters),
        ],
        "verdict": None
        if found.agreement is None
        else external.verdict(found.agreement, found.internal["k"], classes),
    }


def _notes(
    selection: Selection,
    tested: np.ndarray,
    names: Names,
    trained: Trained | None,
    clusters: Clusters,
) -> list[str]:
    """What a reader of the figures would otherwise wonder about."""
    notes = []
    lost = int((clusters.cluster == UNKNOWN).sum())
    if lost:
        notes.append(
            f"{lost:,} faces have no landmarks to speak of, and so no cluster"
            + ("" if trained is None else "; the second model labels them by what else is known")
        )
    if names.splits:
        total = len(names.emotion)
        notes.append(
            f"clusters were divided after the run, which made {total:,} of "
            f"{total - len(names.splits):,}: the figures of the clusters are of those before"
        )
    unnamed = int((names.emotion == UNKNOWN).sum())
    waiting = names.how == "page" and unnamed == len(names.emotion)
    if names.how != "none" and unnamed and not waiting:
        notes.append(f"{unnamed} of {len(names.emotion)} clusters have no name, nor their faces")
    known = tested[tested != UNKNOWN]
    if len(known) and (known == known[0]).all():
        notes.append("all labels of the test are the same: the scores beside them say nothing")
    notes += trained.notes if trained is not None else ()
    if trained is not None and names.beyond_classes:
        beyond = "the seven emotions" if names.classes == EMOTIONS else "the classes of the labels"
        notes.append(
            f"names beyond {beyond} are in use, so the labels of the faces cannot score the second "
            "model"
        )
    elif trained is not None and len(selection.test) == 0:
        notes.append("no rows are held out, so the second model could not be tested")
    elif trained is not None and not (tested != UNKNOWN).any():
        notes.append("the held-out rows have no labels, so the second model could not be tested")
    return notes


def _rule(method: Reduce) -> str | None:
    """The rule that chose the number of components; None where the recipe states it."""
    return method.rule if isinstance(method, Pca) and method.components == "auto" else None


def _classifier_figures(trained: Trained | None, tested: np.ndarray) -> dict[str, Any] | None:
    if trained is None:
        return None
    agreement = trained.classifier.pseudo_label_accuracy
    return {
        "model": trained.classifier.description,
        "rows": trained.rows,
        "pseudo_label_accuracy": _finite(agreement),
        "train_accuracy": trained.train.accuracy,
        "validation_accuracy": trained.validation.accuracy,
        "test_accuracy": trained.test.accuracy,
        "test_balanced_accuracy": trained.test.balanced_accuracy,
        "test_macro_f1": trained.test.macro_f1,
        "test_confusion": trained.test.confusion,
        "test_calibration_error": trained.test.calibration_error,
        "chance_accuracy": chance_accuracy(tested),
        "balanced_chance_accuracy": balanced_chance_accuracy(tested),
    }
