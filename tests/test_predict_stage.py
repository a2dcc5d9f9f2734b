"""Predicting: what is read is labelled by the model that is there, or has a reason why not."""

from __future__ import annotations

import errno
import os
import shutil
import tarfile
import zipfile

import pytest
from PIL import Image
from trained import write_light_model

from daskfer import storage
from daskfer.engine import InProcess
from daskfer.errors import ModelError
from daskfer.ingest.finding import find_sources
from daskfer.represent.expression.detector import Box
from daskfer.stages import predict
from daskfer.stages.predict import Asked, label, model_of, opened, rows_of

SIDE = 48


@pytest.fixture
def model(tmp_path):
    """A model that calls bright faces happy and dark ones sad."""
    write_light_model(tmp_path / "model")
    return opened(str(tmp_path / "model"))


def write_image(path, light: int, size: tuple[int, int] = (SIDE, SIDE)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, light).save(path)


def said(inputs, model, faces="none", engine=None):
    """Each row of what is said of some inputs."""
    sources = find_sources([str(one) for one in inputs])
    found = label(sources, model, engine or InProcess(), faces)
    return [row for first, part in found for row in rows_of(part, first, model.categories, 0.0)]


def test_a_model_that_was_replaced_answers_at_once(tmp_path, model):
    write_image(tmp_path / "face.png", 250)
    (row,) = said([tmp_path / "face.png"], model)
    assert row["emotion"] == "happy"
    shutil.rmtree(tmp_path / "model")
    write_light_model(tmp_path / "model", bright="angry")
    (row,) = said([tmp_path / "face.png"], opened(str(tmp_path / "model")))
    assert row["emotion"] == "angry"


def test_a_worker_that_finds_another_model_says_so(tmp_path, model, monkeypatch):
    asked = Asked(model.folder, model.digest)
    write_light_model(tmp_path / "model", bright="angry")
    assert model_of(asked) is model, "read before, and kept"
    monkeypatch.setattr(predict, "_models", {})
    with pytest.raises(ModelError, match="holds another model than when this began") as caught:
        model_of(asked)
    assert "\n" not in str(caught.value)


def test_a_process_keeps_few_models(tmp_path):
    for number in range(8):
        write_light_model(tmp_path / str(number))
        opened(str(tmp_path / str(number)))
    assert len(predict._models) == 4


@pytest.mark.parametrize("faces", ["auto", "none"])
def test_files_that_cannot_be_read_are_bad_rows(tmp_path, model, monkeypatch, faces):
    photos = tmp_path / "photos"
    for name in ("a", "c", "f"):
        write_image(photos / f"{name}.png", 250)
    write_image(photos / "b.png", 5)
    (photos / "d.png").symlink_to(tmp_path / "nowhere.png")
    write_image(photos / "e.png", 250)
    sources = find_sources([str(photos)])
    (photos / "e.png").unlink()
    refuse_to_read(monkeypatch, str(photos / "c.png"))
    (found,) = [part for _, part in label(sources, model, InProcess(), faces)]
    rows = rows_of(found, 0, model.categories, 0.0)
    assert [row["row"] for row in rows] == list(range(6))
    assert [row["emotion"] for row in rows] == ["happy", "sad", None, None, None, "happy"]
    assert [row["source"] for row in rows] == [str(photos / f"{name}.png") for name in "abcdef"]
    problems = [row["problem"] for row in rows[2:5]]
    assert problems[0].startswith("cannot be read (Permission denied)")
    assert problems[1].startswith("link to nothing")
    assert problems[2].startswith("cannot be read (No such file or directory)")


@pytest.fixture
def searched(monkeypatch):
    """Widths of the photos that were searched; each "shows" a face in its left and right half."""
    widths = []

    def find_boxes(model, photo):
        height, width = photo.shape
        widths.append(width)
        half = width / 2
        boxes = [Box(left, 0.0, half, height, 1.0) for left in (0.0, half)]
        return boxes if photo.any() else []

    monkeypatch.setattr(predict, "find_boxes", find_boxes)
    return widths


def packed(folder, path):
    """The images of a folder in an archive, in the order of their names."""
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*.*"))
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.write(folder / name, name)
    else:
        with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as archive:
            for name in names:
                archive.add(folder / name, name)
    return path


@pytest.mark.parametrize("ending", ["zip", "tar", "tgz"])
@pytest.mark.parametrize(("faces", "widths"), [("auto", [300, 200]), ("none", []), ("find", None)])
def test_an_archive_is_predicted_as_its_folder(
    tmp_path, model, searched, monkeypatch, ending, faces, widths
):
    monkeypatch.setattr(predict, "PIECE", 3)
    photos = tmp_path / "photos"
    write_image(photos / "a.png", 250)
    write_image(photos / "b.png", 250, (300, 200))
    write_image(photos / "c.png", 5)
    (photos / "d.png").write_bytes(b"broken")
    write_image(photos / "e.png", 0, (200, 200))
    write_image(photos / "f.png", 250)
    write_image(photos / "inner/g.png", 5, (64, 64))
    folder = said([photos], model, faces)
    assert searched == ([48, 300, 48, 200, 48, 64] if widths is None else widths)
    archive = packed(photos, tmp_path / f"photos.{ending}")
    found = said([archive], model, faces)
    assert searched == 2 * searched[: len(searched) // 2]
    names = [row.pop("source") for row in found]
    assert names == [row.pop("source").replace(str(photos) + "/", f"{archive}:") for row in folder]
    assert found == folder
    assert sorted({row["row"] for row in found}) == list(range(7))
    if faces == "auto":
        boxes = [row["x"] for row in found if row["row"] == 1]
        assert boxes == [0, 150]


def refuse_to_read(monkeypatch, path):
    """Have the system deny a file, as it denies nothing to root."""
    read_bytes = storage.read_bytes

    def denied(asked, *limits):
        if asked == path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return read_bytes(asked, *limits)

    monkeypatch.setattr(storage, "read_bytes", denied)
