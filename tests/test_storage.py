"""Files whole or not at all, on disk and behind a URL."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from daskfer import storage


@pytest.fixture(params=["disk", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder on disk and one in fsspec's memory; every test that takes it runs in both."""
    if request.param == "disk":
        yield str(tmp_path)
        return
    yield "memory://storage-test"
    memory = fsspec.filesystem("memory")
    if memory.exists("/storage-test"):
        memory.rm("/storage-test", recursive=True)


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_join() -> None:
    assert storage.join("a", "b", "c.txt") == "a/b/c.txt"
    assert storage.join("memory://a/", "b") == "memory://a/b"


def test_urls_and_paths() -> None:
    assert storage.is_url("s3://bucket/x")
    assert storage.is_url("memory://x")
    assert not storage.is_url("/a/b")
    assert not storage.is_url("C:/a")
    assert not storage.is_url("a:b")


def test_bytes_and_ranges(root: str) -> None:
    path = storage.join(root, "deep", "er", "x.bin")
    assert not storage.exists(path)
    storage.write_whole(path, b"0123456789")
    assert storage.exists(path)
    assert storage.read_bytes(path) == b"0123456789"
    assert storage.read_bytes(path, 3) == b"3456789"
    assert storage.read_bytes(path, 3, 5) == b"34"
    assert storage.read_bytes(path, 0, 100) == b"0123456789"


def test_a_file_is_replaced(root: str) -> None:
    path = storage.join(root, "x.txt")
    storage.write_text(path, "long and old")
    storage.write_text(path, "né")
    assert storage.read_bytes(path) == "né".encode()


def test_json(root: str) -> None:
    path = storage.join(root, "x.json")
    value = {"a": [1, 2.5, None, "Zoë"], "b": {"c": True}}
    storage.write_json(path, value)
    assert storage.read_json(path) == value
    assert "Zoë".encode() in storage.read_bytes(path)
    assert storage.read_bytes(path)[-1:] == b"\n"


@pytest.mark.parametrize("mapped", [False, True])
def test_an_array(root: str, mapped: bool) -> None:
    path = storage.join(root, "x.npy")
    array = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2]
    storage.write_array(path, array)
    found = storage.read_array(path, mapped=mapped)
    assert found.dtype == np.float32
    assert (found == array).all()


def test_arrays_with_names(root: str) -> None:
    path = storage.join(root, "x.npz")
    storage.write_arrays(path, row=np.arange(3), flag=np.array([True]), empty=np.zeros((0, 2)))
    found = storage.read_arrays(path)
    assert sorted(found) == ["empty", "flag", "row"]
    assert found["row"].tolist() == [0, 1, 2]
    assert found["empty"].shape == (0, 2)


def test_objects_are_never_pickled(root: str) -> None:
    objects = np.array([{"a": 1}], object)
    with pytest.raises(ValueError, match=r"[Oo]bject arrays|pickle"):
        storage.write_array(storage.join(root, "x.npy"), objects)
    with pytest.raises(ValueError, match=r"[Oo]bject arrays|pickle"):
        storage.write_arrays(storage.join(root, "x.npz"), x=objects)
    assert not storage.exists(storage.join(root, "x.npy"))
    assert not storage.exists(storage.join(root, "x.npz"))


def test_a_pickled_array_is_not_read(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="pickle"):
        storage.read_array(str(tmp_path / "x.npy"))


def test_nothing_but_the_file_is_left(tmp_path: Path) -> None:
    storage.write_whole(str(tmp_path / "a" / "x.bin"), b"x")
    assert files_below(tmp_path) == ["a/x.bin"]


def test_a_long_name_has_room(tmp_path: Path) -> None:
    storage.write_whole(str(tmp_path / ("x" * 250)), b"x")
    assert files_below(tmp_path) == ["x" * 250]


