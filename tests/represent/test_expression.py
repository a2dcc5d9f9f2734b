"""What is kept of each face: its parts, and how little half precision costs."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import REAL

from daskfer.errors import RecipeError
from daskfer.normalize import shift_and_scale
from daskfer.recipe import PARTS, Expression
from daskfer.represent import feature_count
from daskfer.represent.expression import alignment
from daskfer.represent.expression.blendshapes import AVERAGED, NAMES, average_sides
from daskfer.represent.expression.features import part_dimensions
from daskfer.represent.expression.landmarker import SIDE, landmarker, to_face
from daskfer.represent.expression.measure import STORED, hog_features, hog_of, measure, mirrored
from daskfer.represent.hog import hog
from daskfer.synthetic import draw_faces, draw_parameters

METHOD = Expression()
WIDE = {"landmarks": 1434, "blendshapes": 52, "tokens": 64, "layer4": 2048, "layer8": 2048}


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return draw_faces(draw_parameters(0, 24, seed=7))


@pytest.fixture(scope="module")
def measured(bundle: bytes, pixels: np.ndarray) -> dict[str, np.ndarray]:
    return measure(pixels, 48, "minmax", METHOD, bundle)


@pytest.fixture(scope="module")
def images(bundle: bytes, pixels: np.ndarray) -> dict[str, np.ndarray]:
    return measure(mirrored(pixels, 48), 48, "minmax", METHOD, bundle)


def test_parts_have_their_names_kinds_and_widths(measured: dict[str, np.ndarray]) -> None:
    assert tuple(measured) == STORED
    assert set(STORED) == {"presence", *PARTS}
    assert measured["presence"].shape == (24,)
    # 48 / 6 = 8 cells a side: 7 × 7 blocks of 2 × 2 cells of 8 directions.
    for part, columns in {**WIDE, "hog": 7 * 7 * 2 * 2 * 8}.items():
        assert measured[part].shape == (24, columns), part
    whole = ("presence", "blendshapes", "tokens")
    for part, values in measured.items():
        assert values.dtype == (np.float32 if part in whole else np.float16), part
        assert np.isfinite(values).all(), part


def test_half_precision_loses_little(
    bundle: bytes, pixels: np.ndarray, measured: dict[str, np.ndarray]
) -> None:
    found = landmarker(bundle).measure(pixels.reshape(-1, 48, 48), METHOD.face)
    for part in ("presence", "blendshapes", "tokens"):
        assert (measured[part] == getattr(found, part)).all()
    points = measured["landmarks"].astype(np.float32).reshape(-1, 478, 3)
    # In the model's input, of which a pixel of the face is 3.5; half a unit in the last place of
    # numbers up to 128, and a depth may be larger.
    lost = np.abs(points + [SIDE / 2, SIDE / 2, 0] - found.landmarks)
    assert lost[:, :, :2].max() <= 2**-5
    assert lost[:, :, :2].mean() < 0.01
    assert lost.max() <= 2**-4
    for part in ("layer4", "layer8"):
        exact = getattr(found, part)
        assert np.abs(measured[part] - exact).max() <= np.abs(exact).max() * 2**-11


def test_hog_is_of_the_aligned_face(
    bundle: bytes, pixels: np.ndarray, measured: dict[str, np.ndarray]
) -> None:
    faces = pixels.reshape(-1, 48, 48)
    points = landmarker(bundle).measure(faces, METHOD.face).landmarks
    stable = to_face(points[:, alignment.POINTS, :2], 48, METHOD.face)
    aligned = alignment.warp(faces, alignment.affine(stable, 48)).reshape(24, -1)
    _, scale = shift_and_scale(pixels, "minmax")
    found = hog(aligned, 48, scale, hog_of(METHOD))
    assert np.abs(measured["hog"] - found).max() < 2**-11
    # Aligned, and not as it was.
    assert np.abs(measured["hog"] - hog(pixels, 48, scale, hog_of(METHOD))).max() > 0.05


def test_alignment_brings_the_stable_points_together(bundle: bytes, pixels: np.ndarray) -> None:
    points = landmarker(bundle).measure(pixels.reshape(-1, 48, 48), METHOD.face).landmarks
    stable = to_face(points[:, alignment.POINTS, :2], 48, METHOD.face)
    aligned = alignment.to_aligned(stable, alignment.affine(stable, 48))
    before = np.abs(stable - alignment.template(48)).mean()
    assert np.abs(aligned - alignment.template(48)).mean() < min(0.5, before / 2)


def test_faces_do_not_depend_on_their_block(
    bundle: bytes, pixels: np.ndarray, measured: dict[str, np.ndarray]
) -> None:
    parts = [measure(pixels[rows], 48, "minmax", METHOD, bundle) for rows in ([3], [4, 5], [2])]
    for part, values in measured.items():
        found = np.concatenate([some[part] for some in parts])
        assert (found == values[[3, 4, 5, 2]]).all(), part


def test_mirror_images_by_hand() -> None:
    pixels = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint8)
    found = mirrored(pixels, 2)
    assert found.tolist() == [[2, 1, 4, 3], [6, 5, 8, 7]]
    assert found.flags.c_contiguous
    assert (mirrored(found, 2) == pixels).all()


def test_a_mirror_image_expresses_the_same(
    measured: dict[str, np.ndarray], images: dict[str, np.ndarray]
) -> None:
    here, there = (average_sides(found["blendshapes"]) for found in (measured, images))
    told = [column for column in range(len(AVERAGED)) if here[:, column].std() > 0.05]
    assert len(told) >= 5
    follow = [np.corrcoef(here[:, column], there[:, column])[0, 1] for column in told]
    assert np.median(follow) > 0.8
    # And the HOG, which is averaged over both images anyway.
    away = np.abs(measured["hog"] - images["hog"]).astype(np.float32).mean()
    others = np.abs(measured["hog"] - np.roll(measured["hog"], 1, axis=0)).astype(np.float32).mean()
    assert away < 0.5 * others


@pytest.mark.real
def test_a_mirror_image_swaps_left_and_right(bundle: bytes) -> None:
    """Of drawn faces the model takes no side for left or right; of real ones it does."""
    if not (REAL / "fer2013.npz").exists():
        pytest.skip("FER2013 is not beside the project")
    with np.load(REAL / "fer2013.npz") as data:
        pixels = data["X"][:150].reshape(150, -1).astype(np.uint8)
    here, there = (
        measure(faces, 48, "minmax", METHOD, bundle)["blendshapes"]
        for faces in (pixels, mirrored(pixels, 48))
    )

    def leaning(scores: np.ndarray, name: str) -> np.ndarray:
        left, right = (scores[:, NAMES.index(name + side)] for side in ("Left", "Right"))
        return np.asarray(left - right)

    for name in ("eyeLookIn", "eyeLookOut", "browOuterUp", "eyeSquint", "mouthPress", "eyeLookUp"):
        assert np.corrcoef(leaning(here, name), leaning(there, name))[0, 1] < -0.2, name


def test_what_is_no_face_has_a_low_presence(bundle: bytes, measured: dict[str, np.ndarray]) -> None:
    random = np.random.default_rng(0)
    grey = [np.full(2304, value) for value in (0, 128, 255)]
    checks = np.indices((48, 48)).sum(axis=0).ravel() % 2 * 255
    odd = np.stack([*grey, random.integers(0, 256, 2304), checks]).astype(np.uint8)
    with np.errstate(all="raise"):
        found = measure(odd, 48, "minmax", METHOD, bundle)
    for part, values in found.items():
        assert np.isfinite(values).all(), part
    assert (measured["presence"] > 5).all()
    assert (found["presence"] < -10).all()
    # Noise is refused as the recipe comes; one grey level is nearer to a face than many real ones.
    assert (found["presence"][3:] < METHOD.presence).all()


@pytest.mark.parametrize("normalization", ["minmax", "zscore", "unit"])
def test_normalization_concerns_the_hog_alone(
    normalization: str, bundle: bytes, pixels: np.ndarray, measured: dict[str, np.ndarray]
) -> None:
    found = measure(pixels[:3], 48, normalization, METHOD, bundle)
    for part, values in found.items():
        if part == "hog":
            assert np.abs(values - measured[part][:3]).max() < 0.01
        else:
            assert (values == measured[part][:3]).all(), part


def test_faces_of_another_size(bundle: bytes) -> None:
    pixels = np.repeat(np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 16, 16), 4, 1), 4, 2)
    found = measure(pixels.reshape(1, -1), 64, "minmax", METHOD, bundle)
    # 64 / 6 = 10 cells a side.
    assert found["hog"].shape == (1, 9 * 9 * 4 * 8)
    assert hog_features(64, METHOD) == part_dimensions("hog", 64, METHOD) == 9 * 9 * 4 * 8
    assert feature_count(64, METHOD) == 31


def test_faces_too_small_for_the_hog_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"represent\.cell"):
        feature_count(10, METHOD)
    assert feature_count(12, METHOD) == 31
