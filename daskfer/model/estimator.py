"""A scikit-learn classifier as a file that holds no code, and of kinds that are known only."""

from __future__ import annotations

import zipfile
from typing import Any

from daskfer.errors import ModelError, one_line

STEPS = (
    "StandardScaler", "LogisticRegression", "Nystroem", "SVC", "HistGradientBoostingClassifier",
    "MLPClassifier", "DummyClassifier", "Pipeline",
)  # fmt: skip
"""Estimators that daskfer trains. Others are not read: to predict is to run their code."""

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
        When it is not in skops's format, or holds types beyond those that daskfer's own
        classifiers have.
    """
    import skops.io

    try:
        needed = skops.io.get_untrusted_types(data=data)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{name} is no classifier in skops's format ({one_line(error)}): expected one that "
            "daskfer wrote; pickles are never read"
        ) from error
    unknown = [kind for kind in needed if kind not in PARTS]
    if unknown:
        raise ModelError(f"{name} holds types that are not trusted: {', '.join(sorted(unknown))}")
    try:
        found = skops.io.loads(data, trusted=needed)
    except Exception as error:
        raise ModelError(f"{name} cannot be read: {one_line(error)}") from error
    _check_steps(found, name)
    return found


def _check_steps(estimator: Any, name: str) -> None:
    """Refuse estimators that are not daskfer's own kinds, before any of their code runs."""
    kind = type(estimator).__name__
    if kind not in STEPS or not type(estimator).__module__.startswith("sklearn."):
        raise ModelError(
            f"{name} holds a {kind}, which daskfer does not train: expected {', '.join(STEPS)}"
        )
    for _, step in getattr(estimator, "steps", []):
        _check_steps(step, name)
    for part in ("kernel", "loss", "func"):
        if callable(getattr(estimator, part, None)):
            raise ModelError(f"{name} holds a function ({kind}.{part}): expected plain values")