def test_a_write_that_fails_before_the_renaming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")

    def fail(*_: Any) -> None:
        assert any(file.suffix == ".part" for file in tmp_path.iterdir())
        assert path.read_bytes() == b"old"
        raise OSError("disk gone")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk gone"):
        storage.write_whole(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert files_below(tmp_path) == ["x.bin"]


def test_a_write_that_fails_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def open_full_disk(self: Path, *mode: Any) -> Any:
        file = opened(self, *mode)

        class Full:
            def __enter__(self) -> Full:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def write(self, data: bytes) -> None:
                file.write(data[: len(data) // 2])
                raise OSError(28, "No space left on device")

        return Full()

    monkeypatch.setattr(Path, "open", open_full_disk)
    with pytest.raises(OSError, match="No space"):
        storage.write_whole(str(tmp_path / "x.bin"), b"0123456789")
    assert files_below(tmp_path) == []


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        storage.write_array(str(tmp_path / "x.npy"), np.arange(3))
    assert files_below(tmp_path) == []


def test_write_new_of_many_at_once_one_succeeds(tmp_path):
    path = str(tmp_path / "folder" / "mark")
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: storage.write_new(path, b"%d" % number), range(40)))
    assert done.count(True) == 1
    assert storage.read_bytes(path) == b"%d" % done.index(True)
    assert [entry.name for entry in (tmp_path / "folder").iterdir()] == ["mark"]


def test_write_new_where_there_are_no_links(tmp_path, monkeypatch):
    def refuse(*paths):
        raise PermissionError("no links here")

    monkeypatch.setattr(storage.os, "link", refuse)
    assert storage.write_new(str(tmp_path / "mark"), b"a")
    assert (tmp_path / "mark").read_bytes() == b"a"


def test_write_new_behind_a_url():
    path = f"memory://{uuid.uuid4().hex}/folder/mark"
    assert storage.write_new(path, b"a")
    assert not storage.write_new(path, b"b")
    assert storage.read_bytes(path) == b"a"


@pytest.mark.parametrize("error", [TypeError("mode"), NotImplementedError(), OSError("501")])
def test_write_new_where_a_file_system_does_not_know_it(monkeypatch, error):
    path = f"memory://{uuid.uuid4().hex}/mark"
    filesystem, _ = storage.filesystem_of(path)
    write = type(filesystem).pipe_file

    def pipe_file(self, inner, data, **more):
        if more:
            raise error
        write(self, inner, data)

    monkeypatch.setattr(type(filesystem), "pipe_file", pipe_file)
    assert storage.write_new(path, b"a")
    assert not storage.write_new(path, b"b")
    assert storage.read_bytes(path) == b"a"


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(storage.os, "fsync", lambda number: synced.append(os.fstat(number).st_ino))
    replaced = os.replace

    def replace(one, other):
        assert os.stat(one).st_ino in synced
        replaced(one, other)

    monkeypatch.setattr(storage.os, "replace", replace)
    storage.write_whole(str(tmp_path / "new" / "x.json"), b"{}")
    folder = os.stat(tmp_path / "new").st_ino
    # The new folder's name, the file, and the file's name.
    assert synced == [os.stat(tmp_path).st_ino, os.stat(tmp_path / "new" / "x.json").st_ino, folder]
    synced.clear()
    assert storage.write_new(str(tmp_path / "new" / "y.json"), b"{}")
    assert synced == [os.stat(tmp_path / "new" / "y.json").st_ino, folder]


def test_files_that_were_not_waited_for_are_waited_for_together(tmp_path, monkeypatch):
    paths = [str(tmp_path / f"{number}.bin") for number in range(5)]
    synced = []
    monkeypatch.setattr(storage.os, "fsync", lambda number: synced.append(os.fstat(number).st_ino))
    for path in paths:
        storage.write_whole(path, b"x", sync=False)
    assert synced == []
    storage.sync_files([*paths, "memory://elsewhere/x.bin"])
    assert sorted(synced[:-1]) == sorted(os.stat(path).st_ino for path in paths)
    assert synced[-1] == os.stat(tmp_path).st_ino


def test_a_disk_that_fails_to_take_a_file_is_heard(tmp_path, monkeypatch):
    def fail(number):
        raise OSError(5, "Input/output error")

    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(storage.os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output") as caught:
        storage.write_whole(str(path), b"new")
    assert (caught.value.filename, caught.value.filename2) == (str(path), None)
    assert path.read_bytes() == b"old"
    assert files_below(tmp_path) == ["x.bin"]


def test_a_disk_that_knows_no_syncing_does_without(tmp_path, monkeypatch):
    def refuse(number):
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(storage.os, "fsync", refuse)
    storage.write_whole(str(tmp_path / "x.bin"), b"new")
    assert (tmp_path / "x.bin").read_bytes() == b"new"


def test_whether_an_array_is_whole(root: str) -> None:
    path = storage.join(root, "x.npy")
    assert not storage.has_array(path)
    storage.write_array(path, np.arange(6.0))
    assert storage.has_array(path)
    if not storage.is_url(root):
        data = Path(path).read_bytes()
        for cut in (b"", data[:40], data[:-1], data + b"x", bytes(len(data))):
            Path(path).write_bytes(cut)
            assert not storage.has_array(path)
