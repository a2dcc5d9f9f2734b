"""Reduce: a map from features to a few components, fitted on some rows and applied to all."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from daskfer import storage
from daskfer.balance import Selection
from daskfer.blocks import BlockFiles, cut
from daskfer.reduce import Reducer, check_components
from daskfer.represent import Features
from daskfer.stages.context import Context
from daskfer.stages.ingest import array_fingerprint


@dataclass(frozen=True)
class Reduced:
    """The fitted map, the reduced rows of all faces, and a fingerprint of what they came from."""

    reducer: Reducer
    points: BlockFiles
    key: str


def reduce(
    context: Context, features: Features, features_key: str, selection: Selection
) -> Reduced:
    """Fit the recipe's reducer on the fitting rows and reduce all faces with it."""
    recipe = context.recipe
    check_components(recipe.reduce, len(selection.fit), features.dimensions)
    folder = context.store.stage(
        "reduce",
        features_key,
        array_fingerprint(selection.fit),
        asdict(recipe.reduce),
        recipe.seed,
        recipe.block_rows,
    )
    points = BlockFiles(folder, "points.npy", features.pixels.starts)
    with context.watch.stage("reduce", points.starts[-1]):
        if folder.summary() is None:
            _fit(context, features, selection, folder.file("reducer.npz"))
            tasks = context.engine.map(
                "reduce",
                write_points,
                range(points.count),
                shared=(features, folder.file("reducer.npz"), points),
            )
            context.engine.gather(tasks, rows=points.sizes)
            folder.finish({"rows": points.starts[-1]})
        else:
            context.watch.reused()
        reducer = Reducer.load(folder.file("reducer.npz"))
    return Reduced(reducer, points, folder.path.rsplit("/", 1)[-1])


def _fit(context: Context, features: Features, selection: Selection, path: str) -> None:
    if storage.exists(path):
        return
    recipe = context.recipe
    pieces = cut(selection.fit, recipe.block_rows)
    fit = context.methods.reducers[recipe.reduce.method]
    fit(context.engine, features, pieces, recipe.reduce, recipe.seed).save(path)


def write_points(number: int, features: Features, reducer_path: str, target: BlockFiles) -> None:
    """Reduce one block and write it to the store, unless it is there."""
    if not storage.exists(target.path(number)):
        reducer = Reducer.load(reducer_path)
        storage.write_array(target.path(number), reducer.transform(features.block(number)))
