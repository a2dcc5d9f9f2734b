"""The model folder: all that predicting needs, in open formats and without pickle."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

from daskfer import __version__, storage
from daskfer.classify import Classifier
from daskfer.clusterers import AnyClusterer, from_arrays
from daskfer.errors import RunFolderError
from daskfer.naming import Names
from daskfer.parts import AnyReducer
from daskfer.recipe import Recipe

FORMAT = 3
"""Since 3, clusters.npz may hold splits, which a reader of 2 would pass over."""


def save_estimator(estimator: Any) -> bytes:
    """A scikit-learn estimator in skops's format, which holds no code."""
    import skops.io

    return bytes(skops.io.dumps(estimator))


def load_estimator(data: bytes, name: str) -> Any:
    """Read an estimator that `save_estimator` wrote.

    Raises
    ------
    RunFolderError
        When the file holds types beyond those of scikit-learn and NumPy that skops trusts.
    """
    import skops.io

    unknown = [kind for kind in skops.io.get_untrusted_types(data=data) if not _is_known(kind)]
    if unknown:
        raise RunFolderError(f"{name} holds types that are not trusted: {', '.join(unknown)}")
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


def _is_known(kind: str) -> bool:
    return kind.startswith(("sklearn.", "numpy.")) and "lambda" not in kind


def read_clusters(folder: str) -> AnyClusterer:
    """The clusters of a model folder, which assign faces as they did when they were written.

    Raises
    ------
    RunFolderError
        When a newer daskfer wrote them, in a format that is not known here.
    """
    found = storage.read_json(storage.join(folder, "model.json"))["format"]
    if found > FORMAT:
        raise RunFolderError(
            f"{folder} has format {found} and this daskfer reads up to {FORMAT}: use a newer one"
        )
    return from_arrays(storage.read_arrays(storage.join(folder, "clusters.npz")))


def write_model(
    folder: str,
    recipe: Recipe,
    side: int,
    reducer: AnyReducer,
    clusters: AnyClusterer,
    names: Names,
    classifier: Classifier | None,
    face: AnyReducer | None = None,
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
            "sha256": {
                part: hashlib.sha256(storage.read_bytes(storage.join(folder, part))).hexdigest()
                for part in parts
            },
        },
    )
