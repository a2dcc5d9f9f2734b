"""A scikit-learn classifier as a file that holds no code, and of kinds that are known only."""

from __future__ import annotations

from typing import Any

import numpy as np

from daskfer.errors import ModelError, one_line
from daskfer.model.schema import ESTIMATORS, check_schema

PARTS = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
)
"""What such estimators hold, beside what skops itself trusts."""


def save_estimator(estimator: Any) -> bytes:
    """A scikit-learn estimator in skops's format, which holds no code."""
    import skops.io

    return bytes(skops.io.dumps(estimator))


def load_estimator(data: bytes, name: str) -> Any:
    """Read an estimator that `save_estimator` wrote.

    Parameters
    ----------
    data : bytes
    name : str
        Of the file, for errors.

    Raises
    ------
    ModelError
        When it is not in skops's format, holds anything beyond what daskfer's own classifiers are
        made of, or indices that compiled code would follow out of its arrays.
    """
    import skops.io

    try:
        check_schema(data)
        needed = skops.io.get_untrusted_types(data=data)
    except Exception as error:
        raise ModelError(
            f"{name} is no classifier that daskfer wrote ({one_line(error)}); pickles and other "
            "estimators are never read"
        ) from error
    unknown = [kind for kind in needed if kind not in PARTS]
    if unknown:
        raise ModelError(f"{name} holds types that are not trusted: {', '.join(sorted(unknown))}")
    try:
        found = skops.io.loads(data, trusted=needed)
    except Exception as error:
        raise ModelError(f"{name} cannot be read: {one_line(error)}") from error
    try:
        _check(found)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{name} holds no classifier that daskfer trains: {one_line(error)}"
        ) from error
    return found


def _check(estimator: Any) -> None:
    """Refuse estimators that are put together otherwise than daskfer's, before any code runs."""
    kind = type(estimator).__name__
    if kind not in ESTIMATORS:
        raise ValueError(f"it is a {kind}, expected {', '.join(ESTIMATORS)}")
    for key in vars(estimator):
        if callable(getattr(type(estimator), key, None)):
            raise ValueError(f"{kind}.{key} is no method, but a value")
    checks = {
        "Pipeline": _check_steps,
        "Nystroem": _check_kernel,
        "SVC": _check_support,
        "HistGradientBoostingClassifier": _check_trees,
        "DummyClassifier": _check_constant,
    }
    checks.get(kind, lambda one: None)(estimator)


def _check_steps(pipeline: Any) -> None:
    if not isinstance(pipeline.steps, list) or not pipeline.steps:
        raise ValueError("a pipeline has no steps")
    if getattr(pipeline, "memory", None) is not None:
        raise ValueError("a pipeline has a memory")
    for number, (_, step) in enumerate(pipeline.steps, start=1):
        _check(step)
        if not hasattr(step, "transform" if number < len(pipeline.steps) else "classes_"):
            raise ValueError(f"step {number} of a pipeline is a {type(step).__name__}")


def _check_kernel(estimator: Any) -> None:
    if estimator.kernel != "rbf":
        raise ValueError(f"{type(estimator).__name__}.kernel is {estimator.kernel!r}, expected rbf")


def _check_support(model: Any) -> None:
    """libsvm follows the counts and shapes of its arrays wherever they lead."""
    _check_kernel(model)
    rows, columns = model.support_vectors_.shape
    each, classes = np.asarray(model._n_support), len(model.classes_)
    shapes = {
        "_n_support": (classes,),
        "support_": (rows,),
        "_dual_coef_": (classes - 1, rows),
        "_intercept_": (classes * (classes - 1) // 2,),
    }
    for name, shape in shapes.items():
        found = np.shape(getattr(model, name))
        if found != shape:
            raise ValueError(f"SVC.{name} has shape {found}, expected {shape}")
    if each.min() < 0 or each.sum() != rows or columns != model.n_features_in_ or model._sparse:
        raise ValueError("its support vectors do not fit one another")


def _check_trees(model: Any) -> None:
    """Trees are walked without a look at where an index leads, or whether the walk ends."""
    trees = 1 if len(model.classes_) == 2 else len(model.classes_)
    binned = np.asarray(model._bin_mapper.is_categorical_)
    if model.n_trees_per_iteration_ != trees or model._n_features != model.n_features_in_:
        raise ValueError("its trees do not fit its classes or features")
    if model.is_categorical_ is not None or model._preprocessor is not None or binned.any():
        raise ValueError("it has categorical features")
    for predictor in (tree for trees in model._predictors for tree in trees):
        nodes = predictor.nodes
        inner = nodes["is_leaf"] == 0
        here = np.flatnonzero(inner)
        features = nodes["feature_idx"][inner]
        if len(nodes) == 0 or nodes["is_categorical"].any():
            raise ValueError("a tree has no nodes, or categorical ones")
        if ((features < 0) | (features >= model.n_features_in_)).any():
            raise ValueError("a tree looks at features that there are not")
        for side in ("left", "right"):
            # Children come behind their parents, so that a walk ends.
            child = nodes[side][inner].astype(np.int64)
            if ((child <= here) | (child >= len(nodes))).any():
                raise ValueError("a tree's branches lead out of it, or back")


def _check_constant(model: Any) -> None:
    if model.strategy != "most_frequent" or model.n_classes_ != len(model.classes_):
        raise ValueError("it is no constant answer")
