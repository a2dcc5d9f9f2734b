"""Folds of the cross-validated silhouette."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

from daskfer import storage
from daskfer.blocks import BlockFiles, starts_of
from daskfer.errors import RecipeError
from daskfer.evaluate.folds import check_folds, fewest_fitted, fold_rows, score_fold
from daskfer.recipe import IncrementalPca, KMeansClusters, NoReduction, Pca, Pixels, Reduce, Svd
from daskfer.represent import Features
from daskfer.store import StageFolder


@given(st.integers(0, 200), st.integers(2, 12), st.integers(0, 1000))
def test_folds_share_out_all_rows(rows: int, folds: int, seed: int) -> None:
    found = fold_rows(rows, folds, seed)
    assert len(found) == folds
    assert sorted(int(row) for fold in found for row in fold) == list(range(rows))
    sizes = [len(fold) for fold in found]
    assert max(sizes) - min(sizes) <= 1
    assert all((np.diff(fold) > 0).all() for fold in found)


def test_folds_are_shuffled_by_seed() -> None:
    one = fold_rows(50, 5, 1)
    assert all((a == b).all() for a, b in zip(one, fold_rows(50, 5, 1), strict=True))
    assert any((a != b).any() for a, b in zip(one, fold_rows(50, 5, 2), strict=True))
    assert one[0].tolist() != list(range(0, 50, 5))


@pytest.fixture
def features(tmp_path: Path) -> Features:
    """Three kinds of faces of 16 pixels, far apart, 40 of each, in two blocks."""
    random = np.random.default_rng(0)
    kinds = random.normal(0, 10, (3, 16))
    values = (kinds[np.arange(120) % 3] + random.normal(0, 1, (120, 16))).astype(np.float32)
    files = BlockFiles(StageFolder(str(tmp_path)), "f.npy", starts_of([50, 70]))
    storage.write_array(files.path(0), values[:50])
    storage.write_array(files.path(1), values[50:])
    return Features(files, files, 4, "minmax", Pixels())


@pytest.mark.parametrize(
    "reduce",
    [
        Pca(components=2, whiten=False),
        Pca(components=1, whiten=True),
        IncrementalPca(components=2),
        Svd(components=2),
        NoReduction(),
    ],
)
def test_a_fold_scores_both_parts(features: Features, reduce: Reduce) -> None:
    positions, method = np.arange(0, 120), KMeansClusters(clusters=3, restarts=4)
    score = score_fold(np.arange(0, 120, 5), 0, features, positions, reduce, method, 42)
    assert 0.5 < score.fitted < 1
    assert 0.5 < score.held_out < 1
    again = score_fold(np.arange(0, 120, 5), 0, features, positions, reduce, method, 42)
    assert again == score


def test_a_fold_is_what_scikit_learn_makes_of_its_rows(features: Features) -> None:
    held_out = np.arange(3, 100, 4)
    positions = np.arange(10, 110)
    reduce = Pca(components=2, whiten=False)
    method = KMeansClusters(clusters=3, restarts=5)
    score = score_fold(held_out, 1, features, positions, reduce, method, 42)
    values = features.rows(positions)
    fitted = np.delete(values, held_out, axis=0)
    pca = PCA(2, svd_solver="full").fit(fitted)
    model = KMeans(3, n_init=10, random_state=0).fit(pca.transform(fitted))
    other = pca.transform(values[held_out])
    assert score.fitted == pytest.approx(
        silhouette_score(pca.transform(fitted), model.labels_), abs=1e-4
    )
    assert score.held_out == pytest.approx(silhouette_score(other, model.predict(other)), abs=1e-4)


def test_folds_that_are_too_small_are_refused() -> None:
    check_folds(20, 0, 7, 19)
    check_folds(21, 3, 3, 13)
    assert fewest_fitted(21, 3) == 14
    assert fewest_fitted(20, 3) == 13
    with pytest.raises(RecipeError, match=r"folds=3: 20 .* fewer than 14 rows; expected at most 0"):
        check_folds(20, 3, 7, 2)
    with pytest.raises(RecipeError, match=r"14 rows are fitted, too few for reduce\.components=14"):
        check_folds(21, 3, 3, 14)


def test_a_fold_chooses_no_number_of_components(features: Features) -> None:
    reduce = Pca(components="auto")
    with pytest.raises(ValueError, match="expected the number that the run chose"):
        score_fold(
            np.arange(5), 0, features, np.arange(120), reduce, KMeansClusters(clusters=3), 42
        )


def test_the_held_out_rows_are_not_fitted(features: Features) -> None:
    # All rows of one kind are held out: two clusters of the rest split no kind, and the third is
    # given to one of them.
    held_out = np.arange(0, 120, 3)
    reduce = Pca(components=2, whiten=False)
    method = KMeansClusters(clusters=2, restarts=3)
    score = score_fold(held_out, 0, features, np.arange(120), reduce, method, 42)
    assert score.fitted > 0.8
    assert np.isnan(score.held_out)
