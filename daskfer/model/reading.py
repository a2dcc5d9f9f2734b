"""The model folder is read: every part checked before it is used, and nothing run on the way."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from daskfer import npy, storage
from daskfer.classify import Classifier
from daskfer.clusterers import AnyClusterer
from daskfer.errors import ModelError, RecipeError, one_line
from daskfer.model.checks import (
    MOST_CATEGORIES,
    check_classes,
    check_fit,
    check_names,
    check_reducer,
    checked_categories,
    checked_clusters,
    checked_number,
    checked_plain,
)
from daskfer.model.estimator import load_estimator
from daskfer.model.model import Model
from daskfer.model.writing import FORMAT, HEAD, PARTS, part_file
from daskfer.parts import AnyReducer, load_reducer
from daskfer.recipe import Expression, Recipe, Represent, recipe_from_dict

SWITCHES = 5
"""How often another model may take the place of one while it is read."""

_CHECKSUM = re.compile("[0-9a-f]{64}")


def read_model(path: str) -> Model:
    """Read a model, from its folder or from the run's that holds it.

    Raises
    ------
    ModelError
        When it is none, has a format that is newer than this daskfer knows, or a part that is
        missing, was changed, or holds anything but what such a part may hold.
    """
    folder, head, digest, files = _whole(path)
    side = head.get("side")
    if not isinstance(side, int) or isinstance(side, bool) or not 1 <= side <= 4096:
        raise ModelError(f"{folder}/{HEAD}: side is {side!r}, expected pixels such as 48")
    categories = _stated(folder, "emotions", checked_categories, head.get("emotions"))
    unsure = head.get("unsure_below") or 0.0
    unsure_below = _stated(folder, "unsure_below", checked_number, unsure, 0, 1)
    recipe = _recipe(folder, head)
    clusters, emotion = _clusters(folder, files, len(categories))
    classifier = _classifier(folder, head, files, len(categories))
    reducers = {
        name: _reducer(folder, name, files[name], side, recipe.represent)
        for name in ("reducer.npz", "face.npz")
        if name in files
    }
    given = head.get("classifier_input") or "reducer.npz"
    if given not in list(reducers):
        raise ModelError(
            f"{folder}/{HEAD}: classifier_input is {given!r}, expected {' or '.join(reducers)}"
        )
    reducer, seen = reducers["reducer.npz"], reducers[given]
    try:
        check_fit(reducer, seen, clusters, classifier)
    except Exception as error:
        raise ModelError(
            f"{folder}: the parts of the model do not fit one another: {one_line(error)}"
        ) from error
    return Model(
        folder, side, categories, recipe.normalize.method, recipe.represent, reducer, clusters,
        emotion, classifier, None if seen is reducer else seen, unsure_below, digest,
    )  # fmt: skip


def read_clusters(path: str) -> AnyClusterer:
    """The clusters of a model, which assign faces as they did when they were written.

    Raises
    ------
    ModelError
    """
    folder, _, _, files = _whole(path)
    return _clusters(folder, files, MOST_CATEGORIES)[0]


def _whole(path: str) -> tuple[str, dict[str, Any], str, dict[str, bytes]]:
    """The folder of a model, model.json and its sha256, and the bytes of the parts that it lists.

    Where another training ends meanwhile, parts of the model before are deleted under our hands:
    then model.json lists others, which are read instead.
    """
    folder, head, digest = _head(path)
    for _ in range(SWITCHES):
        try:
            return folder, head, digest, _checked_parts(folder, head)
        except ModelError:
            before = head
            folder, head, digest = _head(path)
            if head.get("sha256") == before.get("sha256"):
                raise
    return folder, head, digest, _checked_parts(folder, head)


def _head(path: str) -> tuple[str, dict[str, Any], str]:
    """The folder that holds model.json, what that says, and its sha256."""
    for folder in (path, storage.join(path, "model")):
        if storage.exists(storage.join(folder, HEAD)):
            break
    else:
        raise ModelError(
            f"{path} holds no model ({HEAD}): expected the folder of a finished run, or its model/"
        )
    data = storage.read_bytes(storage.join(folder, HEAD))
    try:
        head = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{folder}/{HEAD} is not JSON: {one_line(error)}") from error
    found = head.get("format") if isinstance(head, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ModelError(f"{folder}/{HEAD} states no format: expected a model that daskfer wrote")
    if found > FORMAT:
        raise ModelError(
            f"{folder} has format {found} and this daskfer reads up to {FORMAT}: use a newer one"
        )
    return folder, head, hashlib.sha256(data).hexdigest()


def _recipe(folder: str, head: dict[str, Any]) -> Recipe:
    """How faces become features.

    The face model's file is taken from where the model says only when it is on this machine's
    disks, and from its usual places else: no model makes daskfer call an address.
    """
    try:
        found = recipe_from_dict({key: head.get(key) for key in ("normalize", "represent")})
    except RecipeError as error:
        raise ModelError(f"{folder}/{HEAD}: {error}") from error
    method = found.represent
    if isinstance(method, Expression) and method.model and not os.path.isfile(method.model):
        return replace(found, represent=replace(method, model=None))
    return found


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
        if not isinstance(stated, str) or not _CHECKSUM.fullmatch(stated):
            raise ModelError(
                f"{folder}/{HEAD}: sha256 of {name} is {str(stated)[:80]!r}, expected 64 "
                "hexadecimal digits"
            )
        file = part_file(name, stated) if head["format"] >= 4 else name
        try:
            data = storage.read_bytes(storage.join(folder, file))
        except FileNotFoundError:
            raise ModelError(f"{folder} lacks {file}, which {HEAD} lists: copy it whole") from None
        actual = hashlib.sha256(data).hexdigest()
        if actual != stated:
            raise ModelError(
                f"{folder}/{file} is not what was written: its sha256 is {actual[:16]}…, expected "
                f"{stated[:16]}…; copy the model again, or train it again"
            )
        found[name] = data
    return found


def _stated(folder: str, key: str, check: Callable[..., Any], *given: Any) -> Any:
    """What model.json states under a key, when it passes."""
    try:
        return check(*given)
    except ValueError as error:
        raise ModelError(f"{folder}/{HEAD}: {key}: {one_line(error)}") from error


def _clusters(
    folder: str, files: dict[str, bytes], categories: int
) -> tuple[AnyClusterer, np.ndarray]:
    """The clusters, and the codes of their names, int8 (k,)."""
    try:
        arrays = npy.members(files["clusters.npz"])
        clusters, emotion = checked_clusters(arrays), arrays["emotion"]
        check_names(emotion, len(clusters.centers), categories)
    except (KeyError, ValueError, OSError) as error:
        raise ModelError(f"{folder}: clusters.npz cannot be read: {one_line(error)}") from error
    return clusters, emotion.astype(np.int8)


def _reducer(folder: str, name: str, data: bytes, side: int, method: Represent) -> AnyReducer:
    """A linear map of the representation's features."""
    try:
        reducer = load_reducer(data)
        check_reducer(reducer, side, method)
    except (KeyError, ValueError, TypeError, OSError, RecipeError) as error:
        raise ModelError(f"{folder}: {name} cannot be read: {one_line(error)}") from error
    return reducer


def _classifier(
    folder: str, head: dict[str, Any], files: dict[str, bytes], categories: int
) -> Classifier | None:
    """The second model, with what its confidence is calibrated by."""
    if (estimator := _estimator(folder, files)) is None:
        return None
    stated = head.get("temperature") or 1.0
    temperature = _stated(folder, "temperature", checked_number, stated, 1e-6, 1e6)
    found = Classifier(estimator, str(head.get("classifier")), float("nan"), temperature)
    try:
        check_classes(found, categories)
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelError(f"{folder}: {one_line(error)}") from error
    return found


def _estimator(folder: str, files: dict[str, bytes]) -> Any:
    """The classifier: of plain arrays where it is there as such, else scikit-learn's."""
    if "classifier.npz" in files:
        try:
            return checked_plain(npy.members(files["classifier.npz"]))
        except (KeyError, ValueError, TypeError, OSError) as error:
            raise ModelError(
                f"{folder}: classifier.npz cannot be read: {one_line(error)}"
            ) from error
    if "classifier.skops" in files:
        return load_estimator(files["classifier.skops"], f"{folder}/classifier.skops")
    return None
