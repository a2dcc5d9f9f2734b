"""The store: names made from inputs, and stages that are finished or not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daskfer import storage, store
from daskfer.store import StageFolder, Store, absolute, default_root, fingerprint

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def test_fingerprint_is_what_it_was() -> None:
    # A change of these is a change of FORMAT: stores that users have would be computed again.
    assert fingerprint() == "71857576257465c7"
    assert fingerprint("a", 1, [1.5, None, {"b": True}]) == "61b5d6ddf9b537e6"


def test_fingerprint_is_the_same_in_another_process() -> None:
    code = "from daskfer.store import fingerprint; print(fingerprint('é', {'b': 1, 'a': [2]}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == fingerprint("é", {"a": [2], "b": 1})


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, 2), (1, "1"), (1, 1.0), (1, True), (None, "null"), ([1, 2], [2, 1]), ([[1], 2], [1, [2]])],
)
def test_fingerprint_sees_a_difference(one: object, other: object) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_fingerprint_sees_the_order_and_the_grouping() -> None:
    assert fingerprint("a", "b") != fingerprint("b", "a")
    assert fingerprint("ab") != fingerprint("a", "b")
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


@settings(max_examples=50)
@given(PLAIN)
def test_fingerprint_survives_a_file(value: object) -> None:
    found = fingerprint(value)
    assert re.fullmatch("[0-9a-f]{16}", found)
    assert fingerprint(json.loads(json.dumps(value))) == found
    assert fingerprint([value]) != found


def test_values_that_are_not_plain_are_refused() -> None:
    with pytest.raises(TypeError):
        fingerprint(object())


def test_a_stage_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Store("/store/")
    folder = there.stage("reduce", 1, "x")
    assert folder.path.startswith("/store/reduce/")
    assert folder == there.stage("reduce", 1, "x")
    paths = {folder.path, there.stage("reduce", 2, "x").path, there.stage("cluster", 1, "x").path}
    monkeypatch.setattr(store, "FORMAT", store.FORMAT + 1)
    assert len({*paths, there.stage("reduce", 1, "x").path}) == 4


@pytest.mark.parametrize("where", ["disk", "memory"])
def test_a_stage_has_no_summary_until_it_is_finished(where: str, tmp_path: Path) -> None:
    root = str(tmp_path) if where == "disk" else "memory://store-test"
    folder = Store(root).stage("ingest", 1)
    try:
        assert folder.summary() is None
        storage.write_whole(folder.block(3, "x.npy"), b"x")
        assert folder.summary() is None
        # What is given back is what a later run will read.
        assert folder.finish({"sizes": (1, 2)}) == {"sizes": [1, 2]}
        assert folder.summary() == {"sizes": [1, 2]}
        assert Store(root).stage("ingest", 1).summary() == {"sizes": [1, 2]}
        assert Store(root).stage("ingest", 2).summary() is None
    finally:
        if where == "memory":
            fsspec.filesystem("memory").rm("/store-test", recursive=True)


def test_names_of_files() -> None:
    folder = StageFolder("/s/ingest/k")
    assert folder.file("a", "b.json") == "/s/ingest/k/a/b.json"
    assert folder.block(12, "pixels.npy") == "/s/ingest/k/000012.pixels.npy"


def test_default_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DASKFER_STORE", "s3://bucket/store")
    assert default_root() == "s3://bucket/store"
    monkeypatch.delenv("DASKFER_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_root() == str(tmp_path / "daskfer")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_root() == str(tmp_path / "home" / ".cache" / "daskfer")


def test_a_store_is_the_same_place_for_a_worker_in_another_folder(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert absolute("store") == str(tmp_path / "store")
    assert absolute("~/store") == "/home/somebody/store"
    assert absolute("s3://bucket/store") == "s3://bucket/store"


@pytest.mark.parametrize("content", [b"", b"\0\0\0\0", b'{"rows": 1', b"[1]", b"\xff\xfe"])
def test_a_mark_without_its_content_marks_nothing(content: bytes, tmp_path: Path) -> None:
    folder = Store(str(tmp_path)).stage("reduce", 1)
    folder.finish({"rows": 3})
    Path(folder.file("stage.json")).write_bytes(content)
    assert folder.summary() is None
    assert folder.finish({"rows": 3}) == {"rows": 3}
    assert folder.summary() == {"rows": 3}


def test_a_mark_waits_for_all_that_it_speaks_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order in which a disk hears of it: blocks, the mark's content, the mark's name."""
    folder = Store(str(tmp_path)).stage("represent", 1)
    heard: list[str] = []
    sync, replace = os.fsync, os.replace

    def name_of(number: int) -> str:
        there = [Path(folder.path), *Path(folder.path).parent.rglob("*")]
        names = {path.stat().st_ino: path.name for path in there}
        return names.get(os.fstat(number).st_ino, "a folder above")

    def syncing(number: int) -> None:
        heard.append(f"sync {name_of(number)}")
        sync(number)

    def replacing(one: Path, other: Path) -> None:
        heard.append(f"{Path(one).suffix} becomes {Path(other).name}")
        replace(one, other)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(os, "replace", replacing)
    for number in range(2):
        path = folder.block(number, "x.npy")
        storage.write_array(path, np.arange(3), sync=False)
    assert not [one for one in heard if one.startswith("sync") and "npy" in one]
    heard.clear()
    folder.finish({"rows": 6})
    key = Path(folder.path).name
    assert sorted(heard[:2]) == ["sync 000000.x.npy", "sync 000001.x.npy"]
    assert heard[2] == f"sync {key}"
    assert heard[3].startswith("sync .")
    assert heard[3].endswith(".part")
    assert heard[4:] == [".part becomes stage.json", f"sync {key}"]
