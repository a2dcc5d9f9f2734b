"""The store as a whole: what it holds, who is at work on it, and clearing it beside them."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import psutil
import pytest
from alone import context_of
from fsspec.implementations.local import LocalFileSystem
from processes import is_alive as process_is_alive
from processes import started, wait_until

import daskfer
from daskfer import cache, storage
from daskfer.cache import Folder, clear, look, select
from daskfer.errors import CacheError
from daskfer.ingest.finding import find_sources
from daskfer.leases import Lease, is_alive, users, working
from daskfer.recipe import Ingest, Recipe
from daskfer.stages.ingest import Faces, ingest
from daskfer.store import STAGES, StageFolder

A, B, C = "00000000000000aa", "00000000000000bb", "00000000000000cc"
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture(params=["disk", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store that is not there yet."""
    if request.param == "disk":
        yield str(tmp_path / "store")
        return
    memory = fsspec.filesystem("memory")
    yield "memory://cache-test/store"
    if memory.exists("/cache-test"):
        memory.rm("/cache-test", recursive=True)


def make(root: str, stage: str, key: str, summary: Any = None, **files: int) -> StageFolder:
    """A stage's folder with files of so many bytes, finished if it has a summary."""
    folder = StageFolder(storage.join(root, stage, key))
    for name, size in files.items():
        storage.write_whole(folder.file(name.replace("_", ".")), b"x" * size)
    if summary is not None:
        folder.finish(summary)
    return folder


def files_in(root: str) -> set[str]:
    """All files in a store, from its root."""
    if storage.is_url(root):
        filesystem, path = fsspec.core.url_to_fs(root)
        return {name.removeprefix(path).lstrip("/") for name in filesystem.find(path)}
    return {p.relative_to(root).as_posix() for p in Path(root).rglob("*") if p.is_file()}


def used_days_ago(folder: StageFolder, days: float) -> None:
    seconds = datetime.now(UTC).timestamp() - days * 86400
    os.utime(folder.file("stage.json"), (seconds, seconds))


# What a store holds.


def test_folders_by_hand(root: str) -> None:
    make(root, "ingest", A, {"sources": ["/d/a.csv", "/d/b.csv"]}, table_npz=100)
    make(root, "reduce", B, {"rows": 1234}, reducer_npz=10, points_npy=30)
    make(root, "cluster", C, None, clusters_npz=7)
    found = {folder.stage: folder for folder in look(root).folders}
    size = len(storage.read_bytes(storage.join(root, "ingest", A, "stage.json")))
    first = found["ingest"]
    assert (first.key, first.files, first.bytes, first.complete) == (A, 2, 100 + size, True)
    assert (first.of, first.sources) == ("/d/a.csv and 1 more", ("/d/a.csv", "/d/b.csv"))
    assert (found["reduce"].of, found["reduce"].files) == ("1,234 rows", 3)
    last = found["cluster"]
    assert (last.key, last.files, last.bytes, last.complete, last.of) == (C, 1, 7, False, "")
    for folder in found.values():
        assert folder.used is not None
        assert abs(datetime.now(UTC) - folder.used) < timedelta(minutes=5)
    assert look(root).others == 0


@pytest.mark.parametrize(
    ("summary", "of"),
    [
        ({"sources": ["a.csv"]}, "a.csv"),
        ({"rows": 3829}, "3,829 rows"),
        ({"k": 7, "silhouette": 0.3}, "7 clusters"),
        ({"description": "LogisticRegression(C=0.1)"}, "LogisticRegression(C=0.1)"),
        ({"description": None}, ""),
        ({}, ""),
    ],
)
def test_what_a_folder_is_of(summary: Any, of: str, tmp_path: Path) -> None:
    make(str(tmp_path), "ingest", A, summary)
    (folder,) = look(str(tmp_path)).folders
    assert (folder.of, folder.complete) == (of, True)


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b'{"rows"'])
def test_a_folder_whose_mark_is_damaged_is_unfinished(content: bytes, tmp_path: Path) -> None:
    made = make(str(tmp_path), "ingest", A, {})
    Path(made.file("stage.json")).write_bytes(content)
    (folder,) = look(str(tmp_path)).folders
    assert not folder.complete


