"""Linear classifiers as plain arrays: what most second models are, without scikit-learn.

To import scikit-learn and to read its estimators takes longer than to label a photo. Of a scaler, a
Nyström map of a Gaussian kernel, and a logistic regression nothing is needed but a few products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Plain:
    """A logistic regression, on scaled rows or on a kernel's features of them.

    Attributes
    ----------
    classes_ : int8 array (classes,)
        Codes, ascending.
    mean, scale : float64 arrays (c,)
        What is taken off rows, and what they are divided by.
    coef : float64 array (classes, f), or (1, f) for two classes
    intercept : float64 array (classes,), or (1,)
    basis : float64 array (b, c), optional
        Rows that a Gaussian kernel compares with, scaled already.
    normalization : float64 array (b, b), optional
    gamma : float, optional
        Of exp(−γ‖x − y‖²).
    """

    classes_: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    basis: np.ndarray | None = None
    normalization: np.ndarray | None = None
    gamma: float = 0.0

    def predict_proba(self, points: np.ndarray) -> np.ndarray:
        """How likely each class is, float64 (n, classes), of rows (n, c)."""
        rows = (points - self.mean) / self.scale
        if self.basis is not None and self.normalization is not None:
            squares = (rows**2).sum(axis=1)[:, None] + (self.basis**2).sum(axis=1)
            squares -= 2 * rows @ self.basis.T
            kernel = np.exp(-self.gamma * np.maximum(squares, 0, out=squares))
            rows = kernel @ self.normalization.T
        scores = rows @ self.coef.T + self.intercept
        if scores.shape[1] == 1:
            scores = np.column_stack([np.zeros(len(scores)), scores])
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, by names, for a file."""
        found = {
            "classes": self.classes_, "mean": self.mean, "scale": self.scale,
            "coef": self.coef, "intercept": self.intercept,
        }  # fmt: skip
        if self.basis is not None and self.normalization is not None:
            kernel = {"basis": self.basis, "normalization": self.normalization}
            found |= {**kernel, "gamma": np.array(self.gamma)}
        return found

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Plain:
        """What has these `arrays`.

        Raises
        ------
        ValueError, KeyError
            When they are not those of one.
        """
        found = cls(
            arrays["classes"].astype(np.int8), arrays["mean"], arrays["scale"], arrays["coef"],
            arrays["intercept"], arrays.get("basis"), arrays.get("normalization"),
            float(arrays.get("gamma", 0.0)),
        )  # fmt: skip
        width = len(found.mean)
        features = width if found.basis is None else len(found.basis)
        answers = len(found.classes_) if len(found.classes_) > 2 else 1
        expected = {
            "classes": (found.classes_, (len(found.classes_),)),
            "scale": (found.scale, (width,)),
            "coef": (found.coef, (answers, features)),
            "intercept": (found.intercept, (answers,)),
            "basis": (found.basis, (features, width)),
            "normalization": (found.normalization, (features, features)),
        }
        for name, (array, shape) in expected.items():
            if array is not None and array.shape != shape:
                raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
        return found


def plain_of(pipeline: Any) -> Plain | None:
    """The same classifier as arrays, or None where it is of another kind.

    Parameters
    ----------
    pipeline : sklearn.pipeline.Pipeline or estimator
        As `daskfer.classify` fits it.
    """
    scaler, kernel, last = None, None, None
    for step in _steps(pipeline):
        kind = type(step).__name__
        if kind == "StandardScaler" and scaler is None and kernel is None and last is None:
            scaler = step
        elif kind == "Nystroem" and step.kernel == "rbf" and kernel is None and last is None:
            kernel = step
        elif kind == "LogisticRegression" and last is None:
            last = step
        else:
            return None
    if last is None or len(last.classes_) < 2:
        return None
    columns = last.n_features_in_ if kernel is None else kernel.components_.shape[1]
    mean = np.zeros(columns) if scaler is None else scaler.mean_
    scale = np.ones(columns) if scaler is None else scaler.scale_
    coef, intercept = last.coef_.astype(np.float64), last.intercept_.astype(np.float64)
    found = Plain(np.asarray(last.classes_, np.int8), mean, scale, coef, intercept)
    if kernel is None:
        return found
    gamma = 1 / columns if kernel.gamma is None else float(kernel.gamma)
    return Plain(
        found.classes_, mean, scale, coef, intercept,
        kernel.components_.astype(np.float64), kernel.normalization_.astype(np.float64), gamma,
    )  # fmt: skip


def _steps(estimator: Any) -> list[Any]:
    """The steps of a pipeline, and of pipelines in it."""
    steps = getattr(estimator, "steps", None)
    if steps is None:
        return [estimator]
    return [inner for _, step in steps for inner in _steps(step)]
