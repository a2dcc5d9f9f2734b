"""Represent: features of all faces, block by block, kept in the store where that pays."""

from __future__ import annotations

from dataclasses import asdict

from daskfer import storage
from daskfer.blocks import BlockFiles
from daskfer.represent import Features, feature_count, is_stored
from daskfer.stages.context import Context
from daskfer.stages.ingest import Faces


def represent(context: Context, faces: Faces) -> tuple[Features, str]:
    """The features of all faces, and a fingerprint of what they are made from.

    Raises
    ------
    RecipeError
        When the faces are too small for the recipe's method.
    """
    recipe = context.recipe
    feature_count(faces.side, recipe.represent)
    folder = context.store.stage(
        "represent", faces.content, asdict(recipe.normalize), asdict(recipe.represent)
    )
    key = folder.path.rsplit("/", 1)[-1]
    method = recipe.normalize.method
    plain = Features(faces.pixels, None, faces.side, method, recipe.represent)
    if not is_stored(recipe.represent):
        return plain, key
    stored = BlockFiles(folder, "features.npy", faces.pixels.starts)
    with context.watch.stage("represent", len(faces.table)):
        if folder.summary() is None:
            tasks = context.engine.map(
                "represent", write_features, range(stored.count), shared=(plain, stored)
            )
            context.engine.gather(tasks, rows=stored.sizes)
            folder.finish({"rows": len(faces.table)})
        else:
            context.watch.reused()
    return Features(faces.pixels, stored, faces.side, method, recipe.represent), key


def write_features(number: int, features: Features, target: BlockFiles) -> None:
    """Compute one block of features and write it to the store, unless it is there."""
    if not storage.exists(target.path(number)):
        storage.write_array(target.path(number), features.block(number))
