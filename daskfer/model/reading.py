"""The model folder is read: every part checked before it is used, and nothing run on the way."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from daskfer import storage
from daskfer.classify import Classifier
from daskfer.clusterers import AnyClusterer, from_arrays
from daskfer.errors import ModelError, RecipeError, one_line
from daskfer.faces import EMOTIONS
from daskfer.model.estimator import load_estimator
from daskfer.model.model import Model
from daskfer.model.plain import Plain
from daskfer.model.writing import FORMAT
from daskfer.parts import load_reducer
from daskfer.recipe import Recipe, recipe_from_dict

HEAD = "model.json"
PARTS = ("reducer.npz", "clusters.npz", "face.npz", "classifier.skops", "classifier.npz")
"""Files that a model may have; no other name in model.json is ever opened."""


def read_model(path: str) -> Model:
    """Read a model, from its folder or from the run's that holds it.

    Raises
    ------
    ModelError
        When it is none, has a format that is newer than this daskfer knows, or a part that is
        missing, was changed, or holds anything but what such a part may hold.
    """
    folder, head = _head(path)
    side = head.get("side")
    if not isinstance(side, int) or not 1 <= side <= 4096:
        raise ModelError(f"{folder}/{HEAD}: side is {side!r}, expected pixels such as 48")
    categories = head.get("emotions")
    if not isinstance(categories, list) or not all(isinstance(name, str) for name in categories):
        raise ModelError(f"{folder}/{HEAD}: emotions are {categories!r}, expected a list of names")
    recipe = _recipe(folder, head)
    files = _checked_parts(folder, head)
    clusters, emotion = _clusters(folder, files)
    if len(emotion) < len(clusters.centers) or emotion.max(initial=-1) >= len(categories):
        raise ModelError(f"{folder}/clusters.npz: its names do not fit its clusters")
    classifier = None
    if (estimator := _estimator(folder, files)) is not None:
        temperature = float(head.get("temperature") or 1.0)
        classifier = Classifier(estimator, str(head.get("classifier")), float("nan"), temperature)
    try:
        reducer = load_reducer(files["reducer.npz"])
        face = load_reducer(files["face.npz"]) if "face.npz" in files else None
    except (KeyError, ValueError, OSError) as error:
        raise ModelError(f"{folder}: a reducer cannot be read: {one_line(error)}") from error
    seen = face if head.get("classifier_input") == "face.npz" else None
    return Model(
        folder, side, tuple(categories or EMOTIONS), recipe.normalize.method, recipe.represent,
        reducer, clusters, emotion, classifier, seen, float(head.get("unsure_below") or 0.0),
    )  # fmt: skip


def read_clusters(path: str) -> AnyClusterer:
    """The clusters of a model, which assign faces as they did when they were written.

    Raises
    ------
    ModelError
    """
    folder, head = _head(path)
    return _clusters(folder, _checked_parts(folder, head))[0]


def _head(path: str) -> tuple[str, dict[str, Any]]:
    """The folder that holds model.json, and what that says."""
    for folder in (path, storage.join(path, "model")):
        if storage.exists(storage.join(folder, HEAD)):
            break
    else:
        raise ModelError(
            f"{path} holds no model ({HEAD}): expected the folder of a finished run, or its model/"
        )
    try:
        head = storage.read_json(storage.join(folder, HEAD))
    except ValueError as error:
        raise ModelError(f"{folder}/{HEAD} is not JSON: {one_line(error)}") from error
    found = head.get("format") if isinstance(head, dict) else None
    if not isinstance(found, int) or isinstance(found, bool):
        raise ModelError(f"{folder}/{HEAD} states no format: expected a model that daskfer wrote")
    if found > FORMAT:
        raise ModelError(
            f"{folder} has format {found} and this daskfer reads up to {FORMAT}: use a newer one"
        )
    return folder, head


def _recipe(folder: str, head: dict[str, Any]) -> Recipe:
    """How faces become features."""
    try:
        return recipe_from_dict({key: head.get(key) for key in ("normalize", "represent")})
    except RecipeError as error:
        raise ModelError(f"{folder}/{HEAD}: {error}") from error


def _checked_parts(folder: str, head: dict[str, Any]) -> dict[str, bytes]:
    """The bytes of each part, which are those that model.json has the checksums of."""
    sums = head.get("sha256")
    if not isinstance(sums, dict) or not {"reducer.npz", "clusters.npz"} <= set(sums):
        raise ModelError(f"{folder}/{HEAD} lists no parts: expected reducer.npz and clusters.npz")
    found = {}
    for name, stated in sums.items():
        if name not in PARTS:
            raise ModelError(
                f"{folder}/{HEAD} lists {name!r}: expected no parts but {', '.join(PARTS)}"
            )
        try:
            data = storage.read_bytes(storage.join(folder, name))
        except FileNotFoundError:
            raise ModelError(f"{folder} lacks {name}, which {HEAD} lists: copy it whole") from None
        actual = hashlib.sha256(data).hexdigest()
        if actual != stated:
            raise ModelError(
                f"{folder}/{name} is not what was written: its sha256 is {actual[:16]}…, expected "
                f"{str(stated)[:16]}…; copy the model again, or train it again"
            )
        found[name] = data
    return found


def _estimator(folder: str, files: dict[str, bytes]) -> Any:
    """The classifier: of plain arrays where it is there as such, else scikit-learn's."""
    from daskfer import npy

    if "classifier.npz" in files:
        try:
            return Plain.from_arrays(npy.members(files["classifier.npz"]))
        except (KeyError, ValueError, TypeError, OSError) as error:
            raise ModelError(
                f"{folder}/classifier.npz cannot be read: {one_line(error)}"
            ) from error
    if "classifier.skops" in files:
        return load_estimator(files["classifier.skops"], f"{folder}/classifier.skops")
    return None


def _clusters(folder: str, files: dict[str, bytes]) -> tuple[AnyClusterer, np.ndarray]:
    from daskfer import npy

    try:
        arrays = npy.members(files["clusters.npz"])
        return from_arrays(arrays), arrays["emotion"]
    except (KeyError, ValueError, OSError) as error:
        raise ModelError(f"{folder}/clusters.npz cannot be read: {one_line(error)}") from error
