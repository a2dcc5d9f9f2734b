"""Compiled silhouettes, beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from daskfer.cluster import assign, kmeans_on_sample
from daskfer.sweep import kernel


def blobs(rows: int, dimensions: int, kinds: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centers = random.normal(0, 3, (kinds, dimensions))
    points = centers[random.integers(0, kinds, rows)] + random.normal(size=(rows, dimensions))
    return points.astype(np.float32)


def fitted(points: np.ndarray, k: int) -> np.ndarray:
    return kmeans_on_sample(points, k, 1)[1]


def test_a_far_origin_costs_no_digits() -> None:
    points = blobs(600, 2, 4).astype(np.float64)
    cluster = assign(points, fitted(points, 4)).cluster
    assert kernel.silhouette(points + 1e5, cluster, 4) == pytest.approx(
        kernel.silhouette(points, cluster, 4), abs=1e-5
    )


@pytest.mark.parametrize(("rows", "dimensions", "k"), [(50, 2, 3), (1300, 5, 2), (1100, 1, 9)])
def test_silhouette_is_that_of_scikit_learn(rows: int, dimensions: int, k: int) -> None:
    points = blobs(rows, dimensions, 4)
    cluster = assign(points, fitted(points, k)).cluster
    expected = silhouette_score(points.astype(np.float64), cluster)
    assert kernel.silhouette(points, cluster, k) == pytest.approx(expected, abs=1e-6)
    # An empty cluster changes nothing.
    assert kernel.silhouette(points, cluster, k + 2) == pytest.approx(expected, abs=1e-6)


def test_silhouettes_at_the_edge() -> None:
    points = np.array([[0.0], [1.0], [10.0]])
    assert np.isnan(kernel.silhouette(points, np.zeros(3, np.int32), 2))
    # A point alone scores 0; the others 1 − 1/10 and 1 − 1/9.
    cluster = np.array([0, 0, 1], np.int32)
    assert kernel.silhouette(points, cluster, 2) == pytest.approx((9 / 10 + 8 / 9) / 3)
    assert kernel.silhouette(np.ones((4, 2)), np.array([0, 0, 1, 1]), 2) == 0
