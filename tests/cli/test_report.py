"""``daskfer report``: the same page again, graphs as files, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from processes import daskfer

from daskfer import storage
from daskfer.cli.report import difference
from daskfer.names_file import open_log
from daskfer.run_folder import RunFolder
from daskfer.synthetic import write_csv

FAST = (
    "--recipe", "hog",
    "--set", "cluster.restarts=2", "--set", "classify.model=logistic",
    "--set", "evaluate.null_draws=1", "--set", "evaluate.stability_draws=0",
)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with faces, a finished run, and their store."""
    folder = tmp_path_factory.mktemp("finished")
    write_csv(folder / "faces.csv", 500, seed=3)
    environment = {**os.environ, "DASKFER_STORE": str(folder / "store"), "COLUMNS": "120"}
    done = daskfer(
        "run", folder / "faces.csv", *FAST, "--out", folder / "run", environment=environment
    )
    assert done.returncode == 0, done.stderr
    return folder, environment


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the finished run."""
    shutil.copytree(finished[0] / "run", tmp_path / "run")
    return tmp_path / "run"


def all_files(run: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()
    }


def test_the_page_is_written_again_as_it_was(finished, run, tmp_path):
    before = all_files(run)
    (run / "report.html").write_text("lost")
    done = daskfer("report", run, "--graphs", tmp_path / "graphs", environment=finished[1])
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert all_files(run) == before
    names = sorted(path.name for path in (tmp_path / "graphs").iterdir())
    assert done.stdout.splitlines() == [
        f"Report: {run / 'report.html'}",
        f"Graphs: {len(names)} files in {tmp_path / 'graphs'}",
    ]
    assert {"confusion.png", "confusion.svg", "map-emotions.svg", "silhouettes.png"} <= set(names)
    # A simulation that was made since is shown, and the run's own page stays as it was.
    figures = [{"looks": 7, "accuracy": 0.4321}]
    storage.write_json(str(run / "simulate.json"), {"figures": figures})
    done = daskfer("report", run, "--out", tmp_path / "other.html", environment=finished[1])
    assert done.returncode == 0, done.stderr
    assert "With 7 looks it is right on 43.2%." in (tmp_path / "other.html").read_text()
    assert (run / "report.html").read_bytes() == before["report.html"]


def test_a_second_model_that_was_changed_since_is_the_one_shown(finished, run, tmp_path):
    done = daskfer("train", run, "--set", "classify.model=boosting", environment=finished[1])
    assert done.returncode == 0, done.stderr
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["changes"] == ["classify.model=boosting"]
    before = all_files(run)
    done = daskfer("report", run, environment=finished[1])
    assert done.returncode == 0, done.stderr
    assert all_files(run) == before
    done = daskfer(
        "report", finished[0] / "run", run, "--out", tmp_path / "two.html", environment=finished[1]
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "two.html").read_text()
    assert "changed by daskfer train" in page
    assert f"{metrics['classifier']['test_accuracy']:.1%}" in page


def test_names_and_figures_that_changed_since_are_refused(finished, run):
    page = (run / "report.html").read_bytes()
    log = open_log(RunFolder(str(run)))
    log.append({"do": "name", "name": "sad", "group": "c0"})
    done = daskfer("report", run, environment=finished[1])
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {run} has changed since its figures were made (its")
    assert f"daskfer train {run}" in done.stderr
    done = daskfer("train", run, environment=finished[1])
    assert done.returncode == 0, done.stderr
    done = daskfer("report", run, environment=finished[1])
    assert done.returncode == 0, done.stderr
    assert (run / "report.html").read_bytes() != page
    metrics = json.loads((run / "metrics.json").read_text())
    found = metrics["classifier"]["test_accuracy"]
    metrics["classifier"]["test_accuracy"] = found + 0.01
    storage.write_json(str(run / "metrics.json"), metrics)
    page = (run / "report.html").read_bytes()
    done = daskfer("report", run, environment=finished[1])
    assert done.returncode == 1
    assert f"classifier.test_accuracy was {found + 0.01}, and is {found} now" in done.stderr
    assert (run / "report.html").read_bytes() == page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "run", "run"), "3 runs were given: expected one, or two to compare"),
        (("run", "run"), "two runs side by side need --out FILE"),
        (("run", "run", "--out", "x.html", "--graphs", "g"), "leave --graphs out"),
        (("nothing",), "nothing has no run.json"),
        (("run", "--out", "faces.csv"), "--out faces.csv: expected a name that ends in .html"),
        (("run", "nothing", "--out", "x.html"), "nothing has no run.json"),
    ],
)
def test_what_cannot_be_shown_is_one_line(finished, arguments, said):
    folder, environment = finished
    done = daskfer("report", *arguments, environment=environment, cwd=folder)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "x.html").exists()


def test_differences_are_found_and_rounding_is_none():
    there = {"a": {"b": 0.1, "c": [1, 2]}, "old": 1}
    assert difference(there, {"a": {"b": 0.1 + 1e-12, "c": [1, 2]}, "new": 2}, "x") is None
    assert difference(there, {"a": {"b": 0.2, "c": [1, 2]}}, "x") == "x.a.b was 0.1, and is 0.2 now"
    assert "x.a.c was" in (difference(there, {"a": {"b": 0.1, "c": [1, 3]}}, "x") or "")
    assert difference(None, {"a": 1}, "classifier") is not None
