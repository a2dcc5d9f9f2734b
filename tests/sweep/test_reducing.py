"""Reductions that cells share: the first of many components are the few components."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA, TruncatedSVD

from daskfer.recipe import IncrementalPca, NoReduction, Pca, Reduce, Svd
from daskfer.sweep.reducing import reduce_fold, reduce_rows, rung


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    random = np.random.default_rng(0)
    scale = 1 / np.arange(1, 301)
    return (random.normal(size=(400, 300)) * scale + 1).astype(np.float32)


def test_rungs() -> None:
    assert [rung(number) for number in (1, 2, 16, 17, 32, 33, 100)] == [16, 16, 16, 32, 32, 64, 128]
    assert rung(None) is None


@pytest.mark.parametrize("components", [1, 2, 5])
@pytest.mark.parametrize("method", [Pca(whiten=False), Pca(whiten=True), IncrementalPca(), Svd()])
def test_the_first_components_are_a_fit_of_so_many(
    method: Reduce, components: int, values: np.ndarray
) -> None:
    found = reduce_rows(values, method, rung(components), 42)
    if isinstance(method, Svd):
        model = TruncatedSVD(components, algorithm="arpack", random_state=1)
    else:
        whiten = getattr(method, "whiten", False)
        model = PCA(components, whiten=whiten, svd_solver="full")
    expected = model.fit_transform(values.astype(np.float64))
    first = found.first(components)
    signs = np.sign((first * expected).sum(axis=0))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(first * signs, expected, atol=1e-4 * scale)
    share = model.explained_variance_ratio_.sum()
    # Without centring, the first one is nearly the mean: its variance is a small difference.
    tolerance = 1e-3 if isinstance(method, Svd) else 1e-4
    assert found.share(components) == pytest.approx(share, rel=tolerance)


def test_a_fold_is_fitted_without_its_rows(values: np.ndarray) -> None:
    held_out = np.arange(0, 400, 10)
    found = reduce_fold(values, held_out, Pca(whiten=True), 16, 42)
    inside = np.delete(values, held_out, axis=0).astype(np.float64)
    model = PCA(3, whiten=True, svd_solver="full").fit(inside)
    for part, rows in ((found.fitted, inside), (found.held_out, values[held_out])):
        expected = model.transform(rows)
        first = part.first(3)
        signs = np.sign((found.fitted.first(3) * model.transform(inside)).sum(axis=0))
        np.testing.assert_allclose(first * signs, expected, atol=2e-3)


def test_few_rows_are_reduced_exactly() -> None:
    values = np.random.default_rng(0).normal(size=(12, 30)).astype(np.float32)
    assert reduce_rows(values, Pca(), 16, 42).points.shape == (12, 11)
    assert reduce_rows(values, Svd(), 16, 42).points.shape == (12, 11)


def test_without_a_reduction_rows_stay_as_they_are(values: np.ndarray) -> None:
    found = reduce_rows(values, NoReduction(), None, 42)
    assert np.array_equal(found.first(None), values)
    assert found.share(None) is None
    fold = reduce_fold(values, np.array([0, 3]), NoReduction(), None, 42)
    assert np.array_equal(fold.held_out.points, values[[0, 3]])
    assert len(fold.fitted.points) == 398
