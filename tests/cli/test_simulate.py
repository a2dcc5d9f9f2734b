"""``daskfer simulate-naming``: its files, its words, going on, and its errors."""

from __future__ import annotations

import csv
import io
import json
import shutil

import pytest
from conftest import SMALL
from PIL import Image
from processes import daskfer

from daskfer.synthetic import write_csv

FILES = {"simulate.json", "simulate.csv", "simulate.png"}


@pytest.fixture(scope="module")
def finished(small_runs):
    """A folder with faces, their finished run and its store."""
    folder, environment = small_runs
    shutil.copytree(folder / "named", folder / "run")
    return folder, environment


@pytest.fixture(scope="module")
def simulated(finished):
    """A simulation of that run, and what it printed."""
    folder, environment = finished
    done = daskfer(
        "simulate-naming", folder / "run", "--looks", "0,4,20", "--seeds", "2",
        environment=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_files(finished, simulated):
    run = finished[0] / "run"
    names = {path.name for path in run.iterdir()}
    assert names >= FILES
    assert not [name for name in names if ".part" in name]
    found = json.loads((run / "simulate.json").read_text())
    assert found["on"] == "test"
    assert found["seeds"] == [42, 43]
    assert found["person"] == {"faces": 24, "error": 0.0, "mixed": 0.0}
    assert [(one["looks"], one["seed"]) for one in found["trials"]] == [
        (4, 42), (4, 43), (20, 42), (20, 43),
    ]  # fmt: skip
    assert [one["random_labels"] for one in found["trials"]] == [4, 4, 20, 20]
    assert all(one["labels"] <= 24 * one["looks"] for one in found["trials"])
    few, many = found["figures"]
    mean = sum(one["accuracy"] for one in found["trials"][2:]) / 2
    assert many["accuracy"] == pytest.approx(mean)
    assert found["chance_accuracy"] < few["accuracy"] < many["accuracy"]
    assert many["random_accuracy"] < many["accuracy"] <= found["ceiling"]["accuracy"]
    assert [one["stage"] for one in found["labels_used"]] == [
        "looks", "random labels", "ceiling", "scores", "choice",
    ]  # fmt: skip
    assert {"numpy", "scikit-learn"} <= set(found["versions"])
    assert found["inputs"][0]["path"] == str(finished[0] / "faces.csv")
    with (run / "simulate.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [float(line["accuracy"]) for line in lines] == [
        one["accuracy"] for one in found["trials"]
    ]
    with Image.open(io.BytesIO((run / "simulate.png").read_bytes())) as picture:
        assert picture.width > 1000


def test_words(finished, simulated):
    run = finished[0] / "run"
    found = json.loads((run / "simulate.json").read_text())
    row = found["figures"][1]
    (line,) = [line for line in simulated.splitlines() if line.split()[:1] == ["20"]]
    assert f"{row['accuracy']:.3f} ± {row['accuracy_spread']:.3f}" in line
    assert f"{row['random_accuracy']:.3f} ± {row['random_accuracy_spread']:.3f}" in line
    assert f"ceiling: {found['ceiling']['accuracy']:.3f}" in simulated
    assert f"chance:  {found['chance_accuracy']:.3f}" in simulated
    assert "Labels were read: looks (the true emotions on the sheets" in simulated
    assert "Note: 0 looks were left out" in simulated
    assert f"Results: {run} (simulate.png, simulate.csv, simulate.json)" in simulated


def test_again_all_is_in_the_store_and_more_looks_go_on(finished, simulated, tmp_path):
    folder, environment = finished
    before = json.loads((folder / "run" / "simulate.json").read_text())
    copy = tmp_path / "run"
    shutil.copytree(folder / "run", copy)
    again = daskfer(
        "simulate-naming", copy, "--looks", "4:20:8", "--seeds", "2", "--json",
        environment=environment,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert found == json.loads((copy / "simulate.json").read_text())
    assert [(one["looks"], one["reused"]) for one in found["trials"]] == [
        (4, True), (4, True), (12, False), (12, False), (20, True), (20, True),
    ]  # fmt: skip
    kept = ("looks", "seed", "accuracy", "balanced_accuracy", "random_accuracy", "named")
    both = [one for one in found["trials"] if one["looks"] != 12]
    assert [[one[key] for key in kept] for one in both] == [
        [one[key] for key in kept] for one in before["trials"]
    ]


def test_the_recipe_may_be_changed_and_a_run_is_still_finished(finished, simulated, tmp_path):
    folder, environment = finished
    copy = tmp_path / "run"
    shutil.copytree(folder / "run", copy)
    done = daskfer(
        "simulate-naming", copy, "--looks", "4", "--seeds", "1", "--on", "validation",
        "--no-ceiling", "--set", "classify.model=svm", "--mixed", "0.4", "--faces", "6", "--json",
        environment=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["recipe"]["classify"]["model"] == "svm"
    assert found["ceiling"] is None
    assert found["on"] == "validation"
    assert found["trials"][0]["labels"] <= 24
    rerun = daskfer(
        "run", folder / "faces.csv", *SMALL, "--out", copy, "--json", environment=environment
    )
    assert rerun.returncode == 0, rerun.stderr
    assert json.loads(rerun.stdout) == json.loads((copy / "metrics.json").read_text())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--looks", "1,7"), "--looks 1: expected 2 or more"),
        (("--looks", "many"), "--looks many: 'many' is no whole number or range"),
        (("--error", "2"), "--error 2: expected a share from 0 to 1"),
        (("--faces", "0"), "--faces 0: expected 1 or more"),
        (("--on", "train"), "--on train: expected test or validation"),
        (("--set", "classify.model=none"), "classify.model=none: there is no second model"),
        (("--set", "classify.modle=svm"), "unknown key classify.modle"),
    ],
)
def test_errors_are_one_line(finished, options, words, tmp_path):
    folder, environment = finished
    done = daskfer("simulate-naming", folder / "run", *options, environment=environment)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {words}")
    assert done.stderr.count("\n") == 1


def test_folders_that_hold_no_finished_run(finished, tmp_path):
    folder, environment = finished
    (tmp_path / "empty").mkdir()
    half = tmp_path / "half"
    shutil.copytree(folder / "run", half)
    (half / "metrics.json").unlink()
    for run, words in (
        (tmp_path / "empty", "has no run.json: expected the folder of a run"),
        (half, "has not finished: the same command daskfer run goes on with it"),
        ("s3://bucket/run", "is a URL: expected a run's folder on this machine"),
    ):
        done = daskfer("simulate-naming", run, environment=environment)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: {run} {words}")
        assert done.stderr.count("\n") == 1


def test_an_input_that_changed_or_went_away(finished, tmp_path):
    folder, environment = finished
    run, faces = tmp_path / "run", tmp_path / "faces.csv"
    shutil.copytree(folder / "run", run)
    owner = json.loads((run / "run.json").read_text())
    owner["inputs"][0]["path"] = str(faces)
    (run / "run.json").write_text(json.dumps(owner))
    gone = daskfer("simulate-naming", run, environment=environment)
    assert gone.returncode == 1
    assert gone.stderr.startswith(f"error: an input of {run} cannot be read again: {faces}")
    shutil.copy(folder / "faces.csv", faces)
    changed = daskfer("simulate-naming", run, environment=environment)
    assert changed.returncode == 1
    assert changed.stderr == (
        f"error: {faces} has changed since {run} read it: bring it back as it was, or make a new "
        "run with daskfer run\n"
    )


@pytest.mark.slow
def test_nought_looks_are_named_by_action_units(expression_environment, tmp_path):
    write_csv(tmp_path / "faces.csv", 300, seed=3)
    options = (
        "--recipe", "expression", "--set", "represent.mirrored=64", "--set", "cluster.clusters=8",
        "--set", "represent.presence=-100", "--set", "name.how=dominant",
        "--set", "classify.model=logistic",
    )  # fmt: skip
    done = daskfer(
        "run", tmp_path / "faces.csv", *options, "--out", tmp_path / "run",
        environment=expression_environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = daskfer(
        "simulate-naming", tmp_path / "run", "--looks", "0,2", "--seeds", "1", "--json",
        environment=expression_environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    nobody, two = found["trials"]
    assert (nobody["looks"], nobody["labels"], nobody["random_accuracy"]) == (0, 0, None)
    assert 0 < nobody["named"] <= 8
    assert two["labels"] == 48
    assert "with 0 looks, action units name the recipe's 8 clusters" in found["notes"]
