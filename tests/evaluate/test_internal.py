"""Scores without labels: equal to scikit-learn's, and the silhouette of structureless data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_samples,
)

from daskfer import storage
from daskfer.blocks import BlockFiles, starts_of
from daskfer.cluster import assign, kmeans_on_sample
from daskfer.engine import InProcess, fold_pairs
from daskfer.evaluate import internal
from daskfer.store import StageFolder


def points_and_labels(seed: int, rows: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, 4)), random.integers(0, k, rows)


def in_files(folder: Path, values: np.ndarray, sizes: list[int]) -> BlockFiles:
    files = BlockFiles(StageFolder(str(folder)), "points.npy", starts_of(sizes))
    for number in range(files.count):
        a, b = files.starts[number : number + 2]
        storage.write_array(files.path(number), values[a:b])
    return files


def test_silhouette_by_hand() -> None:
    points = np.array([[0.0], [1], [5], [6], [9]])
    labels = np.array([0, 0, 1, 1, 2])
    found = internal.silhouette_values(points, labels, points, labels, 3)
    # The first: 1 within, 5.5 to the next cluster; the third is nearer to the one at 9. That one
    # is alone.
    assert found == pytest.approx([4.5 / 5.5, 3.5 / 4.5, 3 / 4, 2 / 3, 0], abs=1e-7)
    assert internal.silhouette(points, labels, 3) == pytest.approx(found.mean())


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(20, 120), st.integers(2, 6))
def test_silhouette_equals_scikit_learns(seed: int, rows: int, k: int) -> None:
    points, labels = points_and_labels(seed, rows, k)
    labels[labels == k - 1] = 0
    labels[0], labels[1] = k, k + 2  # two alone in their clusters, and two clusters empty
    found = internal.silhouette_values(points, labels, points, labels, k + 3)
    assert found[0] == found[1] == 0
    # A face's distance to itself is nought only to about 1e-8, which a small cluster shows.
    assert np.abs(found - silhouette_samples(points, labels)).max() < 1e-7


def test_silhouette_of_large_clusters_equals_scikit_learns_to_ten_digits() -> None:
    points, labels = points_and_labels(0, 2000, 4)
    found = internal.silhouette_values(points, labels, points, labels, 4)
    assert np.abs(found - silhouette_samples(points, labels)).max() < 1e-10


def test_silhouette_of_some_points_and_in_slices() -> None:
    points, labels = points_and_labels(1, 3000, 5)
    whole = internal.silhouette_values(points, labels, points, labels, 5)
    some = np.array([5, 2999, 17])
    found = internal.silhouette_values(points[some], labels[some], points, labels, 5)
    assert found == pytest.approx(whole[some], abs=1e-9)


def test_silhouette_of_one_cluster_is_nan() -> None:
    assert np.isnan(internal.silhouette(np.eye(3), np.array([2, 2, 2]), 4))


def test_silhouette_of_identical_points_is_nought() -> None:
    points, labels = np.ones((6, 2)), np.array([0, 0, 0, 1, 1, 1])
    assert internal.silhouette(points, labels, 2) == 0


def test_silhouette_over_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points, labels = points_and_labels(2, 500, 3)
    files = in_files(tmp_path, points, [200, 300])
    fit = np.arange(0, 500, 2)
    found, rows = internal.silhouette_on(InProcess(), files, fit, labels[fit], 3, 64, 0)
    assert rows == 250
    assert found == pytest.approx(silhouette_samples(points[fit], labels[fit]).mean(), abs=1e-9)
    assert np.isnan(
        internal.silhouette_on(InProcess(), files, fit, np.zeros(250, int), 3, 64, 0)[0]
    )
    monkeypatch.setattr(internal, "EXACT_ROWS", 100)
    sampled, rows = internal.silhouette_on(InProcess(), files, fit, labels[fit], 3, 64, 0)
    again, _ = internal.silhouette_on(InProcess(), files, fit, labels[fit], 3, 32, 0)
    assert rows == 100
    assert sampled != found
    assert sampled == pytest.approx(again, abs=1e-12)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 7), st.integers(1, 90))
def test_davies_bouldin_and_calinski_harabasz_equal_scikit_learns(
    seed: int, k: int, block_rows: int
) -> None:
    random = np.random.default_rng(seed)
    points = random.normal(size=(150, 3)) + 4 * random.integers(0, 2, (150, 3))
    # Run to the end, centres are the means of the points that are nearest to them.
    _, centers = kmeans_on_sample(points, k, seed % 1000)
    labels = assign(points, centers).cluster
    for _ in range(50):
        means = np.array([points[labels == number].mean(axis=0) for number in range(k)])
        moved = assign(points, means).cluster
        if (moved == labels).all():
            break
        labels = moved
    # Clusters without points do not count: one more centre, far away.
    centers = np.concatenate([means, [[1e3, 1e3, 1e3]]])
    parts = [
        internal.spread(points[i : i + block_rows], centers) for i in range(0, 150, block_rows)
    ]
    of = fold_pairs(parts, internal.merge_spread)
    assert of.counts.tolist() == [*np.bincount(labels, minlength=k), 0]
    exact = sum(((points[labels == i] - means[i]) ** 2).sum() for i in range(k))
    assert of.inertia == pytest.approx(exact)
    assert internal.davies_bouldin(of, centers) == pytest.approx(
        davies_bouldin_score(points, labels), rel=1e-6
    )
    assert internal.calinski_harabasz(of) == pytest.approx(
        calinski_harabasz_score(points, labels), rel=1e-9
    )


def test_one_filled_cluster_has_no_separation() -> None:
    of = internal.spread(np.eye(3), np.array([[0.0, 0, 0], [99, 99, 99]]))
    assert np.isnan(internal.davies_bouldin(of, np.array([[0.0, 0, 0], [99, 99, 99]])))
    assert np.isnan(internal.calinski_harabasz(of))


@pytest.mark.parametrize(("dimensions", "expected"), [(1, 0.52), (2, 0.32), (3, 0.22), (10, 0.06)])
def test_silhouette_of_structureless_data(dimensions: int, expected: float) -> None:
    # Measured on Gaussian noise for k = 7; the original project's 0.336 lies in two dimensions.
    draws = [
        internal.null_silhouette(np.eye(dimensions), 7, 10, 2048, 42, number) for number in range(3)
    ]
    assert np.mean(draws) == pytest.approx(expected, abs=0.03)
    assert len(set(draws)) == 3
    assert internal.null_silhouette(np.eye(dimensions), 7, 10, 2048, 42, 0) == draws[0]


def test_structure_scores_above_its_null(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(700, 2)) + 12 * random.integers(0, 3, (700, 2))
    files = in_files(tmp_path, points, [700])
    covariance = internal.covariance(np.arange(700), files)
    assert covariance == pytest.approx(np.cov(points.T))
    _, centers = kmeans_on_sample(points, 9, 0)
    found = internal.silhouette(points, assign(points, centers).cluster, 9)
    assert found > internal.null_silhouette(covariance, 9, 3, 700, 0, 0) + 0.2


def test_covariance_of_one_component_is_a_matrix(tmp_path: Path) -> None:
    files = in_files(tmp_path, np.array([[1.0], [3.0]]), [2])
    assert internal.covariance(np.array([0, 1]), files).tolist() == [[2.0]]


def test_stability_of_blobs_is_one_and_of_noise_is_not(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    noise = random.normal(size=(300, 5))
    blobs = noise + 50 * np.eye(5)[np.arange(300) % 3]
    found = []
    for name, points in (("blobs", blobs), ("noise", noise)):
        files = in_files(tmp_path / name, points, [100, 200])
        labelings = [
            internal.half_clustering(np.arange(300), files, 3, 2, 42, number) for number in range(4)
        ]
        assert all(labels.shape == (300,) for labels in labelings)
        found.append(internal.mean_pairwise_ari(labelings))
    assert found[0] == pytest.approx(1)
    assert found[1] < 0.9


def test_mean_pairwise_ari_by_hand() -> None:
    a, b, c = np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]), np.array([0, 1, 0, 1])
    expected = (1 + 2 * adjusted_rand_score(a, c)) / 3
    assert internal.mean_pairwise_ari([a, b, c]) == pytest.approx(expected)
    assert np.isnan(internal.mean_pairwise_ari([a]))
