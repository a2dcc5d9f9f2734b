"""Finished runs in a real tracking store of MLflow's, in a folder."""

from __future__ import annotations

import json
import os
import sys

import pytest
from processes import daskfer

from daskfer.synthetic import write_csv
from daskfer.tracking import flat

FAST = (
    "--recipe", "hog", "--set", "cluster.restarts=2", "--set", "classify.model=logistic",
    "--set", "evaluate.null_draws=0", "--set", "evaluate.stability_draws=0",
)  # fmt: skip


def test_nested_values_by_their_keys():
    nested = {"a": 1, "b": {"c": {"d": None}, "e": [1, 2]}, "f": "x"}
    assert list(flat(nested)) == [("a", 1), ("b.c.d", None), ("f", "x")]


@pytest.fixture
def tracked(tmp_path, monkeypatch):
    """The address of a store in a folder, and an environment that allows one."""
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    environment = {**os.environ, "DASKFER_STORE": str(tmp_path / "store")}
    uri = (tmp_path / "tracking").as_uri()
    return mlflow.MlflowClient(uri), uri, environment


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_run_is_logged_with_its_files(tracked, tmp_path):
    client, uri, environment = tracked
    write_csv(tmp_path / "faces.csv", 400, seed=3)
    done = daskfer(
        "run", tmp_path / "faces.csv", *FAST, "--out", tmp_path / "run", "--mlflow", uri,
        environment=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (experiment,) = [one for one in client.search_experiments() if one.name == "daskfer"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.info.run_name) == ("FINISHED", "run")
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert run.data.metrics["cluster.nmi"] == metrics["cluster"]["nmi"]
    assert run.data.metrics["classifier.test_accuracy"] == metrics["classifier"]["test_accuracy"]
    assert run.data.metrics["rows.fitted"] == metrics["rows"]["fitted"]
    assert run.data.params["cluster.clusters"] == "7"
    assert run.data.params["classify.model"] == "logistic"
    files = {one.path for one in client.list_artifacts(run.info.run_id)}
    assert files == {"recipe.yaml", "metrics.json", "names.yaml", "report.html", "model"}
    inner = {one.path for one in client.list_artifacts(run.info.run_id, "model")}
    assert "model/model.json" in inner


def test_a_store_that_cannot_be_used_is_said_before_any_work(tracked, tmp_path):
    _, _, environment = tracked
    write_csv(tmp_path / "faces.csv", 250, seed=3)
    done = daskfer(
        "run", tmp_path / "faces.csv", *FAST, "--out", tmp_path / "run", "--mlflow",
        "http://127.0.0.1:9",
        environment={**environment, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "--mlflow http://127.0.0.1:9 cannot be used" in done.stderr
    assert not (tmp_path / "run").exists()


def test_without_the_package_the_command_to_install_it_is_said(tmp_path, monkeypatch):
    from daskfer.errors import MissingPackage
    from daskfer.tracking import check_tracking

    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingPackage, match=r"pip install 'daskfer\[mlflow\]'"):
        check_tracking("sqlite:///x.db")
