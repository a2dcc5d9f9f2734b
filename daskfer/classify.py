"""The second model: a scikit-learn classifier of emotions, trained on pseudo-labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.randomness import generator
from daskfer.recipe import Classify

Folds = list[tuple[np.ndarray, np.ndarray]]
"""Rows to fit and rows to score, fold by fold."""

Search = Callable[[Any, np.ndarray, np.ndarray], Any]
"""Fits one of scikit-learn's searches on features and labels, wherever it likes."""

PENALTIES = {"logistic": (0.03, 0.003, 0.0003), "nystroem": (0.003, 0.0003, 0.00003)}
"""Of a linear model's squared weights, beside the mean loss of a row; the first without a
choice."""

FEWEST_TO_STOP_BY = 1_000
"""Rows from which the perceptron keeps some back to see when it should stop."""

LEAST_OF_A_NAME = 30
"""Rows of each name, where it has them, that the search sees however rare the name is."""


@dataclass(frozen=True)
class Classifier:
    """A fitted classifier and how it was chosen.

    Attributes
    ----------
    model : scikit-learn estimator
        Its classes are codes of names: the emotions, and behind them the user's own.
    description : str
        The model's name and the parameters that were chosen.
    pseudo_label_accuracy : float
        Cross-validated agreement with the pseudo-labels (not with true labels); NaN when there
        was nothing to choose.
    temperature : float
        What the model's log-probabilities are divided by for its confidence.
    """

    model: Any
    description: str
    pseudo_label_accuracy: float
    temperature: float = 1.0

    def predict(self, points: np.ndarray) -> np.ndarray:
        """Emotion codes, int8 (n,), of reduced rows, float32 (n, c)."""
        return predict(self.model, points, self.temperature)[0]


