"""The command line: help, errors in one line, and what a script reads."""

from __future__ import annotations

import csv
import json
import os
import re
import socket
import subprocess
import sys

import pytest
from processes import daskfer

from daskfer import __version__

HEAVY = {
    "bokeh",
    "dask",
    "dask_ml",
    "distributed",
    "fsspec",
    "jinja2",
    "joblib",
    "numba",
    "numpy",
    "pandas",
    "PIL",
    "pyarrow",
    "scipy",
    "skimage",
    "sklearn",
    "skops",
    "threadpoolctl",
    "yaml",
}


def test_help_lists_the_commands(clean_environment):
    done = daskfer("--help", environment=clean_environment)
    assert done.returncode == 0
    for name in ("cache", "demo", "inspect", "models", "run", "simulate-naming", "sweep"):
        assert re.search(rf"^\s+{name}\s", done.stdout, re.MULTILINE)
        assert daskfer(name, "--help", environment=clean_environment).returncode == 0


def test_version(clean_environment):
    assert daskfer("--version", environment=clean_environment).stdout == f"daskfer {__version__}\n"


@pytest.mark.parametrize("module", ["daskfer", "daskfer.cli"])
def test_bare_import_pulls_in_nothing_heavy(module, clean_environment):
    code = (
        f"import {module}, sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "daskfer" in loaded
    assert not loaded & HEAVY


def assert_one_line(done, *parts):
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    for part in parts:
        assert part in lines[0], lines[0]


@pytest.fixture
def small_csv(tmp_path):
    path = tmp_path / "small.csv"
    path.write_text("emotion,pixels,Usage\n0,1 2 3 4,Training\n1,5 6 7 9,Training\n")
    return path


def test_missing_file(tmp_path, clean_environment):
    done = daskfer(
        "run", "--recipe", "hog", tmp_path / "none.csv", environment=clean_environment, cwd=tmp_path
    )
    assert_one_line(done, "none.csv", "no such file")
    assert list(tmp_path.iterdir()) == []


def test_empty_file(tmp_path, clean_environment):
    (tmp_path / "empty.csv").touch()
    done = daskfer(
        "run",
        "--recipe",
        "hog",
        tmp_path / "empty.csv",
        environment=clean_environment,
        cwd=tmp_path,
    )
    assert_one_line(done, "empty.csv", "is empty", "expected CSV, Parquet or image files")


def test_file_without_pixels(tmp_path, clean_environment):
    (tmp_path / "other.csv").write_text("emotion,picture\n0,1 2 3 4\n")
    done = daskfer(
        "run",
        "--recipe",
        "hog",
        tmp_path / "other.csv",
        environment=clean_environment,
        cwd=tmp_path,
    )
    assert_one_line(done, "other.csv", "no pixels column", "emotion, picture")


def test_folder_without_faces(tmp_path, clean_environment):
    (tmp_path / "notes.txt").write_text("x")
    done = daskfer("run", "--recipe", "hog", tmp_path, environment=clean_environment, cwd=tmp_path)
    assert_one_line(done, "holds no faces", "found notes.txt")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ("cluster.cluster=7", ("cluster.cluster", "clusters")),
        ("cluster.clusters=1", ("cluster.clusters=1", "2 or more")),
        ("cluster.clusters=seven", ("'seven'", "whole number")),
        ("clusters.k=7", ("clusters.k", "cluster.key")),
        ("reduce.method=tsne", ("'tsne'", "pca")),
        ("cluster.clusters", ("stage.key=value",)),
    ],
)
def test_recipe_with_a_wrong_key(change, parts, small_csv, tmp_path, clean_environment):
    done = daskfer(
        "run",
        "--recipe",
        "hog",
        small_csv,
        "--set",
        change,
        environment=clean_environment,
        cwd=tmp_path,
    )
    assert_one_line(done, *parts)
    assert list(tmp_path.iterdir()) == [small_csv]


