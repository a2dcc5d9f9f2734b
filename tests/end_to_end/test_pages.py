"""Every command that a page of the documentation prints is run, here or where it is named."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import SMALL
from pages import commands_in, pages
from PIL import Image
from processes import daskfer

from daskfer.model import read_model

ELSEWHERE = {
    "demo": "tests/cli/test_cli.py, tests/end_to_end/test_readme.py",
    "models get": "tests/cli/test_models.py",
    "models get --from face_landmarker.task": "tests/cli/test_models.py",
    "cluster check slurm.yaml": "tests/clusters/test_slurm.py",
    "run faces.csv --cluster slurm.yaml": "tests/clusters/test_slurm.py",
    "run faces.csv --scheduler tls://HOST:8786": "tests/clusters/test_tls.py",
    "run faces.csv --mlflow URI": "tests/test_tracking.py",
    "report RUN --sweep SWEEP": "tests/cli/test_report.py",
    "name runs/first": "tests/end_to_end/test_naming_page.py",
    "name runs/first --port 8800 --no-browser": "tests/end_to_end/test_naming_page.py",
}
"""Commands that need a scheduler, a network, a browser or a sweep of the run's own faces, and the
tests that have one."""

QUICK = SMALL[2:]
"""What is added to runs: less to compute."""


def printed() -> list[str]:
    """Commands of all pages but those on clusters' files, each once, in the order of the pages."""
    found = [
        " ".join(words)
        for page in pages()
        if page.name.startswith("docs/") or page.name == "README.md"
        for block in page.blocks("")
        for words in commands_in(block)
    ]
    return list(dict.fromkeys(found))


def is_here(command: str) -> bool:
    """Whether a command is run in this file; jobs have a file of their own."""
    return command not in ELSEWHERE and command.split()[0] not in ("submit", "jobs")


HERE = [command for command in printed() if is_here(command)]


def test_the_commands_elsewhere_are_still_printed_and_their_tests_are_there():
    assert set(ELSEWHERE) <= set(printed())
    project = Path(__file__).resolve().parents[2]
    for places in {*ELSEWHERE.values(), "tests/end_to_end/test_jobs.py"}:
        assert all((project / place).is_file() for place in places.split(", "))
    assert len(HERE) > 15


@pytest.fixture(scope="module")
def world(small_runs, tmp_path_factory):
    """A folder in which the pages' names mean something, and an environment."""
    small, _ = small_runs
    folder = tmp_path_factory.mktemp("world")
    for name in ("faces.csv", "fer2013.csv"):
        shutil.copy(small / "faces.csv", folder / name)
    lines = (folder / "faces.csv").read_text().splitlines()[1:]
    for number, line in enumerate(lines[:260]):
        pixels = np.array(line.split(",")[1].split(), np.uint8).reshape(48, 48)
        for place in ("my-faces", *(("new-faces", "photos") if number < 3 else ())):
            (folder / place).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / place / f"{number:03d}.png")
    Image.fromarray(pixels).save(folder / "photo.jpg")
    for number, line in enumerate(lines[:60]):
        place = folder / "my-animals" / ("cat" if number % 3 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.array(line.split(",")[1].split(), np.uint8).reshape(48, 48)
        Image.fromarray(pixels if number % 3 else pixels[::-1]).save(place / f"{number:03d}.png")
    for name in ("runs/first", "runs/fer2013-expression-…", "RUN", "OTHER"):
        shutil.copytree(small / "named", folder / name)
    shutil.copy(small / "named/recipe.yaml", folder / "mine.yaml")
    (folder / "sheets").mkdir()
    (folder / "sheets/names.yaml").write_text("0: happy\n1: sad\n")
    store = {"DASKFER_STORE": str(small / "store"), "DASKFER_OFFLINE": "1", "COLUMNS": "120"}
    return folder, {**os.environ, **store}


@pytest.mark.slow
@pytest.mark.parametrize("command", HERE)
def test_the_command_does_what_it_says(world, command, tmp_path):
    folder, environment = world
    words = command.split()
    if words[:2] == ["cache", "clear"]:
        # A store of its own: that of the others is in use.
        environment = {**environment, "DASKFER_STORE": str(tmp_path / "store")}
    if words[0] == "run":
        # Another folder: each of these is another run.
        if "--out" in words:
            at = words.index("--out")
            del words[at : at + 2]
        words += [*QUICK, "--out", str(tmp_path / "run")]
        words += [] if "--recipe" in words else ["--recipe", "hog"]
        # Without a label or a face model, images wait for a person.
        words += ["--set", "name.how=page"] if "my-faces/" in words else []
    if words[0] == "inspect":
        words += ["--recipe", "hog"]
    if words[0] == "sweep":
        words = ["2:3" if word == "2:5" else "5:6" if word == "5:15" else word for word in words]
        words += ["--set", "balance.per_class=30", "--rows", "200"]
    if words[0] == "simulate-naming":
        words += ["--looks", "4", "--seeds", "1"]
    done = daskfer(*words, environment=environment, cwd=folder)
    assert done.returncode == 0, f"daskfer {' '.join(words)}: {done.stdout} {done.stderr}"
    assert done.stdout.strip() or words[0] == "cache"
    check(command, folder, tmp_path)


def check(command: str, folder: Path, own: Path) -> None:
    """That what the command is to leave is there."""
    words = command.split()
    if words[0] == "run":
        waits = "my-faces/" in words
        assert (read_model(str(own / "run")).classifier is None) == waits
        assert (own / "run" / "report.html").exists()
    if "my-animals/" in words:
        figures = json.loads((own / "run" / "metrics.json").read_text())
        assert figures["classes"] == ["cat", "dog"]
        assert np.sum(figures["classifier"]["test_confusion"]) > 0
        assert set(read_model(str(own / "run")).categories) == {"cat", "dog"}
    if "--sheets" in words:
        assert list((folder / "sheets").glob("*.png"))
    for option in ("--out", "--onnx", "--graphs"):
        if option in words and words[0] != "run":
            assert (folder / words[words.index(option) + 1]).exists()
    if "--file" in words:
        content = yaml.safe_load((folder / "runs/first/names.yaml").read_text())
        assert content["clusters"][1]["emotion"] == "sad"
