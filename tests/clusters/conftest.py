"""What the tests of cluster files share: few faces, and what a run on this machine says of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from clusters.shipped import command


@pytest.fixture(scope="session")
def few_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 synthetic faces, 4 MB: three blocks of 256 rows."""
    from daskfer.synthetic import write_csv

    path = tmp_path_factory.mktemp("few") / "faces.csv"
    write_csv(path, 600, seed=5)
    return path


@pytest.fixture(scope="session")
def local(few_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on this process's own threads, in a store of its own."""
    folder = tmp_path_factory.mktemp("local")
    environment = {**os.environ, "DASKFER_STORE": str(folder / "store")}
    run = [str(part) for part in command(few_faces, folder / "run")]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return folder / "run"
