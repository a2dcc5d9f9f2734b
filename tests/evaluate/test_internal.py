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
)

from daskfer import storage
from daskfer.blocks import BlockFiles, starts_of
from daskfer.cluster import assign, kmeans_on_sample
from daskfer.em import best_mixture
from daskfer.engine import fold_pairs
from daskfer.evaluate import internal
from daskfer.evaluate.silhouette import silhouette
from daskfer.recipe import Gmm, KMeansClusters
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


@settings(max_examples=25)
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
        internal.spread(
            points[i : i + block_rows], centers, assign(points[i : i + block_rows], centers).cluster
        )
        for i in range(0, 150, block_rows)
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


def test_given_clusters_are_scored_about_their_own_means(tmp_path: Path) -> None:
    # As of a mixture, whose clusters are not those of the nearest centres.
    points, labels = points_and_labels(2, 150, 4)
    files = in_files(tmp_path, points, [100, 50])
    pieces = [np.arange(60), np.arange(60, 150)]
    sums = [internal.member_sums(piece, labels[piece], files, 5) for piece in pieces]
    centers = internal.member_means(fold_pairs(sums, np.add), np.full((5, 4), 7.0))
    assert centers[4].tolist() == [7.0] * 4
    spreads = [internal.spread_of(piece, labels[piece], files, centers) for piece in pieces]
    of = fold_pairs(spreads, internal.merge_spread)
    found = internal.davies_bouldin(of, centers), internal.calinski_harabasz(of)
    assert found[0] == pytest.approx(davies_bouldin_score(points, labels), rel=1e-9)
    assert found[1] == pytest.approx(calinski_harabasz_score(points, labels), rel=1e-9)


def test_noise_and_halves_are_clustered_as_the_recipe_says(tmp_path: Path) -> None:
    covariance, method = np.diag([25.0, 1.0]), Gmm(clusters=3, restarts=2)
    found = internal.null_silhouette(covariance, 0, method, 500, 42)
    assert found != internal.null_silhouette(covariance, 0, KMeansClusters(clusters=3), 500, 42)
    points, _ = points_and_labels(3, 400, 3)
    files, rows = in_files(tmp_path, points, [400]), np.arange(400)
    (half,) = internal.halves(rows, 3, 1, 42)
    mixture = best_mixture(points[half], method, 42, "stability-0")
    labels = internal.half_clustering(half, 0, rows, files, method, 42)
    assert (labels == mixture.assign(points).cluster).all()


def test_one_filled_cluster_has_no_separation() -> None:
    of = internal.spread(np.eye(3), np.array([[0.0, 0, 0], [99, 99, 99]]), np.zeros(3, int))
    assert np.isnan(internal.davies_bouldin(of, np.array([[0.0, 0, 0], [99, 99, 99]])))
    assert np.isnan(internal.calinski_harabasz(of))


@pytest.mark.parametrize(("dimensions", "expected"), [(1, 0.52), (2, 0.32), (3, 0.22), (10, 0.06)])
def test_silhouette_of_structureless_data(dimensions: int, expected: float) -> None:
    # Measured on Gaussian noise for k = 7; the original project's 0.336 lies in two dimensions.
    method = KMeansClusters(clusters=7, restarts=10)
    draws = [
        internal.null_silhouette(np.eye(dimensions), number, method, 2048, 42)
        for number in range(3)
    ]
    assert np.mean(draws) == pytest.approx(expected, abs=0.03)
    assert len(set(draws)) == 3
    assert internal.null_silhouette(np.eye(dimensions), 0, method, 2048, 42) == draws[0]


def test_structure_scores_above_its_null(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    points = random.normal(size=(700, 2)) + 12 * random.integers(0, 3, (700, 2))
    files = in_files(tmp_path, points, [700])
    covariance = internal.covariance(internal.moments_at(np.arange(700), files, 64))
    assert covariance == pytest.approx(np.cov(points.T))
    _, centers = kmeans_on_sample(points, 9, 0)
    found = silhouette(points, assign(points, centers).cluster, 9)
    method = KMeansClusters(clusters=9, restarts=3)
    assert found > internal.null_silhouette(covariance, 0, method, 700, 0) + 0.2


def test_covariance_of_one_component_is_a_matrix(tmp_path: Path) -> None:
    files = in_files(tmp_path, np.array([[1.0], [3.0]]), [2])
    assert internal.covariance(internal.moments_at(np.array([0, 1]), files, 64)).tolist() == [[2.0]]


def test_stability_of_blobs_is_one_and_of_noise_is_not(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    noise = random.normal(size=(300, 5))
    method = KMeansClusters(clusters=3, restarts=2)
    blobs = noise + 50 * np.eye(5)[np.arange(300) % 3]
    found = []
    for name, points in (("blobs", blobs), ("noise", noise)):
        files = in_files(tmp_path / name, points, [100, 200])
        rows = np.arange(300)
        labelings = [
            internal.half_clustering(half, number, rows, files, method, 42)
            for number, half in enumerate(internal.halves(rows, 3, 4, 42))
        ]
        assert all(labels.shape == (300,) for labels in labelings)
        found.append(internal.mean_pairwise_ari(labelings))
    assert found[0] == pytest.approx(1)
    assert found[1] < 0.9


def test_halves_are_different_rows_drawn_by_seed() -> None:
    fit = np.arange(100, 400)
    found = internal.halves(fit, 3, 4, 42)
    assert [len(half) for half in found] == [150] * 4
    assert all((np.diff(half) > 0).all() and np.isin(half, fit).all() for half in found)
    assert len({tuple(half) for half in found}) == 4
    assert (internal.halves(fit, 3, 4, 42)[3] == found[3]).all()
    assert len(internal.halves(np.arange(100_000), 3, 1, 42)[0]) == internal.HALF_ROWS
    assert len(internal.halves(np.arange(10), 7, 1, 42)[0]) == 7


def test_mean_pairwise_ari_by_hand() -> None:
    a, b, c = np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]), np.array([0, 1, 0, 1])
    expected = (1 + 2 * adjusted_rand_score(a, c)) / 3
    assert internal.mean_pairwise_ari([a, b, c]) == pytest.approx(expected)
    assert np.isnan(internal.mean_pairwise_ari([a]))
