"""``daskfer inspect``: what it counts, shows and saves; and that it changes nothing."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from processes import daskfer


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """30 faces of 12×12: a copy in another split, a blank one, one without label, two bad ones."""
    random = np.random.default_rng(4)
    faces = random.integers(0, 256, (30, 144))
    faces[7] = faces[3]
    faces[9] = 50
    lines = ["emotion,pixels,Usage"]
    for row, face in enumerate(faces):
        emotion = {9: "", 7: "2"}.get(row, str(row % 3))
        usage = "PrivateTest" if row in (7, 20) else "Training"
        lines.append(f"{emotion},{' '.join(map(str, face))},{usage}")
    lines.insert(5, "3,1 2 3,Training")
    lines.append("9," + " ".join(map(str, faces[0])) + ",Training")
    path = tmp_path_factory.mktemp("inspect") / "faces.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_everything_as_json(damaged, clean_environment, tmp_path):
    before = damaged.read_bytes()
    done = daskfer("inspect", damaged, "--json", environment=clean_environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["sources"] == [
        {
            "path": str(damaged),
            "form": "csv",
            "packing": "",
            "bytes": len(before),
            "images": None,
        }
    ]
    assert found["rows"] == {
        "read": 32,
        "good": 30,
        "quarantined": 2,
        "blank": 1,
        "unlabelled": 1,
    }
    assert found["side"] == 12
    assert found["bad"] == {"too few pixels": 1, "unknown emotion": 1}
    assert found["classes"]["angry"] == {"Training": 9, "PrivateTest": 0}
    assert found["classes"]["fear"] == {"Training": 9, "PrivateTest": 2}
    assert found["classes"]["unlabelled"] == {"Training": 1, "PrivateTest": 0}
    assert found["classes"]["happy"] == {"Training": 0, "PrivateTest": 0}
    assert found["duplicates"] == {
        "distinct": 29,
        "redundant": 1,
        "conflicting_groups": 1,
        "spanning_groups": 1,
        "leaking_rows": 1,
        "similar": 0,
    }
    assert "2 of 32 rows are bad" in found["run"]["refused"]
    assert found["saved"] == []
    assert damaged.read_bytes() == before
    # The store alone is written to.
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_tables_for_a_person_and_what_a_run_would_do(damaged, clean_environment, tmp_path):
    sheets = tmp_path / "sheets"
    done = daskfer(
        "inspect", damaged, "--recipe", "hog", "--max-bad", "0.1", "--sheets", sheets,
        "--set", "represent.method=pixels", environment=clean_environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert "32 rows, 30 of them faces of 12×12" in text
    assert "29 distinct images; 1 rows repeat an earlier one" in text
    assert "1 × too few pixels (first: line 6 of" in text
    assert "daskfer run would fit 27 rows, validate on 0 and test on 2, in 1 block" in text
    assert sorted(path.name for path in sheets.iterdir()) == [
        "angry.png", "disgust.png", "fear.png", "quarantine.csv", "unlabelled.png",
    ]  # fmt: skip
    # A caption; nine faces in a line, each pixel two wide, two white ones between faces.
    with Image.open(io.BytesIO((sheets / "angry.png").read_bytes())) as picture:
        assert picture.size == ((9 * 14 - 2) * 2, 32 + 24)
    with Image.open(io.BytesIO((sheets / "unlabelled.png").read_bytes())) as picture:
        shown = np.asarray(picture)
    assert (shown[32:, :24] == 50).all()
    assert (sheets / "quarantine.csv").read_text().count("\n") == 3


def test_what_was_read_serves_the_run(damaged, clean_environment, tmp_path):
    daskfer("inspect", damaged, environment=clean_environment, cwd=tmp_path)
    done = daskfer(
        "run", "--recipe", "hog", damaged, "--max-bad", "0.1", "--out", tmp_path / "run", "--json",
        "--set", "cluster.clusters=2", "--set", "represent.cell=3", "--set", "represent.margin=0",
        "--set", "reduce.components=2", "--set", "classify.model=none",
        environment=clean_environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ingest" in json.loads(done.stdout)["reused"]


def test_inspect_foresees_what_run_would_refuse(clean_environment, tmp_path):
    path = tmp_path / "unlabelled.csv"
    path.write_text("pixels\n" + "".join(f"{row} 2 3 4\n" for row in range(40)))
    pixels = ["--set", "represent.method=pixels", "--set", "reduce.components=2"]
    for changes, reason in [
        ([], "represent: faces of 2×2 pixels"),
        (pixels[:2], "reduce.components=20: "),
        (pixels, "name.how=dominant needs emotion labels"),
    ]:
        shown = daskfer(
            "inspect",
            path,
            "--recipe",
            "hog",
            "--json",
            *changes,
            environment=clean_environment,
            cwd=tmp_path,
        )
        refused = json.loads(shown.stdout)["run"]["refused"]
        assert reason in refused
        done = daskfer(
            "run",
            "--recipe",
            "hog",
            path,
            "--out",
            tmp_path / "run",
            *changes,
            environment=clean_environment,
        )
        assert done.returncode == 1
        assert done.stderr == f"error: {refused}\n"
    # A run that left nothing does not keep its folder from another recipe.
    again = daskfer(
        "run", "--recipe", "hog",
        path, "--out", tmp_path / "run", *pixels, "--set", "name.how=none",
        "--set", "cluster.clusters=50", environment=clean_environment,
    )  # fmt: skip
    assert "cluster.clusters=50: only" in again.stderr


def test_folders_that_are_no_emotions_are_named(clean_environment, tmp_path):
    random = np.random.default_rng(0)
    for name in ["happy/a", "happy/b", "wütend/c"]:
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (9, 9), np.uint8)).save(path)
    done = daskfer("inspect", tmp_path / "photos", environment=clean_environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 faces have no label: " in done.stdout
    assert "wütend (1)" in done.stdout


def test_a_missing_file_is_one_line(clean_environment, tmp_path):
    done = daskfer("inspect", "none.csv", environment=clean_environment, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "none.csv: no such file" in done.stderr
    assert done.stderr.count("\n") == 1
