"""How many tasks the scheduler gets: by blocks and groups of blocks, as BENCHMARKS.md says."""

from __future__ import annotations

import numpy as np
import pytest

from daskfer import storage
from daskfer.blocks import BlockFiles, cut, starts_of
from daskfer.cluster import fit_kmeans, starting_centers
from daskfer.dask.connect import Where, connected
from daskfer.dask.engine import DaskEngine
from daskfer.recipe import KMeansClusters, Pca, Pixels
from daskfer.reduce import fit_pca
from daskfer.represent import Features
from daskfer.store import StageFolder

ROWS, BLOCK = 6400, 64
GROUPS = 8 + 100 // 16


@pytest.fixture(scope="module")
def client():
    with connected(Where(workers=2)) as client:
        yield client


def in_file(folder, values):
    files = BlockFiles(StageFolder(str(folder)), "npy", starts_of([len(values)]))
    storage.write_array(files.path(0), values)
    return files


@pytest.mark.parametrize("clusters", [3, 40])
def test_kmeans(client, tmp_path, clusters):
    points = in_file(tmp_path, np.random.default_rng(0).normal(size=(ROWS, 5)).astype(np.float32))
    engine, fit = DaskEngine(client), np.arange(ROWS)
    method = KMeansClusters(clusters=clusters, restarts=4, sample_rows=640, tolerance=0.0)
    start = starting_centers(engine, points, fit, method, 0)
    assert engine.tasks["cluster"] == 4
    found = fit_kmeans(engine, points, cut(fit, BLOCK), method, start)
    # Loading, the variance, and each iteration; the tree of 14 parts is one task.
    assert engine.tasks["cluster"] == 4 + GROUPS + (1 + found.iterations) * (GROUPS + 1)
    assert found.iterations > 5


def test_pca(client, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, 36), dtype=np.uint8)
    features = Features(in_file(tmp_path, pixels), None, 6, "minmax", Pixels())
    engine = DaskEngine(client)
    fit_pca(engine, features, cut(np.arange(ROWS), BLOCK), Pca(components=2))
    # A task a group, one for each pair in the tree, and the decomposition.
    assert engine.tasks["reduce"] == GROUPS + (GROUPS - 1) + 1
