"""Synthetic sets on disk: FER2013's CSV form, and beside it the truth that it leaves out."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from daskfer.faces import USAGES
from daskfer.synthetic.drawing import draw_faces
from daskfer.synthetic.parameters import FaceParameters, Identity, Light, Pose
from daskfer.synthetic.sampling import (
    BLOCK_ROWS,
    DEFAULT_DIFFICULTY,
    Difficulty,
    draw_parameters,
)

HEADER = b"emotion,pixels,Usage\n"


def _words(texts: Sequence[str], length: int) -> NDArray[np.uint32]:
    """Texts as rows of `length` four-byte words, filled up with NUL."""
    padded = b"".join(text.encode("ascii").ljust(4 * length, b"\0") for text in texts)
    return np.frombuffer(padded, dtype=np.uint32).reshape(len(texts), length)


_EMOTION_WORDS = _words([f"{code}," for code in range(10)], 1)
_PIXEL_WORDS = _words([f"{grey} " for grey in range(256)], 1)
_LAST_PIXEL_WORDS = _words([f"{grey}," for grey in range(256)], 1)
_USAGE_WORDS = _words([f"{usage}\n" for usage in USAGES], 3)


def format_rows(
    emotion: NDArray[np.int8], faces: NDArray[np.uint8], usage: NDArray[np.int8]
) -> bytes:
    r"""Lines of FER2013's CSV form, without the header.

    Parameters
    ----------
    emotion, usage
        int8 (n,), codes of the emotion (0-6) and of the split (0-2).
    faces
        uint8 (n, pixels).

    Returns
    -------
    The n lines, each ended by ``"\n"``.
    """
    # Every value is looked up as a padded word; deleting the padding at once is what makes it fast.
    words = (
        _EMOTION_WORDS[emotion],
        _PIXEL_WORDS[faces[:, :-1], 0],
        _LAST_PIXEL_WORDS[faces[:, -1]],
        _USAGE_WORDS[usage],
    )
    return np.concatenate(words, axis=1).tobytes().translate(None, b"\0")


def truth_columns(parameters: FaceParameters) -> dict[str, NDArray[Any]]:
    """Columns of the truth file: every parameter of n faces by name, arrays (n,).

    Columns of a group are named after it where the name alone says too little: ``identity`` is the
    person's number, ``light_direction`` the direction of the light.
    """
    columns: dict[str, NDArray[Any]] = {}
    for field in fields(parameters):
        value = getattr(parameters, field.name)
        if isinstance(value, Identity | Pose | Light):
            prefix = "light_" if isinstance(value, Light) else ""
            for part in fields(value):
                name = "identity" if part.name == "number" else prefix + part.name
                columns[name] = getattr(value, part.name)
        else:
            columns[field.name] = value
    return columns


def _format_truth(parameters: FaceParameters) -> bytes:
    """Lines of the truth file; nine digits bring every float32 back exactly."""
    texts = [
        [f"{value:.9g}" for value in column.tolist()]
        if column.dtype.kind == "f"
        else [str(value) for value in column.tolist()]
        for column in truth_columns(parameters).values()
    ]
    return "".join(",".join(line) + "\n" for line in zip(*texts, strict=True)).encode("ascii")


@contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes its name only when it is complete."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with partial.open("xb") as file:
            yield file
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_csv(
    path: str | os.PathLike[str],
    rows: int,
    seed: int = 0,
    difficulty: float | Difficulty = DEFAULT_DIFFICULTY,
    emotion_weights: Sequence[float] | None = None,
    truth: str | os.PathLike[str] | None = None,
) -> None:
    r"""Write the first rows of a synthetic set in FER2013's form, in bounded memory.

    The file has the header ``emotion,pixels,Usage``, blanks between pixels and ``"\n"`` line ends.
    It is written under another name beside and renamed at the end: it is there whole, or not.

    Parameters
    ----------
    path
        File to write; an existing one is replaced.
    rows
        Number of faces, >= 1.
    seed, difficulty, emotion_weights
        As for `draw_parameters`.
    truth
        Another CSV to write beside: the columns of `truth_columns`, a line for each face.

    Raises
    ------
    ValueError
        When `rows` is less than 1, when both paths are the same, or as in `draw_parameters`.
    OSError
        When a file cannot be written.
    """
    if rows < 1:
        raise ValueError(f"Got rows={rows}, but expected a whole number >= 1")
    if truth is not None and Path(truth).absolute() == Path(path).absolute():
        raise ValueError(f"Got {os.fspath(path)!r} for both faces and truth; expected two files")
    with ExitStack() as stack:
        # The last file entered is renamed first: the faces never appear without their truth.
        faces_file = stack.enter_context(_whole_file(Path(path)))
        truth_file = stack.enter_context(_whole_file(Path(truth))) if truth is not None else None
        faces_file.write(HEADER)
        for start in range(0, rows, BLOCK_ROWS):
            stop = min(start + BLOCK_ROWS, rows)
            batch = draw_parameters(start, stop, seed, difficulty, emotion_weights)
            faces_file.write(format_rows(batch.emotion, draw_faces(batch), batch.usage))
            if truth_file is not None:
                if start == 0:
                    truth_file.write((",".join(truth_columns(batch)) + "\n").encode("ascii"))
                truth_file.write(_format_truth(batch))