def predict(
    model: Any, points: np.ndarray, temperature: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Emotion codes, int8 (n,), and confidence, float32 (n,), of reduced rows, float32 (n, c)."""
    shares = probabilities(model, points, temperature)
    confidence = shares.max(axis=1)
    return model.classes_[shares.argmax(axis=1)].astype(np.int8), confidence.astype(np.float32)


def probabilities(model: Any, points: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """How likely each class is, float64 (n, classes), of reduced rows, float32 (n, c)."""
    log = log_scores(model, points) / temperature
    shares = np.exp(log - log.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def log_scores(model: Any, points: np.ndarray) -> np.ndarray:
    """The model's log-probabilities (n, classes), or what it has in their place."""
    if hasattr(model, "predict_proba"):
        return np.log(np.maximum(model.predict_proba(points), 1e-12))
    found = np.asarray(model.decision_function(points))
    return found if found.ndim == 2 else np.column_stack([-found, found])


def best_temperature(log: np.ndarray, answers: np.ndarray, sure: np.ndarray) -> float:
    """The temperature that makes scores (n, classes) the likeliest for the right columns (n,).

    An answer is right as likely as `sure` (n,) says; if not, the other columns are alike.
    C. Guo, G. Pleiss, Y. Sun and K. Weinberger, "On Calibration of Modern Neural Networks", 2017.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    rest = (1 - sure) / max(log.shape[1] - 1, 1)
    wanted = np.tile(rest[:, None], (1, log.shape[1]))
    wanted[np.arange(len(answers)), answers] = sure

    def loss(exponent: float) -> float:
        return float(-(wanted * log_softmax(log / np.exp(exponent), axis=1)).sum(axis=1).mean())

    found = minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded")
    return float(np.exp(found.x))


def train(
    points: np.ndarray,
    pseudo: np.ndarray,
    method: Classify,
    seed: int,
    search: Search,
    read: Callable[[np.ndarray], Any] | None = None,
    cluster: np.ndarray | None = None,
    trust: np.ndarray | None = None,
    categories: tuple[str, ...] = EMOTIONS,
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
    cluster : int array (n,), optional
        Each row's cluster. Where every name has enough of them, a fold holds out whole clusters:
        a model must then know a name from other clusters of it, which is nearer to what is wanted
        than telling where the clusters end.
    trust : float array (n,), optional
        How likely each pseudo-label is right, as far as the naming knows; its confidence is
        calibrated with that.
    categories : tuple of str
        What the codes stand for.

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
        name = categories[int(pseudo[0])]
        return Classifier(model, f"constant: every cluster is named {name}", float("nan"))
    sample = drawn_rows(pseudo, method.search_rows, seed, "classify-search")
    rarest = int(np.unique(pseudo[sample], return_counts=True)[1].min())
    number, score, temperature = 0, float("nan"), 1.0
    if rarest >= method.folds:
        rows = points[sample] if read is None else read(np.flatnonzero(named)[sample])
        groups = None if cluster is None else cluster[named][sample]
        folds = _folds(pseudo[sample], groups, method.folds, seed)
        number, score = _choose(rows, pseudo[sample], folds, method, seed, search)
        sure = np.ones(len(sample)) if trust is None else trust[named][sample]
        temperature = _temperature(
            points[sample], pseudo[sample], sure, folds, number, method, seed
        )
    best = _candidates(method, len(points), seed)[number]
    best.fit(points, pseudo)
    return Classifier(best, describe(best), score, temperature)


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
    listed = ", ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in kept.items()
    )
    return f"{type(step).__name__}({listed})"


def _choose(
    points: Any,
    pseudo: np.ndarray,
    folds: Folds,
    method: Classify,
    seed: int,
    search: Search,
) -> tuple[int, float]:
    """Which candidate has the best cross-validated agreement, and that; the first of equals."""
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline

    fitted = min(len(fit) for fit, _ in folds)
    # Each candidate as it is for so many rows: a penalty counts for a row, not for all of them.
    candidates = [model.steps for model in _candidates(method, fitted, seed)]
    grid_search = GridSearchCV(
        Pipeline(candidates[0]), {"steps": candidates}, cv=folds, refit=False, error_score="raise"
    )
    found = search(grid_search, points, pseudo)
    return int(found.best_index_), float(found.best_score_)


def _temperature(
    points: np.ndarray,
    pseudo: np.ndarray,
    trust: np.ndarray,
    folds: Folds,
    number: int,
    method: Classify,
    seed: int,
) -> float:
    """What calibrates a candidate's confidence on rows that each of its fits did not see.

    These are of clusters that it did not see, where the folds are of whole clusters; against true
    labels, confidence is still no better than the names are.
    """
    classes = np.unique(pseudo)
    log, answers, sure = [], [], []
    for fit, held_out in folds:
        model = _candidates(method, len(fit), seed)[number].fit(points[fit], pseudo[fit])
        if len(model.classes_) < len(classes):
            continue
        log.append(log_scores(model, points[held_out]))
        answers.append(np.searchsorted(classes, pseudo[held_out]))
        sure.append(trust[held_out])
    if not log:
        return 1.0
    return best_temperature(np.concatenate(log), np.concatenate(answers), np.concatenate(sure))


def _folds(pseudo: np.ndarray, cluster: np.ndarray | None, count: int, seed: int) -> Folds:
    """Rows to fit and to score, fold by fold; of whole clusters where that leaves every name."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    nothing = np.zeros((len(pseudo), 0))
    if cluster is not None:
        clusters_of = [len(np.unique(cluster[pseudo == name])) for name in np.unique(pseudo)]
        if min(clusters_of) >= count:
            grouped = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
            folds = list(grouped.split(nothing, pseudo, cluster))
            if all(len(np.unique(pseudo[fit])) == len(clusters_of) for fit, _ in folds):
                return folds
    plain = StratifiedKFold(count, shuffle=True, random_state=seed)
    return list(plain.split(nothing, pseudo))


def _candidates(method: Classify, rows: int, seed: int) -> list[Any]:
    """Pipelines to choose among, for a fit to so many rows; at first the one without a choice.

    `auto` tries a linear model and one of a Gaussian kernel's Nyström features: clusters that
    share a name make a region that no linear model can cut out. The penalties of linear models
    are stated for a row, and are strong ones among them: a pseudo-label is often wrong.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import Pipeline, make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    def linear(penalty: float) -> Any:
        return LogisticRegression(C=1 / (penalty * rows), max_iter=300)

    # No more basis rows than the smallest fold leaves.
    basis = min(200, rows * (method.folds - 1) // method.folds)

    def kernel(penalty: float) -> Any:
        return make_pipeline(Nystroem(n_components=basis, random_state=seed), linear(penalty))

    def boosting(rate: float) -> Any:
        return HistGradientBoostingClassifier(
            max_iter=60, early_stopping=False, random_state=seed, learning_rate=rate
        )

    def perceptron(penalty: float) -> Any:
        # It would stop by a tenth of the rows, which must hold every name.
        stopping = rows >= FEWEST_TO_STOP_BY
        return MLPClassifier(
            (64,), max_iter=60, early_stopping=stopping, random_state=seed, alpha=penalty
        )

    known: dict[str, list[Any]] = {
        "logistic": [linear(penalty) for penalty in PENALTIES["logistic"]],
        "nystroem": [kernel(penalty) for penalty in PENALTIES["nystroem"]],
        "svm": [SVC(C=c, random_state=seed) for c in (1.0, 10.0)],
        "boosting": [boosting(rate) for rate in (0.1, 0.3)],
        "mlp": [perceptron(penalty) for penalty in (1e-4, 1e-2)],
    }
    chosen = ["logistic", "nystroem"] if method.model == "auto" else [method.model]
    return [
        Pipeline([("scale", StandardScaler()), ("model", model)])
        for name in chosen
        for model in known[name]
    ]


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
    calibration_error: float | None = None


def score(
    predicted: np.ndarray,
    emotion: np.ndarray,
    confidence: np.ndarray | None = None,
    classes: int = len(EMOTIONS),
) -> Scores:
    """Score predicted codes against true ones, of so many; rows of unknown class are left out.

    The confusion matrix has the true class in rows and the predicted one in columns.
    """
    from sklearn.metrics import confusion_matrix, f1_score

    known = emotion != UNKNOWN
    if not known.any():
        return Scores(None, None, None, None)
    truth, guess = emotion[known], predicted[known]
    table = confusion_matrix(truth, guess, labels=range(classes))
    present = table.sum(axis=1) > 0
    recall = np.diag(table)[present] / table.sum(axis=1)[present]
    labels = sorted(set(truth.tolist()))
    return Scores(
        float((truth == guess).mean()),
        float(recall.mean()),
        float(f1_score(truth, guess, labels=labels, average="macro", zero_division=0)),
        table.tolist(),
        None if confidence is None else calibration_error(confidence[known], truth == guess),
    )


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """How far confidence (n,) is from the share of right answers (bool, n), 0–1.

    The expected calibration error (M. Naeini, G. Cooper and M. Hauskrecht, 2015) over at most 15
    bins of equally many rows.
    """
    said, found, rows = calibration_bins(confidence, right)
    return float(np.average(np.abs(said - found), weights=rows))


def calibration_bins(
    confidence: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bins of rows of about equal confidence (n,), ascending: at most 15, of equally many rows.

    Returns
    -------
    said, found : float64 arrays (b,)
        Mean confidence, and share of right answers (of `right`, bool, n).
    rows : int64 array (b,)
    """
    order = np.argsort(confidence, kind="stable")
    bins = np.array_split(order, min(15, len(order)))
    return (
        np.array([float(confidence[rows].mean()) for rows in bins]),
        np.array([float(right[rows].mean()) for rows in bins]),
        np.array([len(rows) for rows in bins]),
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
