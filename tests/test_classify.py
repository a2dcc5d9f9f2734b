"""The second model on points whose answer is plain."""

from __future__ import annotations

import numpy as np
import pytest

from daskfer import classify
from daskfer.classify import chance_accuracy, describe, score, train
from daskfer.errors import RunFolderError
from daskfer.model import load_estimator, save_estimator
from daskfer.recipe import Classify


def fit_here(search, points, labels):
    return search.fit(points, labels)


def never(search, points, labels):
    raise AssertionError("no search was expected")


@pytest.fixture
def blobs():
    """Four blobs, two of which share a name: no line separates the names."""
    random = np.random.default_rng(0)
    corners = np.array([[0, 0], [6, 6], [0, 6], [6, 0]], np.float32)
    points = np.repeat(corners, 60, axis=0) + random.normal(size=(240, 2)).astype(np.float32)
    return points.astype(np.float32), np.repeat([3, 3, 4, 6], 60).astype(np.int8)


@pytest.mark.parametrize("model", ["auto", "logistic", "nystroem", "svm", "boosting", "mlp"])
def test_learns_the_names(model, blobs):
    points, pseudo = blobs
    found = train(points, pseudo, Classify(model=model), 0, fit_here)
    least = 0.6 if model in ("logistic", "mlp") else 0.95
    assert (found.predict(points) == pseudo).mean() >= least
    assert found.pseudo_label_accuracy >= least
    assert found.predict(points).dtype == np.int8
    again = train(points, pseudo, Classify(model=model), 0, fit_here)
    assert np.array_equal(again.predict(points), found.predict(points))


@pytest.mark.parametrize("model", ["logistic", "nystroem", "svm", "boosting", "mlp"])
def test_saved_models_predict_the_same(model, blobs):
    points, pseudo = blobs
    found = train(points, pseudo, Classify(model=model), 0, fit_here)
    data = save_estimator(found.model)
    assert b"\x80\x04" not in data[:2]
    assert np.array_equal(load_estimator(data, "x").predict(points), found.predict(points))


def test_types_from_elsewhere_are_refused():
    class Foreign:
        pass

    Foreign.__module__ = "os"
    Foreign.__qualname__ = "Foreign"
    with pytest.raises(RunFolderError, match="not trusted"):
        load_estimator(save_estimator(Foreign()), "classifier.skops")


def test_auto_prefers_what_follows_the_names(blobs):
    points, pseudo = blobs
    assert "Nystroem" in train(points, pseudo, Classify(), 0, fit_here).description


def test_unnamed_clusters_are_left_out(blobs):
    points, pseudo = blobs
    unnamed = np.where(pseudo == 6, -1, pseudo).astype(np.int8)
    found = train(points, unnamed, Classify(model="svm"), 0, fit_here)
    assert set(found.predict(points)) == {3, 4}


def test_one_name_makes_a_constant(blobs):
    points, _ = blobs
    found = train(points, np.full(240, 3, np.int8), Classify(), 0, never)
    assert set(found.predict(points)) == {3}
    assert "happy" in found.description


def test_no_names_or_no_model_train_nothing(blobs):
    points, pseudo = blobs
    assert train(points, np.full(240, -1, np.int8), Classify(), 0, never) is None
    assert train(points, pseudo, Classify(model="none"), 0, never) is None


def test_too_few_of_a_name_are_trained_without_a_search(blobs):
    points, pseudo = blobs
    few = pseudo.copy()
    few[1:60] = 4
    few[60:120] = 4
    found = train(points, few, Classify(model="logistic"), 0, never)
    assert np.isnan(found.pseudo_label_accuracy)


def test_the_search_sees_a_sample(blobs):
    points, pseudo = blobs
    seen = []

    def note(search, some, labels):
        seen.append(labels)
        return search.fit(some, labels)

    train(points, pseudo, Classify(model="logistic", search_rows=100), 0, note)
    assert 100 <= len(seen[0]) < 240
    assert np.unique(seen[0], return_counts=True)[1].min() >= 30


def test_scores_by_hand():
    truth = np.array([0, 0, 0, 1, 3, -1], np.int8)
    guess = np.array([0, 0, 1, 1, 0, 5], np.int8)
    found = score(guess, truth)
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1 + 0) / 3)
    # F1: angry 2·2/(3+3), disgust 2·1/(1+2), happy 0.
    assert found.macro_f1 == pytest.approx((4 / 6 + 2 / 3 + 0) / 3)
    assert found.confusion[0][:2] == [2, 1]
    assert sum(map(sum, found.confusion)) == 5


def test_scores_without_labels():
    nothing = score(np.zeros(3, np.int8), np.full(3, -1, np.int8))
    assert (nothing.accuracy, nothing.confusion) == (None, None)
    assert chance_accuracy(np.full(3, -1, np.int8)) is None


def test_chance_is_the_most_frequent_emotion():
    assert chance_accuracy(np.array([3, 3, 3, 4, 0, -1], np.int8)) == pytest.approx(3 / 5)


def test_description_names_every_step(blobs):
    points, pseudo = blobs
    found = train(points, pseudo, Classify(model="nystroem"), 0, fit_here)
    assert describe(found.model).startswith("StandardScaler() → Nystroem(n_components=160) → Log")


def test_a_fold_holds_out_whole_clusters_where_names_have_enough():
    cluster = np.repeat(np.arange(12), 20)
    pseudo = (cluster % 2).astype(np.int8)
    for fit, held_out in classify._folds(pseudo, cluster, 3, 0):
        assert not set(cluster[fit]) & set(cluster[held_out])
        assert set(pseudo[fit]) == {0, 1}


def test_a_name_of_one_cluster_is_split_by_rows():
    cluster = np.repeat(np.arange(3), 20)
    folds = classify._folds(cluster.astype(np.int8), cluster, 3, 0)
    assert all(set(cluster[fit]) == {0, 1, 2} for fit, _ in folds)


def test_temperature_is_that_which_made_the_scores_too_sure():
    random = np.random.default_rng(0)
    log = random.normal(size=(20_000, 3)) * 2
    shares = np.exp(log) / np.exp(log).sum(axis=1, keepdims=True)
    answers = (random.random(20_000)[:, None] > shares.cumsum(axis=1)).sum(axis=1)
    sure = np.ones(20_000)
    assert classify.best_temperature(log, answers, sure) == pytest.approx(1, abs=0.05)
    assert classify.best_temperature(log * 4, answers, sure) == pytest.approx(4, abs=0.2)
    # Answers that are right three times of four take confidence away.
    assert classify.best_temperature(log, answers, sure * 0.75) > 1.3


def test_confidence_is_the_share_of_the_answer(blobs):
    points, pseudo = blobs
    found = train(points, pseudo, Classify(model="nystroem"), 0, fit_here)
    emotion, confidence = classify.predict(found.model, points, found.temperature)
    assert np.array_equal(emotion, found.predict(points))
    assert confidence.dtype == np.float32
    assert ((confidence > 1 / 3) & (confidence <= 1)).all()


def test_calibration_error_of_a_worked_example():
    # Two bins of one row: 0.9 and right, 0.6 and wrong.
    error = classify.calibration_error(np.array([0.9, 0.6]), np.array([True, False]))
    assert error == pytest.approx((0.1 + 0.6) / 2)
    perfect = classify.calibration_error(np.full(100, 0.5), np.arange(100) % 2 == 0)
    assert perfect == pytest.approx(0, abs=0.1)
