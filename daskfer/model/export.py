"""A model's classifier as an ONNX graph, for programs that have no Python.

The graph is written node by node, because converters know neither scikit-learn's Nyström map nor
its constant classifier. It computes in double precision what scikit-learn does, and applies the
model's temperature, so that it gives what `Model.predict` gives.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from daskfer import __version__
from daskfer.errors import MissingPackage, ModelError
from daskfer.model.graph import Graph
from daskfer.model.plain import Plain
from daskfer.reduce import Reducer

if TYPE_CHECKING:
    from daskfer.model.model import Model

Input = Literal["components", "features"]

LEAST_SHARE = 1e-12
"""What a probability is taken for at least, as in `daskfer.classify.log_scores`."""


def to_onnx(model: Model, takes: Input = "components") -> bytes:
    """The second model of a trained model, as the bytes of an ONNX file.

    Parameters
    ----------
    model : Model
        As `daskfer.model.read_model` gives it.
    takes : {"components", "features"}
        What its input ``rows``, float32 (n, c), are: what the classifier sees, or the features
        that the model's linear map makes that of (HOG or normalized grey values).

    Returns
    -------
    bytes
        A graph with the outputs ``label``, int64 (n,), a code of the categories, and
        ``probabilities``, float32 (n, classes), in the order of the metadata's ``classes``. The
        metadata also have the ``categories``, what the ``input`` is, daskfer's version, and the
        ``sha256`` of model.json, which has those of the model's parts.

    Raises
    ------
    MissingPackage
        When the package onnx is not installed.
    ModelError
        When the model has no classifier, or no linear map of features.
    """
    if model.classifier is None:
        raise ModelError(
            f"{model.folder} has no second model, so there is nothing to export: name its "
            "clusters (daskfer name), then daskfer train"
        )
    try:
        graph = Graph()
    except ImportError as error:
        raise MissingPackage(
            "ONNX files need a package that is not installed: pip install 'daskfer[onnx]'"
        ) from error
    rows = graph.rows
    columns = model.reducer.components if model.face is None else model.face.components
    if takes == "features":
        rows, columns = _reduced(graph, model)
    scores = _scores(graph, model.classifier.model, rows)
    graph.softmax(graph.divide(scores, float(model.classifier.temperature)), "probabilities")
    graph.label(model.classes.astype(np.int64))
    metadata = {
        "categories": json.dumps(list(model.categories), ensure_ascii=False),
        "classes": json.dumps([model.categories[code] for code in model.classes]),
        "input": takes,
        "daskfer": __version__,
        "classifier": model.classifier.description,
        "sha256": model.digest,
    }
    return graph.file(columns, len(model.classes), metadata)


def _reduced(graph: Graph, model: Model) -> tuple[str, int]:
    """Components of features, in single precision as `Reducer.transform` has them."""
    seen = model.reducer if model.face is None else model.face
    if not isinstance(seen, Reducer) or model.measures:
        raise ModelError(
            f"{model.folder}: its features are those of a face model, which is no part of the "
            "export: expected the input components"
        )
    mean = seen.mean.astype(np.float32)
    rest = ((seen.mean - mean) @ seen.axes.T).astype(np.float32)
    products = graph.matmul(graph.minus(graph.rows, mean), seen.axes.T.astype(np.float32))
    return graph.minus(products, rest), len(mean)


def _scores(graph: Graph, model: Any, rows: str) -> str:
    """Log-probabilities, double (n, classes), or what the classifier has in their place."""
    if isinstance(model, Plain):
        return _linear(graph, model, graph.double(rows))
    *before, last = [step for _, step in getattr(model, "steps", [("model", model)])]
    kinds = {
        "SVC": _support_vectors,
        "HistGradientBoostingClassifier": _trees,
        "MLPClassifier": _perceptron,
        "DummyClassifier": _constant,
    }
    kind = type(last).__name__
    if kind not in kinds or any(type(step).__name__ != "StandardScaler" for step in before):
        raise ModelError(
            f"a {kind} of this form cannot be exported: train one of the kinds of classify.model "
            "(daskfer train RUN --set classify.model=logistic)"
        )
    for step in before:
        # In single precision, as scikit-learn has it: a tree's branches turn on the last digit.
        rows = graph.minus(rows, step.mean_.astype(np.float32))
        rows = graph.node("Div", rows, graph.constant(step.scale_.astype(np.float32)))
    return kinds[kind](graph, last, graph.double(rows))


def _linear(graph: Graph, model: Plain, rows: str) -> str:
    rows = graph.divide(graph.minus(rows, model.mean), model.scale)
    if model.basis is not None and model.normalization is not None:
        kernel = _gaussian(graph, rows, model.basis, model.gamma)
        rows = graph.matmul(kernel, model.normalization.T)
    scores = graph.plus(graph.matmul(rows, model.coef.T), model.intercept)
    return _log(graph, _both(graph, scores, len(model.classes_)))


def _gaussian(graph: Graph, rows: str, basis: np.ndarray, gamma: float) -> str:
    """Gaussian kernel of rows (n, c) and a basis (b, c): exp(−γ‖x − y‖²)."""
    basis = basis.astype(np.float64)
    own = graph.node("ReduceSum", graph.times(rows, rows), graph.constant(np.array([1])))
    squares = graph.plus(own, (basis**2).sum(axis=1))
    squares = graph.minus(squares, graph.matmul(rows, 2 * basis.T))
    squares = graph.node("Max", squares, graph.constant(np.zeros(1)))
    return graph.node("Exp", graph.times(squares, np.array([-gamma])))


def _support_vectors(graph: Graph, model: Any, rows: str) -> str:
    """Decisions of pairs of classes, and of them one for each class.

    As in scikit-learn's `_ovr_decision_function`: votes, and less than half a vote of confidence.
    """
    vectors, each = model.support_vectors_, model._n_support
    classes, ends = len(each), np.cumsum(model._n_support)
    parts = [slice(end - count, end) for end, count in zip(ends, each, strict=True)]
    pairs = [(i, j) for i in range(classes) for j in range(i + 1, classes)]
    weights = np.zeros((len(vectors), len(pairs)))
    for number, (i, j) in enumerate(pairs):
        weights[parts[i], number] = model._dual_coef_[j - 1, parts[i]]
        weights[parts[j], number] = model._dual_coef_[i, parts[j]]
    kernel = _gaussian(graph, rows, vectors, float(model._gamma))
    decisions = graph.plus(graph.matmul(kernel, weights), np.asarray(model._intercept_))
    if classes == 2:
        # libsvm's decision is for the first of two classes.
        return graph.matmul(decisions, np.array([[1.0, -1.0]]))
    first, second = np.zeros((2, len(pairs), classes))
    for number, (i, j) in enumerate(pairs):
        first[number, i], second[number, j] = 1, 1
    against = graph.double(graph.node("Less", decisions, graph.constant(np.zeros(1))))
    votes = graph.plus(graph.matmul(against, second - first), first.sum(axis=0))
    confidence = graph.matmul(decisions, first - second)
    below = graph.times(graph.plus(graph.node("Abs", confidence), np.ones(1)), np.full(1, 3.0))
    return graph.plus(votes, graph.node("Div", confidence, below))


def _trees(graph: Graph, model: Any, rows: str) -> str:
    predictors = [
        (number, tree.nodes) for trees in model._predictors for number, tree in enumerate(trees)
    ]
    answers = model.n_trees_per_iteration_
    raw = graph.double(graph.trees(rows, predictors, answers))
    raw = graph.plus(raw, np.reshape(model._baseline_prediction, -1).astype(np.float64))
    return _log(graph, _both(graph, raw, len(model.classes_)))


def _perceptron(graph: Graph, model: Any, rows: str) -> str:
    if model.activation != "relu":
        raise ModelError(f"a perceptron of {model.activation} cannot be exported: expected relu")
    for number, (coef, intercept) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        if number:
            rows = graph.node("Relu", rows)
        rows = graph.plus(graph.matmul(rows, coef.astype(float)), intercept.astype(float))
    return _log(graph, _both(graph, rows, len(model.classes_)))


def _constant(graph: Graph, model: Any, rows: str) -> str:
    return graph.matmul(rows, np.zeros((model.n_features_in_, 1)))


def _both(graph: Graph, scores: str, classes: int) -> str:
    """Scores of both classes, where there is one for the second alone."""
    return graph.matmul(scores, np.array([[0.0, 1.0]])) if classes == 2 else scores


def _log(graph: Graph, scores: str) -> str:
    shares = graph.node("Softmax", scores, axis=1)
    return graph.node("Log", graph.node("Max", shares, graph.constant(np.full(1, LEAST_SHARE))))
