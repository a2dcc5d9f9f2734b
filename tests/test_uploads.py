"""Copies of inputs in the store: under a name made from their content, labels and all."""

from __future__ import annotations

import pytest

from daskfer import cache, uploads
from daskfer.errors import InputError
from daskfer.ingest.finding import find_sources
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
    (tmp_path / "moved.csv").write_text(path.read_text())
    assert upload(find_sources([str(path)]), store) == [copy]
    assert find_sources([copy]) == before, "the same copy, as a run that goes on needs it"
    path.write_text("emotion,pixels\n0,1 2 3 5\n")
    assert upload(find_sources([str(path)]), store) != [copy]


def test_images_keep_their_folders(store, tmp_path):
    from PIL import Image

    for number, name in enumerate(("train/angry/a.png", "test/happy/b.png")):
        (tmp_path / "photos" / name).parent.mkdir(parents=True)
        Image.new("L", (48, 48), number).save(tmp_path / "photos" / name)
    (copy,) = upload(find_sources([str(tmp_path / "photos")]), store)
    assert copy.endswith("/photos.zip")
    (source,) = find_sources([copy])
    assert (source.form, source.archive) == ("images", "zip")
    assert upload(find_sources([str(tmp_path / "photos")]), store) == [copy]


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
