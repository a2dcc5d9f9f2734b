"""The face model on one thread: a face in, landmarks, blendshapes and inner activations out.

The bundle is a zip of TFLite models, which LiteRT runs one face at a time: batches were no
faster (see BENCHMARKS.md). The faces are crops already, so no detector is needed. Beside the
models' own outputs, layers before the last are read: what a linear model finds of an expression
in these is more than in landmarks and scores.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from daskfer.bundle import FACE_LANDMARKER
from daskfer.engine import check_wanted
from daskfer.errors import MissingPackage
from daskfer.represent.expression import blendshapes

SIDE = 256
"""Side of the model's input, in pixels."""

POINTS = 478
"""Landmarks of a face."""

_LANDMARKS_MODEL = "face_landmarks_detector.tflite"
_BLENDSHAPES_MODEL = "face_blendshapes.tflite"

_LAYER8, _LAYER4, _TOKEN = 408, 439, 191
"""Tensors of the two models (of just this bundle): the landmark network's last activations of
8×8×128 and of 4×4×128, and the token that blendshapes are made from."""

LAYER = 4 * 4 * 128
"""Numbers of a layer that are kept: of 8×8 places, each 2×2 are averaged."""


@dataclass(frozen=True)
class Measured:
    """What the model says of some faces.

    Attributes
    ----------
    presence : float32 array (n,)
        Log-odds that there is a face.
    landmarks : float32 array (n, 478, 3)
        x to the right, y down and z away, in pixels of the model's input.
    blendshapes : float32 array (n, 52)
        0–1, in the order of `blendshapes.NAMES`.
    tokens : float32 array (n, 64)
    layer4, layer8 : float32 array (n, 2048)
        Activations at 4×4 places (rows, columns, channels).
    """

    presence: np.ndarray
    landmarks: np.ndarray
    blendshapes: np.ndarray
    tokens: np.ndarray
    layer4: np.ndarray
    layer8: np.ndarray


class Landmarker:
    """The models of a bundle, ready to run on the thread that made them.

    Parameters
    ----------
    bundle : bytes
        The content of ``face_landmarker.task``.

    Raises
    ------
    MissingPackage
        Without ai-edge-litert.
    """

    def __init__(self, bundle: bytes) -> None:
        parts = zipfile.ZipFile(io.BytesIO(bundle))
        self._landmarks = interpreter(parts.read(_LANDMARKS_MODEL), [_LAYER4, _LAYER8])
        self._blendshapes = interpreter(parts.read(_BLENDSHAPES_MODEL), [_TOKEN])
        self._subset = np.array(blendshapes.LANDMARKS)
        self._image = np.empty((1, SIDE, SIDE, 3), np.float32)

    @property
    def parts(self) -> tuple[tuple[Any, list[int]], tuple[Any, list[int]]]:
        """The interpreters of landmarks and of blendshapes, each with its outputs' tensors."""
        return self._landmarks, self._blendshapes

    def measure(self, faces: np.ndarray, face_side: int) -> Measured:
        """Run the models on faces, uint8 (n, side, side), drawn `face_side` pixels wide."""
        count = len(faces)
        found = Measured(
            np.empty(count, np.float32),
            np.empty((count, POINTS, 3), np.float32),
            np.empty((count, len(blendshapes.NAMES)), np.float32),
            np.empty((count, 64), np.float32),
            np.empty((count, LAYER), np.float32),
            np.empty((count, LAYER), np.float32),
        )
        steps = _steps(faces.shape[1], face_side)
        for number, face in enumerate(faces):
            check_wanted()
            self._measure_one(number, face, steps, found)
        return found

    def _measure_one(
        self, number: int, face: np.ndarray, steps: tuple[np.ndarray, ...], found: Measured
    ) -> None:
        model, outputs = self._landmarks
        # Not into the model's own memory: it refuses to run while anybody, such as a profiler that
        # looks at this thread, still has a view of that.
        _draw(face, *steps, self._image[0])
        model.set_tensor(0, self._image)
        model.invoke()
        points, presence, _, layer4, layer8 = (model.get_tensor(index) for index in outputs)
        found.landmarks[number] = points.reshape(POINTS, 3)
        found.presence[number] = presence.item()
        found.layer4[number] = layer4.ravel()
        _pool(layer8[0], found.layer8[number].reshape(4, 4, 128))
        model, outputs = self._blendshapes
        model.set_tensor(0, found.landmarks[number, self._subset, :2][None])
        model.invoke()
        scores, token = (model.get_tensor(index) for index in outputs)
        found.blendshapes[number] = scores
        found.tokens[number] = token.ravel()


_own = threading.local()
_quieting = threading.Lock()


