"""Cluster: clusters fitted on the fitting rows, and the one of every face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from daskfer import storage
from daskfer.blocks import BlockFiles, cut
from daskfer.cluster import check_clusters, largest_first, starting_centers
from daskfer.clusterers import AnyClusterer, Clusterer, divided, from_arrays
from daskfer.em import starting_mixture
from daskfer.faces import UNKNOWN
from daskfer.mixture import Mixture, check_columns
from daskfer.recipe import Gmm
from daskfer.splits import Split, refine
from daskfer.stages.context import Context
from daskfer.stages.reduce import Reduced
from daskfer.store import fingerprint


@dataclass(frozen=True)
class Clusters:
    """The fitted clusters, what all faces are to them, and a fingerprint.

    Attributes
    ----------
    model : AnyClusterer
    cluster : int32 array (n,)
        UNKNOWN for faces without landmarks.
    confidence : float32 array (n,)
        How sure the assignment is, 0–1.
    nearest : float64 array (n,)
        Squared distance to the cluster's centre, as the clusterer measures it.
    key : str
    """

    model: AnyClusterer
    cluster: np.ndarray
    confidence: np.ndarray
    nearest: np.ndarray
    key: str

    @property
    def centers(self) -> np.ndarray:
        """Centres (k, c)."""
        return self.model.centers


def cluster(context: Context, reduced: Reduced, fit: np.ndarray, placed: np.ndarray) -> Clusters:
    """Fit the recipe's clusterer on the rows at the positions `fit` and assign all faces.

    Those that are not `placed` (bool, n) get no cluster.
    """
    recipe = context.recipe
    check_clusters(recipe.cluster, len(fit))
    check_columns(recipe.cluster, reduced.reducer.components)
    folder = context.store.stage("cluster", reduced.key, asdict(recipe.cluster), recipe.seed)
    path = folder.file("clusters.npz")
    rows = reduced.points.starts[-1]
    with context.watch.stage("cluster", rows), context.turn(folder) as mine:
        if mine:
            _fit(context, reduced, fit, path)
            folder.finish({"rows": len(fit)})
        else:
            context.watch.reused()
        arrays = storage.read_arrays(path)
    return Clusters(
        from_arrays(arrays),
        np.where(placed, arrays["cluster"], np.int32(UNKNOWN)),
        np.where(placed, arrays["confidence"], np.float32(0)),
        arrays["nearest"],
        folder.path.rsplit("/", 1)[-1],
    )


def refined(reduced: Reduced, clusters: Clusters, splits: Sequence[Split]) -> Clusters:
    """The clusters after a person's splits; without any they are the same.

    How sure an assignment is stays that of the cluster as it was fitted.
    """
    if not splits:
        return clusters
    cluster, nearest = refine(clusters.cluster, clusters.nearest, reduced.points, splits)
    told = [(split.of, split.new, split.centers.astype(np.float64).tolist()) for split in splits]
    return Clusters(
        divided(clusters.model, splits),
        cluster,
        clusters.confidence,
        nearest,
        fingerprint(clusters.key, told),
    )


def _fit(context: Context, reduced: Reduced, rows: np.ndarray, path: str) -> None:
    recipe, engine = context.recipe, context.engine
    pieces = cut(rows, recipe.block_rows)
    fit = context.methods.clusterers[recipe.cluster.method]
    found = fit(engine, reduced.points, pieces, recipe.cluster, _start(context, reduced, rows))
    cluster, confidence, nearest = _assign_all(context, reduced.points, found)
    sizes = np.bincount(cluster[rows], minlength=len(found.centers))
    order = largest_first(sizes)
    number_of = np.argsort(order).astype(np.int32)
    storage.write_arrays(
        path,
        **found.in_order(order).arrays(),
        cluster=number_of[cluster],
        confidence=confidence,
        nearest=nearest,
        iterations=np.array(found.iterations),
    )


def _start(context: Context, reduced: Reduced, rows: np.ndarray) -> np.ndarray | Mixture:
    method, points = context.recipe.cluster, reduced.points
    if isinstance(method, Gmm):
        return starting_mixture(context.engine, points, rows, method, context.recipe.seed)
    return starting_centers(context.engine, points, rows, method, context.recipe.seed)


def _assign_all(
    context: Context, points: BlockFiles, model: Clusterer
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    tasks = context.engine.map("cluster", assign_block, range(points.count), shared=(points, model))
    parts = context.engine.gather(tasks, rows=points.sizes)
    cluster, confidence, nearest = (np.concatenate(column) for column in zip(*parts, strict=True))
    return cluster, confidence, nearest


def assign_block(
    number: int, points: BlockFiles, model: Clusterer
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cluster, confidence and squared distance to the centre of each row of one block."""
    found = model.assign(points.block(number))
    return found.cluster, found.confidence, found.nearest
