"""Faces, and what a run on this machine's threads finds in them, for all kinds of clusters."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from processes import daskfer

from daskfer.synthetic import write_csv

CHANGES = ("--recipe", "hog", "--set", "block_rows=256", "--set", "classify.model=logistic")


@pytest.fixture(scope="session")
def changes() -> tuple[str, ...]:
    """Options of each run, so that its labels are those of `local_labels`."""
    return CHANGES


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,000 synthetic faces, in four blocks."""
    path = tmp_path_factory.mktemp("faces") / "faces.csv"
    write_csv(path, 1000, seed=3)
    return path


@pytest.fixture(scope="session")
def local(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on this machine's threads, in a store of its own."""
    folder = tmp_path_factory.mktemp("local")
    done = daskfer(
        "run", faces, *CHANGES, "--out", folder / "run", "--store", folder / "store",
        environment=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="session")
def local_labels(local: Path) -> pa.Table:
    """The labels of that run."""
    return pq.read_table(local / "labels.parquet")
