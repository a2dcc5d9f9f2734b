"""A trained model in scikit-learn's manners."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dask.array as da
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import daskfer as package
from daskfer.errors import InputError, MissingPackage, ModelError
from daskfer.predictor import to_pixels

SIDE = 48


@pytest.fixture(scope="module")
def trained(small_runs):
    """A folder with faces and a finished run of recipe hog, and the faces' pixels."""
    folder, _ = small_runs
    lines = (folder / "faces.csv").read_text().splitlines()[1:]
    pixels = np.array([line.split(",")[1].split() for line in lines], np.uint8)
    return folder, pixels


def test_it_says_what_the_run_said(trained):
    folder, pixels = trained
    labels = pq.read_table(folder / "named" / "labels.parquet").to_pandas()
    model = package.load(folder / "named")
    table = model.describe(pixels)
    assert table["emotion"].tolist() == labels["predicted"].tolist()
    assert np.abs(table["confidence"] - labels["predicted_confidence"]).max() < 1e-5
    assert table["cluster"].tolist() == labels["cluster"].tolist()
    assert model.predict(pixels).tolist() == labels["predicted"].tolist()
    shares = model.predict_proba(pixels)
    assert shares.dtype == np.float32
    assert shares.sum(axis=1) == pytest.approx(np.ones(len(pixels)), abs=1e-5)
    assert model.classes_[shares.argmax(axis=1)].tolist() == labels["predicted"].tolist()
    assert repr(model).startswith("Predictor(")


