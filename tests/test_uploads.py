"""Copies of inputs in the store: under a name made from their content, labels and all."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from daskfer import cache, uploads
from daskfer.engine import InProcess
from daskfer.errors import InputError
from daskfer.faces import EMOTIONS, UNKNOWN, USAGES
from daskfer.ingest.finding import find_sources
from daskfer.stages.parts import plan
from daskfer.store import Store
from daskfer.uploads import upload


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


def test_a_file_is_copied_once(store, tmp_path):
    path = tmp_path / "faces.csv"
    path.write_text("emotion,pixels\n0,1 2 3 4\n")
    (copy,) = upload(find_sources([str(path)]), store)
    assert copy.startswith(f"{store.root}/uploads/")
    assert copy.endswith("/faces.csv")
    before = find_sources([copy])
    assert upload(find_sources([str(path)]), store) == [copy]
    assert find_sources([copy]) == before, "the same copy, as a run that goes on needs it"
    (tmp_path / "moved.csv").write_text(path.read_text())
    (moved,) = upload(find_sources([str(tmp_path / "moved.csv")]), store)
    assert moved.endswith("/moved.csv"), "the same bytes under a second name"
    assert (tmp_path / "moved.csv").read_bytes() == Path(moved).read_bytes()
    path.write_text("emotion,pixels\n0,1 2 3 5\n")
    assert upload(find_sources([str(path)]), store) != [copy]


def test_images_keep_their_folders(store, tmp_path):
    make_images(tmp_path / "photos", "train/angry/a.png", "test/happy/b.png")
    (copy,) = upload(find_sources([str(tmp_path / "photos")]), store)
    assert copy.endswith("/photos.zip")
    (source,) = find_sources([copy])
    assert (source.form, source.archive) == ("images", "zip")
    assert upload(find_sources([str(tmp_path / "photos")]), store) == [copy]


def test_the_same_file_in_two_folders_is_two_inputs(store, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "faces.csv").write_text("emotion,pixels\n0,1 2 3 4\n")
    sources = find_sources([str(tmp_path / "a"), str(tmp_path / "b")])
    copies = upload(sources, store)
    assert len(find_sources(copies)) == 2
    assert upload(sources, store) == copies


def test_the_tables_of_an_archive_are_copied_as_one(store, tmp_path):
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        archive.writestr("a.csv", "emotion,pixels\n0,1 2 3 4\n")
        archive.writestr("b.csv", "emotion,pixels\n0,1 2 3 5\n")
    sources = find_sources([str(tmp_path / "faces.zip")])
    assert len(sources) == 2
    (copy,) = upload(sources, store)
    assert [source.member for source in find_sources([copy])] == ["a.csv", "b.csv"]


IMAGES = ("train/happy/a.png", "train/sad/b.png", "train/sad/inner/c.png", "test/happy/d.png")


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (("train/happy", "train/sad"), [("happy", "Training")] + [("sad", "Training")] * 2),
        (("train",), [("happy", "Training")] + [("sad", "Training")] * 2),
        (("test", "train/happy"), [("happy", "PrivateTest"), ("happy", "Training")]),
        (("train/sad/inner",), [("", "")]),
        (("train/sad/b.png", "test/happy/d.png"), [("sad", "Training"), ("happy", "PrivateTest")]),
        ((".",), [("happy", "PrivateTest"), ("happy", "Training")] + [("sad", "Training")] * 2),
    ],
)
@pytest.mark.parametrize("root", ["photos", ".hidden", "back\\slash"])
def test_copies_of_images_have_the_labels_of_the_originals(store, tmp_path, root, inputs, expected):
    make_images(tmp_path / root, *IMAGES)
    paths = [str(tmp_path / root / name) for name in inputs]
    direct = labels_of(paths)
    assert direct == expected
    assert labels_of(upload(find_sources(paths), store)) == direct


def test_a_name_that_is_not_utf8_is_copied_with_its_labels(store, tmp_path):
    folder = tmp_path / os.fsdecode(b"happy\xff")
    make_images(folder, os.fsdecode(b"sad/happy\xff.png"))
    direct = labels_of([str(folder)])
    assert direct == [("sad", "")]
    assert labels_of(upload(find_sources([str(folder)]), store)) == direct


def make_images(folder, *names):
    """Images that differ, in folders below one."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (48, 48), number).save(folder / name)


def labels_of(inputs):
    """Emotion and usage of all that is read from some inputs, as words ("" for none)."""
    sources = find_sources(inputs)
    planned = plan(InProcess(), sources, "auto", 64, 1 << 20, EMOTIONS)
    return [
        (
            "" if emotion == UNKNOWN else EMOTIONS[emotion],
            "" if usage == UNKNOWN else USAGES[usage],
        )
        for part in planned.parts
        for rows in part.pieces()
        for emotion, usage in zip(rows.emotion, rows.usage, strict=True)
    ]


def test_what_lies_behind_a_url_stays_there(store, tmp_path):
    path = tmp_path / "faces.csv"
    path.write_text("emotion,pixels\n0,1 2 3 4\n")
    sources = find_sources([f"file://{path}"])
    assert upload(sources, store) == [f"file://{path}"]


def test_too_large(store, tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_BYTES", 1 << 20)
    path = tmp_path / "faces.csv"
    path.write_bytes(b"pixels\n" + b"1 2 3 4\n" * (1 << 18))
    with pytest.raises(InputError, match=r"--upload of 2 MiB: expected 1 MiB at most"):
        upload(find_sources([str(path)]), store)


def test_copies_are_listed_and_cleared_with_the_store(store, tmp_path):
    path = tmp_path / "faces.csv"
    path.write_text("emotion,pixels\n0,1 2 3 4\n")
    upload(find_sources([str(path)]), store)
    (folder,) = cache.look(store.root).folders
    assert (folder.stage, folder.complete, folder.of) == ("uploads", True, str(path))
    cache.clear(store.root, [folder])
    assert cache.look(store.root).folders == ()
