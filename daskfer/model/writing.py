"""The model folder is written: all that predicting needs, in open formats and without pickle.

A part is called by what is in it, ``clusters-<12 digits of its sha256>.npz``, so that a new one
never takes the place of another. model.json lists the parts, and its rename switches from one model
to the next: whenever the writer is killed, a reader finds the old model whole or the new one. Parts
that model.json does not list any more are deleted afterwards.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict
from typing import Any

from daskfer import __version__, storage
from daskfer.classify import Classifier
from daskfer.clusterers import AnyClusterer
from daskfer.model.estimator import save_estimator
from daskfer.model.plain import plain_of
from daskfer.naming import Names
from daskfer.parts import AnyReducer
from daskfer.recipe import Recipe
from daskfer.tree import Tree

FORMAT = 4
"""Since 3, clusters.npz may hold splits, which a reader of 2 would pass over. Since 4, the files of
parts are called by their content; before, each had the part's plain name."""

HEAD = "model.json"
PARTS = ("reducer.npz", "clusters.npz", "face.npz", "classifier.skops", "classifier.npz")
"""Parts that a model may have; no other name in model.json ever leads to a file."""

DIGITS = 12
"""Digits of a part's checksum that its file's name has."""

_PART_FILES = re.compile(
    "|".join(part.replace(".", f"(-[0-9a-f]{{{DIGITS}}})?[.]") for part in PARTS)
)


def part_file(part: str, checksum: str) -> str:
    """The name of a part's file: that of one of PARTS, with the first digits of its sha256."""
    stem, dot, ending = part.partition(".")
    return f"{stem}-{checksum[:DIGITS]}{dot}{ending}"


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
    """Write the parts of a model, switch to it by model.json, and delete those of the one before.

    Parameters
    ----------
    folder : str
    recipe, side, reducer, clusters, names, classifier, face, unsure_below
        As in `write_parts`.
    """
    head = write_parts(
        folder, recipe, side, reducer, clusters, names, classifier, face, unsure_below
    )
    storage.write_json(storage.join(folder, HEAD), head)
    drop_parts(folder)


def write_parts(
    folder: str,
    recipe: Recipe,
    side: int,
    reducer: AnyReducer,
    clusters: AnyClusterer,
    names: Names,
    classifier: Classifier | None,
    face: AnyReducer | None = None,
    unsure_below: float = 0.0,
) -> dict[str, Any]:
    """Write the parts of a model beside those of the one that is there, which stays as it is.

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

    Returns
    -------
    dict
        What model.json has to say, with the checksums of the bytes that were written.
    """
    parts = {
        "reducer.npz": storage.npz(**reducer.arrays()),
        "clusters.npz": storage.npz(**clusters.arrays(), emotion=names.emotion),
    }
    if face is not None:
        parts["face.npz"] = storage.npz(**face.arrays())
    if classifier is not None:
        parts["classifier.skops"] = memoryview(save_estimator(classifier.model))
        if (plain := plain_of(classifier.model)) is not None:
            # The same as arrays, which are read without scikit-learn.
            parts["classifier.npz"] = storage.npz(**plain.arrays())
    sums = {part: hashlib.sha256(data).hexdigest() for part, data in parts.items()}
    for part, data in parts.items():
        storage.write_whole(storage.join(folder, part_file(part, sums[part])), data)
    return {
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
        "sha256": sums,
    }


def drop_parts(folder: str) -> None:
    """Delete the parts, of any model before, that model.json does not list."""
    head = storage.read_json(storage.join(folder, HEAD))
    sums = head["sha256"]
    kept = set(sums) if head["format"] < 4 else {part_file(*one) for one in sums.items()}
    tree = Tree.at(folder)
    for name in tree.files():
        if _PART_FILES.fullmatch(name) and name not in kept:
            tree.remove(name)
