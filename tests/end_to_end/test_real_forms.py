"""FER2013 in every form that users have it in: the same faces, and its known figures."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from alone import context_of
from conftest import REAL

from daskfer.faces import EMOTIONS, UNKNOWN, USAGES
from daskfer.ingest.duplicates import Duplicates, count_duplicates
from daskfer.ingest.finding import find_sources
from daskfer.inspection import leaking_count
from daskfer.recipe import Recipe
from daskfer.stages.ingest import Faces, ingest

pytestmark = [pytest.mark.slow, pytest.mark.real]


def read(inputs: list[Path], store: Path) -> Faces:
    return ingest(context_of(Recipe(), str(store)), find_sources(list(map(str, inputs))))


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with fer2013.csv, icml_face_data.csv, train.csv, test.csv and images/."""
    if not (REAL / "fer2013.npz").exists():
        pytest.skip("FER2013 is not beside the project")
    folder = tmp_path_factory.mktemp("forms")
    every = ["fer2013", "icml", "kaggle", "images"]
    command = [sys.executable, str(REAL / "make_csv.py"), str(folder), "--form", *every]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture(scope="module")
def plain(forms: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Faces, np.ndarray]:
    """The faces of fer2013.csv, and their pixels."""
    faces = read([forms / "fer2013.csv"], tmp_path_factory.mktemp("store"))
    return faces, pixels_of(faces)


def pixels_of(faces: Faces) -> np.ndarray:
    return faces.pixels.rows(np.arange(len(faces.table)))


def test_the_known_figures(plain: tuple[Faces, np.ndarray]) -> None:
    faces, pixels = plain
    with np.load(REAL / "fer2013.npz") as file:
        np.testing.assert_array_equal(pixels, file["X"].reshape(len(pixels), -1))
        np.testing.assert_array_equal(faces.table.emotion, file["y"])
        np.testing.assert_array_equal(faces.table.usage, file["usage"])
    found = count_duplicates(faces.table)
    assert found == Duplicates(34_034, 1_853, 57, 557, found.similar)
    assert int(faces.table.blank.sum()) == 12
    assert not pixels[faces.table.blank].any()
    assert (faces.read, faces.bad) == (35_887, ())
    assert leaking_count(faces.table) == 703


def packed_gzip(forms: Path) -> Path:
    path = forms / "fer2013.csv.gz"
    with (forms / "fer2013.csv").open("rb") as source, gzip.open(path, "wb", 1) as out:
        shutil.copyfileobj(source, out, 1 << 20)
    return path


def parquet(forms: Path, kind: str) -> Path:
    path = forms / f"{kind}.parquet"
    with np.load(REAL / "fer2013.npz") as file:
        faces, emotion, usage = file["X"].reshape(-1, 2304), file["y"], file["usage"]
    if kind == "text":
        pixels = pa.array([" ".join(map(str, face)) for face in faces.tolist()])
    elif kind == "bytes":
        pixels = pa.array([face.tobytes() for face in faces])
    else:
        pixels = pa.FixedSizeListArray.from_arrays(pa.array(faces.ravel()), 2304)
    words = pa.array(np.array(EMOTIONS)[emotion])
    usages = pa.array(np.array(USAGES)[usage])
    table = pa.table({"Usage": usages, "pixels": pixels, "emotion": words})
    pq.write_table(table, path, row_group_size=10_000)
    return path


@pytest.mark.parametrize(
    "form",
    [
        lambda forms: forms / "icml_face_data.csv",
        packed_gzip,
        lambda forms: parquet(forms, "text"),
        lambda forms: parquet(forms, "bytes"),
        lambda forms: parquet(forms, "list"),
    ],
    ids=["icml", "gzip", "parquet text", "parquet bytes", "parquet lists"],
)
def test_forms_in_the_same_order_give_identical_blocks(
    form, forms: Path, plain: tuple[Faces, np.ndarray], tmp_path: Path
) -> None:
    faces = read([form(forms)], tmp_path)
    assert faces.content == plain[0].content
    np.testing.assert_array_equal(pixels_of(faces), plain[1])
    np.testing.assert_array_equal(faces.table.emotion, plain[0].table.emotion)
    np.testing.assert_array_equal(faces.table.usage, plain[0].table.usage)
    np.testing.assert_array_equal(faces.table.look, plain[0].table.look)


def test_kaggles_two_files(forms: Path, plain: tuple[Faces, np.ndarray], tmp_path: Path) -> None:
    faces = read([forms / "train.csv", forms / "test.csv"], tmp_path)
    usage = plain[0].table.usage
    order = np.concatenate([np.flatnonzero(usage == 0), np.flatnonzero(usage != 0)])
    np.testing.assert_array_equal(pixels_of(faces), plain[1][order])
    training = int((usage == 0).sum())
    expected = np.where(np.arange(len(order)) < training, plain[0].table.emotion[order], UNKNOWN)
    np.testing.assert_array_equal(faces.table.emotion, expected)
    assert (faces.table.usage == UNKNOWN).all()
    assert faces.table.source.tolist() == [0] * training + [1] * (len(order) - training)
    assert count_duplicates(faces.table).distinct == 34_034


def test_the_image_tree(forms: Path, plain: tuple[Faces, np.ndarray], tmp_path: Path) -> None:
    faces = read([forms / "images"], tmp_path)
    order = np.array([int(Path(name).stem) for name in faces.sources])
    np.testing.assert_array_equal(np.sort(order), np.arange(35_887))
    np.testing.assert_array_equal(pixels_of(faces), plain[1][order])
    np.testing.assert_array_equal(faces.table.emotion, plain[0].table.emotion[order])
    np.testing.assert_array_equal(faces.table.usage, plain[0].table.usage[order])
    assert count_duplicates(faces.table) == count_duplicates(plain[0].table)
