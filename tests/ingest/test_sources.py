"""Inputs: paths, globs and URLs become files with a size and a version."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from daskfer.errors import InputError
from daskfer.ingest.sources import find_sources


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"b.csv": "22", "a.csv": "1", "c.txt": "333"}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_file(folder: Path) -> None:
    (found,) = find_sources([str(folder / "b.csv")])
    assert found.path == str(folder / "b.csv")
    assert found.bytes == 2


def test_a_relative_path_is_made_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert find_sources(["a.csv"])[0].path == str(folder / "a.csv")


def test_a_glob_is_sorted_and_inputs_keep_their_order(folder: Path) -> None:
    found = find_sources([str(folder / "c.txt"), str(folder / "*.csv")])
    assert [Path(source.path).name for source in found] == ["c.txt", "a.csv", "b.csv"]


def test_a_file_whose_name_looks_like_a_glob(tmp_path: Path) -> None:
    (tmp_path / "faces[1].csv").write_text("x")
    (found,) = find_sources([str(tmp_path / "faces[1].csv")])
    assert found.path.endswith("faces[1].csv")


def test_the_version_changes_with_the_file(folder: Path) -> None:
    path = folder / "a.csv"
    (before,) = find_sources([str(path)])
    assert find_sources([str(path)]) == [before]
    path.write_text("2")
    os.utime(path, ns=(10**18, 10**18))
    (after,) = find_sources([str(path)])
    assert after.bytes == before.bytes
    assert after.version != before.version


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.csv: no such file"):
        find_sources([str(tmp_path / "nothing.csv")])


def test_no_match(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file matches"):
        find_sources([str(tmp_path / "*.csv")])


def test_a_folder_of_tables_is_its_tables(folder: Path) -> None:
    found = find_sources([str(folder)])
    assert [Path(source.path).name for source in found] == ["a.csv", "b.csv"]


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match=r"empty\.csv is empty"):
        find_sources([str(tmp_path / "empty.csv")])


def test_a_file_named_twice_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"a\.csv is given twice"):
        find_sources([str(folder / "a.csv"), str(folder / "*.csv")])


def test_urls() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe({"/sources-test/b.csv": b"22", "/sources-test/a.csv": b"1"})
    try:
        (one,) = find_sources(["memory://sources-test/b.csv"])
        assert (one.path, one.bytes) == ("memory://sources-test/b.csv", 2)
        assert find_sources(["memory://sources-test/b.csv"]) == [one]
        found = find_sources(["memory://sources-test/*.csv"])
        assert [(Path(source.path).name, source.bytes) for source in found] == [
            ("a.csv", 1),
            ("b.csv", 2),
        ]
        assert all(source.path.startswith("memory://") for source in found)
        with pytest.raises(InputError, match="no such file"):
            find_sources(["memory://sources-test/c.csv"])
        with pytest.raises(InputError, match="no file matches"):
            find_sources(["memory://sources-test/*.png"])
    finally:
        memory.rm("/sources-test", recursive=True)
