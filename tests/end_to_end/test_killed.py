"""A run that is killed or stopped goes on from its last finished stage, and ends the same."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
import yaml
from processes import (
    children_of,
    daskfer,
    is_alive,
    is_worker,
    scheduler_with_workers,
    started,
    wait_until,
)
from trained import plain_name

CHANGES = ("--set", "block_rows=256", "--set", "classify.model=logistic")


def command(csv, out, *more):
    return [
        sys.executable,
        "-m",
        "daskfer",
        "run",
        "--recipe",
        "hog",
        csv,
        "--out",
        out,
        *CHANGES,
        *more,
    ]


def finished_stages(store: Path) -> dict[str, int]:
    """When each finished stage was marked as such."""
    return {
        path.parent.parent.name: path.stat().st_mtime_ns for path in store.glob("*/*/stage.json")
    }


@pytest.fixture(scope="module")
def undisturbed(faces_csv, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    environment = {**os.environ, "DASKFER_STORE": str(folder / "store")}
    done = daskfer(
        "run",
        "--recipe",
        "hog",
        faces_csv,
        "--out",
        folder / "run",
        *CHANGES,
        environment=environment,
    )
    assert done.returncode == 0, done.stderr
    return folder / "run"


def assert_same(run: Path, other: Path) -> None:
    assert pq.read_table(run / "labels.parquet") == pq.read_table(other / "labels.parquet")
    assert (run / "names.yaml").read_text() == (other / "names.yaml").read_text()
    figures, others = (json.loads((folder / "metrics.json").read_text()) for folder in (run, other))
    for key in ("rows", "cluster", "classifier", "labels_used"):
        assert figures[key] == others[key], key


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "workers"),
    [
        *(
            (stage, "--threads")
            for stage in ("ingest", "represent", "reduce", "cluster", "classify")
        ),
        ("ingest", "--processes"),
        ("cluster", "--processes"),
    ],
)
def test_killed_after_a_stage(stage, workers, faces_csv, undisturbed, tmp_path, clean_environment):
    store, out = tmp_path / "store", tmp_path / "run"
    with started(*command(faces_csv, out, workers), environment=clean_environment) as process:
        wait_until(lambda: stage in finished_stages(store), f"the end of {stage}")
        orphans = children_of(process.pid)
        assert process.poll() is None, "the run ended before it could be killed"
        process.kill()
        process.wait(timeout=30)
        wait_until(lambda: not any(map(is_alive, orphans)), "the end of the killed run's workers")
    assert not (out / "metrics.json").exists()
    before = finished_stages(store)
    again = daskfer(
        "run",
        "--recipe",
        "hog",
        faces_csv,
        "--out",
        out,
        *CHANGES,
        workers,
        environment=clean_environment,
    )
    assert again.returncode == 0, again.stderr
    after = finished_stages(store)
    assert {name: after[name] for name in before} == before, "a finished stage was computed again"
    reused = json.loads((out / "metrics.json").read_text())["reused"]
    assert stage in reused
    assert_same(out, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "lost"),
    [
        ("ingest", ["table.npz", "bad.json", "sources.json", "000003.json", "000005.json"]),
        ("represent", ["000001.features.npy", "000006.features.npy"]),
        ("reduce", ["000000.points.npy", "000007.points.npy"]),
    ],
)
def test_blocks_that_are_there_are_kept(
    stage, lost, faces_csv, undisturbed, tmp_path, clean_environment
):
    """What a kill within a stage leaves: some blocks, and no mark that the stage has ended."""
    shutil.copytree(undisturbed.parent / "store", tmp_path / "store")
    (folder,) = (tmp_path / "store" / stage).iterdir()
    for name in ["stage.json", *lost]:
        (folder / name).unlink()
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = daskfer(
        "run",
        "--recipe",
        "hog",
        faces_csv,
        "--out",
        tmp_path / "run",
        *CHANGES,
        environment=clean_environment,
    )
    assert again.returncode == 0, again.stderr
    kept = {path: path.stat().st_mtime_ns for path in before}
    # A block's files are written again with the one that says that they are whole.
    again_written = {path.name[:6] for path in before if kept[path] != before[path]}
    assert again_written <= {name[:6] for name in lost}
    assert all((folder / name).exists() for name in ["stage.json", *lost])
    assert stage not in json.loads((tmp_path / "run" / "metrics.json").read_text())["reused"]
    assert_same(tmp_path / "run", undisturbed)


@pytest.mark.slow
def test_what_a_power_cut_takes_is_computed_again(
    faces_csv, undisturbed, tmp_path, clean_environment
):
    """Names that are there without their content: marks, and blocks of unfinished stages."""
    store = tmp_path / "store"
    shutil.copytree(undisturbed.parent / "store", store)
    for stage in ("ingest", "represent", "reduce", "cluster", "classify", "evaluate"):
        (folder,) = (store / stage).iterdir()
        (folder / "stage.json").write_bytes(b"")
    (lost,) = store.glob("ingest/*/000002.json")
    lost.write_bytes(b"")
    (empty,) = store.glob("represent/*/000001.features.npy")
    empty.write_bytes(b"")
    (short,) = store.glob("reduce/*/000003.points.npy")
    short.write_bytes(short.read_bytes()[:-100])
    again = daskfer(
        "run", "--recipe", "hog", faces_csv, "--out", tmp_path / "run", *CHANGES,
        environment=clean_environment,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert_same(tmp_path / "run", undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "stage", ["ingest", "represent", "reduce", "cluster", "classify", "evaluate"]
)
def test_a_worker_may_die(stage, faces_csv, undisturbed, tmp_path, clean_environment):
    """kill -9 of one of two worker processes when a stage begins; the run itself goes on."""
    store, out = tmp_path / "store", tmp_path / "run"
    before = {"represent": "ingest", "reduce": "represent", "cluster": "reduce"}
    before |= {"classify": "cluster", "evaluate": "classify"}
    with started(
        *command(faces_csv, out, "--processes", "--workers", "2"), environment=clean_environment
    ) as process:
        if stage == "ingest":
            wait_until(lambda: list(store.glob("ingest/*/*.rows.npz")), "the first block")
        else:
            wait_until(lambda: before[stage] in finished_stages(store), f"the begin of {stage}")
        worker = next(pid for pid in children_of(process.pid) if is_worker(pid))
        os.kill(worker, signal.SIGKILL)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert_same(out, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", ["--threads", "--processes"])
def test_stopped_politely(number, workers, faces_csv, tmp_path, clean_environment):
    store, out = tmp_path / "store", tmp_path / "run"
    with started(*command(faces_csv, out, workers), environment=clean_environment) as process:
        wait_until(lambda: "ingest" in finished_stages(store), "the end of ingest")
        children = children_of(process.pid)
        assert bool(children) == (workers == "--processes")
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert errors.strip().splitlines()[-1].startswith("stopped: the same command goes on")
        assert "Traceback" not in errors
        wait_until(lambda: not any(map(is_alive, children)), "the workers' end")
    again = daskfer(
        "run", "--recipe", "hog", faces_csv, "--out", out, *CHANGES, environment=clean_environment
    )
    assert again.returncode == 0, again.stderr
    assert "ingest" in json.loads((out / "metrics.json").read_text())["reused"]


@pytest.mark.slow
def test_finished_run_does_nothing_again(faces_csv, undisturbed, clean_environment):
    before = {path: path.stat().st_mtime_ns for path in undisturbed.rglob("*") if path.is_file()}
    # Another store: whatever was computed again would have to be computed from the start.
    again = daskfer(
        "run",
        "--recipe",
        "hog",
        faces_csv,
        "--out",
        undisturbed,
        *CHANGES,
        "--json",
        environment=clean_environment,
    )
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not Path(clean_environment["DASKFER_STORE"]).exists()
    assert json.loads(again.stdout) == json.loads((undisturbed / "metrics.json").read_text())


@pytest.mark.slow
def test_run_folder_is_as_promised(faces_csv, undisturbed):
    names = {
        plain_name(path.relative_to(undisturbed).as_posix()) for path in undisturbed.rglob("*")
    }
    assert names == {
        "recipe.yaml", "run.json", "metrics.json", "labels.parquet", "names.yaml", "quarantine.csv",
        "report.html", "model", "model/model.json", "model/reducer.npz", "model/clusters.npz",
        "model/classifier.npz", "model/MODEL_CARD.md",
        "model/classifier.skops",
    }  # fmt: skip
    labels = pq.read_table(undisturbed / "labels.parquet")
    assert [(field.name, str(field.type)) for field in labels.schema][:1] == [("row", "int64")]
    assert str(labels.schema.field("cluster").type) == "int32"
    assert str(labels.schema.field("confidence").type) == "float"
    assert labels["row"].to_pylist() == list(range(1800))
    assert set(labels["source"].to_pylist()) == {str(faces_csv)}
    clusters = yaml.safe_load((undisturbed / "names.yaml").read_text())["clusters"]
    named = {number: cluster["emotion"] for number, cluster in clusters.items()}
    rows = labels.to_pylist()
    assert all(row["emotion"] == named[row["cluster"]] for row in rows)
    metrics = json.loads((undisturbed / "metrics.json").read_text())
    assert metrics["rows"]["read"] == 1800
    assert sum(row["role"] == "fit" for row in rows) == metrics["rows"]["fitted"]
    wanted = {
        "k", "silhouette", "silhouette_null", "davies_bouldin", "calinski_harabasz", "inertia",
        "stability_ari", "nmi", "ari", "hungarian_accuracy", "majority_accuracy", "chance_accuracy",
    }  # fmt: skip
    assert wanted <= set(metrics["cluster"])
    assert {
        "train_accuracy", "validation_accuracy", "test_accuracy", "test_balanced_accuracy",
        "test_macro_f1", "chance_accuracy",
    } <= set(metrics["classifier"])  # fmt: skip
    assert [use["stage"] for use in metrics["labels_used"]] == ["name", "evaluate"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["--threads", "--processes"])
def test_stopped_by_an_impatient_person(workers, faces_csv, tmp_path, clean_environment):
    """Ctrl-C pressed again and again, as a terminal sends it: to the workers too."""
    store, out = tmp_path / "store", tmp_path / "run"
    with started(*command(faces_csv, out, workers), environment=clean_environment) as process:
        wait_until(lambda: "ingest" in finished_stages(store), "the end of ingest")
        children = children_of(process.pid)
        for _ in range(4):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.1)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert errors.strip().startswith("stopped: the same command goes on")
        assert len(errors.strip().splitlines()) == 1, errors
        wait_until(lambda: not any(map(is_alive, children)), "the workers' end")


@pytest.mark.slow
def test_the_scheduler_may_die(faces_csv, undisturbed, tmp_path, clean_environment):
    """One line says so, and the same command elsewhere goes on."""
    store, out = tmp_path / "store", tmp_path / "run"
    with scheduler_with_workers(2, tmp_path) as address:
        remote = command(faces_csv, out, "--scheduler", address)
        with started(*remote, environment=clean_environment) as process:
            wait_until(lambda: "represent" in finished_stages(store), "the end of represent")
            host = psutil.Process(process.pid)
            port = int(address.rpartition(":")[2])
            (scheduler,) = {
                found.pid
                for found in psutil.net_connections("tcp")
                if found.status == psutil.CONN_LISTEN and found.laddr.port == port
            }
            assert scheduler != host.pid
            os.kill(scheduler, signal.SIGKILL)
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 1
            assert errors.strip().splitlines()[-1].startswith(f"error: the scheduler at {address}")
            assert "Traceback" not in errors
    again = daskfer(
        "run", "--recipe", "hog", faces_csv, "--out", out, *CHANGES, environment=clean_environment
    )
    assert again.returncode == 0, again.stderr
    assert "represent" in json.loads((out / "metrics.json").read_text())["reused"]
    assert_same(out, undisturbed)
