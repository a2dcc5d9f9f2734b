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
    moved_centers,
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


@settings(max_examples=50)
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


@pytest.mark.parametrize("block_rows", [4, 1])
def test_a_cluster_without_rows_starts_again_at_the_farthest(
    block_rows: int, tmp_path: Path
) -> None:
    points = np.array([[0], [1], [10], [11]], np.float32)
    files = in_files(tmp_path, points, [4])
    start = np.array([[0.0], [1000], [10], [2000]])
    method = KMeansClusters(clusters=4, max_iterations=1)
    found = fit_kmeans(InProcess(), files, cut(np.arange(4), block_rows), method, start)
    # Rows 1 and 11 are both at a distance of 1: the first goes to the first empty cluster.
    assert found.values.tolist() == [[0], [1], [10], [11]]


def test_as_many_rows_again_as_clusters_are_empty(tmp_path: Path) -> None:
    """Also when more clusters are empty than a step keeps rows for: the next step goes on."""
    points = np.arange(100, dtype=np.float32)[:, None]
    files = in_files(tmp_path, points, [100])
    start = np.concatenate([[[0.0]], np.full((59, 1), 1e6)])
    method = KMeansClusters(clusters=60, tolerance=0.0)
    found = fit_kmeans(InProcess(), files, cut(np.arange(100), 7), method, start)
    assert len(np.unique(assign(points, found.values).cluster)) == 60


def test_an_empty_cluster_takes_no_row_that_is_alone() -> None:
    centers = np.array([[0.0], [10], [99]])
    total = lloyd_sums(np.array([[3], [10]], np.float32), centers)
    assert moved_centers(centers, total).tolist() == [[3], [10], [99]]


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 300), st.integers(2, 80))
def test_groups_and_chunks_change_rounding_alone(seed: int, rows: int, k: int) -> None:
    random = np.random.default_rng(seed)
    points = random.normal(0, 1, (rows, 3)).astype(np.float32)
    centers = random.normal(0, 1, (k, 3))
    whole = lloyd_sums(points, centers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daskfer.cluster.CHUNK_DISTANCES", 64 * k)
        parts = lloyd_sums(points, centers)
    assert (parts.counts == whole.counts).all()
    assert np.allclose(parts.sums, whole.sums, atol=1e-9)
    assert parts.inertia == pytest.approx(whole.inertia)
    assert np.allclose(parts.far.squares, whole.far.squares)
    assert (np.diff(parts.far.squares) <= 0).all()


def test_two_thousand_clusters(tmp_path: Path) -> None:
    """As good as scikit-learn's from the same starts, and none of them empty."""
    points, _ = make_blobs(6000, 8, centers=300, cluster_std=1.0, random_state=5)
    points = points.astype(np.float32)
    files = in_files(tmp_path, points, [4000, 2000])
    method = KMeansClusters(clusters=2000, restarts=1, max_iterations=20)
    start = starting_centers(InProcess(), files, np.arange(6000), method, seed=2)
    found = fit_kmeans(InProcess(), files, cut(np.arange(6000), 512), method, start)
    theirs = KMeans(2000, init=start, n_init=1, max_iter=20).fit(points.astype(float))
    assigned = assign(points, found.values)
    assert len(np.unique(assigned.cluster)) == 2000
    assert assigned.nearest.sum() <= theirs.inertia_ * 1.001


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
    assert largest_first(np.array([2, 5, 2, 9])).tolist() == [3, 1, 0, 2]
