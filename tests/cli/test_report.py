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
        (("run", "run", "--out", "x.html", "--sweep", "s"), "--sweep s: two runs side by side"),
        (("run", "--sweep", "s"), "s has no sweep.json: expected the folder of a sweep"),
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


def sweep_of(finished, folder: Path, *options: str) -> Path:
    """A small sweep of the finished run's faces, by its recipe."""
    recipe = finished[0] / "run" / "recipe.yaml"
    done = daskfer(
        "sweep", finished[0] / "faces.csv", "--recipe", recipe, "--components", "2,20",
        "--clusters", "6:8", "--folds", "0", "--rows", "120", "--set", "evaluate.null_draws=2",
        "--set", "evaluate.stability_draws=2", *options, "--out", folder,
        environment=finished[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_a_sweep_is_shown_by_every_later_report(finished, run, tmp_path):
    before = all_files(run)
    sweep = sweep_of(finished, tmp_path / "sweep", "--represent", "hog,pixels")
    done = daskfer(
        "report", run, "--sweep", sweep, "--graphs", tmp_path / "graphs", environment=finished[1]
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    after = all_files(run)
    assert after["sweep.json"] == (sweep / "sweep.json").read_bytes()
    assert {name for name in after if after[name] != before.get(name)} == {
        "sweep.json", "report.html",
    }  # fmt: skip
    page = after["report.html"].decode()
    cells = json.loads(after["sweep.json"])["cells"]
    assert len(cells) == 12
    for cell in cells:
        for text in (f"{cell['silhouette']:.3f}"[1:], f"+{cell['silhouette_above_null']:.3f}"):
            shown = text.replace("+0", "+").replace("+-0", "−")
            assert f">{shown}</text>" in page
    (own,) = (
        cell
        for cell in cells
        if (cell["represent"], cell["components"], cell["clusters"]) == ("hog", 20, 7)
    )
    assert f"(hog, 20 components, 7 clusters) has {own['silhouette']:.3f}." in page or (
        f"(hog, 20 components, 7 clusters) has the highest, {own['silhouette']:.3f}." in page
    )
    names = {path.name for path in (tmp_path / "graphs").iterdir()}
    assert {"sweep-silhouette.png", "sweep-above-noise.svg"} <= names
    # Without being told again, and by a command that writes all of the run's files.
    (run / "report.html").write_text("lost")
    done = daskfer("report", run, environment=finished[1])
    assert done.returncode == 0, done.stderr
    assert all_files(run) == after
    done = daskfer("train", run, environment=finished[1])
    assert done.returncode == 0, done.stderr
    assert "<h3>Sweep: silhouette above noise</h3>" in (run / "report.html").read_text()
    assert (run / "sweep.json").read_bytes() == after["sweep.json"]


def test_a_damaged_sweep_is_refused_and_found_again_breaks_no_report(finished, run, tmp_path):
    sweep = sweep_of(finished, tmp_path / "sweep", "--no-noise")
    content = json.loads((sweep / "sweep.json").read_text())
    content["cells"][1]["silhouette"] = "<script>alert(1)</script>"
    storage.write_json(str(sweep / "sweep.json"), content)
    before = all_files(run)
    done = daskfer("report", run, "--sweep", sweep, environment=finished[1])
    assert done.returncode == 1
    said = "sweep.json is damaged: cells[1].silhouette is '<script>alert(1)</script>': expected"
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert all_files(run) == before
    shutil.copy(sweep / "sweep.json", run)
    done = daskfer("report", run, environment=finished[1])
    assert done.returncode == 0, done.stderr
    assert "Sweep: left out, " in done.stdout
    assert said in done.stdout
    page = (run / "report.html").read_text()
    assert "The sweep in this run’s folder (sweep.json) cannot be shown" in page
    assert "<script" not in page
    assert "alert(1)" not in page


def test_a_sweep_of_other_faces_is_refused_before_any_work(finished, run, tmp_path):
    sweep = sweep_of(finished, tmp_path / "sweep", "--no-noise", "--set", "seed=7")
    before = all_files(run)
    done = daskfer("report", run, "--sweep", sweep, environment=finished[1])
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {sweep} holds a sweep of other faces than {run} clusters (seed=7 there, 42 "
        "here): expected the run's recipe up to its representation (daskfer sweep INPUT --recipe "
        f"{run}/recipe.yaml makes one)\n"
    )
    assert all_files(run) == before
    # Nor does a sweep write into a folder of a run that has one.
    (run / "sweep.json").write_bytes((sweep / "sweep.json").read_bytes())
    done = daskfer(
        "sweep", finished[0] / "faces.csv", "--recipe", run / "recipe.yaml", "--set", "seed=7",
        "--out", run,
        environment=finished[1],
    )  # fmt: skip
    assert done.returncode == 1
    assert "is a run's folder: choose another --out" in done.stderr


def test_differences_are_found_and_rounding_is_none():
    there = {"a": {"b": 0.1, "c": [1, 2]}, "old": 1}
    assert difference(there, {"a": {"b": 0.1 + 1e-12, "c": [1, 2]}, "new": 2}, "x") is None
    assert difference(there, {"a": {"b": 0.2, "c": [1, 2]}}, "x") == "x.a.b was 0.1, and is 0.2 now"
    assert "x.a.c was" in (difference(there, {"a": {"b": 0.1, "c": [1, 3]}}, "x") or "")
    assert difference(None, {"a": 1}, "classifier") is not None
