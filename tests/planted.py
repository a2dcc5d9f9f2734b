"""Faces whose right answer is known, as small CSV files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

SIDE = 10


def write_planted(path: Path, kinds: int, rows: int = 320, seed: int = 0) -> Path:
    """Faces of so many kinds, well apart, without labels; of no kinds, structureless noise."""
    random = np.random.default_rng(seed)
    faces = random.normal(128, 20, (rows, SIDE * SIDE))
    if kinds:
        faces += random.normal(0, 30, (kinds, SIDE * SIDE))[np.arange(rows) % kinds]
    # The darkest and the lightest pixel are the same in all, so that min-max changes no face.
    faces[:, 0], faces[:, 1] = 0, 255
    lines = [" ".join(map(str, face)) for face in faces.clip(0, 255).astype(int).tolist()]
    path.write_text("pixels\n" + "\n".join(lines) + "\n")
    return path
