"""The model folder is written: all that predicting needs, in open formats and without pickle."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

from daskfer import __version__, storage
from daskfer.classify import Classifier
from daskfer.clusterers import AnyClusterer
from daskfer.model.estimator import save_estimator
from daskfer.model.plain import plain_of
from daskfer.naming import Names
from daskfer.parts import AnyReducer
from daskfer.recipe import Recipe

FORMAT = 3
"""Since 3, clusters.npz may hold splits, which a reader of 2 would pass over."""


def write_model(
    folder: str,
    recipe: Recipe,
    side: int,
    reducer: AnyReducer,
    clusters: AnyClusterer,
    names: Names,
    classifier: Classifier | None,
    face: AnyReducer | None = None,
    unsure_below: float = 0.0,
) -> None:
    """Write the parts of a model and, last, model.json with their checksums.

    Parameters
    ----------
    folder : str
    recipe : Recipe
        Its normalize and represent sections say how a face becomes features.
    side : int
        Side of the faces in pixels.
    reducer, clusters, names
        Fitted parts, in the order in which they are applied.
    classifier : Classifier or None
        The second model, whose input is the reducer's output, or `face`'s where that is given.
    face : reducer, optional
        What the second model sees, where that is not what the clusters see.
    unsure_below : float
        Confidence below which a face's emotion is better left open.
    """
    reducer.save(storage.join(folder, "reducer.npz"))
    storage.write_arrays(
        storage.join(folder, "clusters.npz"), **clusters.arrays(), emotion=names.emotion
    )
    parts = ["reducer.npz", "clusters.npz"]
    if face is not None:
        face.save(storage.join(folder, "face.npz"))
        parts.append("face.npz")
    if classifier is not None:
        storage.write_whole(
            storage.join(folder, "classifier.skops"), save_estimator(classifier.model)
        )
        parts.append("classifier.skops")
        if (plain := plain_of(classifier.model)) is not None:
            # The same as arrays, which are read without scikit-learn.
            storage.write_arrays(storage.join(folder, "classifier.npz"), **plain.arrays())
            parts.append("classifier.npz")
    storage.write_json(
        storage.join(folder, "model.json"),
        {
            "format": FORMAT,
            "daskfer": __version__,
            "side": side,
            "emotions": list(names.categories),
            "normalize": asdict(recipe.normalize),
            "represent": asdict(recipe.represent),
            "clusters": clusters.kind,
            "classifier": None if classifier is None else classifier.description,
            "classifier_input": "reducer.npz" if face is None else "face.npz",
            "temperature": None if classifier is None else classifier.temperature,
            "unsure_below": unsure_below,
            "sha256": {
                part: hashlib.sha256(storage.read_bytes(storage.join(folder, part))).hexdigest()
                for part in parts
            },
        },
    )