def test_of_many_sources_ten_are_named(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(2000)]
    folder = make(str(tmp_path), "ingest", A, {"read": 2000})
    storage.write_json(folder.file("sources.json"), names)
    (found,) = look(str(tmp_path)).folders
    assert found.of == "0.png and 1,999 more"
    assert found.sources == tuple(names[:10])


def test_the_last_used_comes_first(tmp_path: Path) -> None:
    for key, days in ((A, 3), (B, 1), (C, 2)):
        used_days_ago(make(str(tmp_path), "reduce", key, {}), days)
    assert [folder.key for folder in look(str(tmp_path)).folders] == [B, C, A]


def test_a_store_that_is_missing_empty_or_a_file(root: str, tmp_path: Path) -> None:
    assert look(root).folders == ()
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match="is a file: expected a folder"):
        look(str(tmp_path / "file"))
    with pytest.raises(CacheError, match="nowhere://x cannot be opened"):
        look("nowhere://x")


def test_a_summary_that_was_cut_short_is_of_no_finished_stage(tmp_path: Path) -> None:
    folder = make(str(tmp_path), "reduce", A, {"rows": 1})
    Path(folder.file("stage.json")).write_text('{"rows"')
    assert [found.complete for found in look(str(tmp_path)).folders] == [False]


def test_stages_are_those_that_write_to_the_store() -> None:
    """Each `….store.stage("name", …)` in the package."""
    names = {
        node.args[0].value
        for path in Path(daskfer.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "stage"
        and ast.unparse(node.func.value).rpartition(".")[2] == "store"
        and isinstance(node.args[0], ast.Constant)
    }
    assert names == set(STAGES)


# When it was used.


def test_to_read_a_finished_stage_is_to_use_it(tmp_path: Path) -> None:
    folder = make(str(tmp_path), "reduce", A, {"rows": 1})
    mark = Path(folder.file("stage.json"))
    used_days_ago(folder, 0.03)
    young = mark.stat().st_mtime_ns
    assert folder.summary() == {"rows": 1}
    assert mark.stat().st_mtime_ns == young
    used_days_ago(folder, 20)
    old = mark.stat().st_mtime_ns
    look(str(tmp_path))
    assert mark.stat().st_mtime_ns == old, "to list a store is not to use it"
    assert folder.summary() == {"rows": 1}
    assert abs(mark.stat().st_mtime - datetime.now(UTC).timestamp()) < 300


def test_a_store_that_may_only_be_read_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(str(tmp_path), "reduce", A, {"rows": 1})
    used_days_ago(folder, 20)
    tried = []

    def refuse(path: str, *rest: Any) -> None:
        tried.append(path)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "utime", refuse)
    assert folder.summary() == {"rows": 1}
    assert tried == [folder.file("stage.json")]


# Which of it to clear.


def folder_of(stage: str, key: str, days: float | None, complete: bool = True) -> Folder:
    used = None if days is None else NOW - timedelta(days=days)
    return Folder(stage, key, "", (), 1, 1, used, complete)


CONTENTS = cache.Contents(
    "/store",
    (
        folder_of("ingest", A, 0.5),
        folder_of("reduce", B, 10),
        folder_of("reduce", C, 40, complete=False),
        folder_of("cluster", "00000000000000dd", None),
    ),
    0,
)


@pytest.mark.parametrize(
    ("conditions", "keys"),
    [
        ({}, "aa bb cc dd"),
        ({"stage": "reduce"}, "bb cc"),
        ({"stage": "evaluate"}, ""),
        ({"keys": [A, C]}, "aa cc"),
        ({"unfinished": True}, "cc"),
        ({"older_than": 9}, "bb cc"),
        ({"older_than": 10}, "cc"),
        ({"older_than": 0}, "aa bb cc"),
        ({"older_than": float("inf")}, ""),
        ({"older_than": float("nan")}, ""),
        ({"stage": "reduce", "older_than": 30}, "cc"),
        ({"keys": [B], "unfinished": True}, ""),
    ],
)
def test_conditions(conditions: dict[str, Any], keys: str) -> None:
    found = select(CONTENTS, now=NOW, **conditions)
    assert " ".join(folder.key[-2:] for folder in found) == keys


