"""Inputs: paths, globs and URLs become files with a size and a version."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

from daskfer.errors import InputError
from daskfer.ingest.finding import check_unchanged, find_sources
from daskfer.ingest.images import ImageFiles
from daskfer.ingest.sources import notes_of


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


@pytest.mark.parametrize(
    "other", ["file://{path}", "{folder}/../{name}/a.csv", "{folder}/link.csv"]
)
def test_a_file_named_twice_in_other_words_is_refused(folder: Path, other: str) -> None:
    (folder / "link.csv").symlink_to(folder / "a.csv")
    again = other.format(path=folder / "a.csv", folder=folder, name=folder.name)
    with pytest.raises(InputError, match="is given twice"):
        find_sources([str(folder / "a.csv"), again])


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


# Images, folders, and what is none.


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Four images of 4×4 in train/angry, train/sad, test/angry and test/contempt."""
    for number, name in enumerate(
        ["train/angry/a.png", "train/sad/b.png", "test/angry/c.png", "test/contempt/d.png"]
    ):
        path = tmp_path / "faces" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), number, np.uint8)).save(path)
    return tmp_path / "faces"


def labels_of(inputs: list[str]) -> list[tuple[str, int, int]]:
    """(file, emotion, usage) of the images that the inputs name, sorted."""
    found = []
    for source in find_sources(inputs):
        for rows in ImageFiles(source.path, source.files, 0, 4).pieces():
            names = [Path(name).name for name in rows.names or ()]
            found += zip(names, rows.emotion.tolist(), rows.usage.tolist(), strict=True)
    return sorted(found)


def test_labels_are_the_same_however_the_images_are_named(tree: Path) -> None:
    everything = labels_of([str(tree)])
    assert everything == [("a.png", 0, 0), ("b.png", 4, 0), ("c.png", 0, 2), ("d.png", -1, 2)]
    assert labels_of([f"{tree}/*/*/*.png"]) == everything
    assert labels_of([f"{tree}/train", f"{tree}/test"]) == everything
    assert labels_of([f"{tree}/*/*"]) == everything
    assert labels_of([f"{tree}/train/angry", f"{tree}/train/sad", f"{tree}/test"]) == everything
    assert labels_of([f"{tree}/train/angry/a.png"]) == everything[:1]
    assert labels_of([str(path) for path in sorted(tree.rglob("*.png"))]) == everything


def test_images_of_one_glob_are_one_set(tree: Path) -> None:
    (source,) = find_sources([f"{tree}/*/*/*.png"])
    assert (source.form, source.path, len(source.files)) == ("images", str(tree), 4)
    (again,) = find_sources([f"{tree}/*/*/*.png"])
    assert again == source
    (tree / "train/angry/a.png").write_bytes(b"another")
    (changed,) = find_sources([f"{tree}/*/*/*.png"])
    assert changed.version != source.version
    with pytest.raises(InputError, match="changed while it was read"):
        check_unchanged([source])
    check_unchanged([changed])


def test_a_bad_image_is_one_by_a_glob_as_in_its_folder(tree: Path) -> None:
    (tree / "train/sad/empty.png").touch()
    (tree / "train/sad/text.png").write_text("no image")
    for inputs in ([str(tree)], [f"{tree}/*/*/*.png"]):
        (source,) = find_sources(inputs)
        (rows,) = ImageFiles(source.path, source.files, 0, 4).pieces()
        assert [Path(bad.source).name for bad in rows.bad] == ["empty.png", "text.png"]


def test_what_is_beside_the_faces_is_told(tree: Path) -> None:
    (tree / "README.md").write_text("x")
    (source,) = find_sources([str(tree)])
    assert notes_of([source]) == (f"{tree}: 1 other files there were not read (README.md)",)
    (tree / "labels.csv").write_text("pixels\n1 2 3 4\n")
    with pytest.raises(InputError, match=r"4 images and labels\.csv: expected one or the other"):
        find_sources([str(tree)])


def test_brackets_in_the_name_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "photos [2024]").mkdir()
    (tmp_path / "photos [2024]" / "a.csv").write_text("x")
    (found,) = find_sources([str(tmp_path / "photos [2024]" / "*.csv")])
    assert found.path.endswith("a.csv")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"%PDF-1.7\n", "is a PDF document"),
        (b"\x93NUMPY\x01\x00", "is a NumPy array"),
        (b"\x00\x00\x00\x18ftypheic", "HEIC"),
    ],
)
def test_files_of_other_kinds_are_named(head: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(head + bytes(100))
    with pytest.raises(InputError, match=message):
        find_sources([str(tmp_path / "x.bin")])


def test_an_empty_word_is_no_folder() -> None:
    with pytest.raises(InputError, match="an input is empty"):
        find_sources([""])


def test_a_folder_of_photos_as_phones_take_them_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.HEIC").write_bytes(b"x")
    with pytest.raises(InputError, match=r"found a\.HEIC \(expected PNG or JPEG: convert HEIC"):
        find_sources([str(tmp_path)])
    (tmp_path / "a.HEIC").rename(tmp_path / "a.txt")
    with pytest.raises(InputError, match=r"found a\.txt$"):
        find_sources([str(tmp_path)])
