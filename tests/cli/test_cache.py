"""daskfer cache: the store as a person and a script see it, and what is there afterwards."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from processes import children_of, daskfer, is_alive, started, wait_until

from daskfer import storage
from daskfer.cache import look
from daskfer.leases import users
from daskfer.store import StageFolder

A, B, C = "00000000000000aa", "00000000000000bb", "00000000000000cc"

HOLDER = """
import sys, time
from daskfer.leases import working
with working(sys.argv[1]):
    time.sleep(600)
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a finished ingest, an old finished reduce and an unfinished cluster."""
    root = tmp_path / "store"
    ingest, reduce, cluster = (
        StageFolder(str(root / name)) for name in (f"ingest/{A}", f"reduce/{B}", f"cluster/{C}")
    )
    storage.write_whole(ingest.file("table.npz"), bytes(3000))
    ingest.finish({"sources": ["/data/faces.csv"], "side": 48})
    storage.write_whole(reduce.file("reducer.npz"), bytes(100))
    reduce.finish({"rows": 1800})
    old = time.time() - 40 * 86400
    os.utime(reduce.file("stage.json"), (old, old))
    storage.write_whole(cluster.file("clusters.npz"), bytes(7))
    return root


def keys_in(root: Path) -> set[str]:
    return {path.name for path in root.glob("*/*") if path.is_dir()}


def in_json(*arguments: object, environment: dict[str, str]) -> dict:
    done = daskfer("cache", *arguments, "--json", environment=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def assert_one_line(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    for part in parts:
        assert part in line


def test_help(clean_environment):
    shown = daskfer("--help", environment=clean_environment).stdout
    assert re.search(r"^\s+cache\s", shown, re.MULTILINE)
    shown = daskfer("cache", "--help", environment=clean_environment).stdout
    assert re.search(r"^\s+list\s.*^\s+clear\s", shown, re.MULTILINE | re.DOTALL)
    shown = daskfer("cache", "clear", "--help", environment=clean_environment).stdout
    for option in ("--stage", "--older-than", "--key", "--unfinished", "--dry-run", "--yes"):
        assert option in shown


def test_list_shows_a_table(store, clean_environment):
    done = daskfer("cache", environment=clean_environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"store: {store}"
    rows = [line.split() for line in lines[3:6]]
    assert {row[0] for row in rows[:2]} == {"ingest", "cluster"}
    (ingest,) = (row for row in rows if row[0] == "ingest")
    assert ingest[1:5] == [A, "2", "3.0", "KiB"]
    assert ingest[-2:] == ["complete", "/data/faces.csv"]
    (cluster,) = (row for row in rows if row[0] == "cluster")
    assert cluster[1:5] == [C, "1", "7", "B"]
    assert cluster[-1] == "unfinished"
    # The last used comes first, so the old one is last.
    assert (rows[2][:2], rows[2][-2:]) == (["reduce", B], ["1,800", "rows"])
    assert lines[-1].startswith("total: 3 folders, 5 files, 3.")
    assert daskfer("cache", "list", environment=clean_environment).stdout == done.stdout


def test_list_for_a_script(store, clean_environment, tmp_path):
    found = in_json(environment=clean_environment)
    assert found["store"] == str(store)
    assert found["others"] == 0
    assert found["leases"] == []
    assert {folder["key"] for folder in found["folders"]} == {A, B, C}
    (ingest,) = (folder for folder in found["folders"] if folder["stage"] == "ingest")
    size = sum(path.stat().st_size for path in (store / "ingest" / A).iterdir())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", ingest["used"])
    assert ingest == {
        "stage": "ingest", "key": A, "of": "/data/faces.csv", "sources": ["/data/faces.csv"],
        "files": 2, "bytes": size, "used": ingest["used"], "complete": True,
    }  # fmt: skip
    every = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    assert found["total"] == {"folders": 3, "files": 5, "bytes": every}
    elsewhere = {**clean_environment, "DASKFER_STORE": str(tmp_path / "other")}
    assert in_json("list", "--store", store, environment=elsewhere) == found


def test_a_missing_and_an_empty_store(tmp_path, clean_environment):
    root = tmp_path / "store"
    done = daskfer("cache", environment=clean_environment)
    assert (done.returncode, done.stdout.strip()) == (
        0, f"there is no store at {root} yet: the first run makes it",
    )  # fmt: skip
    done = daskfer("cache", "clear", environment=clean_environment)
    assert (done.returncode, done.stdout.strip()) == (0, f"nothing to clear in {root}")
    assert not root.exists()
    root.mkdir()
    done = daskfer("cache", environment=clean_environment)
    assert (done.returncode, done.stdout.split(":")[0]) == (0, f"the store {root} is empty")
    found = in_json(environment=clean_environment)
    assert found["total"] == {"folders": 0, "files": 0, "bytes": 0}
    memory = {**clean_environment, "DASKFER_STORE": "memory://nothing"}
    assert in_json(environment=memory)["folders"] == []


def test_clear_asks_a_script_for_a_yes(store, clean_environment):
    done = daskfer("cache", "clear", environment=clean_environment)
    assert_one_line(done, "3 folders, 5 files, 3.", str(store), "--yes", "--dry-run")
    assert keys_in(store) == {A, B, C}


def test_clear_with_a_yes(store, clean_environment):
    (store / "notes.txt").write_text("mine")
    done = daskfer("cache", "clear", "--yes", environment=clean_environment)
    assert done.returncode == 0, done.stderr
    cleared, others = done.stdout.strip().splitlines()
    assert re.fullmatch(
        rf"cleared 3 folders, 5 files, 3\.\d KiB of {re.escape(str(store))}", cleared
    )
    assert others == "1 other thing there: not the store's own, and never cleared"
    assert {path.name for path in store.rglob("*")} == {"notes.txt", "leases"}


@pytest.mark.parametrize("answer", ["y", "n", ""])
def test_clear_asks_a_person(answer, store, clean_environment):
    terminal, inside = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "daskfer", "cache", "clear", "--stage", "ingest"],
            env=clean_environment,
            stdin=inside,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.write(terminal, f"{answer}\n".encode())
        printed, errors = process.communicate(timeout=60)
    finally:
        os.close(terminal)
        os.close(inside)
    assert re.search(r"Clear 1 folder, 2 files, 3\.\d KiB of .*\? \[y/N\]", errors)
    if answer == "y":
        assert process.returncode == 0
        assert printed.startswith("cleared 1 folder")
        assert keys_in(store) == {B, C}
    else:
        assert process.returncode == 130
        assert errors.strip().endswith("nothing was cleared")
        assert printed == ""
        assert keys_in(store) == {A, B, C}


def test_dry_run(store, clean_environment):
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    done = daskfer("cache", "clear", "--dry-run", "--unfinished", environment=clean_environment)
    assert done.returncode == 0, done.stderr
    assert C in done.stdout
    assert A not in done.stdout
    assert done.stdout.strip().endswith(f"would clear 1 folder, 1 file, 7 B of {store}")
    found = in_json("clear", "--dry-run", environment=clean_environment)
    assert (found["dry_run"], found["total"]["folders"]) == (True, 3)
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


@pytest.mark.parametrize(
    ("options", "cleared"),
    [
        (["--stage", "reduce"], {B}),
        (["--older-than", "30"], {B}),
        (["--older-than", "41.5"], set()),
        (["--unfinished"], {C}),
        (["--key", A, "--key", C], {A, C}),
        (["--stage", "evaluate"], set()),
        (["--stage", "ingest", "--older-than", "30"], set()),
    ],
)
def test_clear_a_part(options, cleared, store, clean_environment):
    found = in_json("clear", "--yes", *options, environment=clean_environment)
    assert {folder["key"] for folder in found["folders"]} == cleared
    assert (found["dry_run"], found["left"]) == (False, 0)
    assert keys_in(store) == {A, B, C} - cleared


def test_names_that_are_none(store, clean_environment):
    done = daskfer("cache", "clear", "--stage", "ingst", "--yes", environment=clean_environment)
    assert_one_line(done, "--stage ingst", "ingest, represent, reduce, cluster, classify, evaluate")
    done = daskfer("cache", "clear", "--key", "abc", "--yes", environment=clean_environment)
    assert_one_line(done, "--key abc", str(store), "daskfer cache")
    assert keys_in(store) == {A, B, C}


def test_an_option_before_the_command_is_refused(store, tmp_path, clean_environment):
    other = tmp_path / "other"
    done = daskfer("cache", "--store", other, "clear", "--yes", environment=clean_environment)
    assert_one_line(done, f"expected daskfer cache clear --store {other}")
    assert keys_in(store) == {A, B, C}


def test_a_file_is_no_store(tmp_path, clean_environment):
    (tmp_path / "file").touch()
    done = daskfer("cache", "--store", tmp_path / "file", environment=clean_environment)
    assert_one_line(done, "is a file: expected a folder")


def test_clear_beside_a_run(store, clean_environment):
    clear = ("cache", "clear", "--yes")
    with started(sys.executable, "-c", HOLDER, store) as holder:
        wait_until(lambda: users(str(store)), "the lease")
        done = daskfer(*clear, environment=clean_environment)
        assert_one_line(done, f"a run (pid {holder.pid} on host", "wait for it, or --force")
        assert keys_in(store) == {A, B, C}
        shown = daskfer("cache", environment=clean_environment).stdout
        assert f"at work on it: a run (pid {holder.pid} on host" in shown
        (lease,) = in_json(environment=clean_environment)["leases"]
        assert (lease["pid"], lease["purpose"]) == (holder.pid, "run")
        forced = daskfer(*clear, "--stage", "ingest", "--force", environment=clean_environment)
        assert forced.returncode == 0, forced.stderr
        assert keys_in(store) == {B, C}
        os.kill(holder.pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(holder.pid), "the holder's end")
        assert len(list((store / "leases").iterdir())) == 1
        done = daskfer(*clear, environment=clean_environment)
        assert done.returncode == 0, done.stderr
    assert [path.name for path in store.rglob("*")] == ["leases"]


def test_two_clears_at_once(tmp_path, clean_environment):
    root = tmp_path / "store"
    for number in range(300):
        folder = StageFolder(str(root / "reduce" / f"{number:016x}"))
        for block in range(4):
            storage.write_whole(folder.block(block, "points.npy"), b"x")
        folder.finish({"rows": 1})
    command = [sys.executable, "-m", "daskfer", "cache", "clear", "--yes", "--json"]
    with (
        started(*command, environment=clean_environment) as one,
        started(*command, environment=clean_environment) as other,
    ):
        done = [process.communicate(timeout=60) for process in (one, other)]
        assert (one.returncode, other.returncode) == (0, 0), done
    cleared = [folder["key"] for found, _ in done for folder in json.loads(found)["folders"]]
    assert set(cleared) == {f"{number:016x}" for number in range(300)}
    assert [path.name for path in root.rglob("*")] == ["leases"]


# With a real run.

QUICK = ("--set", "classify.model=none", "--set", "evaluate.folds=0")


@pytest.mark.slow
def test_a_run_keeps_its_store_and_computes_again_what_was_cleared(
    faces_csv, tmp_path, clean_environment
):
    store, out = tmp_path / "store", tmp_path / "run"
    run = (
        sys.executable,
        "-m",
        "daskfer",
        "run",
        "--recipe",
        "hog",
        faces_csv,
        *QUICK,
        "--json",
        "--out",
    )
    with started(*run, out, environment=clean_environment) as process:
        wait_until(lambda: list(store.glob("ingest/*/*.npy")), "the first block")
        done = daskfer("cache", "clear", "--yes", environment=clean_environment)
        assert process.poll() is None, "the run ended before the store could be cleared"
        assert_one_line(done, f"a run (pid {process.pid} on host")
        (lease,) = (store / "leases").glob("*.json")
        assert str(faces_csv) in json.loads(lease.read_text())["command"]
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert list((store / "leases").iterdir()) == []
    found = look(str(store))
    assert {folder.stage for folder in found.folders} == {path.name for path in store.iterdir()} - {
        "leases"
    }
    assert all(folder.complete for folder in found.folders)
    assert found.others == 0
    (ingest,) = (folder for folder in found.folders if folder.stage == "ingest")
    assert ingest.of == str(faces_csv)

    done = daskfer("cache", "clear", "--yes", environment=clean_environment)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in store.rglob("*")] == ["leases"]
    again = subprocess.run(
        [*map(str, run), str(tmp_path / "again")],
        env=clean_environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["reused"] == []
    assert pq.read_table(tmp_path / "again" / "labels.parquet") == pq.read_table(
        out / "labels.parquet"
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended(number, faces_csv, tmp_path, clean_environment):
    store = tmp_path / "store"
    run = (
        sys.executable,
        "-m",
        "daskfer",
        "run",
        "--recipe",
        "hog",
        faces_csv,
        *QUICK,
        "--out",
        tmp_path / "run",
    )
    with started(*run, environment=clean_environment) as process:
        wait_until(lambda: list(store.glob("ingest/*/*.npy")), "the first block")
        assert [lease.pid for lease in users(str(store))] == [process.pid]
        children = children_of(process.pid)
        process.send_signal(number)
        process.communicate(timeout=60)
        wait_until(lambda: not any(map(is_alive, children)), "the workers' end")
    # Politely ended, it takes its lease along.
    assert len(list((store / "leases").glob("*.json"))) == (number == signal.SIGKILL)
    done = daskfer("cache", "clear", "--yes", environment=clean_environment)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in store.rglob("*")] == ["leases"]
