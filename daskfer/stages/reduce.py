"""Reduce: a map from features to a few components, fitted on some rows and applied to all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from daskfer import storage
from daskfer.blocks import BlockFiles, cut
from daskfer.parts import AnyReducer, Wish, fit_parts, load_reducer
from daskfer.randomness import drawn_part
from daskfer.recipe import Parts, Pca
from daskfer.reduce import check_components, fit_pca
from daskfer.represent import FeatureRows
from daskfer.stages.context import Context
from daskfer.stages.ingest import array_fingerprint
from daskfer.stages.represent import Represented

FACE_PARTS = ("layer4", "layer8")
"""The parts of an expression that the second model sees with ``classify.features: face``. It
learns from clusters of other parts: shown these again, it would learn where the clusters end
rather than what their faces have in common (see BENCHMARKS.md)."""

ALL_PARTS = ("blendshapes", "tokens", "hog", *FACE_PARTS)
"""What a model sees that learns from true labels, which follow from no part."""

FACE_ROWS = 8_192
"""Most rows that the second model's features are fitted on."""


@dataclass(frozen=True)
class Reduced:
    """The fitted map, the reduced rows of all faces, and a fingerprint of what they came from."""

    reducer: AnyReducer
    points: BlockFiles
    key: str


def reduce(context: Context, represented: Represented, fit: np.ndarray) -> Reduced:
    """Fit the recipe's reducer on the rows at the positions `fit` and reduce all faces with it."""
    recipe, features = context.recipe, represented.features
    check_components(recipe.reduce, len(fit), features.dimensions)
    with context.watch.stage("reduce", len(represented.placed)):

        def fitted() -> AnyReducer:
            pieces = cut(fit, recipe.block_rows)
            method = context.methods.reducers[recipe.reduce.method]
            return method(context.engine, features, pieces, recipe.reduce, recipe.seed)

        found, reused = _reduced(context, "reduce", represented, fit, asdict(recipe.reduce), fitted)
        if reused:
            context.watch.reused()
    return found


def reduce_face(
    context: Context,
    represented: Represented,
    fit: np.ndarray,
    parts: tuple[str, ...] = FACE_PARTS,
) -> Reduced:
    """All that is known of each face, in components that count alike, for the second model.

    Fitted without labels on the rows at the positions `fit`, of many on a sample drawn by seed:
    these are features to learn from, and no figure is made of them. Kept in the store.
    """
    recipe, features = context.recipe, represented.features
    sample = np.sort(drawn_part(fit, FACE_ROWS, recipe.seed, "face-sample"))
    pieces, most = cut(sample, recipe.block_rows), recipe.classify.components

    def fitted() -> AnyReducer:
        from daskfer.represent.expression.features import ExpressionFeatures

        if isinstance(features, ExpressionFeatures):
            # Whitened, and as much weight as components: each of them has variance 1.
            wishes = [Wish(part, most, float(most) ** 0.5, whiten=True) for part in parts]
            return fit_parts(context.engine, features, pieces, wishes, Parts())
        method = Pca(components=min(most, features.dimensions, len(sample) - 1), whiten=True)
        return fit_pca(context.engine, features, pieces, method)

    found, _ = _reduced(
        context, "classify", represented, fit, {"face": most, "parts": parts}, fitted
    )
    return found


def _reduced(
    context: Context,
    stage: str,
    represented: Represented,
    fit: np.ndarray,
    keys: dict[str, Any],
    fitted: Callable[[], AnyReducer],
) -> tuple[Reduced, bool]:
    """The rows of all faces, reduced by what `fitted` gives; whether the store had them."""
    recipe, features = context.recipe, represented.features
    folder = context.store.stage(
        "reduce", represented.key, array_fingerprint(fit), keys, recipe.seed, recipe.block_rows
    )
    path = folder.file("reducer.npz")
    points = BlockFiles(folder, "points.npy", represented.starts)
    with context.turn(folder) as mine:
        if mine:
            if not storage.exists(path):
                fitted().save(path)
            tasks = context.engine.map(
                stage, write_points, range(points.count), shared=(features, path, points)
            )
            context.engine.gather(tasks, rows=points.sizes)
            folder.finish({"rows": points.starts[-1]})
    return Reduced(load_reducer(path), points, folder.path.rsplit("/", 1)[-1]), not mine


def write_points(number: int, features: FeatureRows, reducer_path: str, target: BlockFiles) -> None:
    """Reduce one block and write it to the store, unless it is there."""
    if not storage.has_array(target.path(number)):
        reducer = load_reducer(reducer_path)
        storage.write_array(target.path(number), reducer.block(features, number), sync=False)
