"""Reduction: exact moments over any blocks, and components equal to scikit-learn's."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from daskfer import storage
from daskfer.blocks import BlockFiles, cut, starts_of
from daskfer.engine import InProcess, fold_pairs
from daskfer.errors import RecipeError
from daskfer.recipe import IncrementalPca, NoReduction, Pca, Rule
from daskfer.reduce import (
    LANCZOS_SHARE,
    Moments,
    Reducer,
    check_components,
    chosen_components,
    count_components,
    fit_pca,
    identity,
    merge_moments,
    moments,
    moments_of,
    oriented,
    principal_components,
)
from daskfer.represent import Features
from daskfer.store import StageFolder


def data(rows: int = 600, seed: int = 0, mean: float = 1e4) -> np.ndarray:
    """Float32 rows with five different variances and a large mean."""
    random = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(random.normal(size=(8, 8)))
    scales = np.array([20, 12, 7, 4, 2, 1, 0.5, 0.25])
    return (mean + (random.normal(size=(rows, 8)) * scales) @ turn).astype(np.float32)


def fit(values: np.ndarray, sizes: list[int], components: int, whiten: bool) -> Reducer:
    edges = starts_of(sizes)
    parts = [moments(values[a:b]) for a, b in itertools.pairwise(edges)]
    return principal_components(fold_pairs(parts, merge_moments), components, whiten)


def upright(axes: np.ndarray) -> np.ndarray:
    """Axes with their largest entry positive, as daskfer turns them."""
    largest = np.abs(axes).argmax(axis=1)
    return axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]


def test_moments_by_hand() -> None:
    found = moments(np.array([[1, 2], [3, 2], [5, 8]], np.float32))
    assert found.count == 3
    assert found.mean == pytest.approx([3, 4])
    assert found.scatter == pytest.approx(np.array([[8, 12], [12, 24]]))


def test_merged_moments_are_those_of_all_rows() -> None:
    left, right = np.array([[0.0, 1], [2, 1]]), np.array([[10.0, 4], [0, 0], [3, 9]])
    found = merge_moments(moments(left), moments(right))
    together = np.concatenate([left, right])
    assert found.count == 5
    assert found.mean == pytest.approx(together.mean(axis=0), abs=1e-14)
    assert found.scatter == pytest.approx(np.cov(together.T) * 4, abs=1e-12)


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
    st.sampled_from([0.0, 1e4, -1e6]),
    st.integers(0, 1000),
)
def test_moments_do_not_depend_on_blocks(sizes: list[int], mean: float, seed: int) -> None:
    values = np.random.default_rng(seed).normal(mean, 2, (sum(sizes), 3))
    edges = starts_of(sizes)
    parts = [moments(values[a:b]) for a, b in itertools.pairwise(edges)]
    found: Moments = fold_pairs(parts, merge_moments)
    exact = values - values.mean(axis=0)
    assert found.count == sum(sizes)
    assert np.allclose(found.mean, values.mean(axis=0), rtol=1e-14)
    assert np.allclose(found.scatter, exact.T @ exact, atol=1e-7, rtol=1e-9)


def test_float32_blocks_lose_no_digits_to_a_large_mean() -> None:
    values = data()
    exact = values.astype(np.float64)
    found = moments(values)
    assert np.allclose(found.mean, exact.mean(axis=0), rtol=1e-12)
    scatter = np.cov(exact.T) * (len(values) - 1)
    assert np.abs(found.scatter - scatter).max() < 1e-5 * scatter.max()
    # Float32 rounds this mean by a good part of the deviation.
    narrow = np.random.default_rng(0).normal(1e4, 0.005, (500, 3)).astype(np.float32)
    assert np.allclose(
        np.diag(moments(narrow).scatter) / 500, narrow.var(axis=0, dtype=float), rtol=1e-5
    )


@pytest.mark.parametrize("sizes", [[600], [300, 300], [1, 599], [100, 7, 93, 250, 150]])
@pytest.mark.parametrize("whiten", [False, True])
def test_equals_scikit_learns_full_pca(sizes: list[int], whiten: bool) -> None:
    values = data()
    exact = values.astype(np.float64)
    reducer = fit(values, sizes, 4, whiten)
    theirs = PCA(4, svd_solver="full", whiten=whiten).fit(exact)
    assert np.allclose(reducer.mean, theirs.mean_, rtol=1e-10)
    assert reducer.explained_variance == pytest.approx(theirs.explained_variance_, rel=1e-5)
    assert reducer.total_variance == pytest.approx(exact.var(axis=0, ddof=1).sum(), rel=1e-5)
    axes = upright(theirs.components_)
    deviations = np.sqrt(theirs.explained_variance_) if whiten else np.ones(4)
    assert np.abs(reducer.axes * deviations[:, None] - axes).max() < 1e-5
    points = (exact - theirs.mean_) @ axes.T / deviations
    found = reducer.transform(values)
    assert found.dtype == np.float32
    assert np.abs(found - points).max() < 1e-5 * np.abs(points).max()


def test_whitened_components_have_unit_variance_and_do_not_correlate() -> None:
    values = data(2000)
    points = fit(values, [900, 1100], 6, True).transform(values).astype(np.float64)
    assert np.abs(np.cov(points.T) - np.eye(6)).max() < 1e-4
    assert np.abs(points.mean(axis=0)).max() < 1e-5


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        np.full((20, 4), 7, np.float32),
        np.zeros((20, 4), np.float32),
        np.repeat(np.arange(20, dtype=np.float32)[:, None], 4, axis=1),
        np.column_stack([np.arange(20), np.full(20, 3), np.arange(20) % 3, np.arange(20) % 3]),
    ],
    ids=["constant", "zero", "rank one", "a constant and a twin"],
)
def test_no_nan_without_variance(values: np.ndarray, whiten: bool) -> None:
    values = values.astype(np.float32)
    reducer = fit(values, [10, 10], 4, whiten)
    points = reducer.transform(values)
    assert np.isfinite(reducer.axes).all()
    assert np.isfinite(points).all()
    assert (reducer.explained_variance >= 0).all()
    assert np.abs(points).max() < 100


def test_signs_and_whitening_by_hand() -> None:
    axes = np.array([[0.6, -0.8], [0.8, 0.6]])
    found = oriented(np.zeros(2), axes, np.array([4.0, 0.0]), 4.0, True)
    # The first is turned round and divided by 2; the second has no variance and keeps its length.
    assert found.axes == pytest.approx(np.array([[-0.3, 0.4], [0.8, 0.6]]))


def test_save_and_load(tmp_path: Path) -> None:
    reducer = fit(data(), [600], 3, True)
    reducer.save(str(tmp_path / "r.npz"))
    loaded = Reducer.load(str(tmp_path / "r.npz"))
    assert (loaded.axes == reducer.axes).all()
    assert (loaded.mean == reducer.mean).all()
    assert (loaded.explained_variance == reducer.explained_variance).all()
    assert loaded.total_variance == reducer.total_variance


def test_identity_changes_nothing() -> None:
    values = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    assert (identity(6).transform(values) == values).all()


def test_too_many_components_are_refused() -> None:
    check_components(Pca(components=4), 5, 9)
    check_components(NoReduction(), 1, 9)
    with pytest.raises(RecipeError, match="components=5: 5 fitted rows of 9 features"):
        check_components(Pca(components=5), 5, 9)
    with pytest.raises(RecipeError, match="at most 3"):
        check_components(IncrementalPca(components=4), 100, 3)


@pytest.mark.parametrize("rule", ["parallel-analysis", "gavish-donoho"])
def test_the_number_of_components_is_chosen_by_the_rule(rule: Rule) -> None:
    random = np.random.default_rng(0)
    axes, _ = np.linalg.qr(random.normal(size=(40, 3)))
    values = random.normal(size=(900, 40)) + 6 * random.normal(size=(900, 3)) @ axes.T
    of = fold_pairs([moments(values[a : a + 300].astype(np.float32)) for a in (0, 300, 600)],
                    merge_moments)  # fmt: skip
    scatter = of.scatter.copy()
    assert count_components(of, rule) == 3
    found = chosen_components(of, Pca("pca", "auto", True, rule))
    assert (found.axes == principal_components(of, 3, True).axes).all()
    assert (of.scatter == scatter).all()
    assert len(chosen_components(of, Pca(components=7, rule=rule)).axes) == 7


@pytest.mark.parametrize("layout", [[200], [50, 0, 150], [64, 64, 64, 8]])
def test_fit_pca_over_files_depends_on_the_pieces_alone(layout: list[int], tmp_path: Path) -> None:
    values = data(200)
    files = BlockFiles(StageFolder(str(tmp_path)), "f.npy", starts_of(layout))
    for number in range(files.count):
        a, b = files.starts[number : number + 2]
        storage.write_array(files.path(number), values[a:b])
    features = Features(files, files, 48, "minmax", Pca())  # type: ignore[arg-type]
    chosen = np.arange(0, 200, 2)
    found = fit_pca(InProcess(), features, cut(chosen, 30), Pca(components=3, whiten=True))
    expected = fit(values[chosen], [30, 30, 30, 10], 3, True)
    # Bit for bit: the same pieces are summed in the same tree, wherever the files end.
    assert (found.axes == expected.axes).all()
    assert (found.mean == expected.mean).all()


def faces(rows: int, features: int) -> np.ndarray:
    """Float32 rows of grey values whose variances fall off as those of pictures do."""
    random = np.random.default_rng(7)
    strengths = 4 / np.arange(1, 61) ** 0.8
    axes = random.normal(size=(60, features)) / np.sqrt(features)
    noise = random.normal(size=(rows, features)) * 0.001
    return (0.5 + (random.normal(size=(rows, 60)) * strengths) @ axes + noise).astype(np.float32)


def assert_equals_scikit_learn(values: np.ndarray, sizes: list[int], components: int) -> None:
    reducer = fit(values, sizes, components, False)
    theirs = PCA(components, svd_solver="full").fit(values.astype(np.float64))
    assert reducer.explained_variance == pytest.approx(theirs.explained_variance_, rel=1e-5)
    assert np.abs(reducer.axes - upright(theirs.components_)).max() < 1e-5


def test_a_few_of_many_components_equal_scikit_learns() -> None:
    assert 700 // LANCZOS_SHARE >= 20
    assert_equals_scikit_learn(faces(2000, 700), [900, 1100], 20)


@pytest.mark.slow
def test_eight_thousand_features_equal_scikit_learns() -> None:
    assert_equals_scikit_learn(faces(1200, 8000), [700, 500], 20)


@pytest.mark.parametrize(
    "scatter",
    [
        np.eye(320),
        np.zeros((320, 320)),
        np.diag([5.0] * 30 + [1] * 290),
        np.diag([3.0] + [0] * 319),
    ],
    ids=["round", "nothing", "thirty alike", "one"],
)
def test_few_components_of_what_has_none_in_particular(scatter: np.ndarray) -> None:
    """Any are right, and they are the same each time."""
    of = Moments(2, np.zeros(320), scatter)
    found = principal_components(of, 20, False)
    largest = np.sort(np.linalg.eigvalsh(scatter))[::-1][:20]
    assert found.explained_variance == pytest.approx(largest, abs=1e-12)
    assert found.axes @ found.axes.T == pytest.approx(np.eye(20), abs=1e-10)
    assert (principal_components(of, 20, False).axes == found.axes).all()


@settings(max_examples=30)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.sampled_from([0.0, 1e5]))
def test_moments_of_a_group_are_those_of_its_rows(sizes: list[int], mean: float) -> None:
    values = np.random.default_rng(len(sizes)).normal(mean, 1, (sum(sizes), 4))
    edges = starts_of(sizes)
    found = moments_of(values[a:b] for a, b in itertools.pairwise(edges))
    exact = values - values.mean(axis=0)
    assert found.count == sum(sizes)
    assert np.allclose(found.mean, values.mean(axis=0), rtol=1e-14)
    assert np.allclose(found.scatter, exact.T @ exact, atol=1e-7)
