"""Clusters divided in two: by hand, whatever the points, and in a clusterer that is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskfer import storage
from daskfer.blocks import BlockFiles, starts_of
from daskfer.cluster import Centers
from daskfer.clusterers import AnyClusterer, Divided, divided, from_arrays
from daskfer.mixture import Mixture
from daskfer.splits import Split, divide, is_second, refine
from daskfer.store import StageFolder

POINTS = np.array([[0, 0], [1, 0], [0, 1], [10, 10], [11, 10]], np.float32)


def blocks_of(folder: Path, points: np.ndarray, size: int = 3) -> BlockFiles:
    """These rows in blocks of a store."""
    parts = [points[low : low + size] for low in range(0, len(points), size)]
    files = BlockFiles(StageFolder(str(folder)), "p.npy", starts_of([*map(len, parts)]))
    for number, part in enumerate(parts):
        storage.write_array(files.path(number), part)
    return files


def some_points(columns: st.SearchStrategy[int]) -> st.SearchStrategy[np.ndarray]:
    """Points whose coordinates are small whole numbers, so that sums of them are exact."""

    def of(width: int) -> st.SearchStrategy[np.ndarray]:
        row = st.lists(st.integers(-50, 50), min_size=width, max_size=width)
        return st.lists(row, min_size=1, max_size=30).map(lambda rows: np.array(rows, np.float32))

    return columns.flatmap(of)


# divide


def test_two_groups_by_hand() -> None:
    centers = divide(POINTS)
    assert centers is not None
    assert centers == pytest.approx(np.array([[1 / 3, 1 / 3], [10.5, 10]]))
    assert is_second(POINTS, centers).tolist() == [False, False, False, True, True]


def test_the_larger_part_comes_first() -> None:
    for points in (POINTS, -POINTS):
        centers = divide(points)
        assert centers is not None
        assert (~is_second(points, centers)).sum() == 3


@pytest.mark.parametrize("points", [POINTS[:1], np.ones((5, 3), np.float32)])
def test_points_that_cannot_be_divided(points: np.ndarray) -> None:
    assert divide(points) is None


def test_a_point_between_both_is_of_the_first() -> None:
    centers = np.array([[0.0], [2.0]])
    assert is_second(np.array([[1.0], [1.001]]), centers).tolist() == [False, True]


@given(some_points(st.integers(1, 4)))
def test_every_point_is_on_the_side_of_its_nearer_centre(points: np.ndarray) -> None:
    centers = divide(points)
    if centers is None:
        return
    second = is_second(points, centers)
    squares = ((points[:, None].astype(np.float64) - centers) ** 2).sum(axis=2)
    own, other = squares[np.arange(len(points)), second * 1], squares[:, ::-1]
    assert (own <= other[np.arange(len(points)), second * 1] + 1e-6).all()
    assert 0 < second.sum() <= len(points) / 2


@given(some_points(st.just(1)), st.randoms(use_true_random=False))
def test_the_order_of_points_does_not_matter(points: np.ndarray, random: object) -> None:
    order = np.array(random.sample(range(len(points)), len(points)), np.int64)  # type: ignore[attr-defined]
    one, two = divide(points), divide(points[order])
    if one is None or two is None:
        assert one is None
        assert two is None
        return
    assert one.tolist() == two.tolist()
    assert is_second(points, one)[order].tolist() == is_second(points[order], two).tolist()


@given(some_points(st.integers(1, 5)))
def test_a_point_is_on_the_same_side_whatever_is_beside_it(points: np.ndarray) -> None:
    centers = divide(points / np.float32(7))
    if centers is not None:
        points = points / np.float32(7)
        alone = [bool(is_second(point[None], centers)[0]) for point in points]
        assert alone == is_second(points, centers).tolist()


# refine


def test_refining_by_hand(tmp_path: Path) -> None:
    points = np.array([[0], [1], [10], [11], [50], [16]], np.float32)
    cluster = np.array([0, 0, 0, 0, 1, -1], np.int32)
    nearest = np.full(6, 99.0)
    splits = [
        Split(0, 2, np.array([[0.5], [10.5]])),
        Split(2, 3, np.array([[10.0], [11.0]])),
        Split(7, 4, np.array([[10.0], [11.0]])),
    ]
    found, near = refine(cluster, nearest, blocks_of(tmp_path, points), splits)
    assert found.tolist() == [0, 0, 2, 3, 1, -1]
    assert found.dtype == np.int32
    assert near.tolist() == [0.25, 0.25, 0, 0, 99, 99]
    # What was given stays as it was.
    assert cluster.tolist() == [0, 0, 0, 0, 1, -1]
    assert (nearest == 99).all()


def test_without_splits_nothing_changes(tmp_path: Path) -> None:
    cluster, nearest = np.zeros(5, np.int32), np.arange(5.0)
    found, near = refine(cluster, nearest, blocks_of(tmp_path, POINTS), [])
    assert found.tolist() == cluster.tolist()
    assert near.tolist() == nearest.tolist()


# Divided


def fitted(kind: str, k: int = 3, columns: int = 4) -> Centers | Mixture:
    random = np.random.default_rng(0)
    centers = random.normal(0, 3, (k, columns))
    if kind == "kmeans":
        return Centers(centers, 5)
    return Mixture(np.full(k, 1 / k), centers, np.tile(np.eye(columns), (k, 1, 1)), 5, -1.5)


@pytest.mark.parametrize("kind", ["kmeans", "gmm"])
def test_a_divided_clusterer_assigns_as_the_faces_were_refined(kind: str, tmp_path: Path) -> None:
    points = np.random.default_rng(1).normal(0, 3, (200, 4)).astype(np.float32)
    model = fitted(kind)
    before = model.assign(points)
    splits, cluster = [], before.cluster
    files = blocks_of(tmp_path, points, 64)
    for new, of in ((3, 0), (4, 2), (5, 3)):
        centers = divide(points[cluster == of])
        assert centers is not None
        splits.append(Split(of, new, centers))
        cluster, nearest = refine(before.cluster, before.nearest, files, splits)
    both: list[AnyClusterer] = [divided(model, splits)]
    storage.write_arrays(str(tmp_path / "c.npz"), **both[0].arrays(), emotion=np.zeros(6))
    both.append(from_arrays(storage.read_arrays(str(tmp_path / "c.npz"))))
    for one in both:
        found = one.assign(points)
        assert found.cluster.tolist() == cluster.tolist()
        assert found.nearest.tolist() == nearest.tolist()
        assert found.confidence.tolist() == before.confidence.tolist()
        assert one.kind == kind
        assert one.centers.shape == (6, 4)
        assert one.centers[5].tolist() == splits[2].centers[1].tolist()
        assert one.centers[1].tolist() == model.centers[1].tolist()
    # And rows by themselves as they were among others.
    alone = [int(both[1].assign(point[None]).cluster[0]) for point in points[:40]]
    assert alone == cluster[:40].tolist()


def test_splits_come_behind_those_that_are_there() -> None:
    model = fitted("kmeans")
    one, two = Split(0, 3, np.zeros((2, 4))), Split(1, 4, np.ones((2, 4)))
    assert divided(model, []) is model
    found = divided(divided(model, [one]), [two])
    assert isinstance(found, Divided)
    assert found.model is model
    assert found.splits == (one, two)