def test_names_that_are_none() -> None:
    with pytest.raises(
        CacheError, match="--stage ingst: expected one of uploads, ingest, represent, red"
    ):
        select(CONTENTS, stage="ingst")
    with pytest.raises(CacheError, match=f"--key {A[:8]}: /store has no such folder"):
        select(CONTENTS, keys=[B, A[:8]])
    with pytest.raises(CacheError, match=f"--key {A}: stage reduce in /store has no such folder"):
        select(CONTENTS, stage="reduce", keys=[A])


# Clearing.


def test_clear_deletes_what_it_is_told(root: str) -> None:
    make(root, "ingest", A, {}, table_npz=5)
    make(root, "reduce", B, {}, reducer_npz=5)
    make(root, "reduce", C, None, reducer_npz=5)
    contents = look(root)
    chosen = select(contents, keys=[A, C])
    assert clear(root, chosen) == chosen
    assert files_in(root) == {f"reduce/{B}/stage.json", f"reduce/{B}/reducer.npz"}
    assert clear(root, select(look(root))) == [f for f in contents.folders if f.key == B]
    assert files_in(root) == set()
    assert look(root).folders == ()


def test_clear_leaves_no_empty_folders(tmp_path: Path) -> None:
    make(str(tmp_path), "reduce", A, {}, reducer_npz=5)
    (tmp_path / "cluster" / B).mkdir(parents=True)
    clear(str(tmp_path), look(str(tmp_path)).folders)
    # A run that begins now may be about to write its lease there.
    assert [path.name for path in tmp_path.rglob("*")] == ["leases"]


def test_what_is_not_the_stores_own_is_left_and_counted(root: str) -> None:
    others = {
        "thesis.txt",
        f"thesis/{A}/chapter.txt",
        "reduce/notes.txt",
        f"reduce/{A[:15]}/x",
        f"reduce/{A.upper()}/x",
        f"reduce/{A}0/x",
        f"Reduce/{A}/x",
        f"{A}/x",
    }
    for name in others:
        storage.write_whole(storage.join(root, name), b"years of work")
    make(root, "reduce", B, {}, reducer_npz=5)
    contents = look(root)
    assert [folder.key for folder in contents.folders] == [B]
    assert contents.others == len(others)
    clear(root, contents.folders)
    assert files_in(root) == others
    assert look(root).others == len(others)


def test_links_are_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    make(str(precious), "reduce", A, {}, reducer_npz=5)
    before = files_in(str(precious))
    root = tmp_path / "store"
    make(str(root), "reduce", B, {}, reducer_npz=5)
    (root / "reduce" / A).symlink_to(precious / "reduce" / A)
    (root / "ingest").symlink_to(precious / "reduce")
    (root / "reduce" / B / "points.npy").symlink_to(precious / "reduce" / A / "reducer.npz")
    contents = look(str(root))
    assert ([folder.key for folder in contents.folders], contents.others) == ([B], 2)
    clear(str(root), contents.folders)
    assert not (root / "reduce" / B).exists()
    assert files_in(str(precious)) == before


def test_a_folder_within_a_folder_is_left(tmp_path: Path) -> None:
    folder = Path(make(str(tmp_path), "reduce", A, {}, reducer_npz=5).path)
    (folder / "inner").mkdir()
    (folder / "inner" / "x").touch()
    clear(str(tmp_path), look(str(tmp_path)).folders)
    assert files_in(str(tmp_path)) == {f"reduce/{A}/inner/x"}


