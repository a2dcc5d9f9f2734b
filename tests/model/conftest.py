"""A small model of recipe hog, trained once, and copies of it that a test may spoil."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from processes import daskfer
from trained import FAST

from daskfer.synthetic import write_csv


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """500 synthetic faces."""
    path = tmp_path_factory.mktemp("faces") / "faces.csv"
    write_csv(path, 500, seed=3)
    return path


@pytest.fixture(scope="session")
def hog_run(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run on them."""
    folder = tmp_path_factory.mktemp("hog")
    environment = {**os.environ, "DASKFER_STORE": str(folder / "store"), "COLUMNS": "120"}
    done = daskfer("run", faces, *FAST, "--out", folder / "run", environment=environment)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture
def model(hog_run: Path, tmp_path: Path) -> Path:
    """A copy of its model."""
    return Path(shutil.copytree(hog_run / "model", tmp_path / "model"))
