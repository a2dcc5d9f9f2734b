"""``daskfer sweep``: its files, its words, and its errors."""

from __future__ import annotations

import csv
import io
import json

import pytest
from PIL import Image
from planted import write_planted
from processes import daskfer

OPTIONS = (
    "--set", "represent.method=pixels", "--set", "split.method=none",
    "--set", "reduce.whiten=false",
    "--components", "2:3", "--clusters", "3:5", "--folds", "3",
)  # fmt: skip


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    return write_planted(tmp_path_factory.mktemp("planted") / "faces.csv", 4)


def test_files_and_words(four, clean_environment, tmp_path):
    out = tmp_path / "out"
    done = daskfer("sweep", four, *OPTIONS, "--out", out, environment=clean_environment)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "heatmap.png", "recipe.yaml", "sweep.csv", "sweep.json",
    ]  # fmt: skip
    found = json.loads((out / "sweep.json").read_text())
    assert found["choice"]["clusters"] == 4
    assert found["rows"] == {"fitted": 320, "scored": 320}
    assert found["labels_used"] == []
    assert found["format"] == 1
    assert found["recipe"]["represent"]["method"] == "pixels"
    assert {"numpy", "scikit-learn"} <= set(found["versions"])
    with (out / "sweep.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["components"], line["clusters"]) for line in lines] == [
        (str(c), str(k)) for c in (2, 3) for k in (3, 4, 5)
    ]
    assert [float(line["silhouette"]) for line in lines] == [
        cell["silhouette"] for cell in found["cells"]
    ]
    with Image.open(io.BytesIO((out / "heatmap.png").read_bytes())) as picture:
        assert picture.width > 600
    text = done.stdout
    assert found["statement"] in text
    assert "→ pixels" in text
    assert f"Results: {out} (heatmap.png, sweep.csv, sweep.json)" in text

    # Again, and wider: what is there is taken over, and the folder is written over.
    wider = daskfer(
        "sweep", four, *OPTIONS, "--clusters", "2:5", "--out", out, "--json",
        environment=clean_environment,
    )  # fmt: skip
    assert wider.returncode == 0, wider.stderr
    again = json.loads(wider.stdout)
    assert again == json.loads((out / "sweep.json").read_text())
    assert [cell["silhouette"] for cell in again["cells"] if cell["clusters"] > 2] == [
        cell["silhouette"] for cell in found["cells"]
    ]
    cached = daskfer("cache", "list", "--json", environment=clean_environment)
    folders = [one for one in json.loads(cached.stdout)["folders"] if one["stage"] == "sweep"]
    assert len(folders) == 3
    assert all(one["complete"] and one["of"] == "320 rows" for one in folders)


def test_the_default_folder_and_another_recipe(four, clean_environment, tmp_path):
    small = ("--components", "2", "--clusters", "3", "--folds", "0", "--no-noise")
    done = daskfer(
        "sweep", four, *OPTIONS, *small, environment=clean_environment, cwd=tmp_path
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("faces-hog-sweep-")
    assert "noise and stability were left out" in done.stdout
    other = daskfer(
        "sweep", four, *OPTIONS, *small, "--set", "seed=1", "--out", folder,
        environment=clean_environment, cwd=tmp_path,
    )  # fmt: skip
    assert other.returncode == 1
    assert other.stderr == (
        f"error: {folder} holds a sweep of another recipe: choose another --out, or leave it out\n"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--clusters", "5:2"), "--clusters 5:2: 5:2 is empty"),
        (("--clusters", "1:4"), "--clusters 1:4: expected 2 or more, got 1"),
        (("--components", "few"), "--components few: 'few' is no whole number or range"),
        (("--components", "2:101"), "--components 101: representation pixels of 100 features"),
        (("--clusters", "3,999"), "--clusters 999: 320 rows are scored"),
        (("--represent", "pixels,magic"), "represent.method='magic': expected one of pixels, hog"),
        (("--folds", "1"), "--folds 1: expected 0 (none) or 2 and more"),
    ],
)
def test_errors_are_one_line(four, options, words, clean_environment, tmp_path):
    done = daskfer(
        "sweep", four, *OPTIONS, *options, environment=clean_environment, cwd=tmp_path
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {words}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_foreign_folders_are_left_alone(four, clean_environment, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    for out, words in (
        ("mine", "holds thesis.tex and is no sweep's folder"),
        ("file", "is a file"),
    ):
        done = daskfer(
            "sweep", four, *OPTIONS, "--out", tmp_path / out, environment=clean_environment
        )
        assert done.returncode == 1
        assert words in done.stderr
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "x"