def test_unknown_recipe(small_csv, tmp_path, clean_environment):
    done = daskfer(
        "run",
        "--recipe",
        "hog",
        small_csv,
        "--recipe",
        "sed",
        environment=clean_environment,
        cwd=tmp_path,
    )
    assert_one_line(done, "'sed'", "seed", "hog")


def test_unreachable_scheduler(small_csv, tmp_path, clean_environment):
    with socket.socket() as taken:
        # Bound and not listening: nothing else can take the port meanwhile.
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        done = daskfer(
            "run",
            "--recipe",
            "hog",
            small_csv,
            "--scheduler",
            address,
            environment=clean_environment,
            cwd=tmp_path,
        )
    assert_one_line(done, address, "no scheduler answers")


def test_address_that_is_none(small_csv, tmp_path, clean_environment):
    done = daskfer(
        "run",
        "--recipe",
        "hog",
        small_csv,
        "--scheduler",
        "carrier-pigeon://x",
        environment=clean_environment,
        cwd=tmp_path,
    )
    assert_one_line(done, "carrier-pigeon://x")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("workers: 2\n", "cluster"),
        ("cluster: nowhere.Cluster\n", "nowhere.Cluster"),
        ("cluster: dask.distributed.LocalCluster\nargument: {}\n", "argument"),
        ("cluster: dask.distributed.LocalCluster\narguments: {wings: 2}\n", "wings"),
        ("cluster: [\n", "not YAML"),
    ],
)
def test_wrong_cluster_file(text, part, small_csv, tmp_path, clean_environment):
    file = tmp_path / "cluster.yaml"
    file.write_text(text)
    done = daskfer(
        "run",
        "--recipe",
        "hog",
        small_csv,
        "--cluster",
        file,
        environment=clean_environment,
        cwd=tmp_path,
    )
    assert_one_line(done, "cluster.yaml", part)


def test_folder_of_another_recipe(faces_csv, tmp_path, clean_environment):
    out = tmp_path / "run"
    first = daskfer(
        "run",
        "--recipe",
        "hog",
        faces_csv,
        "--out",
        out,
        "--set",
        "classify.model=none",
        environment=clean_environment,
    )
    assert first.returncode == 0, first.stderr
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    done = daskfer(
        "run",
        "--recipe",
        "hog",
        faces_csv,
        "--out",
        out,
        "--set",
        "cluster.clusters=9",
        environment=clean_environment,
    )
    assert_one_line(done, str(out), "another recipe", "cluster.clusters=7 there, 9 here", "--out")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_folder_of_other_inputs(faces_csv, small_csv, tmp_path, clean_environment):
    out = tmp_path / "run"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    done = daskfer("run", "--recipe", "hog", faces_csv, "--out", out, environment=clean_environment)
    assert_one_line(done, "thesis.txt", "no run's folder")
    assert (out / "thesis.txt").read_text() == "years of work"
    assert len(list(out.iterdir())) == 1


def test_too_many_bad_rows(tmp_path, clean_environment):
    path, out = tmp_path / "bad.csv", tmp_path / "run"
    path.write_text("emotion,pixels\n0,1 2 3 4\n1,1 2 3\n2,1 2 3 999\n")
    done = daskfer("run", "--recipe", "hog", path, "--out", out, environment=clean_environment)
    assert_one_line(done, "2 of 3 rows are bad", "too few pixels", "--max-bad 0.67", str(out))
    # What was set aside is there to look at.
    with (out / "quarantine.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["line"], row["reason"]) for row in rows] == [
        ("3", "too few pixels: 3, expected 4"),
        ("4", "pixel above 255: 999"),
    ]
    assert not (out / "metrics.json").exists()


def test_one_bad_row_among_many(small_csv, tmp_path, clean_environment):
    lines = small_csv.read_text().splitlines(keepends=True)
    bad = tmp_path / "bad.csv"
    bad.write_text("".join([*lines[:2], "3,1 2 3,Training\n", *lines[2:]]))
    out = tmp_path / "run"
    strict = daskfer(
        "run", "--recipe", "hog", bad, "--out", out, "--max-bad", "0", environment=clean_environment
    )
    assert_one_line(strict, "1 of", "more than ingest.max_bad=0 allows", "line 3 of")
    wrong = daskfer(
        "run", "--recipe", "hog", bad, "--max-bad", "7", environment=clean_environment, cwd=tmp_path
    )
    assert_one_line(wrong, "ingest.max_bad=7.0: expected 0 to 1")


