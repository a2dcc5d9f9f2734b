"""Cluster: centres fitted on the fitting rows, and the nearest one for every face."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from daskfer import storage
from daskfer.balance import Selection
from daskfer.blocks import BlockFiles, cut
from daskfer.cluster import (
    Assignment,
    assign,
    check_clusters,
    largest_first,
    starting_centers,
)
from daskfer.stages.context import Context
from daskfer.stages.reduce import Reduced


@dataclass(frozen=True)
class Clusters:
    """Centres (k, c), cluster (int32) and confidence (float32) of all faces, and a fingerprint."""

    centers: np.ndarray
    cluster: np.ndarray
    confidence: np.ndarray
    nearest: np.ndarray
    iterations: int
    key: str


def cluster(context: Context, reduced: Reduced, selection: Selection) -> Clusters:
    """Fit the recipe's clusterer on the fitting rows and assign all faces."""
    recipe = context.recipe
    check_clusters(recipe.cluster, len(selection.fit))
    folder = context.store.stage("cluster", reduced.key, asdict(recipe.cluster), recipe.seed)
    path = folder.file("clusters.npz")
    with context.watch.stage("cluster", reduced.points.starts[-1]):
        if folder.summary() is None:
            _fit(context, reduced, selection, path)
            folder.finish({"rows": len(selection.fit)})
        else:
            context.watch.reused()
        arrays = storage.read_arrays(path)
    return Clusters(
        arrays["centers"],
        arrays["cluster"],
        arrays["confidence"],
        arrays["nearest"],
        int(arrays["iterations"]),
        folder.path.rsplit("/", 1)[-1],
    )


def _fit(context: Context, reduced: Reduced, selection: Selection, path: str) -> None:
    recipe, engine = context.recipe, context.engine
    start = starting_centers(engine, reduced.points, selection.fit, recipe.cluster, recipe.seed)
    pieces = cut(selection.fit, recipe.block_rows)
    fit = context.methods.clusterers[recipe.cluster.method]
    found = fit(engine, reduced.points, pieces, recipe.cluster, start)
    first = _assign_all(context, reduced.points, found.values)
    k = len(found.values)
    sizes = np.bincount(first.cluster[selection.fit], minlength=k)
    centers = largest_first(found.values, sizes)
    number_of = np.argsort(np.argsort(-sizes, kind="stable")).astype(np.int32)
    storage.write_arrays(
        path,
        centers=centers,
        cluster=number_of[first.cluster],
        confidence=first.confidence,
        nearest=first.nearest,
        iterations=np.array(found.iterations),
    )


def _assign_all(context: Context, points: BlockFiles, centers: np.ndarray) -> Assignment:
    tasks = context.engine.map(
        "cluster", assign_block, range(points.count), shared=(points, centers)
    )
    parts: list[Assignment] = context.engine.gather(tasks, rows=points.sizes)
    return Assignment(
        np.concatenate([part.cluster for part in parts]),
        np.concatenate([part.nearest for part in parts]),
        np.concatenate([part.second for part in parts]),
    )


def assign_block(number: int, points: BlockFiles, centers: np.ndarray) -> Assignment:
    """The nearest centre of each row of one block."""
    return assign(points.block(number), centers)
