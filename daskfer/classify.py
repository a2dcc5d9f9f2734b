"""The second model: a scikit-learn classifier of emotions, trained on pseudo-labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.randomness import generator
from daskfer.recipe import Classify

Search = Callable[[Any, np.ndarray, np.ndarray], Any]
"""Fits one of scikit-learn's searches on features and labels, wherever it likes."""

LEAST_OF_A_NAME = 30
"""Rows of each name, where it has them, that the search sees however rare the name is."""


@dataclass(frozen=True)
class Classifier:
    """A fitted classifier and how it was chosen.

    Attributes
    ----------
    model : scikit-learn estimator
        Its classes are emotion codes.
    description : str
        The model's name and the parameters that were chosen.
    pseudo_label_accuracy : float
        Cross-validated agreement with the pseudo-labels (not with true labels); NaN when there
        was nothing to choose.
    """

    model: Any
    description: str
    pseudo_label_accuracy: float

    def predict(self, points: np.ndarray) -> np.ndarray:
        """Emotion codes, int8 (n,), of reduced rows, float32 (n, c)."""
        return predict(self.model, points)


def predict(model: Any, points: np.ndarray) -> np.ndarray:
    """Emotion codes, int8 (n,), that a model gives to reduced rows, float32 (n, c)."""
    return np.asarray(model.predict(points)).astype(np.int8)


def train(
    points: np.ndarray,
    pseudo: np.ndarray,
    method: Classify,
    seed: int,
    search: Search,
    read: Callable[[np.ndarray], Any] | None = None,
) -> Classifier | None:
    """Train the second model on pseudo-labels.

    Parameters
    ----------
    points : float32 array (n, c)
        Reduced fitted rows.
    pseudo : int8 array (n,)
        The emotion that each row's cluster was named, or UNKNOWN.
    method : Classify
    seed : int
    search : Search
        Runs the cross-validated search over parameters, as joblib's dask backend does.
    read : callable, optional
        Gives the rows with these indices (m,) as something that the search can send to workers
        and index there; by default they are sent themselves.

    Returns
    -------
    Classifier or None
        None when the recipe wants none or no cluster has a name. With one name alone, or too few
        rows of one to cross-validate, no search is made.
    """
    named = pseudo != UNKNOWN
    if method.model == "none" or not named.any():
        return None
    points, pseudo = points[named], pseudo[named]
    if len(np.unique(pseudo)) == 1:
        from sklearn.dummy import DummyClassifier

        model = DummyClassifier(strategy="most_frequent").fit(points, pseudo)
        name = EMOTIONS[int(pseudo[0])]
        return Classifier(model, f"constant: every cluster is named {name}", float("nan"))
    sample = drawn_rows(pseudo, method.search_rows, seed, "classify-search")
    rarest = int(np.unique(pseudo[sample], return_counts=True)[1].min())
    best, score = None, float("nan")
    if rarest >= method.folds:
        rows = points[sample] if read is None else read(np.flatnonzero(named)[sample])
        best, score = _choose(rows, pseudo[sample], method, seed, search)
    else:
        best, _ = _candidates(method, len(points), seed)
    best.fit(points, pseudo)
    return Classifier(best, describe(best), score)


def describe(model: Any) -> str:
    """The names of a pipeline's steps, with the parameters that were searched over."""
    steps = [step for _, step in model.steps if not hasattr(step, "steps")]
    for _, step in model.steps:
        steps += [inner for _, inner in getattr(step, "steps", [])]
    return " → ".join(_described(step) for step in steps)


def _described(step: Any) -> str:
    searched = ("C", "gamma", "learning_rate", "hidden_layer_sizes", "alpha", "n_components")
    kept = {
        key: value
        for key, value in step.get_params().items()
        if key in searched and isinstance(value, int | float | tuple)
    }
    listed = ", ".join(f"{key}={value}" for key, value in kept.items())
    return f"{type(step).__name__}({listed})"


