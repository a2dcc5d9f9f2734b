"""``daskfer name``: sheets, files of names, methods, and its errors; not the page."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image
from processes import daskfer, started, wait_until


@pytest.fixture
def finished(small_runs):
    """A folder with faces and finished runs, and an environment."""
    return small_runs


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the run that a test may name."""
    shutil.copytree(finished[0] / "waiting", tmp_path / "run")
    return tmp_path / "run"


def names_in(run: Path) -> list[str | None]:
    content = yaml.safe_load((run / "names.yaml").read_text())
    return [one["emotion"] for one in content["clusters"].values()]


def test_sheets_and_the_file_to_fill_in(finished, run, tmp_path):
    _, environment = finished
    sheets = tmp_path / "sheets"
    done = daskfer("name", run, "--sheets", sheets, environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "7 pictures are in" in done.stdout
    assert f"--file {sheets}/names.yaml" in done.stdout
    assert sorted(path.name for path in sheets.iterdir()) == [
        *(f"cluster-{number:03d}.png" for number in range(7)), "names.yaml",
    ]  # fmt: skip
    for path in sheets.glob("*.png"):
        with Image.open(path) as picture:
            assert picture.mode == "L"
            assert picture.width >= 480
            assert picture.height > 400
    text = (sheets / "names.yaml").read_text()
    assert yaml.safe_load(text) == dict.fromkeys(range(7))
    # Filled in, it names; what was filled in is not overwritten.
    filled = text.replace("0:", "0: happy").replace("3:", "3: 'yes'").replace("6:", "6: calm")
    (sheets / "names.yaml").write_text(filled)
    done = daskfer(
        "name", run, "--how", "file", "--file", sheets / "names.yaml", environment=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 names are from" in done.stdout
    assert "New names: yes, calm" in done.stdout
    assert "3 of 7 clusters have names now" in done.stdout
    assert names_in(run) == ["happy", None, None, "yes", None, None, "calm"]
    done = daskfer("name", run, "--sheets", sheets, environment=environment)
    assert done.returncode == 0
    assert f"--file {sheets}/names-new.yaml" in done.stdout
    assert (sheets / "names.yaml").read_text() == filled
    assert yaml.safe_load((sheets / "names-new.yaml").read_text()) == {
        0: "happy", 1: None, 2: None, 3: "yes", 4: None, 5: None, 6: "calm",
    }  # fmt: skip


def test_labels_may_name_where_one_says_so(finished, run):
    done = daskfer("name", run, "--how", "dominant", environment=finished[1])
    assert (done.returncode, done.stderr) == (0, "")
    assert "7 of 7 clusters have names now, by their most frequent labels" in done.stdout
    content = yaml.safe_load((run / "names.yaml").read_text())
    assert (content["how"], content["looks"]) == ("dominant", 0)
    assert all(names_in(run))
    trained = daskfer("train", run, "--json", environment=finished[1])
    assert trained.returncode == 0, trained.stderr
    metrics = json.loads(trained.stdout)
    assert metrics["naming"] == {"how": "dominant", "looks": 0}
    assert "the most frequent true emotion" in metrics["labels_used"][0]["why"]


@pytest.mark.slow
def test_without_its_store_a_run_is_computed_again(finished, run, tmp_path):
    done = daskfer(
        "name", run, "--sheets", tmp_path / "sheets", "--store", tmp_path / "other",
        environment=finished[1],
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert daskfer(
        "name", run, "--sheets", tmp_path / "again", environment=finished[1]
    ).returncode == 0  # fmt: skip
    for path in (tmp_path / "sheets").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_the_server_ends_when_it_is_told_to(finished, run, tmp_path):
    log = tmp_path / "log"
    command = (sys.executable, "-u", "-m", "daskfer", "name", run, "--no-browser")
    for number, status in ((signal.SIGINT, 0), (signal.SIGTERM, 0)):
        log.unlink(missing_ok=True)
        with started(*command, environment=finished[1], log=log) as process:
            wait_until(lambda: "Ctrl-C ends" in log.read_text(), "the server")
            process.send_signal(number)
            assert process.wait(20) == status
        assert log.read_text().splitlines()[-1] == "Nothing was answered."
        assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--how", "magic"), "--how magic: expected one of page, file, facs, dominant"),
        (("--how", "file"), "--how file needs the file too: --file names.yaml"),
        (("--file", "x.yaml"), "--file x.yaml: expected --how file with it"),
        (("--how", "file", "--file", "none.yaml"), "none.yaml: no such file"),
        (("--how", "facs"), "--how facs: this run's recipe measures no action units"),
        (("--names", "one"), "expected 2 to 100 names"),
        (("--names", "a,A"), "the name 'A' is there twice"),
        (("--host", "192.0.2.1", "--no-browser"), "--host 192.0.2.1 --port 0: Cannot assign"),
    ],
)
def test_errors_are_one_line(finished, run, options, words):
    done = daskfer("name", run, *options, environment=finished[1])
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") <= 2
    assert not list(run.glob("naming/*"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("9: happy", "cluster 9: expected a number from 0 to 6"),
        ("0: yes", "write it in quotes"),
        ("0:", "names no cluster"),
        ("[", "expected YAML"),
    ],
)
def test_files_that_name_nothing_are_errors(finished, run, tmp_path, text, words):
    (tmp_path / "names.yaml").write_text(text)
    done = daskfer(
        "name", run, "--how", "file", "--file", tmp_path / "names.yaml", environment=finished[1]
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert not list(run.glob("naming/*"))


def test_a_folder_that_is_no_run_is_an_error(finished, tmp_path):
    done = daskfer("name", tmp_path, environment=finished[1])
    assert done.returncode == 1
    assert "has no run.json: expected the folder of a run" in done.stderr
