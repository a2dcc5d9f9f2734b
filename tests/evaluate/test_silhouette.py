"""Silhouettes: by hand, beside scikit-learn's, tile by tile, and of a sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_blobs
from sklearn.metrics import silhouette_samples

from daskfer import storage
from daskfer.blocks import BlockFiles, starts_of
from daskfer.engine import InProcess
from daskfer.evaluate import silhouette as module
from daskfer.evaluate.silhouette import silhouette, silhouette_on, silhouette_values
from daskfer.store import StageFolder


def points_and_labels(seed: int, rows: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, 4)), random.integers(0, k, rows)


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Tiles, strips and tasks so small that a few hundred rows make many."""
    monkeypatch.setattr(module, "TILE_ROWS", 64)
    monkeypatch.setattr(module, "STRIP_ROWS", 24)
    monkeypatch.setattr(module, "TASK_DISTANCES", 20_000)
    return monkeypatch


def test_by_hand() -> None:
    points = np.array([[0.0], [1], [5], [6], [9]])
    labels = np.array([0, 0, 1, 1, 2])
    found = silhouette_values(points, labels, 3)
    # The first: 1 within, 5.5 to the next cluster; the third is nearer to the one at 9. That one
    # is alone.
    assert found == pytest.approx([4.5 / 5.5, 3.5 / 4.5, 3 / 4, 2 / 3, 0], abs=1e-12)
    assert silhouette(points, labels, 3) == pytest.approx(found.mean())


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(20, 120), st.integers(2, 6))
def test_equals_scikit_learns(seed: int, rows: int, k: int) -> None:
    points, labels = points_and_labels(seed, rows, k)
    labels[labels == k - 1] = 0
    labels[0], labels[1] = k, k + 2  # two alone in their clusters, and two clusters empty
    found = silhouette_values(points, labels, k + 3)
    assert found[0] == found[1] == 0
    assert np.abs(found - silhouette_samples(points, labels)).max() < 1e-7


@pytest.mark.parametrize("rows", [10, 62, 63, 700])
@pytest.mark.parametrize("strips", [False, True])
@pytest.mark.parametrize("single", [False, True])
def test_tiles_strips_and_precisions_give_the_same(
    rows: int, strips: bool, single: bool, small_tiles: pytest.MonkeyPatch
) -> None:
    points, labels = points_and_labels(rows, rows + 2, 5)
    labels[:2] = 0, 1
    if strips:
        small_tiles.setattr(module, "SUMS_BYTES", 8 * 5 * 50)
    if single:
        small_tiles.setattr(module, "DOUBLE_ROWS", 0)
    found = silhouette_values(points + 1000, labels, 5)
    exact = silhouette_samples(points, labels)
    assert np.abs(found - exact).max() < (1e-5 if single else 1e-9)
    assert abs(found.mean() - exact.mean()) < 1e-6


@settings(max_examples=30)
@given(
    st.integers(0, 10**6),
    st.integers(2, 9),
    st.sampled_from([1.0, 1e-3, 1e4]),
    st.sampled_from([0.0, 1e5]),
)
def test_in_float32_equals_scikit_learns(seed: int, k: int, scale: float, mean: float) -> None:
    random = np.random.default_rng(seed)
    points = random.normal(size=(400, 6)) * scale + mean
    points[random.integers(0, 400, 80)] = points[0]  # equal rows
    labels = random.integers(0, k, 400)
    labels[:k] = range(k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "DOUBLE_ROWS", 0)
        found = silhouette_values(points, labels, k)
    # About their mean, because scikit-learn's own distances lose digits to a large one.
    exact = silhouette_samples(points - points.mean(axis=0), labels)
    assert np.abs(found - exact).max() < 1e-5


def test_what_float32_cannot_hold_is_computed_in_float64() -> None:
    """Two lumps far apart in one cluster: distances within them are lost in the rounding."""
    random = np.random.default_rng(0)
    lumps = [random.normal(at, 1, (2100, 3)) for at in (0, 1e7)]
    points = np.concatenate([*lumps, random.normal(50, 1, (2100, 3))])
    labels = np.repeat([0, 0, 1], 2100)
    exact = silhouette_samples(points, labels)
    assert np.abs(silhouette_values(points, labels, 2) - exact).max() < 1e-7
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "DIFFERENCE", np.inf)
        assert np.abs(silhouette_values(points, labels, 2) - exact).max() > 1e-5


def test_many_clusters() -> None:
    points, labels = make_blobs(5000, 8, centers=900, cluster_std=1.5, random_state=1)
    found = silhouette_values(points, labels, 900)
    assert np.abs(found - silhouette_samples(points, labels)).max() < 1e-5


def test_one_cluster_is_nan() -> None:
    assert np.isnan(silhouette(np.eye(3), np.array([2, 2, 2]), 4))


def test_identical_points_are_nought() -> None:
    assert silhouette(np.ones((6, 2)), np.array([0, 0, 0, 1, 1, 1]), 2) == 0


def in_files(folder: Path, values: np.ndarray, sizes: list[int]) -> BlockFiles:
    files = BlockFiles(StageFolder(str(folder)), "points.npy", starts_of(sizes))
    for number in range(files.count):
        a, b = files.starts[number : number + 2]
        storage.write_array(files.path(number), values[a:b])
    return files


def test_over_files(tmp_path: Path) -> None:
    points, labels = points_and_labels(2, 500, 3)
    files = in_files(tmp_path, points, [200, 300])
    fit = np.arange(0, 500, 2)
    found = silhouette_on(InProcess(), files, fit, labels[fit], 3, seed=0, most=250)
    assert (found.rows, found.standard_error) == (250, 0)
    assert found.mean == pytest.approx(
        silhouette_samples(points[fit], labels[fit]).mean(), abs=1e-9
    )
    alone = silhouette_on(InProcess(), files, fit, np.zeros(250, int), 3, seed=0, most=250)
    assert np.isnan(alone.mean)


def test_samples_of_large_sets_are_as_far_off_as_their_error_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, labels = make_blobs(3000, 3, centers=4, cluster_std=3.0, random_state=0)
    files = in_files(tmp_path, points, [3000])
    fit = np.arange(3000)
    exact = silhouette_samples(points, labels).mean()
    monkeypatch.setattr(module, "SAMPLE_ROWS", 500)
    drawn = [
        silhouette_on(InProcess(), files, fit, labels, 4, seed=seed, most=1000)
        for seed in range(40)
    ]
    assert {found.rows for found in drawn} == {500}
    spread = np.std([found.mean for found in drawn], ddof=1)
    stated = np.mean([found.standard_error for found in drawn])
    assert 0.6 < spread / stated < 1.4
    assert abs(np.mean([found.mean for found in drawn]) - exact) < stated
    again = silhouette_on(InProcess(), files, fit, labels, 4, seed=0, most=1000)
    assert again == drawn[0]
