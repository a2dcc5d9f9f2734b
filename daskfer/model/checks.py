"""Whether the parts of a model fit one another; all of them are from outside."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from daskfer.classify import Classifier, log_scores
from daskfer.clusterers import AnyClusterer, from_arrays
from daskfer.faces import UNKNOWN
from daskfer.model.plain import Plain
from daskfer.parts import AnyReducer, PartsReducer
from daskfer.recipe import PARTS, Expression, Represent, fault_of
from daskfer.reduce import Reducer
from daskfer.represent import feature_count

MOST_CATEGORIES = 127
"""Codes of categories are int8."""


def checked_categories(names: Any) -> tuple[str, ...]:
    """What codes stand for.

    Raises
    ------
    ValueError
        When it is no list of different names.
    """
    if not isinstance(names, list) or not 2 <= len(names) <= MOST_CATEGORIES:
        raise ValueError(f"expected a list of 2 to {MOST_CATEGORIES} names")
    for name in names:
        if fault := fault_of(name):
            raise ValueError(f"the name {name!r}: {fault}")
    if len({name.casefold() for name in names}) < len(names):
        raise ValueError("expected names that are all different")
    return tuple(names)


def checked_number(value: Any, least: float, most: float) -> float:
    """A number between two others.

    Raises
    ------
    ValueError
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        raise ValueError(f"{value!r}: expected a number from {least:g} to {most:g}")
    return float(value)


def checked_clusters(arrays: dict[str, np.ndarray]) -> AnyClusterer:
    """The clusters in these arrays.

    Raises
    ------
    KeyError, ValueError
        When an array is missing, or has another shape or type than it should.
    """
    centers = arrays["means" if "covariances" in arrays else "centers"]
    k, columns = _shape(centers, 2)
    if "covariances" in arrays:
        _of("weights", arrays["weights"], (k,))
        _of("covariances", arrays["covariances"], (k, columns, columns))
        _shape(arrays["log_likelihood"], 0)
    _of("centers", centers, (k, columns))
    if "split_of" in arrays:
        # So many rows as the largest number are made for them.
        splits = arrays["split_of"].size
        for name in ("split_of", "split_new"):
            numbers = arrays[name]
            _of(name, numbers, (splits,), "iu")
            if ((numbers < 0) | (numbers >= k + splits)).any():
                raise ValueError(f"{name} has numbers of clusters that there are not")
        _of("split_centers", arrays["split_centers"], (splits, 2, columns))
    return from_arrays(arrays)


def checked_plain(arrays: dict[str, np.ndarray]) -> Plain:
    """The linear classifier in these arrays.

    Raises
    ------
    KeyError, ValueError
        When an array is missing, or has another shape or type than it should.
    """
    for name, array in arrays.items():
        _of(name, array, () if name == "gamma" else array.shape, "iu" if name == "classes" else "f")
    classes = arrays["classes"]
    if classes.ndim != 1 or classes.max(initial=0) >= MOST_CATEGORIES:
        raise ValueError("its classes are no codes of categories")
    return Plain.from_arrays(arrays)


def check_names(emotion: np.ndarray, clusters: int, categories: int) -> None:
    """Refuse names that do not fit the clusters.

    Raises
    ------
    ValueError
    """
    _of("emotion", emotion, (clusters,), "iu")
    if emotion.min(initial=UNKNOWN) < UNKNOWN or emotion.max(initial=UNKNOWN) >= categories:
        raise ValueError("a cluster has a name that there is not")


def check_reducer(reducer: AnyReducer, side: int, method: Represent) -> None:
    """Refuse a linear map that is none of the representation's features.

    Raises
    ------
    ValueError
    RecipeError
        When faces of this side are too small for the representation.
    """
    if isinstance(reducer, Reducer):
        _check_map(reducer, feature_count(side, method))
        return
    if not isinstance(method, Expression):
        raise ValueError(f"it is of parts of a face, which {method.method} does not have")
    _check_parts(reducer, side, method)


def _check_parts(reducer: PartsReducer, side: int, method: Expression) -> None:
    from daskfer.represent.expression.features import SIDES, part_dimensions

    ready = reducer.ready
    if ready.sides not in SIDES or ready.scaling not in ("sqrt", "robust"):
        raise ValueError(f"blendshapes are made ready as {ready.sides!r}, {ready.scaling!r}")
    if not reducer.reducers:
        raise ValueError("it has no parts")
    for part, one in reducer.reducers.items():
        if part not in PARTS:
            raise ValueError(f"it has a part {part!r}, expected {', '.join(PARTS)}")
        _check_map(one, part_dimensions(part, side, method, ready.sides))


def _check_map(reducer: Reducer, features: int) -> None:
    components, _ = _shape(reducer.axes, 2)
    _of("axes", reducer.axes, (components, features))
    _of("mean", reducer.mean, (features,))


def check_fit(
    reducer: AnyReducer, seen: AnyReducer, clusters: AnyClusterer, classifier: Classifier | None
) -> None:
    """Refuse parts that cannot take what comes before them; two rows of zeros try them.

    Raises
    ------
    ValueError
        And whatever else scikit-learn's estimators raise of arrays that do not fit.
    """
    columns = clusters.centers.shape[1]
    if columns != reducer.components:
        raise ValueError(f"clusters of {columns} columns after {reducer.components} components")
    clusters.assign(np.zeros((2, columns), np.float32))
    if classifier is None:
        return
    classes = np.asarray(classifier.model.classes_)
    if classes.dtype.kind not in "iu" or (np.diff(classes.astype(np.int64)) <= 0).any():
        raise ValueError("the classes of the classifier are no ascending codes")
    scores = log_scores(classifier.model, np.zeros((2, seen.components), np.float32))
    _of("scores", scores, (2, len(classes)))


def check_classes(classifier: Classifier, categories: int) -> None:
    """Refuse answers that are none of the categories.

    Raises
    ------
    ValueError
    """
    classes = np.asarray(classifier.model.classes_)
    if len(classes) == 0 or classes.min() < 0 or classes.max() >= categories:
        raise ValueError("the classifier answers what is none of the emotions")


def _shape(array: np.ndarray, dimensions: int) -> tuple[int, ...]:
    if array.ndim != dimensions or 0 in array.shape:
        raise ValueError(f"an array of shape {array.shape}: expected {dimensions} dimensions")
    return array.shape


def _of(name: str, array: np.ndarray, shape: tuple[int, ...], kinds: str = "f") -> None:
    """Refuse an array of another shape or type, or with a value that is not finite."""
    if array.shape != shape or array.dtype.kind not in kinds:
        raise ValueError(
            f"{name} has shape {array.shape} and type {array.dtype}, expected shape {shape}"
        )
    if not math.isfinite(float(np.abs(array).max(initial=0))):
        raise ValueError(f"{name} has a value that is not finite")
