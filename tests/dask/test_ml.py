"""dask-ml's estimators, with daskfer's settings, against exact answers."""

from __future__ import annotations

import numpy as np
import pytest
from distributed import Client
from scipy.linalg import subspace_angles
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, TruncatedSVD

from daskfer import storage
from daskfer.blocks import BlockFiles, cut, starts_of
from daskfer.dask import ml
from daskfer.dask.connect import Where, connected
from daskfer.recipe import IncrementalPca, KMeansClusters, Pixels, Svd
from daskfer.represent import Features
from daskfer.store import StageFolder
from daskfer.synthetic import draw_faces, draw_parameters


@pytest.fixture(scope="module")
def client():
    with connected(Where(workers=2)) as client:
        yield client


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """700 synthetic faces in blocks of 150, as features in the store's form."""
    folder = StageFolder(str(tmp_path_factory.mktemp("faces")))
    pixels = draw_faces(draw_parameters(0, 700, difficulty=0.6))
    pieces = cut(np.arange(700), 150)
    files = BlockFiles(folder, "pixels.npy", starts_of([len(piece) for piece in pieces]))
    for number, piece in enumerate(pieces):
        storage.write_array(files.path(number), pixels[piece])
    return Features(files, None, 48, "unit", Pixels()), pieces


def angle(one: np.ndarray, other: np.ndarray) -> float:
    """The largest angle between two row spaces, in degrees."""
    return float(np.rad2deg(subspace_angles(one.T, other.T).max()))


def test_shipped_settings_give_the_exact_subspace(client: Client, faces):
    features, pieces = faces
    values = features.rows(np.arange(700)).astype(np.float64)
    exact = PCA(2, svd_solver="full").fit(values)
    found = ml.fit_incremental_pca(features, pieces, IncrementalPca(), 42)
    assert angle(found.axes, exact.components_) < 0.01
    assert found.explained_variance == pytest.approx(exact.explained_variance_, rel=1e-5)
    assert found.total_variance == pytest.approx(values.var(axis=0).sum(), rel=1e-3)
    assert found.mean == pytest.approx(values.mean(axis=0), abs=1e-6)


def test_dask_mls_defaults_do_not(client: Client, faces):
    """Were they exact too, the test above would show nothing."""
    features, pieces = faces
    values = features.rows(np.arange(700)).astype(np.float64)
    exact = PCA(2, svd_solver="full").fit(values)
    hasty = IncrementalPca(iterated_power=0, batch_rows=150)
    found = ml.fit_incremental_pca(features, pieces, hasty, 42)
    assert angle(found.axes, exact.components_) > 1


def test_truncated_svd_is_exact(client: Client, faces):
    features, pieces = faces
    values = features.rows(np.arange(700)).astype(np.float64)
    exact = TruncatedSVD(2, algorithm="arpack").fit(values)
    found = ml.fit_truncated_svd(features, pieces, Svd(), 42)
    assert angle(found.axes, exact.components_) < 0.01
    assert not found.mean.any()
    assert np.abs(found.transform(values[:5]) @ np.eye(2)) == pytest.approx(
        np.abs(exact.transform(values[:5])), abs=1e-3
    )


@pytest.mark.parametrize("rows", [64, 150, 700])
def test_kmeans_from_given_centres_does_not_see_chunks(client: Client, tmp_path, rows):
    random = np.random.default_rng(0)
    places = np.array([[0, 0], [4, 0], [0, 4], [4, 4]], np.float64)
    points = (np.repeat(places, 175, axis=0) + random.normal(size=(700, 2))).astype(np.float32)
    files = BlockFiles(StageFolder(str(tmp_path)), "points.npy", (0, 700))
    storage.write_array(files.path(0), points)
    start = places + 0.7
    method = KMeansClusters(method="dask-ml-kmeans", clusters=4)
    found = ml.fit_kmeans(files, cut(np.arange(700), rows), method, start)
    exact = KMeans(4, init=start, n_init=1, algorithm="lloyd").fit(points.astype(np.float64))
    # dask-ml stops when the centres move by less than 0.01, scikit-learn a little earlier.
    assert found.values == pytest.approx(exact.cluster_centers_, abs=0.02)
