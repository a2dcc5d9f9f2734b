"""``daskfer train``: names that came after the run, its files, its words, and its errors."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import SMALL
from processes import daskfer, started, wait_until

from daskfer import storage
from daskfer.faces import EMOTIONS
from daskfer.model import read_clusters
from daskfer.names_file import open_log
from daskfer.run_folder import RunFolder


@pytest.fixture
def finished(small_runs):
    """A folder with faces, two finished runs (named by labels, and waiting), and their store."""
    return small_runs


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of a finished run, by its name."""

    def copy(name: str) -> Path:
        shutil.copytree(finished[0] / name, tmp_path / name)
        return tmp_path / name

    return copy


def name_all(run: Path, names: list[str | None]) -> None:
    """Answer all clusters of a run, as the page does: a name, or mixed."""
    log = open_log(RunFolder(str(run)))
    for number, name in enumerate(names):
        said = {"do": "mixed"} if name is None else {"do": "name", "name": name}
        log.append({**said, "group": f"c{number}"})


def metrics_of(run: Path) -> dict:
    return json.loads((run / "metrics.json").read_text())


def test_a_run_whose_clusters_wait_says_so(finished):
    folder = finished[0]
    last = (folder / "waiting.txt").read_text().splitlines()[-1]
    assert last == f"The clusters wait for their names: daskfer name {folder / 'waiting'}"
    assert "wait for their names" not in (folder / "named.txt").read_text()
    metrics = metrics_of(folder / "waiting")
    assert metrics["naming"] == {"how": "page", "looks": 0}
    assert metrics["classifier"] is None
    assert not [note for note in metrics["notes"] if "have no name" in note]
    page = (folder / "waiting" / "report.html").read_text()
    assert "The clusters wait for a person to name them" in page


