"""``daskfer predict``: tables, images, folders and photos in, labels out."""

from __future__ import annotations

import csv
import json
import os
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from processes import daskfer, scheduler_with_workers
from trained import write_light_model

from daskfer.predicted_file import COLUMNS

SIDE = 48


@pytest.fixture
def trained(small_runs):
    """A folder with faces.csv and a finished run of it, what that predicts, and an environment."""
    folder, environment = small_runs
    labels = pq.read_table(folder / "named" / "labels.parquet").to_pydict()
    return folder, labels["predicted"], environment


def pixels_of(folder) -> np.ndarray:
    lines = (folder / "faces.csv").read_text().splitlines()[1:]
    return np.array([line.split(",")[1].split() for line in lines], np.uint8)


def read(path) -> list[dict]:
    if path.suffix == ".csv":
        with path.open() as file:
            rows = list(csv.DictReader(file))
        return [{key: value or None for key, value in row.items()} for row in rows]
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_a_table_gets_the_labels_that_its_run_gave(trained, tmp_path, ending):
    folder, predicted, environment = trained
    out = tmp_path / "deep" / f"labels.{ending}"
    done = daskfer(
        "predict", folder / "named", folder / "faces.csv", "--out", out, "--unsure-below", 0,
        environment=environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert f"500 rows: {out}" in done.stdout
    rows = read(out)
    assert tuple(rows[0]) == COLUMNS
    assert [int(row["row"]) for row in rows] == list(range(500))
    assert [row["emotion"] for row in rows] == predicted
    assert {row["source"] for row in rows} == {str(folder / "faces.csv")}
    assert {row["x"] for row in rows} == {row["problem"] for row in rows} == {None}
    assert all(0 < float(row["confidence"]) <= 1 for row in rows)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_rows_keep_their_order_and_bad_ones_their_place(trained, tmp_path):
    folder, predicted, environment = trained
    lines = (folder / "faces.csv").read_text().splitlines()
    lines[3] = "0,1 2 300,Training"
    lines[10] = "rubbish"
    (tmp_path / "some.csv").write_text("\n".join(lines) + "\n")
    shutil.copy(folder / "faces.csv", tmp_path / "all.csv")
    done = daskfer(
        "predict", folder / "named/model", tmp_path / "some.csv", tmp_path / "all.csv", "--json",
        "--unsure-below", 0, environment=environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["row"] for row in rows] == list(range(1000))
    bad = [row["row"] for row in rows if row["problem"]]
    assert bad == [2, 9]
    assert rows[2]["problem"].startswith("line 4: ")
    assert (rows[2]["emotion"], rows[2]["confidence"]) == (None, None)
    good = [row["emotion"] for row in rows[:500] if not row["problem"]]
    assert good == [name for number, name in enumerate(predicted) if number not in bad]
    assert [row["emotion"] for row in rows[500:]] == predicted


def test_images_folders_and_what_is_no_image(trained, tmp_path):
    folder, predicted, environment = trained
    pixels = pixels_of(folder)
    (tmp_path / "images/inner").mkdir(parents=True)
    for number in range(5):
        place = tmp_path / "images" / ("inner" if number == 3 else "") / f"{number}.png"
        Image.fromarray(pixels[number].reshape(SIDE, SIDE)).save(place)
    (tmp_path / "images" / "2b.png").write_bytes(b"broken")
    done = daskfer(
        "predict", folder / "named", tmp_path / "images", "--json", "--unsure-below", 0,
        environment=environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    names = [os.path.relpath(row["source"], tmp_path / "images") for row in rows]
    assert names == ["0.png", "1.png", "2.png", "2b.png", "4.png", "inner/3.png"]
    said = {name: row["emotion"] for name, row in zip(names, rows, strict=True)}
    assert said.pop("2b.png") is None
    assert "unknown image format" in rows[3]["problem"]
    assert list(said.values()) == [predicted[number] for number in (0, 1, 2, 4, 3)]
    shown = daskfer("predict", folder / "named", tmp_path / "images/0.png", environment=environment)
    assert f"images/0.png row 0: {predicted[0]}" in shown.stdout


@pytest.mark.slow
def test_workers_give_the_same(trained, tmp_path):
    folder, predicted, environment = trained
    out = tmp_path / "labels.parquet"
    done = daskfer(
        "predict", folder / "named", folder / "faces.csv", "--out", out, "--workers", 2,
        "--processes", "--unsure-below", 0, environment=environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert [row["emotion"] for row in read(out)] == predicted


@pytest.fixture
def light(tmp_path):
    """A folder with a model made by hand and a bright face, and an environment without a store."""
    write_light_model(tmp_path / "model")
    Image.new("L", (SIDE, SIDE), 250).save(tmp_path / "face.png")
    (tmp_path / "file").write_text("no store can be here")
    return tmp_path, {**os.environ, "DASKFER_STORE": str(tmp_path / "file"), "COLUMNS": "120"}


def test_workers_need_the_model_and_no_store(light, tmp_path_factory):
    folder, environment = light
    predict = ("predict", "--json", "--unsure-below", 0)
    with scheduler_with_workers(1, tmp_path_factory.mktemp("dask")) as address:
        done = daskfer(
            *predict, "model", "face.png", "--scheduler", address, environment=environment,
            cwd=folder,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["emotion"] == "happy"
        # A path that leads elsewhere in each process, as it may on each machine.
        done = daskfer(
            *predict, "/proc/self/cwd/model", "face.png", "--scheduler", address,
            environment=environment, cwd=folder,
        )  # fmt: skip
    assert done.returncode == 1
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith("error: worker tcp://127.0.0.1:")
    assert "cannot read the model /proc/self/cwd/model/model.json (No such file" in error
    assert "Traceback" not in done.stderr
    assert "--upload" not in done.stderr


def test_local_workers_need_no_store(light):
    folder, environment = light
    done = daskfer(
        "predict", "model", "face.png", "--workers", 1, "--json", environment=environment,
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["row"] == 0


def test_photos_are_searched_for_faces(trained, tmp_path, models):
    data = pytest.importorskip("skimage.data")
    folder, _, environment = trained
    environment = {**environment, "DASKFER_MODELS": str(models), "DASKFER_OFFLINE": "1"}
    Image.fromarray(data.astronaut()).save(tmp_path / "astronaut.jpg")
    Image.fromarray(data.coffee()).save(tmp_path / "coffee.jpg")
    done = daskfer(
        "predict", folder / "named", tmp_path / "astronaut.jpg", tmp_path / "coffee.jpg", "--json",
        "--annotate", tmp_path / "marked", environment=environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    astronaut, coffee = (json.loads(line) for line in done.stdout.splitlines())
    assert 160 < astronaut["x"] < 190
    assert 60 < astronaut["y"] < 90
    assert abs(astronaut["width"] - astronaut["height"]) <= 1
    assert astronaut["emotion"]
    assert coffee["problem"].startswith("no face found")
    with Image.open(tmp_path / "marked/astronaut-marked.png") as picture:
        marked = np.asarray(picture)
    assert marked.shape == (512, 512, 3)
    # The box is yellow.
    assert (marked[astronaut["y"] + 30, astronaut["x"]] == [255, 255, 0]).all()
    whole = daskfer(
        "predict", folder / "named", tmp_path / "coffee.jpg", "--faces", "none", "--json",
        environment=environment,
    )  # fmt: skip
    assert json.loads(whole.stdout)["problem"] is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--faces", "some"), "--faces some: expected auto, find or none"),
        (("--unsure-below", "2"), "--unsure-below 2: expected a confidence from 0 to 1"),
        (("--out", "labels.xlsx"), "--out labels.xlsx: expected a name that ends in .csv"),
        (("--out", "s3://bucket/x.csv"), "is a URL: expected a local file"),
    ],
)
def test_errors_are_one_line(trained, options, words):
    folder, _, environment = trained
    done = daskfer(
        "predict", folder / "named", folder / "faces.csv", *options, environment=environment
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_no_model_or_no_input_is_an_error(trained, tmp_path):
    folder, _, environment = trained
    done = daskfer("predict", tmp_path, folder / "faces.csv", environment=environment)
    assert (done.returncode, "holds no model" in done.stderr) == (1, True)
    done = daskfer("predict", folder / "named", tmp_path / "none.csv", environment=environment)
    assert (done.returncode, "no such file" in done.stderr) == (1, True)


def test_an_output_is_there_as_a_whole_or_not_at_all(trained, tmp_path):
    folder, _, environment = trained
    (tmp_path / "x.csv").write_text("emotion,pixels\n0,1 2 3\n")
    out = tmp_path / "labels.csv"
    out.write_text("before")
    done = daskfer(
        "predict", folder / "named", folder / "faces.csv", tmp_path / "x.csv", "--out", out,
        environment=environment,
    )  # fmt: skip
    assert done.returncode == 1
    assert out.read_text() == "before"
    assert not list(tmp_path.glob(".*part"))


def test_an_input_is_not_written_over(trained, tmp_path):
    folder, _, environment = trained
    path = tmp_path / "own.csv"
    path.write_bytes((folder / "faces.csv").read_bytes())
    (tmp_path / "link.csv").symlink_to(path)
    for out in (path, tmp_path / "link.csv"):
        done = daskfer("predict", folder / "named", path, "--out", out, environment=environment)
        assert done.returncode == 1
        assert f"--out {out} is one of the inputs: expected another file" in done.stderr
    assert path.read_bytes() == (folder / "faces.csv").read_bytes()


def test_files_that_are_no_images_are_told(trained, tmp_path):
    folder, _, environment = trained
    Image.new("L", (48, 48), 90).save(tmp_path / "a.png")
    (tmp_path / "b.heic").write_bytes(b"x")
    done = daskfer("predict", folder / "named", tmp_path, "--json", environment=environment)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
    assert "1 other files there were not read (b.heic)" in done.stderr
