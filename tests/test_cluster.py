"""KMeans over blocks.

What is guaranteed: the same pieces in the same order give the same centres bit for bit, whatever
files the rows lie in and whoever computes. Other pieces sum in another order, so their centres
agree to rounding only; that is why block_rows is part of the recipe.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from daskfer import storage
from daskfer.blocks import BlockFiles, cut, starts_of
from daskfer.cluster import (
    assign,
    check_clusters,
    fit_kmeans,
    kmeans_on_sample,
    largest_first,
    lloyd_sums,
    merge_sums,
    squared_distances,
    starting_centers,
)
from daskfer.engine import InProcess
from daskfer.errors import RecipeError
from daskfer.recipe import KMeansClusters
from daskfer.store import StageFolder

TIGHT = KMeansClusters(clusters=4, tolerance=0.0)


def blobs(rows: int = 400, spread: float = 2.5, seed: int = 3) -> np.ndarray:
    points, _ = make_blobs(rows, 3, centers=4, cluster_std=spread, random_state=seed)
    return points.astype(np.float32)


def in_files(folder: Path, values: np.ndarray, sizes: list[int]) -> BlockFiles:
    files = BlockFiles(StageFolder(str(folder)), "points.npy", starts_of(sizes))
    for number in range(files.count):
        a, b = files.starts[number : number + 2]
        storage.write_array(files.path(number), values[a:b])
    return files


def test_assignment_by_hand() -> None:
    centers = np.array([[0.0, 0], [4, 0], [0, 0]])
    found = assign(np.array([[1, 0], [2, 0], [4, 3]], np.float32), centers)
    # Equally near centres: the first one, with no confidence at all.
    assert found.cluster.tolist() == [0, 0, 1]
    assert found.cluster.dtype == np.int32
    assert found.nearest.tolist() == [1, 4, 9]
    assert found.second.tolist() == [1, 4, 25]
    assert found.confidence == pytest.approx([0, 0, 1 - 3 / 5])
    assert found.confidence.dtype == np.float32


def test_confidence_at_a_centre_is_one_and_at_twin_centres_nought() -> None:
    apart = assign(np.array([[0.0, 0]]), np.array([[0.0, 0], [1, 0]]))
    assert apart.confidence.tolist() == [1]
    twins = assign(np.array([[0.0, 0]]), np.array([[0.0, 0], [0, 0]]))
    assert twins.confidence.tolist() == [0]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(2, 6), st.sampled_from([1, 1e3]))
def test_assignment_is_the_nearest_of_all_distances(
    seed: int, rows: int, k: int, offset: float
) -> None:
    random = np.random.default_rng(seed)
    points, centers = random.normal(offset, 1, (rows, 3)), random.normal(offset, 1, (k, 3))
    exact = ((points[:, None] - centers[None]) ** 2).sum(axis=2)
    assert np.allclose(squared_distances(points, centers), exact, atol=1e-8)
    found = assign(points, centers)
    assert np.allclose(found.nearest, exact.min(axis=1), atol=1e-8)
    assert np.allclose(found.second, np.sort(exact, axis=1)[:, 1], atol=1e-8)
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()


def test_lloyd_sums_by_hand() -> None:
    centers = np.array([[0.0], [10], [99]])
    left = lloyd_sums(np.array([[1], [8]], np.float32), centers)
    right = lloyd_sums(np.array([[-2]], np.float32), centers)
    both = merge_sums(left, right)
    assert both.sums.tolist() == [[-1], [8], [0]]
    assert both.counts.tolist() == [2, 1, 0]
    assert both.inertia == pytest.approx(1 + 4 + 4)


def test_inertia_is_the_sum_of_squared_distances() -> None:
    points, centers = blobs(), blobs()[:4].astype(np.float64)
    exact = ((points[:, None].astype(float) - centers[None]) ** 2).sum(axis=2).min(axis=1).sum()
    parts = [lloyd_sums(points[i : i + 70], centers) for i in range(0, 400, 70)]
    assert sum(part.inertia for part in parts) == pytest.approx(exact, rel=1e-9)
    assert assign(points, centers).nearest.sum() == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("block_rows", [400, 128, 33])
def test_equals_scikit_learn_from_the_same_starts(block_rows: int, tmp_path: Path) -> None:
    points = blobs()
    files = in_files(tmp_path, points, [150, 0, 250])
    start = points[[0, 1, 2, 3]].astype(np.float64)
    found = fit_kmeans(InProcess(), files, cut(np.arange(400), block_rows), TIGHT, start)
    theirs = KMeans(4, init=start, n_init=1, algorithm="lloyd", tol=0).fit(points.astype(float))
    assert found.iterations > 2
    assert np.abs(found.values - theirs.cluster_centers_).max() < 1e-9
    assert (assign(points, found.values).cluster == theirs.labels_).all()
    assert assign(points, found.values).nearest.sum() == pytest.approx(theirs.inertia_, rel=1e-9)


def test_the_same_pieces_give_the_same_bits_whatever_the_files(tmp_path: Path) -> None:
    points = blobs()
    pieces = cut(np.arange(0, 400, 2), 60)
    start = points[[0, 1, 2, 3]].astype(np.float64)
    found = [
        fit_kmeans(InProcess(), in_files(tmp_path / str(i), points, sizes), pieces, TIGHT, start)
        for i, sizes in enumerate([[400], [1, 399], [100, 100, 0, 200]])
    ]
    assert (found[0].values == found[1].values).all()
    assert (found[0].values == found[2].values).all()
    assert found[0].iterations == found[1].iterations == found[2].iterations


def test_a_cluster_without_rows_keeps_its_centre(tmp_path: Path) -> None:
    points = np.array([[0], [1], [10], [11]], np.float32)
    files = in_files(tmp_path, points, [4])
    start = np.array([[0.0], [10], [1000]])
    found = fit_kmeans(InProcess(), files, [np.arange(4)], KMeansClusters(clusters=3), start)
    assert found.values.tolist() == [[0.5], [10.5], [1000]]


def test_identical_rows_converge_at_once(tmp_path: Path) -> None:
    # The variance of 101 times 1/7 rounds to less than nothing, and no step is shorter than that.
    value = np.float32(1 / 7)
    files = in_files(tmp_path, np.full((101, 2), value), [101])
    start = np.full((2, 2), np.float64(value))
    method = KMeansClusters(clusters=2, max_iterations=9)
    found = fit_kmeans(InProcess(), files, [np.arange(101)], method, start)
    assert found.iterations == 1
    assert (found.values == start).all()


def test_iterations_end_at_the_most_allowed(tmp_path: Path) -> None:
    points = blobs()
    files = in_files(tmp_path, points, [400])
    method = KMeansClusters(clusters=4, tolerance=0.0, max_iterations=1)
    start = points[[0, 1, 2, 3]].astype(np.float64)
    found = fit_kmeans(InProcess(), files, [np.arange(400)], method, start)
    nearest = assign(points, start).cluster
    means = [points[nearest == number].mean(axis=0, dtype=float) for number in range(4)]
    assert found.iterations == 1
    assert found.values == pytest.approx(np.array(means))


def test_starts_are_the_best_restart_on_all_rows_or_a_sample(tmp_path: Path) -> None:
    points = blobs(spread=4)
    files = in_files(tmp_path, points, [250, 150])
    fit = np.arange(10, 390)
    method = KMeansClusters(clusters=5, restarts=6)
    found = starting_centers(InProcess(), files, fit, method, seed=1)
    inertia = assign(points[fit], found).nearest.sum()
    others = [kmeans_on_sample(points[fit], 5, state)[0] for state in range(6)]
    assert inertia <= min(others) * 1.05
    assert (starting_centers(InProcess(), files, fit, method, seed=1) == found).all()
    one = KMeansClusters(clusters=5, restarts=1)
    assert (
        inertia
        <= assign(points[fit], starting_centers(InProcess(), files, fit, one, seed=1)).nearest.sum()
    )
    few = KMeansClusters(clusters=5, restarts=2, sample_rows=50)
    sampled = starting_centers(InProcess(), files, fit, few, seed=1)
    assert sampled.shape == (5, 3)
    assert not np.allclose(sampled, found)
    assert (starting_centers(InProcess(), files, fit, few, seed=1) == sampled).all()


def test_kmeans_on_sample_takes_fewer_distinct_points_than_clusters() -> None:
    inertia, centers = kmeans_on_sample(np.repeat(np.eye(2, dtype=np.float32), 5, axis=0), 4, 0)
    assert inertia == pytest.approx(0, abs=1e-12)
    assert centers.shape == (4, 2)
    assert np.isfinite(centers).all()


def test_more_clusters_than_rows_are_refused() -> None:
    check_clusters(KMeansClusters(clusters=7), 7)
    with pytest.raises(RecipeError, match="clusters=7: only 6 rows"):
        check_clusters(KMeansClusters(clusters=7), 6)


def test_largest_first_keeps_the_order_of_equals() -> None:
    centers = np.array([[0.0], [1], [2], [3]])
    assert largest_first(centers, np.array([2, 5, 2, 9])).ravel().tolist() == [3, 1, 0, 2]