def test_names_of_a_person_are_learnt(finished, copied):
    _, environment = finished
    run = copied("waiting")
    before = metrics_of(run)
    recipe = (run / "recipe.yaml").read_text()
    names = ["happy", "sad", None, "angry", "happy", "fear", "surprise"]
    name_all(run, names)
    done = daskfer("train", run, environment=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "second model, accuracy on test rows" in done.stdout
    assert done.stdout.splitlines()[-1] == f"Results: {run} (open report.html there)"
    after = metrics_of(run)
    assert after["naming"] == {"how": "page", "looks": 7}
    assert after["cluster"] == before["cluster"]
    assert set(after["reused"]) >= {"ingest", "represent", "reduce", "cluster", "evaluate"}
    assert "classify" not in after["reused"]
    assert [one["stage"] for one in after["labels_used"]] == ["name", "evaluate"]
    assert "the names come from a person" in after["labels_used"][0]["why"]
    assert "1 of 7 clusters have no name, nor their faces" in after["notes"]
    labels = pq.read_table(run / "labels.parquet").to_pydict()
    told = {
        name: set(np.array(labels["emotion"], object)[np.array(labels["cluster"]) == number])
        for number, name in enumerate(names)
        if name
    }
    assert all(found == {name} for name, found in told.items() if name != "happy")
    assert set(labels["predicted"]) <= {name for name in names if name}
    written = yaml.safe_load((run / "names.yaml").read_text())
    assert [one["emotion"] for one in written["clusters"].values()] == names
    assert "named by a person who looked at 7 sheets." in (run / "report.html").read_text()
    assert (run / "recipe.yaml").read_text() == recipe
    assert not list(run.rglob("*.part"))
    # The same again is the same, from the store.
    again = daskfer("train", run, "--json", environment=environment)
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert found == metrics_of(run)
    assert found["classifier"] == after["classifier"]
    assert "classify" in found["reused"]
    assert pq.read_table(run / "labels.parquet").to_pydict() == labels


def test_names_that_are_no_emotions(finished, copied):
    _, environment = finished
    run = copied("waiting")
    categories = [*EMOTIONS, "calm", "tense"]
    name_all(run, ["calm", "tense", "happy", "calm", None, "tense", "calm"])
    done = daskfer("train", run, environment=environment)
    assert done.returncode == 0, done.stderr
    assert "Note: names beyond the seven emotions are in use, so the labels of the faces" in (
        done.stdout
    )
    assert "second model, accuracy" not in done.stdout
    found = metrics_of(run)["classifier"]
    scores = [value for key, value in found.items() if key.startswith(("test_", "train_"))]
    assert scores == [None] * 6
    labels = pq.read_table(run / "labels.parquet").to_pydict()
    assert set(labels["predicted"]) <= {"calm", "tense", "happy"}
    assert set(labels["emotion"]) == {"calm", "tense", "happy", None}
    assert json.loads((run / "model" / "model.json").read_text())["emotions"] == categories
    assert yaml.safe_load((run / "names.yaml").read_text())["categories"] == categories
    page = (run / "report.html").read_text()
    assert "<b>Cluster 0:</b> calm" in page
    assert "no true label is called so" in page
    assert "names beyond the seven emotions are in use" in page


def test_without_new_names_it_trains_on_those_of_the_run(finished, copied):
    _, environment = finished
    run = copied("named")
    before = metrics_of(run)
    done = daskfer("train", run, environment=environment)
    assert done.returncode == 0, done.stderr
    after = metrics_of(run)
    for key in ("classifier", "cluster", "naming", "labels_used", "notes", "rows"):
        assert after[key] == before[key], key
    assert "classify" in after["reused"]


def test_a_file_of_names_counts_as_the_run_read_it(finished, tmp_path):
    folder, environment = finished
    names, run = tmp_path / "names.yaml", tmp_path / "run"
    names.write_text("0: happy\n1: calm\n2: sad\n5: calm\n")
    more = ("--set", "name.how=file", "--set", f"name.file={names}", "--set")
    known = ("name.categories=[calm, bored]",)
    done = daskfer(
        "run", folder / "faces.csv", *SMALL, *more, *known, "--out", run, environment=environment
    )
    assert done.returncode == 0, done.stderr
    before, page = metrics_of(run), (run / "names.yaml").read_text()
    for change in (lambda: names.write_text("0: sad\n1: happy\n"), names.unlink):
        change()
        again = daskfer("train", run, environment=environment)
        assert again.returncode == 0, again.stderr
        after = metrics_of(run)
        for key in ("classifier", "naming", "labels_used", "notes"):
            assert after[key] == before[key], key
        assert "classify" in after["reused"]
        assert (run / "names.yaml").read_text() == page
        assert str(names) in (run / "report.html").read_text()


def test_another_second_model_is_told(finished, copied):
    _, environment = finished
    run = copied("named")
    recipe = (run / "recipe.yaml").read_text()
    (run / "model" / "face.npz").write_bytes(b"of an older second model")
    done = daskfer("train", run, "--set", "classify.model=boosting", environment=environment)
    assert done.returncode == 0, done.stderr
    metrics = metrics_of(run)
    assert "HistGradientBoosting" in metrics["classifier"]["model"]
    assert metrics["notes"][-1] == (
        "the second model was trained with classify.model=boosting, unlike recipe.yaml"
    )
    assert (run / "recipe.yaml").read_text() == recipe
    assert not (run / "model" / "face.npz").exists()
    # The run is still the same run's.
    same = daskfer("run", finished[0] / "faces.csv", *SMALL, "--out", run, environment=environment)
    assert same.returncode == 0, same.stderr


def test_progress_for_a_program(finished, copied):
    _, environment = finished
    run = copied("named")
    done = daskfer("train", run, "--progress-json", environment=environment)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(set(line) == {"stage", "rows", "done", "seconds"} for line in lines)
    stages = [line["stage"] for line in lines]
    assert stages[::2] == stages[1::2]
    assert stages[::2] == [
        "ingest", "balance", "represent", "reduce", "cluster", "name", "classify", "evaluate",
        "report",
    ]  # fmt: skip
    assert all(line["done"] == 0 for line in lines[::2])
    assert all(line["done"] == line["rows"] for line in lines[1::2])


def test_killed_it_is_simply_run_again(finished, copied, tmp_path):
    folder, environment = finished
    run = copied("waiting")
    names = ["happy", "sad", "fear", "angry", "happy", "fear", "neutral"]
    name_all(run, names)
    store = tmp_path / "store"
    shutil.copytree(folder / "store", store)
    environment = {**environment, "DASKFER_STORE": str(store)}
    command = [sys.executable, "-m", "daskfer", "train", run, "--progress-json"]
    there = set(store.glob("classify/*"))
    with started(*command, environment=environment) as process:
        wait_until(lambda: set(store.glob("classify/*")) - there, "the second model's beginning")
        process.kill()
        process.wait(timeout=30)
    done = daskfer("train", run, environment=environment)
    assert done.returncode == 0, done.stderr
    other = tmp_path / "undisturbed"
    shutil.copytree(folder / "waiting", other)
    name_all(other, names)
    assert daskfer("train", other, environment=finished[1]).returncode == 0
    assert metrics_of(run)["classifier"] == metrics_of(other)["classifier"]
    one, two = (pq.read_table(path / "labels.parquet") for path in (run, other))
    assert one == two


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--set", "cluster.clusters=9"), "--set cluster.clusters=9: train changes nothing but"),
        (("--set", "seed=1"), "--set seed=1: train changes nothing but the second model"),
        (("--set", "classify.model=none"), "classify.model=none: there is no second model to"),
        (("--set", "classify.modle=svm"), "unknown key classify.modle"),
    ],
)
def test_errors_are_one_line(finished, options, words):
    folder, environment = finished
    done = daskfer("train", folder / "named", *options, environment=environment)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {words}")
    assert done.stderr.count("\n") == 1


def test_without_any_name_there_is_nothing_to_learn(finished):
    folder, environment = finished
    run = folder / "waiting"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    done = daskfer("train", run, environment=environment)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: no cluster of {run} has a name to learn: name some first (daskfer name {run})\n"
    )
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_folder_that_holds_no_finished_run(finished, tmp_path):
    done = daskfer("train", tmp_path, environment=finished[1])
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path} has no run.json")


def test_the_model_assigns_the_fitted_faces_as_the_labels_say(finished, copied):
    folder, environment = finished
    run = copied("waiting")
    name_all(run, ["happy", "sad", "fear", "angry", "happy", "fear", "neutral"])
    assert daskfer("train", run, environment=environment).returncode == 0
    (blocks,) = {path.parent for path in (folder / "store" / "reduce").rglob("*.points.npy")}
    points = np.concatenate([storage.read_array(str(path)) for path in sorted(blocks.iterdir())
                             if path.name.endswith(".points.npy")])  # fmt: skip
    found = read_clusters(str(run / "model")).assign(points)
    labels = pq.read_table(run / "labels.parquet").to_pydict()
    assert found.cluster.tolist() == labels["cluster"]
