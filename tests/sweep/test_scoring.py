"""A cell's figures beside scikit-learn's, and what noise gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)

from daskfer.recipe import Gmm, KMeansClusters
from daskfer.sweep.choices import Cell
from daskfer.sweep.reducing import Fold, Reduced
from daskfer.sweep.scoring import (
    Settings,
    adjusted_rand,
    covariance_root,
    fit_clusters,
    score_fit,
    score_folds,
    score_noise,
)

SETTINGS = Settings(KMeansClusters(), 42, null_draws=3, halves=4)


@pytest.fixture(scope="module")
def blobs() -> np.ndarray:
    """Four kinds of points in three dimensions, well apart, 100 of each."""
    random = np.random.default_rng(0)
    centers = np.array([[0, 0, 0], [20, 0, 0], [0, 20, 0], [0, 0, 20]])
    return (centers[np.arange(400) % 4] + random.normal(size=(400, 3))).astype(np.float32)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=2, max_size=60))
def test_adjusted_rand_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    one, other = (np.array(column) for column in zip(*pairs, strict=True))
    assert adjusted_rand(one, other) == pytest.approx(adjusted_rand_score(one, other), abs=1e-9)


def test_figures_of_a_fit(blobs: np.ndarray) -> None:
    reduced = Reduced(blobs, np.array([0.5, 0.8, 1.0]))
    found = score_fit(reduced, Cell("pixels", 2, 3), SETTINGS)
    points = blobs[:, :2].astype(np.float64)
    cluster = fit_clusters(blobs[:, :2], 3, SETTINGS, "cluster").assign(points).cluster
    assert found["rows"] == 400
    assert found["explained_variance"] == 0.8
    assert found["silhouette"] == pytest.approx(silhouette_score(points, cluster), abs=1e-6)
    assert found["davies_bouldin"] == pytest.approx(davies_bouldin_score(points, cluster), rel=1e-3)
    assert found["calinski_harabasz"] == pytest.approx(
        calinski_harabasz_score(points, cluster), rel=1e-3
    )


def test_noise_has_the_covariance_of_the_rows(blobs: np.ndarray) -> None:
    root = covariance_root(blobs)
    np.testing.assert_allclose(root.T @ root, np.cov(blobs.T), rtol=1e-9)
    assert covariance_root(blobs[:, :1]).shape == (1, 1)


def test_blobs_are_above_noise_and_stable(blobs: np.ndarray) -> None:
    found = score_noise(Reduced(blobs, None), None, Cell("pixels", 3, 4), SETTINGS)
    assert found["stability"] == pytest.approx(1)
    assert len(found["null_silhouettes"]) == len(found["null_stabilities"]) == 3
    assert max(found["null_silhouettes"]) < 0.4
    assert max(found["null_stabilities"]) < 0.95
    again = score_noise(Reduced(blobs, None), covariance_root(blobs), Cell("x", 3, 4), SETTINGS)
    assert again == found


def test_folds_score_both_parts(blobs: np.ndarray) -> None:
    inside = np.arange(400) >= 40
    fold = Fold(Reduced(blobs[inside], None), Reduced(blobs[~inside], None))
    found = score_folds([fold, fold], Cell("pixels", 3, 4), SETTINGS)
    assert found["fitted"][0] == pytest.approx(0.89, abs=0.02)
    assert found["held_out"][0] == pytest.approx(0.89, abs=0.04)
    assert len(found["fitted"]) == len(found["held_out"]) == 2


def test_a_recipe_of_mixtures_and_many_dimensions(blobs: np.ndarray) -> None:
    mixtures = Settings(Gmm(restarts=2), 42, null_draws=1, halves=2)
    assert score_fit(Reduced(blobs, None), Cell("x", 3, 4), mixtures)["silhouette"] > 0.85
    wide = np.repeat(blobs, 30, axis=1)
    assert score_fit(Reduced(wide, None), Cell("x", None, 4), SETTINGS)["silhouette"] > 0.85


def test_what_is_no_number_is_none() -> None:
    same = np.ones((20, 2), np.float32)
    found = score_fit(Reduced(same, None), Cell("x", 2, 2), SETTINGS)
    assert found["silhouette"] in (None, 0.0)
    assert found["calinski_harabasz"] is None
