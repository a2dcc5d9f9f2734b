"""A whole run whose clusters are a mixture of Gaussians."""

from __future__ import annotations

import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
from processes import daskfer
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

from daskfer.mixture import Mixture
from daskfer.model import read_clusters


@pytest.fixture(scope="module")
def run(faces_csv, tmp_path_factory):
    """The folders of a run and of its store."""

    folder = tmp_path_factory.mktemp("mixture")
    environment = {**os.environ, "DASKFER_STORE": str(folder / "store"), "COLUMNS": "120"}
    done = daskfer(
        "run", "--recipe", "hog", faces_csv, "--out", folder / "run",
        "--set", "cluster.method=gmm", "--set", "cluster.restarts=3",
        "--set", "reduce.components=8", "--set", "classify.model=logistic",
        "--set", "evaluate.stability_draws=2", "--set", "evaluate.null_draws=1",
        environment=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "run", folder / "store"


def points_of(store):
    parts = sorted(store.glob("reduce/*/*.points.npy"))
    return np.concatenate([np.load(part) for part in parts])


@pytest.mark.slow
def test_the_model_read_back_assigns_the_same(run):
    folder, store = run
    assert json.loads((folder / "model" / "model.json").read_text())["clusters"] == "gmm"
    model = read_clusters(str(folder / "model"))
    assert isinstance(model, Mixture)
    found, points = pq.read_table(folder / "labels.parquet").to_pydict(), points_of(store)
    again = model.assign(points)
    assert (again.cluster == found["cluster"]).all()
    assert np.abs(again.confidence - np.array(found["confidence"])).max() < 1e-6
    fit = np.array([role == "fit" for role in found["role"]])
    sizes = np.bincount(again.cluster[fit], minlength=7)
    assert (np.diff(sizes) <= 0).all()


@pytest.mark.slow
def test_its_figures_are_of_its_own_clusters(run):
    folder, store = run
    found = json.loads((folder / "metrics.json").read_text())["cluster"]
    labels = pq.read_table(folder / "labels.parquet").to_pydict()
    fit = np.array([role == "fit" for role in labels["role"]])
    cluster, points = np.array(labels["cluster"])[fit], points_of(store)[fit].astype(float)
    assert found["k"] == 7
    assert found["hungarian_accuracy"] > 0.9
    assert found["davies_bouldin"] == pytest.approx(davies_bouldin_score(points, cluster))
    assert found["calinski_harabasz"] == pytest.approx(calinski_harabasz_score(points, cluster))
    density = read_clusters(str(folder / "model")).assign(points).log_density
    assert found["log_likelihood"] == pytest.approx(density.mean(), rel=1e-9)
    parameters = 6 + 7 * 8 + 7 * 36
    bic = -2 * density.sum() + parameters * np.log(fit.sum())
    assert found["bic"] == pytest.approx(bic, rel=1e-9)


@pytest.mark.slow
def test_too_many_columns_are_refused_before_any_work(faces_csv, tmp_path, clean_environment):
    done = daskfer(
        "run", "--recipe", "hog", faces_csv, "--out", tmp_path / "run",
        "--set", "cluster.method=gmm", "--set", "reduce.method=none",
        environment=clean_environment,
    )  # fmt: skip
    assert done.returncode != 0
    assert "at most 256 columns (reduce.components)" in " ".join(done.stderr.split())
    assert not list(tmp_path.glob("store/represent/*/stage.json"))
