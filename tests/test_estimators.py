"""The estimators give what a run gives, from NumPy and from Dask, and keep scikit-learn's rules."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import dask.array as da
import numpy as np
import pytest
from alone import context_of
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator
from trained import pixels_of

from daskfer import normalize
from daskfer.blocks import cut
from daskfer.cluster import fit_kmeans, starting_centers
from daskfer.dask.connect import Where, connected
from daskfer.em import fit_mixture, starting_mixture
from daskfer.engine import InProcess
from daskfer.estimators import (
    BlockKMeans,
    BlockPCA,
    FaceGaussianMixture,
    FaceNormalizer,
    HogTransformer,
)
from daskfer.ingest.finding import find_sources
from daskfer.pipeline import run as run_pipeline
from daskfer.recipe import Evaluate, Gmm, Hog, KMeansClusters, NoNames, NoSplit, Pca, Recipe
from daskfer.represent import represent
from daskfer.store import Store
from daskfer.synthetic import write_csv

ROWS, BLOCK = 400, 64


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    random = np.random.default_rng(0)
    kinds = random.integers(0, 256, (4, 24 * 24))[np.arange(ROWS) % 4]
    return (kinds * 0.5 + random.integers(0, 128, (ROWS, 24 * 24))).astype(np.uint8)


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    random = np.random.default_rng(1)
    return (random.normal(size=(ROWS, 6)) + 5 * (np.arange(ROWS) % 4)[:, None]).astype(np.float32)


def lazily(array: np.ndarray, rows: int = 96) -> Any:
    return da.from_array(array, chunks=(rows, *(max(1, size // 2) for size in array.shape[1:])))


def test_a_pipeline_of_them_gives_what_a_run_gives(tmp_path: Any) -> None:
    csv = tmp_path / "faces.csv"
    write_csv(csv, 300, seed=7)
    for cluster, last in (
        (KMeansClusters(clusters=5, restarts=3), BlockKMeans(5, n_init=3, block_rows=BLOCK)),
        (Gmm(clusters=3, restarts=2), FaceGaussianMixture(3, n_init=2, block_rows=BLOCK)),
    ):
        recipe = Recipe(
            block_rows=BLOCK, split=NoSplit(), reduce=Pca(components=6), cluster=cluster,
            name=NoNames(), evaluate=Evaluate(folds=0, null_draws=0, stability_draws=0),
        )  # fmt: skip
        context = context_of(recipe, str(tmp_path))
        found = run_pipeline(
            recipe, find_sources([str(csv)]), Store(str(tmp_path / "store")), context.engine,
            context.watch,
        )  # fmt: skip
        assert len(found.selection.fit) == 300
        model = make_pipeline(HogTransformer(), BlockPCA(6, block_rows=BLOCK), last)
        labels = model.fit_predict(pixels_of(csv))
        assert_array_equal(model[1].components_, found.reduced.reducer.axes)
        assert_array_equal(labels, found.clusters.cluster)
        assert_array_equal(model[2].model_.centers, found.clusters.centers)


@pytest.mark.parametrize("method", ["minmax", "zscore", "unit"])
def test_the_normalizer(method: str, pixels: np.ndarray) -> None:
    model = FaceNormalizer(method).fit(pixels)
    expected = normalize.normalize(pixels, method)
    assert_array_equal(model.transform(pixels), expected)
    lazy = model.transform(lazily(pixels))
    assert isinstance(lazy, da.Array)
    assert lazy.dtype == np.float32
    assert_array_equal(lazy.compute(), expected)


@pytest.mark.parametrize("keys", [{}, {"cell": 6, "mirror": False, "margin": 0}])
def test_hog(keys: dict[str, Any], pixels: np.ndarray) -> None:
    model = HogTransformer(**keys).fit(pixels)
    expected = represent(pixels, 24, "minmax", Hog(**keys))
    assert_array_equal(model.transform(pixels), expected)
    images = pixels.reshape(-1, 24, 24)
    assert_array_equal(model.transform(images), expected)
    assert_array_equal(model.transform(images.astype(float)), expected)
    for array in (pixels, images):
        lazy = model.transform(lazily(array))
        assert lazy.shape == expected.shape
        assert_array_equal(lazy.compute(), expected)
    assert len(model.get_feature_names_out()) == expected.shape[1]
    assert_array_equal(clone(model).fit(images).transform(pixels), expected)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((3, 10), np.uint8), "expected \\(n, side, side\\)"),
        (np.zeros((3, 4, 5), np.uint8), "expected \\(n, side, side\\)"),
        (np.zeros(9, np.uint8), "expected \\(n, side, side\\)"),
        (np.zeros((3, 8, 8), np.uint8), "too small|hold|margin"),
        (np.full((3, 24, 24), 0.5), "whole numbers"),
        (np.full((3, 24, 24), 256.0), "whole numbers"),
        (np.full((3, 24, 24), np.nan), "NaN"),
    ],
)
def test_what_is_no_image_is_refused(images: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        HogTransformer().fit(images).transform(images)


@pytest.mark.parametrize("whiten", [True, False])
def test_principal_components(whiten: bool, points: np.ndarray) -> None:
    model = BlockPCA(3, whiten=whiten, block_rows=BLOCK).fit(points)
    theirs = PCA(3, whiten=whiten).fit(points.astype(float))
    found = model.transform(points)
    np.testing.assert_allclose(np.abs(found), np.abs(theirs.transform(points)), atol=1e-4)
    np.testing.assert_allclose(model.explained_variance_, theirs.explained_variance_, rtol=1e-5)
    np.testing.assert_allclose(
        model.explained_variance_ratio_, theirs.explained_variance_ratio_, rtol=1e-5
    )
    lazy = BlockPCA(3, whiten=whiten, block_rows=BLOCK).fit(lazily(points))
    assert_array_equal(lazy.components_, model.components_)
    assert_array_equal(lazy.transform(lazily(points)).compute().shape, found.shape)
    np.testing.assert_allclose(lazy.transform(lazily(points)).compute(), found, atol=1e-5)
    assert found.dtype == lazy.transform(lazily(points)).dtype == np.float32


@pytest.mark.parametrize("whiten", [True, False])
def test_principal_components_of_float64_rows(whiten: bool, points: np.ndarray) -> None:
    exact = points.astype(float)
    model = BlockPCA(3, whiten=whiten, block_rows=BLOCK).fit(exact)
    theirs = PCA(3, whiten=whiten).fit(exact)
    found = model.transform(exact)
    assert found.dtype == model.transform(lazily(exact)).dtype == np.float64
    np.testing.assert_allclose(np.abs(found), np.abs(theirs.transform(exact)), atol=1e-10)
    np.testing.assert_allclose(model.transform(lazily(exact)).compute(), found, atol=1e-12)
    order = np.random.default_rng(1).permutation(len(exact))
    np.testing.assert_allclose(model.transform(exact[order]), found[order], atol=1e-12)


def clusterer_of(kind: str, **more: Any) -> Any:
    if kind == "kmeans":
        return BlockKMeans(4, n_init=2, block_rows=BLOCK, **more)
    return FaceGaussianMixture(4, n_init=2, block_rows=BLOCK, **more)


@pytest.mark.parametrize("kind", ["kmeans", "gmm"])
def test_clusters_are_those_of_the_functions(kind: str, points: np.ndarray) -> None:
    class Points:
        def rows(self, positions: np.ndarray) -> np.ndarray:
            return points[positions]

    there: Any = Points()
    fit = np.arange(ROWS)
    if kind == "kmeans":
        method: Any = KMeansClusters(clusters=4, restarts=2)
        start: Any = starting_centers(InProcess(), there, fit, method, 9)
        found: Any = fit_kmeans(InProcess(), there, cut(fit, BLOCK), method, start)
    else:
        method = Gmm(clusters=4, restarts=2)
        start = starting_mixture(InProcess(), there, fit, method, 9)
        found = fit_mixture(InProcess(), there, cut(fit, BLOCK), method, start)
    model = clusterer_of(kind, random_state=9)
    labels = model.fit_predict(points)
    assert_array_equal(np.sort(model.model_.centers, axis=0), np.sort(found.centers, axis=0))
    sizes = np.bincount(labels)
    assert (np.diff(sizes) <= 0).all()
    assert_array_equal(model.confidence(points), found.assign(points).confidence)
    assert_array_equal(model.predict(points), labels)
    lazy = clusterer_of(kind, random_state=9).fit(lazily(points))
    assert_array_equal(lazy.model_.centers, model.model_.centers)
    assert_array_equal(lazy.labels_, labels)
    told = model.predict(lazily(points))
    assert isinstance(told, da.Array)
    assert_array_equal(told.compute(), labels)
    assert told.dtype == np.int32
    if kind == "gmm":
        assert model.bic_ == found.bic(ROWS)
        assert_array_equal(model.score_samples(points), found.assign(points).log_density)
    else:
        assert_array_equal(model.cluster_centers_, model.model_.centers)


def test_what_is_lazy_is_computed_by_workers(pixels: np.ndarray) -> None:
    model = make_pipeline(
        HogTransformer(cell=6), BlockPCA(4, block_rows=BLOCK), clusterer_of("kmeans")
    )
    here = model.fit_predict(pixels)
    with connected(Where(workers=1, processes=True)):
        lazy = clone(model).fit(lazily(pixels))
        assert_array_equal(lazy[-1].labels_, here)
        assert_array_equal(lazy.predict(lazily(pixels)).compute(), here)


def test_a_random_state_need_not_be_a_number(points: np.ndarray) -> None:
    one, other = (
        BlockKMeans(4, random_state=np.random.RandomState(3)).fit(points) for _ in range(2)
    )
    assert_array_equal(one.labels_, other.labels_)
    assert len(set(BlockKMeans(4, random_state=None).fit(points).labels_.tolist())) == 4


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (BlockKMeans(1), "cluster.clusters=1: expected 2 or more"),
        (BlockKMeans(ROWS + 1), "clusters of n_samples=400"),
        (BlockPCA(0), "reduce.components=0: expected 1 or more"),
        (BlockPCA(7), "n_components=7: 400 rows of 6 features have at most 6"),
        (FaceGaussianMixture(2, regularization=0), "cluster.regularization=0"),
        (FaceNormalizer("none"), "expected minmax, zscore or unit"),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_parameters_out_of_range(model: Any, words: str, lazy: bool, points: np.ndarray) -> None:
    with pytest.raises(ValueError, match=words):
        model.fit(lazily(points) if lazy else points)


def test_dask_arrays_that_cannot_be_taken(points: np.ndarray) -> None:
    unknown = lazily(points)[lazily(points)[:, 0] > 0]
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        BlockKMeans(2).fit(unknown)
    with pytest.raises(ValueError, match="expected rows"):
        BlockKMeans(2).fit(lazily(points)[:, 0])
    model = BlockPCA(2).fit(points)
    with pytest.raises(ValueError, match="X has 5 features, but BlockPCA is expecting 6"):
        model.transform(lazily(points[:, :5]))
    holed = points.copy()
    holed[7, 3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        BlockPCA(2).fit(lazily(holed))


ONE = "it asks for one cluster, and daskfer's clusters are two or more"
OF_ONE = {
    "check_dont_overwrite_parameters": ONE,
    "check_methods_subset_invariance": ONE,
    "check_fit2d_1feature": ONE,
    "check_fit2d_predict1d": ONE,
}
EXCUSED = {
    "BlockKMeans": OF_ONE,
    "FaceGaussianMixture": OF_ONE | {"check_methods_sample_order_invariance": ONE},
}
"""Checks that do not apply, by the estimator's name, and why.