def test_a_file_system_that_removes_full_folders_is_not_let(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of HDFS does, whose rmdir takes along what is in the folder."""
    for key in (A, B):
        make(str(tmp_path), "reduce", key, {}, reducer_npz=5)
    monkeypatch.setattr(LocalFileSystem, "rmdir", lambda self, path: shutil.rmtree(path))
    clear(str(tmp_path), select(look(str(tmp_path)), keys=[A]))
    assert [path.name for path in (tmp_path / "reduce").iterdir()] == [B]


def test_what_changed_since_it_was_listed_is_left(tmp_path: Path) -> None:
    root = str(tmp_path)
    used = make(root, "reduce", A, {}, reducer_npz=5)
    grown = make(root, "reduce", B, None, reducer_npz=5)
    gone = make(root, "cluster", C, {}, clusters_npz=5)
    make(root, "evaluate", A, {})
    used_days_ago(used, 20)
    listed = look(root).folders
    used.summary()
    storage.write_whole(grown.file("points.npy"), b"x")
    shutil.rmtree(gone.path)
    assert [folder.stage for folder in clear(root, listed)] == ["evaluate"]
    assert {folder.key for folder in look(root).folders} == {A, B}
    clear(root, listed, force=True)
    assert look(root).folders == ()


def test_files_may_vanish_while_they_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(str(tmp_path), "reduce", A, {}, reducer_npz=5, points_npy=5)
    missed = []
    remove = LocalFileSystem.rm_file

    def too_late(self: LocalFileSystem, path: str) -> None:
        os.remove(path)
        try:
            remove(self, path)
        except FileNotFoundError:
            missed.append(path.rpartition("/")[2])
            raise

    monkeypatch.setattr(LocalFileSystem, "rm_file", too_late)
    clear(str(tmp_path), look(str(tmp_path)).folders)
    assert missed[:1] == ["stage.json"]
    assert {"reducer.npz", "points.npy"} < set(missed)
    assert files_in(str(tmp_path)) == set()


# A clear that fails in the middle.


@pytest.fixture
def small_csv(tmp_path: Path) -> str:
    random = np.random.default_rng(5)
    rows = [
        "broken"
        if row % 10 == 3
        else f"{row % 7}," + " ".join(map(str, random.integers(0, 256, 4)))
        for row in range(160)
    ]
    path = tmp_path / "small.csv"
    path.write_text("\n".join(["emotion,pixels", *rows]) + "\n")
    return str(path)


def ingested(root: str, path: str) -> Faces:
    recipe = Recipe(block_rows=64, ingest=Ingest(max_bad=0.5))
    return ingest(context_of(recipe, root), find_sources([path]))


def test_a_clear_that_fails_anywhere_leaves_what_a_run_can_go_on_with(
    small_csv: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole"
    first = ingested(str(whole), small_csv)
    assert (len(first.bad), first.pixels.count) == (16, 3)
    (listed,) = look(str(whole)).folders
    remove = LocalFileSystem.rm_file
    for cut in count():
        root = tmp_path / f"store-{cut}"
        shutil.copytree(whole, root)
        removed: list[str] = []

        def fail(self: LocalFileSystem, path: str, removed=removed, cut=cut) -> None:
            if "/leases/" not in path:
                if len(removed) == cut:
                    raise OSError(5, "Input/output error", path)
                removed.append(path.rpartition("/")[2])
            remove(self, path)

        with monkeypatch.context() as patched:
            patched.setattr(LocalFileSystem, "rm_file", fail)
            if cut == listed.files:
                clear(str(root), look(str(root)).folders)
                assert look(str(root)).folders == ()
                break
            with pytest.raises(OSError, match="Input/output error"):
                clear(str(root), look(str(root)).folders)
        assert removed[:1] == ["stage.json"][:cut]
        (left,) = look(str(root)).folders
        assert (left.complete, left.files) == (cut == 0, listed.files - cut)
        assert users(str(root)) == []
        summary = StageFolder(str(root / "ingest" / left.key)).summary()
        assert (summary is None) == (cut > 0)
        again = ingested(str(root), small_csv)
        assert (again.content, again.bad, again.read) == (first.content, first.bad, first.read)
        assert (again.table.row == first.table.row).all()
        every = np.arange(len(first.table))
        assert (again.pixels.rows(every) == first.pixels.rows(every)).all()


# Leases.


def lease_here(**changes: Any) -> Lease:
    """A lease of this process, changed."""
    own = psutil.Process()
    lease = Lease(
        path="",
        purpose="run",
        host=socket.gethostname(),
        namespace=os.readlink("/proc/self/ns/pid") if sys.platform == "linux" else "",
        pid=own.pid,
        since_boot=own.create_time() - psutil.boot_time(),
        started=datetime.now(UTC).isoformat(),
        command="daskfer run x.csv",
    )
    return replace(lease, **changes)


def put(root: str, lease: Lease, name: str = "lease.json") -> None:
    storage.write_json(storage.join(root, "leases", name), lease.as_dict())


def ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


def test_a_lease_is_there_while_a_run_works(root: str) -> None:
    with working(root):
        (name,) = files_in(root)
        assert name.startswith("leases/")
        content = storage.read_json(storage.join(root, name))
        assert set(content) == {
            "purpose", "host", "namespace", "pid", "since_boot", "started", "command",
        }  # fmt: skip
        assert (content["pid"], content["host"]) == (os.getpid(), socket.gethostname())
        assert content["command"].split()[0] == "daskfer"
        begun = datetime.fromisoformat(content["started"])
        assert abs(datetime.now(UTC) - begun) < timedelta(minutes=5)
        assert [lease.pid for lease in users(root)] == [os.getpid()]
        # Neither a stage nor something strange.
        assert (look(root).folders, look(root).others) == ((), 0)
    assert files_in(root) == set()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_lease_ends_with_an_error_too(error: type[BaseException], root: str) -> None:
    seen = []

    def work() -> None:
        with working(root):
            seen.extend(files_in(root))
            raise error

    with pytest.raises(error):
        work()
    assert len(seen) == 1
    assert files_in(root) == set()


def test_clear_refuses_beside_a_run(root: str) -> None:
    make(root, "reduce", A, {}, reducer_npz=5)
    listed = look(root).folders
    refusal = rf"a run \(pid {os.getpid()} on host .*, since \d{{4}}-.*wait for it, or --force"
    with working(root):
        before = files_in(root)
        with pytest.raises(CacheError, match=refusal):
            clear(root, listed)
        assert files_in(root) == before
        assert clear(root, listed, force=True) == list(listed)
        assert len(users(root)) == 1
    assert files_in(root) == set()


def test_a_run_waits_for_a_clear(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, lease_here(purpose="clear"), "clear.json")
    waits = []

    def end_of_clear(seconds: float) -> None:
        # Meanwhile the run's own lease is there, so that the next clear gives way to it.
        waits.append(sorted(lease.purpose for lease in users(root)))
        if len(waits) == 2:
            fsspec.core.url_to_fs(storage.join(root, "leases", "clear.json"))[0].rm_file(
                storage.join(root, "leases", "clear.json")
            )

    monkeypatch.setattr("daskfer.leases.time.sleep", end_of_clear)
    with working(root):
        assert waits == [["clear", "run"]] * 2
    assert files_in(root) == set()


def test_a_run_does_not_wait_for_ever(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, lease_here(purpose="clear"), "clear.json")
    monkeypatch.setattr("daskfer.leases.CLEAR_SECONDS", 0)
    with (
        pytest.raises(CacheError, match=r"a clear \(pid .*remove .*leases/clear\.json if"),
        working(root),
    ):
        pytest.fail("the run began beside a clear")
    assert files_in(root) == {"leases/clear.json"}


def test_clears_do_not_wait_for_each_other(root: str) -> None:
    make(root, "reduce", A, {}, reducer_npz=5)
    put(root, lease_here(purpose="clear"), "clear.json")
    clear(root, look(root).folders)
    assert files_in(root) == {"leases/clear.json"}


@pytest.mark.parametrize(
    ("changes", "alive"),
    [
        ({}, True),
        # However long ago: the process is there.
        ({"started": ago(30)}, True),
        # Another process got the number since, or the machine was started anew.
        ({"since_boot": 1e9}, False),
        ({"since_boot": 0.0}, False),
        # Of others we know the age alone.
        ({"host": "elsewhere", "started": ago(6.9)}, True),
        ({"host": "elsewhere", "started": ago(7.1)}, False),
        ({"namespace": "pid:[1]", "since_boot": 0.0, "started": ago(6.9)}, True),
        ({"namespace": "pid:[1]", "started": ago(7.1)}, False),
    ],
)
def test_which_leases_count(changes: dict[str, Any], alive: bool, root: str) -> None:
    lease = lease_here(**changes)
    assert is_alive(lease) == alive
    put(root, lease)
    make(root, "reduce", A, {})
    if alive:
        with pytest.raises(CacheError, match="uses this store"):
            clear(root, look(root).folders)
        assert "leases/lease.json" in files_in(root)
    else:
        clear(root, look(root).folders)
        assert files_in(root) == set()


def test_the_clock_may_be_set_while_a_run_works(monkeypatch: pytest.MonkeyPatch) -> None:
    lease = lease_here()
    created, booted = psutil.Process.create_time, psutil.boot_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: created(self) + 3600)
    assert not is_alive(lease), "a later start alone is another process"
    monkeypatch.setattr(psutil, "boot_time", lambda: booted() + 3600)
    assert is_alive(lease)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"pid": 1',
        b"[]",
        b"{}",
        json.dumps(lease_here(pid="12").as_dict()).encode(),
        json.dumps(lease_here(started="2026-01-01T00:00:00").as_dict()).encode(),
        json.dumps({**lease_here().as_dict(), "later": 1}).encode(),
    ],
)
def test_a_lease_that_cannot_be_understood_counts(content: bytes, root: str) -> None:
    storage.write_whole(storage.join(root, "leases", "x.json"), content)
    make(root, "reduce", A, {})
    with pytest.raises(CacheError, match=r"on host unknown.*leases/x\.json"):
        clear(root, look(root).folders)
    # It keeps nobody from working.
    with working(root):
        assert len(users(root)) == 2


@pytest.mark.parametrize("error", [PermissionError("Access Denied"), OSError(30, "Read-only")])
def test_a_store_that_may_only_be_read_serves_without_a_lease(
    error: OSError, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, value: Any) -> None:
        raise error

    monkeypatch.setattr(storage, "write_json", refuse)
    with working(root):
        assert files_in(root) == set()


def test_a_full_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, value: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "write_json", refuse)
    with pytest.raises(OSError, match="No space"), working(str(tmp_path)):
        pytest.fail("the run began without a lease")


HOLDER = """
import sys, time
from daskfer.leases import working
with working(sys.argv[1]):
    time.sleep(600)
"""


def test_a_run_of_another_process(tmp_path: Path) -> None:
    root = str(tmp_path / "store")
    make(root, "reduce", A, {}, reducer_npz=5)
    with started(sys.executable, "-c", HOLDER, root) as holder:
        wait_until(lambda: users(root), "the lease")
        with pytest.raises(CacheError, match=rf"a run \(pid {holder.pid} on host "):
            clear(root, look(root).folders)
        assert len(look(root).folders) == 1
        # Nobody has waited for it yet, so its number is still taken: by a zombie.
        os.kill(holder.pid, signal.SIGKILL)
        wait_until(lambda: not process_is_alive(holder.pid), "the holder's end")
        assert psutil.pid_exists(holder.pid)
        assert users(root) == []
        assert len(files_in(root)) == 3, "kill -9 leaves the lease"
        clear(root, look(root).folders)
    assert files_in(root) == set()


def test_a_process_that_is_gone(tmp_path: Path) -> None:
    root = str(tmp_path)
    with started(sys.executable, "-c", HOLDER, root) as holder:
        wait_until(lambda: users(root), "the lease")
    assert not psutil.pid_exists(holder.pid)
    assert users(root) == []
    assert len(files_in(root)) == 1
