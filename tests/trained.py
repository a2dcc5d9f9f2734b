"""Trained models for tests: runs that left one, the faces they saw, and copies to tamper with."""

from __future__ import annotations

import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from daskfer.cluster import Centers
from daskfer.faces import EMOTIONS
from daskfer.model import write_model
from daskfer.model.writing import part_file
from daskfer.naming import Names
from daskfer.recipe import Normalize, Pixels, Recipe
from daskfer.reduce import Reducer

FAST = (
    "--recipe", "hog", "--set", "cluster.restarts=2", "--set", "classify.model=logistic",
    "--set", "evaluate.null_draws=1", "--set", "evaluate.stability_draws=0",
)  # fmt: skip
"""A recipe that trains quickly."""


def pixels_of(csv: Path) -> np.ndarray:
    """Faces, uint8 (n, side * side), of a file that `daskfer.synthetic.write_csv` wrote."""
    rows = [line.split(",")[1] for line in csv.read_text().splitlines()[1:]]
    return np.array([row.split() for row in rows], np.uint8)


def labels_of(run: Path) -> dict[str, list[Any]]:
    """The columns of a run's labels.parquet."""
    return pq.read_table(run / "labels.parquet").to_pydict()


def head_of(model: Path) -> dict[str, Any]:
    """What model.json says."""
    found: dict[str, Any] = json.loads((model / "model.json").read_text())
    return found


def set_head(model: Path, **values: Any) -> None:
    """Have model.json say something else."""
    (model / "model.json").write_text(json.dumps(head_of(model) | values))


def part_of(model: Path, name: str) -> Path:
    """The file of a part, such as clusters.npz."""
    return model / part_file(name, head_of(model)["sha256"][name])


def plain_name(file: str) -> str:
    """The name of a file without what its content adds to it."""
    return re.sub(r"-[0-9a-f]{12}(?=[.](npz|skops)$)", "", file)


def set_part(model: Path, name: str, data: bytes) -> None:
    """Put something in the place of a part, with the checksum that it has."""
    sums = head_of(model)["sha256"] | {name: hashlib.sha256(data).hexdigest()}
    set_head(model, sha256=sums)
    part_of(model, name).write_bytes(data)


def set_classifier(model: Path, data: bytes) -> None:
    """Put a classifier in skops's format in the place of the one that is there in two forms."""
    sums = head_of(model)["sha256"]
    set_head(model, sha256={name: sums[name] for name in sums if name != "classifier.npz"})
    set_part(model, "classifier.skops", data)


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a .npz."""
    with np.load(path) as content:
        return {name: content[name] for name in content.files}


def npz(**arrays: np.ndarray) -> bytes:
    """A .npz of these arrays, as NumPy writes it (with pickles of objects, where it has any)."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def write_light_model(folder: Path, dark: str = "sad", bright: str = "happy") -> None:
    """A model made by hand, which tells faces that are dark or bright on average; side 48."""
    recipe = Recipe(normalize=Normalize("unit"), represent=Pixels())
    features = 48 * 48
    mean = Reducer(np.zeros(features), np.full((1, features), 1 / features), np.ones(1), 1.0)
    codes = np.array([EMOTIONS.index(dark), EMOTIONS.index(bright)], np.int8)
    names = Names(codes, "file", 0, np.ones(2, np.int64), np.ones(2))
    clusters = Centers(np.array([[0.0], [1.0]]), 1)
    write_model(str(folder), recipe, 48, mean, clusters, names, None)
