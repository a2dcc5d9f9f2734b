"""The inputs of a finished run are found again as they were, whichever way they were given."""

from __future__ import annotations

import json
import os
import zipfile

import pytest
from PIL import Image

from daskfer.cli.finished import sources_of
from daskfer.errors import InputError
from daskfer.ingest.finding import find_sources
from daskfer.recipe import Recipe
from daskfer.run_folder import RunFolder


@pytest.fixture
def photos(tmp_path):
    """A folder of images, tables and an archive of tables."""
    names = ("a.png", "b.png", "c[1].png", "inner/d.png", os.fsdecode(b"\xff.png"))
    for number, name in enumerate(names):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (48, 48), number).save(path)
    (tmp_path / "faces.csv").write_text("emotion,pixels\n0,1 2 3 4\n")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("x.csv", "emotion,pixels\n0,1 2 3 4\n")
        archive.writestr("y.csv", "emotion,pixels\n0,1 2 3 5\n")
    return tmp_path / "photos"


def claimed(folder, inputs):
    """The sources of a run on some inputs, and what its run.json says."""
    sources = find_sources([str(one) for one in inputs])
    RunFolder(str(folder)).claim(Recipe(), sources)
    return sources, json.loads((folder / "run.json").read_text())


@pytest.mark.parametrize(
    "names",
    [
        ("photos/a.png",),
        ("photos/b.png", "photos/a.png"),
        ("photos/inner/d.png", "photos/c[1].png", os.fsdecode(b"photos/\xff.png")),
        ("photos",),
        ("photos/a.png", "faces.csv", "photos/b.png"),
        ("faces.csv", "two.zip", "photos/inner", "photos/a.png"),
        ("photos/*.png",),
    ],
    ids=ascii,
)
def test_the_same_sources_are_found_again(photos, tmp_path, names):
    sources, owner = claimed(tmp_path / "run", [tmp_path / name for name in names])
    assert sources_of(str(tmp_path / "run"), owner) == sources


def test_behind_a_url(photos, tmp_path):
    sources, owner = claimed(tmp_path / "run", [f"file://{photos}/b.png", f"file://{photos}/a.png"])
    assert sources_of(str(tmp_path / "run"), owner) == sources


def test_what_was_not_chosen_may_change_and_what_was_may_not(photos, tmp_path):
    sources, owner = claimed(tmp_path / "run", [photos / "a.png", photos / "b.png"])
    (photos / "inner/d.png").unlink()
    Image.new("L", (48, 48)).save(photos / "new.png")
    assert sources_of("run", owner) == sources
    Image.new("L", (50, 50)).save(photos / "b.png")
    with pytest.raises(InputError, match=rf"^{photos} has changed since run read it: bring it"):
        sources_of("run", owner)
    (photos / "b.png").unlink()
    with pytest.raises(InputError, match=r"cannot be read again: .*b\.png: no such file"):
        sources_of("run", owner)


def test_a_folder_in_which_there_is_more_has_changed(photos, tmp_path):
    _, owner = claimed(tmp_path / "run", [photos])
    Image.new("L", (48, 48)).save(photos / "new.png")
    with pytest.raises(InputError, match="has changed since run read it"):
        sources_of("run", owner)


def test_a_run_that_did_not_note_its_images(photos, tmp_path):
    _, owner = claimed(tmp_path / "run", [photos])
    assert "chosen" not in owner, "a folder says all"
    chosen, noted = claimed(tmp_path / "other", [photos / "a.png"])
    old = {key: value for key, value in noted.items() if key != "chosen"}
    (tmp_path / "other/run.json").write_text(json.dumps(old))
    with pytest.raises(InputError, match="has changed since run read it"):
        sources_of("run", old)
    # The same command again notes them.
    _, again = claimed(tmp_path / "other", [photos / "a.png"])
    assert again == noted
    assert sources_of("run", again) == chosen