def test_another_process_says_the_same_without_scikit_learn(trained, tmp_path):
    folder, pixels = trained
    np.save(tmp_path / "pixels.npy", pixels)
    code = (
        "import sys, numpy as np, daskfer\n"
        "found = daskfer.load(sys.argv[1]).predict_proba(np.load(sys.argv[2]))\n"
        "np.save(sys.argv[3], found)\n"
        "assert 'sklearn' not in sys.modules and 'dask' not in sys.modules"
    )
    command = [sys.executable, "-c", code, str(folder / "named/model")]
    paths = [str(tmp_path / name) for name in ("pixels.npy", "found.npy")]
    done = subprocess.run([*command, *paths], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    here = package.load(folder / "named").predict_proba(pixels)
    assert np.abs(np.load(tmp_path / "found.npy") - here).max() < 1e-5


def test_unsure_faces(trained):
    folder, pixels = trained
    model = package.load(folder / "named")
    confidence = model.describe(pixels)["confidence"].to_numpy()
    assert 0 < model.unsure_below <= 0.5
    # A tenth of the fitted faces at most; these are all.
    assert (confidence < model.unsure_below).mean() < 0.3
    said = model.predict(pixels, unsure_below=model.unsure_below)
    assert ((said == "unsure") == (confidence < model.unsure_below)).all()
    assert (model.predict(pixels, unsure_below=1.1) == "unsure").all()


def test_images_of_all_kinds_are_the_same_faces(trained, tmp_path):
    folder, pixels = trained
    model = package.load(folder / "named")
    some = pixels[:8]
    squares = some.reshape(-1, SIDE, SIDE)
    expected = model.predict(some).tolist()
    for number, square in enumerate(squares):
        Image.fromarray(square).save(tmp_path / f"{number}.png")
    kinds = [
        squares,
        squares / 255.0,
        squares.astype(np.int64),
        np.repeat(squares[..., None], 3, axis=3),
        list(squares),
        [Image.fromarray(square) for square in squares],
        [tmp_path / f"{number}.png" for number in range(8)],
        [str(tmp_path / f"{number}.png") for number in range(8)],
        tuple(squares),
    ]
    for images in kinds:
        assert model.predict(images).tolist() == expected
    # Twice as large, and brought back: nearly the same pixels.
    large = squares.repeat(2, axis=1).repeat(2, axis=2)
    assert np.abs(to_pixels(large, SIDE).astype(int) - some).mean() < 6
    assert to_pixels(large[:, :, 10:-10], SIDE).shape == some.shape
    assert len(model.predict(squares[:0])) == 0
    assert model.predict([]).tolist() == []


def test_dask_arrays_are_computed_later_and_by_blocks(trained):
    folder, pixels = trained
    model = package.load(folder / "named")
    for images in (pixels[:50], pixels[:50].reshape(-1, SIDE, SIDE)):
        lazy = da.from_array(images, chunks=(20, *images.shape[1:]))
        found = model.predict(lazy)
        assert isinstance(found, da.Array)
        assert found.compute(scheduler="synchronous").tolist() == model.predict(images).tolist()
        shares = model.predict_proba(lazy)
        assert shares.shape == (50, len(model.classes_))
        computed = shares.compute(scheduler="synchronous")
        assert np.allclose(computed, model.predict_proba(images), atol=1e-6)


def test_floats_mean_the_same_however_they_are_cut():
    bright, dark = np.full((1, 4, 4), 1.0), np.full((1, 4, 4), 1 / 255)
    both = np.concatenate([bright, dark])
    expected = [[255] * 16, [1] * 16]
    for images in (both, both.reshape(2, 16), list(both), both.astype(np.float32)):
        assert to_pixels(images, 4).tolist() == expected
    one_by_one = [to_pixels(image[None], 4)[0].tolist() for image in both]
    assert one_by_one == expected
    # A float batch in bytes' range is refused, whatever the largest value of each image is.
    for images in (both * 255, (both * 255).reshape(2, 16), list(both * 255)):
        with pytest.raises(InputError, match="expected whole numbers from 0 to 255, or floats"):
            to_pixels(images, 4)
    lazy = da.from_array(both, chunks=(1, 4, 4)).map_blocks(to_pixels, 4, drop_axis=2)
    assert lazy.compute(scheduler="synchronous").tolist() == expected


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((2, 5), np.uint8), "5 values are no square"),
        (np.zeros(9, np.uint8), r"expected \(n, h, w\)"),
        (np.zeros((1, 4, 4, 5), np.uint8), "expected"),
        (np.full((1, 4, 4), 300), "values from 300 to 300"),
        (np.full((1, 4, 4), -1.0), "values from -1"),
        (
            np.full((1, 4, 4), np.nan),
            "values from nan to nan: expected whole numbers from 0 to 255",
        ),
        (
            np.full((1, 4, 4), 1.5),
            r"float64 images with values from 1.5 to 1.5: .*floats from 0 to 1",
        ),
        (np.full((1, 16), 255, np.float32), r"give.*as images\.round\(\)\.astype\('uint8'\)"),
        (np.zeros((1, 4, 4), complex), "of complex128: expected whole numbers"),
        (np.zeros((1, 0, 4), np.uint8), "has no pixels"),
        (["no such file.png"], "no such file"),
        ("a.png", r"expected several images or files, such as \['a\.png'\]"),
        ([np.zeros(7, np.uint8)], "an image of shape"),
    ],
)
def test_what_is_no_image_is_an_error(images, words):
    with pytest.raises(InputError, match=words):
        to_pixels(images, 48)


def test_a_file_that_is_no_image_is_an_error(tmp_path):
    (tmp_path / "x.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="unknown image format"):
        to_pixels([tmp_path / "x.png"], 48)


def test_a_folder_without_a_model_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="holds no model"):
        package.load(tmp_path)


@pytest.mark.parametrize("package_name", ["ai_edge_litert", "flatbuffers"])
def test_without_the_face_models_runtime_a_photo_says_what_to_install(
    trained, monkeypatch, package_name
):
    monkeypatch.setitem(sys.modules, package_name, None)
    model = package.load(trained[0] / "named")
    words = (
        r"finding faces in photos needs .*pip install 'daskfer\[expression\]', or .*--faces none"
    )
    with pytest.raises(MissingPackage, match=words):
        model.find(np.zeros((200, 300), np.uint8))


def test_faces_in_a_photo(trained, bundle, monkeypatch, models: Path):
    data = pytest.importorskip("skimage.data")
    monkeypatch.setenv("DASKFER_MODELS", str(models))
    model = package.load(trained[0] / "named")
    (face,) = model.find(data.astronaut())
    assert face.emotion in model.classes_
    assert 0 < face.confidence <= 1
    assert abs(face.box[2] - face.box[3]) <= 1
    assert model.find(np.zeros((200, 300), np.uint8)) == []