HogTransformer takes images, and no rows of numbers: none of scikit-learn's checks has such.
"""


@pytest.mark.parametrize("kind", ["kmeans", "gmm"])
def test_rows_are_told_the_same_alone_and_in_any_order(kind: str, points: np.ndarray) -> None:
    # What the excused checks would have looked at.
    model = clusterer_of(kind)
    before = {**vars(model)}
    labels = model.fit(points).predict(points)
    assert {key: vars(model)[key] for key in before} == before
    order = np.random.default_rng(2).permutation(ROWS)
    assert_array_equal(model.predict(points[order]), labels[order])
    alone = [model.predict(points[row : row + 1])[0] for row in range(50)]
    assert alone == labels[:50].tolist()
    with pytest.raises(ValueError, match="Reshape your data"):
        model.predict(points[0])
    one = clone(model).fit(points[:, :1])
    assert len(set(one.labels_.tolist())) == 4


def checks_of(*estimators: Any) -> list[Any]:
    """scikit-learn's checks of each estimator, without that of arrays of other libraries."""
    return [
        pytest.param(estimator, check, id=f"{type(estimator).__name__}-{check.func.__name__}")
        for model in estimators
        for estimator, check in estimator_checks_generator(model)
        # It needs SCIPY_ARRAY_API to be set before SciPy is imported.
        if check.func.__name__ != "check_array_api_input"
    ]


@pytest.mark.parametrize(
    ("estimator", "check"),
    checks_of(
        FaceNormalizer(),
        BlockPCA(n_components=2),
        BlockKMeans(n_clusters=3, n_init=2),
        FaceGaussianMixture(n_components=2, n_init=2),
    ),
)
def test_rules_of_scikit_learn(estimator: Any, check: Any) -> None:
    if check.func.__name__ in EXCUSED.get(type(estimator).__name__, {}):
        with pytest.raises((ValueError, AssertionError), match="expected 2 or more"):
            check(estimator)
    else:
        check(estimator)


def test_they_are_imported_only_when_asked_for() -> None:
    code = "import sys, daskfer; print(*(name in sys.modules for name in sys.argv[1:]))"
    command = [sys.executable, "-c", code, "daskfer.estimators", "sklearn", "numpy"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False"]
