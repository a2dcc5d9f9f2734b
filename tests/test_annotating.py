"""Marked copies of images: none is written over an image that was read or lies there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from daskfer.annotating import Marks


def row(path: Path) -> dict[str, object]:
    return {"source": str(path), "problem": None, "emotion": "sad", "confidence": 0.5, "x": None}


def test_no_image_is_lost(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.png", "a.jpg", "b/a.png", "a-marked.png", "c.png")]
    (tmp_path / "b").mkdir()
    for number, path in enumerate(paths):
        Image.fromarray(np.full((48, 48), 40 * number, np.uint8)).save(path)
    before = {path: path.read_bytes() for path in paths}
    for _ in range(2):
        marks = Marks(str(tmp_path))
        marks.add([row(path) for path in paths[:4]])
        marks.write()
        assert {path: path.read_bytes() for path in paths} == before
        # A second time they are written over those of the first, and no more are there.
        assert {path.name for path in tmp_path.glob("*.png")} == {
            "a.png", "c.png", "a-marked.png", "a-2-marked.png", "a-3-marked.png", "a-4-marked.png",
            "a-marked-marked.png",
        }  # fmt: skip
    with Image.open(tmp_path / "a-2-marked.png") as picture:
        assert picture.size == (240, 240)
