"""Compiled KMeans, beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans

from daskfer import lloyd
from daskfer.cluster import assign


def blobs(rows: int, dimensions: int, kinds: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centers = random.normal(0, 3, (kinds, dimensions))
    points = centers[random.integers(0, kinds, rows)] + random.normal(size=(rows, dimensions))
    return points.astype(np.float32)


def fitted(points: np.ndarray, k: int, restarts: int = 10, seed: int = 1) -> np.ndarray:
    uniform = np.random.default_rng(seed).random((restarts, lloyd.draws_needed(k)))
    return lloyd.kmeans(points, k, uniform)


@pytest.mark.parametrize(("dimensions", "k"), [(1, 2), (2, 4), (3, 7), (20, 5)])
def test_inertia_is_that_of_scikit_learn(dimensions: int, k: int) -> None:
    points = blobs(900, dimensions, k)
    centers = fitted(points, k)
    assert centers.shape == (k, dimensions)
    found = assign(points, centers).nearest.sum()
    expected = KMeans(k, n_init=10, random_state=0).fit(points.astype(np.float64)).inertia_
    assert found == pytest.approx(expected, rel=0.01)


def test_the_same_numbers_give_the_same_centres() -> None:
    points = blobs(700, 3, 5)
    assert np.array_equal(fitted(points, 6), fitted(points, 6))


def test_a_far_origin_costs_no_digits() -> None:
    points = blobs(600, 2, 4).astype(np.float64)
    centers = fitted(points + 1e5, 4)
    np.testing.assert_allclose(centers - 1e5, fitted(points, 4), atol=1e-4)


def test_more_clusters_than_distinct_points() -> None:
    points = np.repeat(np.array([[0.0, 0], [1, 1], [5, 0]]), 20, axis=0)
    centers = fitted(points, 6)
    assert np.isfinite(centers).all()
    assert assign(points, centers).nearest.max() < 1e-9
    # No centre is where no row is, not even one that has no rows.
    apart = np.abs(centers[:, None] - points[None]).max(axis=2).min(axis=1)
    assert apart.max() < 1e-6