def _choose(
    points: Any, pseudo: np.ndarray, method: Classify, seed: int, search: Search
) -> tuple[Any, float]:
    """The candidate with the best cross-validated agreement, unfitted; the first of equals."""
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    folds = StratifiedKFold(method.folds, shuffle=True, random_state=seed)
    pipeline, grids = _candidates(method, len(points), seed)
    grid_search = GridSearchCV(pipeline, grids, cv=folds, refit=False, error_score="raise")
    found = search(grid_search, points, pseudo)
    return clone(pipeline).set_params(**found.best_params_), float(found.best_score_)


def _candidates(method: Classify, rows: int, seed: int) -> tuple[Any, list[dict[str, list[Any]]]]:
    """A pipeline whose step ``model`` is to be set, and the grids of what to try there.

    `auto` tries a linear model and one of a Gaussian kernel's Nyström features: clusters that
    share a name make a region that no linear model can cut out.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    logistic = LogisticRegression(max_iter=300)
    # No more basis rows than the smallest fold leaves.
    basis = min(200, rows * (method.folds - 1) // method.folds)
    kernel = make_pipeline(Nystroem(n_components=basis, random_state=seed), logistic)
    known: dict[str, dict[str, list[Any]]] = {
        "logistic": {"model": [logistic], "model__C": [0.1, 1.0, 10.0]},
        "nystroem": {"model": [kernel], "model__logisticregression__C": [1.0, 10.0, 100.0]},
        "svm": {"model": [SVC(random_state=seed)], "model__C": [1.0, 10.0]},
        "boosting": {
            "model": [HistGradientBoostingClassifier(max_iter=60, early_stopping=False,
                                                     random_state=seed)],
            "model__learning_rate": [0.1, 0.3],
        },
        "mlp": {
            "model": [MLPClassifier((64,), max_iter=60, early_stopping=True, random_state=seed)],
            "model__alpha": [1e-4, 1e-2],
        },
    }  # fmt: skip
    chosen = ["logistic", "nystroem"] if method.model == "auto" else [method.model]
    pipeline = Pipeline([("scale", StandardScaler()), ("model", known[chosen[0]]["model"][0])])
    return pipeline, [known[name] for name in chosen]


def drawn_rows(pseudo: np.ndarray, most: int, seed: int, stage: str) -> np.ndarray:
    """Indices of at most about so many rows drawn by seed, no name left out that has few."""
    if len(pseudo) <= most:
        return np.arange(len(pseudo))
    drawn = generator(seed, stage).permutation(len(pseudo))
    few = [drawn[pseudo[drawn] == name][:LEAST_OF_A_NAME] for name in np.unique(pseudo)]
    return np.unique(np.concatenate([drawn[:most], *few]))


@dataclass(frozen=True)
class Scores:
    """A classifier's figures against true labels; None where there are none."""

    accuracy: float | None
    balanced_accuracy: float | None
    macro_f1: float | None
    confusion: list[list[int]] | None


def score(predicted: np.ndarray, emotion: np.ndarray) -> Scores:
    """Score predicted emotion codes against true ones; rows of unknown emotion are left out.

    The confusion matrix has the true emotion in rows and the predicted one in columns.
    """
    from sklearn.metrics import confusion_matrix, f1_score

    known = emotion != UNKNOWN
    if not known.any():
        return Scores(None, None, None, None)
    truth, guess = emotion[known], predicted[known]
    table = confusion_matrix(truth, guess, labels=range(len(EMOTIONS)))
    present = table.sum(axis=1) > 0
    recall = np.diag(table)[present] / table.sum(axis=1)[present]
    labels = sorted(set(truth.tolist()))
    return Scores(
        float((truth == guess).mean()),
        float(recall.mean()),
        float(f1_score(truth, guess, labels=labels, average="macro", zero_division=0)),
        table.tolist(),
    )


def chance_accuracy(tested: np.ndarray) -> float | None:
    """Accuracy on the tested rows of always saying the most frequent emotion among them.

    That is the strongest guess without a look at a face: a model that is no better is worthless.
    """
    known = tested[tested != UNKNOWN]
    if len(known) == 0:
        return None
    return float(np.bincount(known).max() / len(known))


def balanced_chance_accuracy(tested: np.ndarray) -> float | None:
    """Balanced accuracy of any answer that does not look: one in the emotions that are tested."""
    present = len(np.unique(tested[tested != UNKNOWN]))
    return 1 / present if present else None
