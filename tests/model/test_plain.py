"""Linear classifiers as plain arrays answer as scikit-learn's do."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from daskfer.classify import _candidates
from daskfer.model.plain import Plain, plain_of
from daskfer.recipe import Classify


def rows(classes: int, count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(classes)
    codes = np.array([1, 3, 4, 6, 9], np.int8)[:classes]
    labels = codes[np.arange(count) % classes]
    points = random.normal(size=(count, 6)) * [1, 5, 0.1, 2, 1, 1] + labels[:, None] * 0.4
    return points.astype(np.float32), labels


def test_a_worked_out_answer():
    plain = Plain(
        np.array([2, 5], np.int8), np.array([1.0, 0.0]), np.array([2.0, 1.0]),
        np.array([[1.0, -1.0]]), np.array([0.5]),
    )  # fmt: skip
    # (3 − 1)/2 · 1 − 2 · 1 + 0.5 = −0.5
    found = plain.predict_proba(np.array([[3, 2]], np.float32))
    assert found == pytest.approx(np.array([[1 / (1 + np.exp(-0.5)), 1 / (1 + np.exp(0.5))]]))


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("model", ["logistic", "nystroem"])
def test_probabilities_are_those_of_scikit_learn(model, classes):
    points, labels = rows(classes)
    for candidate in _candidates(Classify(model=model), len(points), 1):
        candidate.fit(points, labels)
        found = plain_of(candidate)
        assert found is not None
        again = Plain.from_arrays(found.arrays())
        assert again.classes_.tolist() == candidate.classes_.tolist()
        # scikit-learn computes with the rows' own precision, float32: large coefficients show it.
        expected = candidate.predict_proba(points)
        assert np.abs(again.predict_proba(points) - expected).max() < 1e-4
        wide = candidate.predict_proba(points.astype(np.float64))
        assert np.abs(again.predict_proba(points) - wide).max() < 1e-6


@pytest.mark.parametrize("model", ["svm", "boosting"])
def test_other_kinds_are_left_to_scikit_learn(model):
    points, labels = rows(3, 60)
    candidate = _candidates(Classify(model=model), len(points), 1)[0].fit(points, labels)
    assert plain_of(candidate) is None


def test_steps_that_are_not_known_are_not_passed_over():
    points, labels = rows(3)
    other = make_pipeline(MinMaxScaler(), LogisticRegression()).fit(points, labels)
    assert plain_of(other) is None
    twice = make_pipeline(StandardScaler(), StandardScaler(), LogisticRegression())
    found = plain_of(twice.fit(points, labels))
    # The second one scales what is scaled already: it must not stand for both.
    assert found is None


@pytest.mark.parametrize("name", ["scale", "coef", "intercept", "classes"])
def test_arrays_that_do_not_fit_are_refused(name):
    points, labels = rows(3)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(points, labels)
    plain = plain_of(pipeline)
    assert plain is not None
    arrays = plain.arrays()
    with pytest.raises(ValueError, match=r"has shape .*, expected"):
        Plain.from_arrays({**arrays, name: arrays[name][:1]})
    del arrays[name]
    with pytest.raises(KeyError):
        Plain.from_arrays(arrays)