def test_more_clusters_than_rows(small_csv, tmp_path, clean_environment):
    done = daskfer(
        "run",
        "--recipe",
        "hog",
        small_csv,
        "--out",
        tmp_path / "run",
        "--recipe",
        "seed",
        "--set",
        "split.method=none",
        "--set",
        "reduce.components=1",
        environment=clean_environment,
    )
    assert_one_line(done, "cluster.clusters=7", "2 rows")


def test_faces_too_small_for_the_recipe(small_csv, tmp_path, clean_environment):
    done = daskfer(
        "run", "--recipe", "hog",
        small_csv, "--out", tmp_path / "run", "--set", "reduce.components=1",
        "--set", "cluster.clusters=2", environment=clean_environment,
    )  # fmt: skip
    assert_one_line(done, "2×2", "represent.cell")


@pytest.mark.slow
def test_demo_finds_the_seven_expressions(tmp_path, clean_environment):
    done = daskfer("demo", "--out", tmp_path / "demo", "--json", environment=clean_environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    metrics = json.loads(done.stdout)
    assert metrics["cluster"]["hungarian_accuracy"] >= 0.9
    assert metrics["classifier"]["test_accuracy"] >= 0.9
    assert not os.path.exists(clean_environment["DASKFER_STORE"])


@pytest.mark.slow
def test_demo_finds_less_as_it_gets_harder(tmp_path, clean_environment):
    found = []
    for difficulty in (0.25, 0.8, 1.0):
        done = daskfer(
            "demo",
            "--rows",
            1500,
            "--difficulty",
            difficulty,
            "--out",
            tmp_path / "demo",
            "--json",
            environment=clean_environment,
        )
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout)["cluster"]["hungarian_accuracy"])
    assert found[0] > found[1] + 0.1
    assert found[1] > found[2] + 0.1
    assert found[2] < 0.6


def test_names_of_a_file(faces_csv, tmp_path, clean_environment):
    names = tmp_path / "names.yaml"
    names.write_text("0: happy\n1: sad\n2: happy\n")
    done = daskfer(
        "run",
        "--recipe",
        "hog",
        faces_csv,
        "--out",
        tmp_path / "run",
        "--set",
        "name.how=file",
        "--set",
        f"name.file={names}",
        "--set",
        "classify.model=logistic",
        "--json",
        environment=clean_environment,
    )
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)
    assert metrics["naming"] == {"how": "file", "looks": 3}
    assert [use["stage"] for use in metrics["labels_used"]] == ["name", "evaluate"]
    assert "come from the file" in metrics["labels_used"][0]["why"]


def test_unlabelled_faces_are_clustered(tmp_path, faces_csv, clean_environment):
    path = tmp_path / "unlabelled.csv"
    rows = [line.split(",")[1] for line in faces_csv.read_text().splitlines()[:601]]
    path.write_text("\n".join(rows) + "\n")
    failed = daskfer(
        "run", "--recipe", "hog", path, "--out", tmp_path / "run", environment=clean_environment
    )
    assert_one_line(failed, "name.how=dominant needs emotion labels", "name.how=none")
    done = daskfer(
        "run",
        "--recipe",
        "hog",
        path,
        "--out",
        tmp_path / "other",
        "--set",
        "name.how=none",
        environment=clean_environment,
    )
    assert done.returncode == 0, done.stderr
    assert "no emotion labels" in done.stdout
    metrics = json.loads((tmp_path / "other" / "metrics.json").read_text())
    assert metrics["labels_used"] == []
    assert metrics["cluster"]["nmi"] is None
    assert metrics["classifier"] is None