def landmarker(bundle: bytes) -> Landmarker:
    """The landmarker of this thread, made at its first use.

    Raises
    ------
    ValueError
        When the bundle is not the one whose layers are known; it was checked where it was found.
    """
    name = hashlib.sha256(bundle).hexdigest()
    if name != FACE_LANDMARKER.sha256:
        raise ValueError(f"a bundle with sha256 {name}: expected {FACE_LANDMARKER.sha256}")
    if getattr(_own, "name", None) != name:
        _own.model, _own.name = Landmarker(bundle), name
    model: Landmarker = _own.model
    return model


def check_runtime(
    what: str = "represent.method=expression",
    instead: str = "use --recipe hog, which needs no model",
) -> None:
    """Refuse to go on without LiteRT, before any work.

    Parameters
    ----------
    what : str
        What needs it.
    instead : str
        What does not.

    Raises
    ------
    MissingPackage
    """
    _litert(what, instead)


def _litert(what: str = "the face model", instead: str = "use --recipe hog") -> Any:
    try:
        # What adds outputs to its models, and comes with the same extra.
        import flatbuffers  # noqa: F401
        from ai_edge_litert import interpreter
    except ImportError as error:
        raise MissingPackage(
            f"{what} needs the package ai-edge-litert: "
            f"pip install 'daskfer[expression]', or {instead}"
        ) from error
    return interpreter


def interpreter(model: bytes, layers: list[int]) -> tuple[Any, list[int]]:
    """A model on one thread that also gives these layers, and its outputs' tensors."""
    content = _with_outputs(model, layers)
    with _quiet():
        ready = _litert().Interpreter(model_content=content, num_threads=1)
        ready.allocate_tensors()
    return ready, [output["index"] for output in ready.get_output_details()]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what LiteRT says of itself, which no setting of its own does, from the terminal."""
    # One thread at a time: another would keep, and give back, what is no terminal.
    with _quieting:
        sys.stderr.flush()
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def _with_outputs(model: bytes, layers: list[int]) -> bytes:
    """The same model with more of its tensors as outputs.

    To ask the interpreter to keep all tensors would cost it its fused kernels.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    content = schema.ModelT.InitFromPackedBuf(model, 0)
    graph = content.subgraphs[0]
    graph.outputs = np.array([*graph.outputs, *layers], np.int32)
    # Signatures name the outputs of before.
    content.signatureDefs = None
    builder = flatbuffers.Builder(len(model))
    builder.Finish(content.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _steps(side: int, face_side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each pixel along the input: its two neighbours in the face, and the second's share.

    The face lies in the middle, resized with pixels' centres in mind; around it its border is
    repeated, because the model wants a margin.
    """
    start = (SIDE - face_side) // 2
    place = np.clip(np.arange(SIDE) - start, 0, face_side - 1)
    exact = np.clip((place + 0.5) * side / face_side - 0.5, 0, side - 1)
    first = exact.astype(np.int64)
    return first, np.minimum(first + 1, side - 1), (exact - first).astype(np.float32)


def to_face(positions: np.ndarray, side: int, face_side: int) -> np.ndarray:
    """Positions (…, 2) in the model's input as positions in pixels of the face."""
    start = (SIDE - face_side) // 2
    return np.asarray((positions - start) * (side / face_side) - 0.5)


@numba.njit(nogil=True, cache=True)
def _draw(face, first, second, share, out):  # type: ignore[no-untyped-def]
    """Draw a face, uint8 (side, side), into the model's input, float32 (256, 256, 3), 0–1."""
    side = face.shape[0]
    line = np.empty(side, np.float32)
    drawn = np.empty(SIDE, np.float32)
    for row in range(SIDE):
        above, below, down = first[row], second[row], share[row]
        # The margin repeats the face's border.
        if row == 0 or above != first[row - 1] or down != share[row - 1]:
            for column in range(side):
                line[column] = (
                    np.float32(face[above, column]) * (np.float32(1) - down)
                    + np.float32(face[below, column]) * down
                ) * np.float32(1 / 255)
            for column in range(SIDE):
                across = share[column]
                drawn[column] = (
                    line[first[column]] * (np.float32(1) - across) + line[second[column]] * across
                )
        for column in range(SIDE):
            value = drawn[column]
            out[row, column, 0] = value
            out[row, column, 1] = value
            out[row, column, 2] = value


@numba.njit(nogil=True, cache=True)
def _pool(layer, out):  # type: ignore[no-untyped-def]
    """Means of 2×2 places of a layer (8, 8, 128), into (4, 4, 128)."""
    quarter = np.float32(0.25)
    for row in range(4):
        for column in range(4):
            for channel in range(layer.shape[2]):
                out[row, column, channel] = quarter * (
                    layer[2 * row, 2 * column, channel]
                    + layer[2 * row, 2 * column + 1, channel]
                    + layer[2 * row + 1, 2 * column, channel]
                    + layer[2 * row + 1, 2 * column + 1, channel]
                )
