"""The face model: what it says is what it says without us, whoever asks and in whatever order."""

from __future__ import annotations

import io
import sys
import threading
import zipfile

import numpy as np
import pytest

from daskfer.errors import MissingPackage
from daskfer.represent.expression import blendshapes
from daskfer.represent.expression.landmarker import (
    POINTS,
    SIDE,
    Landmarker,
    Measured,
    _draw,
    _steps,
    check_runtime,
    landmarker,
    to_face,
)
from daskfer.synthetic import draw_faces, draw_parameters

FACE = 168
PARTS = ("presence", "landmarks", "blendshapes", "tokens", "layer4", "layer8")


def drawn(count: int, side: int = 48, seed: int = 7) -> np.ndarray:
    """Synthetic faces, uint8 (n, side, side)."""
    faces = draw_faces(draw_parameters(0, count, seed=seed)).reshape(-1, 48, 48)
    at = (np.arange(side) + 0.5) * 48 / side - 0.5
    return np.stack([np.rint(resized(face, at)).astype(np.uint8) for face in faces])


def resized(face: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A face at these rows and columns, bilinear, with its border repeated."""
    known = np.arange(len(face))
    rows = np.stack([np.interp(at, known, column) for column in face.T.astype(float)], axis=1)
    return np.stack([np.interp(at, known, row) for row in rows])


def plain_drawing(face: np.ndarray, face_side: int) -> np.ndarray:
    """What the model is to see, float64 (256, 256)."""
    inner = resized(face, (np.arange(face_side) + 0.5) * len(face) / face_side - 0.5)
    before = (SIDE - face_side) // 2
    return np.pad(inner, (before, SIDE - face_side - before), mode="edge") / 255


def drawing(face: np.ndarray, face_side: int) -> np.ndarray:
    out = np.full((SIDE, SIDE, 3), np.nan, np.float32)
    _draw(face, *_steps(len(face), face_side), out)
    return out


def assert_equal(found: Measured, other: Measured) -> None:
    for part in PARTS:
        assert np.array_equal(getattr(found, part), getattr(other, part)), part


def taken(measured: Measured, rows: list[int]) -> Measured:
    return Measured(*(getattr(measured, part)[rows] for part in PARTS))


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    return drawn(8)


@pytest.fixture(scope="module")
def measured(bundle: bytes, faces: np.ndarray) -> Measured:
    return landmarker(bundle).measure(faces, FACE)


def test_steps_by_hand() -> None:
    # Half as wide as the input: 64 pixels of border, and 2 a pixel of the face.
    first, second, share = _steps(64, 128)
    assert first[[0, 63, 64, 65, 66, 191, 192, 255]].tolist() == [0, 0, 0, 0, 0, 63, 63, 63]
    assert second[[64, 65, 66, 191, 255]].tolist() == [1, 1, 1, 63, 63]
    assert share[[0, 64, 65, 66, 67]] == pytest.approx([0, 0, 0.25, 0.75, 0.25])
    assert first[67] == 1


@pytest.mark.parametrize("side", [20, 48, 64, 200, 256, 300])
@pytest.mark.parametrize("face_side", [64, 168, 171, 256])
def test_a_drawing_is_numpys(side: int, face_side: int) -> None:
    face = np.random.default_rng(side).integers(0, 256, (side, side), dtype=np.uint8)
    found = drawing(face, face_side)
    assert np.abs(found - plain_drawing(face, face_side)[:, :, None]).max() < 1e-6
    assert found.min() >= 0
    assert found.max() <= 1


def test_places_in_the_input_are_places_in_the_face() -> None:
    # A ramp shows where each pixel of the input comes from.
    ramp = np.tile(np.arange(48, dtype=np.uint8), (48, 1))
    inside = np.arange(60, 190)
    centres = np.column_stack([inside + 0.5, inside + 0.5])
    came_from = to_face(centres, 48, FACE)[:, 0]
    assert drawing(ramp, FACE)[100, inside, 0] * 255 == pytest.approx(came_from, abs=1e-4)
    # The face's corner is half a pixel before the centre of its first.
    assert to_face(np.array([44.0, 44 + FACE]), 48, FACE).tolist() == [-0.5, 47.5]


def test_shapes_and_ranges(measured: Measured) -> None:
    shapes = [getattr(measured, part).shape for part in PARTS]
    assert shapes == [(8,), (8, POINTS, 3), (8, 52), (8, 64), (8, 2048), (8, 2048)]
    for part in PARTS:
        values = getattr(measured, part)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
        # Each face says something of its own.
        assert len(np.unique(values.reshape(8, -1), axis=0)) == 8
    assert (measured.presence > 5).all()
    assert (measured.blendshapes >= 0).all()
    assert (measured.blendshapes <= 1).all()
    # All landmarks of a face that fills its picture are about where the picture was drawn.
    assert (measured.landmarks[:, :, :2] > 0).all()
    assert (measured.landmarks[:, :, :2] < SIDE).all()


def test_equals_the_models_as_they_are(
    bundle: bytes, faces: np.ndarray, measured: Measured
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    parts = zipfile.ZipFile(io.BytesIO(bundle))
    models = []
    for name in ("face_landmarks_detector.tflite", "face_blendshapes.tflite"):
        model = Interpreter(model_content=parts.read(name), num_threads=1)
        model.allocate_tensors()
        models.append(model)
    finder, scorer = models
    outputs = {output["name"]: output["index"] for output in finder.get_output_details()}
    (scores,) = (output["index"] for output in scorer.get_output_details())
    for number, face in enumerate(faces):
        image = plain_drawing(face, FACE).astype(np.float32)
        finder.set_tensor(0, np.repeat(image[None, :, :, None], 3, axis=3))
        finder.invoke()
        points = finder.get_tensor(outputs["Identity"]).reshape(POINTS, 3)
        # The drawing is rounded in another order.
        assert np.abs(points - measured.landmarks[number]).max() < 1e-2
        presence = finder.get_tensor(outputs["Identity_1"]).item()
        assert presence == pytest.approx(measured.presence[number], abs=1e-3)
        finder.set_tensor(0, drawing(face, FACE)[None])
        finder.invoke()
        points = finder.get_tensor(outputs["Identity"]).reshape(POINTS, 3)
        assert (points == measured.landmarks[number]).all()
        assert finder.get_tensor(outputs["Identity_1"]).item() == measured.presence[number]
        scorer.set_tensor(0, points[None, list(blendshapes.LANDMARKS), :2])
        scorer.invoke()
        assert (scorer.get_tensor(scores) == measured.blendshapes[number]).all()


def test_layers_are_the_ones_that_are_named(
    bundle: bytes, faces: np.ndarray, measured: Measured
) -> None:
    """All tensors are kept here, and looked up by their shapes rather than their numbers."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    def kept(name: str, given: np.ndarray, shape: list[int]) -> list[np.ndarray]:
        model = Interpreter(
            model_content=zipfile.ZipFile(io.BytesIO(bundle)).read(name),
            num_threads=1,
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        model.allocate_tensors()
        model.set_tensor(0, given)
        model.invoke()
        details = [tensor for tensor in model.get_tensor_details() if tensor["dtype"] == np.float32]
        # In the order in which they are computed, weights (of another rank) aside.
        return [model.get_tensor(t["index"]) for t in details if list(t["shape"]) == shape]

    image = drawing(faces[0], FACE)[None]
    finder = "face_landmarks_detector.tflite"
    for part, side in (("layer4", 4), ("layer8", 8)):
        values = kept(finder, image, [1, side, side, 128])
        found = getattr(measured, part)[0].reshape(4, 4, 128)
        small = [v[0].reshape(4, side // 4, 4, side // 4, 128).mean(axis=(1, 3)) for v in values]
        away = [float(np.abs(value - found).max()) for value in small]
        # The last of them all.
        assert away[-1] < 1e-3, (part, away)


def test_faces_do_not_depend_on_their_order_or_batch(
    bundle: bytes, faces: np.ndarray, measured: Measured
) -> None:
    model = landmarker(bundle)
    order = [5, 0, 3, 3, 7, 1]
    assert_equal(model.measure(faces[order], FACE), taken(measured, order))
    for number in (0, 6):
        assert_equal(model.measure(faces[number : number + 1], FACE), taken(measured, [number]))
    # Another size in between leaves nothing behind.
    model.measure(drawn(1, side=64), 200)
    assert_equal(model.measure(faces[2:4], FACE), taken(measured, [2, 3]))
    assert_equal(model.measure(faces[:0], FACE), taken(measured, []))


def test_a_profiler_may_hold_what_a_face_was_drawn_with(
    bundle: bytes, faces: np.ndarray, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask's holds frames of a worker's thread, and with them what numba was called with."""
    held = []

    def draw(*arguments: np.ndarray) -> None:
        held.append(arguments)
        _draw(*arguments)

    monkeypatch.setattr("daskfer.represent.expression.landmarker._draw", draw)
    assert_equal(landmarker(bundle).measure(faces[:2], FACE), taken(measured, [0, 1]))
    assert len(held) == 2


@pytest.mark.parametrize("side", [64, 96])
def test_a_larger_face_says_the_same(bundle: bytes, measured: Measured, side: int) -> None:
    found = landmarker(bundle).measure(drawn(8, side=side), FACE)
    away = np.abs(found.landmarks - measured.landmarks)[:, :, :2]
    assert np.median(away) < 2
    # Beside the faces' own differences.
    spread = np.abs(measured.landmarks - measured.landmarks.mean(axis=0))[:, :, :2]
    assert away.mean() < 0.5 * spread.mean()


def test_a_smaller_drawing_has_its_landmarks_nearer_to_the_middle(
    bundle: bytes, faces: np.ndarray, measured: Measured
) -> None:
    found = landmarker(bundle).measure(faces, 140)
    here = to_face(found.landmarks[:, :, :2], 48, 140)
    there = to_face(measured.landmarks[:, :, :2], 48, FACE)
    assert np.median(np.abs(here - there)) < 1
    ratio = np.ptp(found.landmarks[:, :, 0], axis=1) / np.ptp(measured.landmarks[:, :, 0], axis=1)
    assert np.median(ratio) == pytest.approx(140 / FACE, abs=0.05)


def test_a_mirror_image_has_the_landmarks_on_the_other_side(
    bundle: bytes, faces: np.ndarray, measured: Measured
) -> None:
    found = landmarker(bundle).measure(np.ascontiguousarray(faces[:, :, ::-1]), FACE)
    # Corners of the eyes and of the mouth, and the ends of the brows.
    for left, right in ((33, 263), (133, 362), (61, 291), (46, 276)):
        turned = np.array([SIDE, 0]) + measured.landmarks[:, left, :2] * [-1, 1]
        away = np.linalg.norm(turned - found.landmarks[:, right, :2], axis=1)
        assert np.median(away) < 6, (left, right)


def test_a_thread_has_one_landmarker_of_its_own(
    bundle: bytes, faces: np.ndarray, measured: Measured
) -> None:
    mine = landmarker(bundle)
    assert landmarker(bytes(bytearray(bundle))) is mine
    found: list[tuple[Landmarker, Landmarker, Measured]] = []

    def work() -> None:
        theirs = landmarker(bundle)
        found.append((theirs, landmarker(bundle), theirs.measure(faces, FACE)))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(mine), *(id(first) for first, _, _ in found)}) == 3
    for first, second, values in found:
        assert first is second
        assert_equal(values, measured)


@pytest.mark.parametrize("change", ["nothing", "garbage", "shorter", "one bit", "more"])
def test_another_bundle_is_refused(change: str, bundle: bytes) -> None:
    flipped = bytearray(bundle)
    flipped[len(bundle) // 2] ^= 1
    changed = {
        "nothing": b"",
        "garbage": b"no model",
        "shorter": bundle[:-1],
        "one bit": bytes(flipped),
        "more": bundle + b"\0",
    }[change]
    before = landmarker(bundle)
    with pytest.raises(ValueError, match=r"a bundle with sha256 [0-9a-f]{64}: expected 64184e22"):
        landmarker(changed)
    assert landmarker(bundle) is before


def test_without_the_package_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(MissingPackage) as caught:
        check_runtime()
    told = str(caught.value)
    assert "pip install 'daskfer[expression]'" in told
    assert "--recipe hog" in told
    assert "\n" not in told


def test_with_the_package_nothing_is_said(bundle: bytes) -> None:
    check_runtime()
