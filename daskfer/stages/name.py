"""Name: an emotion for each cluster, by labels, a file, what its faces do, or a person."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np

from daskfer.balance import Selection
from daskfer.blocks import cut
from daskfer.errors import InputError
from daskfer.faces import FaceTable
from daskfer.naming import Given, Names, among, given_names, name_clusters, purity_of
from daskfer.randomness import drawn_part
from daskfer.recipe import NameByFacs, Parts
from daskfer.represent import FeatureRows
from daskfer.stages.cluster import Clusters
from daskfer.stages.context import Context
from daskfer.stages.represent import Represented

if TYPE_CHECKING:
    from daskfer.facs import Reader
    from daskfer.represent.expression.features import PartFiles

READ_ROWS = 65_536
"""Most faces that prototypes are read among; of more, so many are drawn by seed."""

CLEAR = 0.0
"""Log-odds of a face from which its landmarks are beyond doubt."""


def name(
    context: Context,
    table: FaceTable,
    selection: Selection,
    represented: Represented,
    clusters: Clusters,
) -> Names:
    """Name the clusters as the recipe says, from their fitted faces."""
    method, fit = context.recipe.name, selection.fit
    with context.watch.stage("name", len(clusters.centers)):
        if isinstance(method, NameByFacs):
            return _by_action_units(context, table, fit, represented, clusters, method)
        return name_clusters(
            method, clusters.cluster[fit], table.emotion[fit], len(clusters.centers),
            context.recipe.ingest.labels,
        )  # fmt: skip


def give_names(
    context: Context, table: FaceTable, selection: Selection, clusters: Clusters, given: Given
) -> Names:
    """Names that the clusters, after the splits, were given since their run.

    Raises
    ------
    InputError
        When they are names of other clusters.
    """
    count = len(clusters.centers)
    if len(given.emotion) != count:
        raise InputError(
            f"{len(given.emotion):,} names were given, and there are {count:,} clusters: expected "
            "names of this run's clusters"
        )
    with context.watch.stage("name", count):
        fit = selection.fit
        return given_names(given, clusters.cluster[fit], table.emotion[fit])


def _by_action_units(
    context: Context,
    table: FaceTable,
    fit: np.ndarray,
    represented: Represented,
    clusters: Clusters,
    method: NameByFacs,
) -> Names:
    from daskfer import facs

    recipe, k = context.recipe, len(clusters.centers)
    part, reader = read_units(represented, fit, recipe.seed)
    sums = context.engine.total(
        "name",
        _sums_of,
        cut(fit, recipe.block_rows),
        cut(clusters.cluster[fit], recipe.block_rows),
        combine=operator.add,
        shared=(part, reader, k),
    )
    told = facs.tell(context.engine.gather([sums])[0], method.margin)
    rows = np.bincount(clusters.cluster[fit], minlength=k).astype(np.int64)
    origin = "from action units, without labels"
    classes = recipe.ingest.labels
    emotion = among(told.emotion, classes)
    purity, used = purity_of(
        clusters.cluster[fit], table.emotion[fit], emotion, origin, len(classes)
    )
    return Names(
        emotion, "facs", 0, rows, purity, used, score=told.score, margin=told.margin,
        reasons=told.reasons, categories=classes, classes=classes,
    )  # fmt: skip


def read_units(represented: Represented, fit: np.ndarray, seed: int) -> tuple[PartFiles, Reader]:
    """The blendshapes of all faces, and what emotions look like among the fitted ones."""
    from daskfer import facs
    from daskfer.represent.expression.features import ExpressionFeatures

    features = represented.features
    assert isinstance(features, ExpressionFeatures)
    # As they were measured: their quantiles are taken, which no scaling changes.
    part = features.part("blendshapes", Parts(scaling="robust"))
    sample = np.sort(drawn_part(fit, READ_ROWS, seed, "facs-sample"))
    return part, facs.read_prototypes(part.rows(sample), features.presence()[sample] >= CLEAR)


def _sums_of(
    positions: np.ndarray, cluster: np.ndarray, part: FeatureRows, reader: Reader, k: int
) -> np.ndarray:
    from daskfer import facs

    return facs.cluster_sums(part.rows(positions), cluster, reader, k)
