"""Parts of what is known of faces, read back from a store of made-up measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daskfer import storage
from daskfer.blocks import BlockFiles, StoredRows, starts_of
from daskfer.recipe import PARTS, Expression, Parts
from daskfer.represent import widest
from daskfer.represent.expression import alignment
from daskfer.represent.expression.blendshapes import NAMES, average_sides
from daskfer.represent.expression.features import (
    LEARNED_MIRROR,
    ExpressionFeatures,
    part_dimensions,
)
from daskfer.represent.expression.measure import STORED, hog_features
from daskfer.store import StageFolder

METHOD = Expression()
SAMPLE = np.array([1, 4, 6])


def made_up(rows: int, seed: int = 0, side: int = 48) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    points = np.zeros((rows, 478, 3))
    points[:, :, :2] = random.uniform(-80, 80, (rows, 478, 2))
    points[:, alignment.POINTS, :2] = in_input(alignment.template(side), side) + random.normal(
        0, 2, (rows, 14, 2)
    )
    return {
        "presence": random.normal(size=rows).astype(np.float32),
        "blendshapes": random.random((rows, 52), np.float32),
        "tokens": random.normal(size=(rows, 64)).astype(np.float32),
        "landmarks": points.reshape(rows, -1).astype(np.float16),
        "hog": random.random((rows, hog_features(side, METHOD))).astype(np.float16),
        "layer4": random.normal(size=(rows, 2048)).astype(np.float16),
        "layer8": random.normal(size=(rows, 2048)).astype(np.float16),
    }


def in_input(points: np.ndarray, side: int) -> np.ndarray:
    """Places in a face as they are kept: in the model's input, from its middle."""
    return np.asarray((points + 0.5) * METHOD.face / side - METHOD.face / 2)


def kept(folder: Path, measures: dict[str, np.ndarray], sizes: list[int]) -> dict[str, BlockFiles]:
    found = {}
    for part, values in measures.items():
        files = BlockFiles(StageFolder(str(folder)), f"{part}.npy", starts_of(sizes))
        for number in range(files.count):
            start, stop = files.starts[number : number + 2]
            storage.write_array(files.path(number), values[start:stop])
        found[part] = files
    return found


@pytest.fixture
def measures() -> dict[str, np.ndarray]:
    return made_up(8)


@pytest.fixture
def images() -> dict[str, np.ndarray]:
    return made_up(3, seed=1)


@pytest.fixture
def features(
    measures: dict[str, np.ndarray], images: dict[str, np.ndarray], tmp_path: Path
) -> ExpressionFeatures:
    stored = kept(tmp_path / "faces", measures, [3, 4, 1])
    turned = kept(tmp_path / "images", images, [2, 1])
    return ExpressionFeatures(stored, turned, SAMPLE, 48, METHOD)


def test_blendshapes_by_hand(features: ExpressionFeatures, measures: dict[str, np.ndarray]) -> None:
    scores = measures["blendshapes"]
    everything = np.arange(8)
    averaged = average_sides(scores)
    found = features.part("blendshapes").rows(everything)
    assert found == pytest.approx(np.sqrt(averaged))
    assert (features.rows(everything) == found).all()
    assert features.dimensions == 31
    both = features.part("blendshapes", Parts(sides="both"))
    assert both.rows(everything) == pytest.approx(np.sqrt(scores[:, 1:]))
    assert both.dimensions == 51
    plain = features.part("blendshapes", Parts(scaling="robust"))
    assert (plain.rows(everything) == averaged).all()


def test_a_score_below_zero_by_rounding_is_no_nan(tmp_path: Path) -> None:
    measures = made_up(2)
    measures["blendshapes"][:, NAMES.index("jawOpen")] = -1e-9
    found = ExpressionFeatures(kept(tmp_path, measures, [2]), {}, SAMPLE[:0], 48, METHOD)
    assert np.isfinite(found.block(0)).all()


@pytest.mark.parametrize("part", PARTS)
def test_rows_are_those_of_the_blocks_in_float32(part: str, features: ExpressionFeatures) -> None:
    files = features.part(part)
    blocks = [files.block(number) for number in range(3)]
    assert [len(block) for block in blocks] == [3, 4, 1]
    whole = np.concatenate(blocks)
    assert whole.dtype == np.float32
    assert whole.shape == (8, files.dimensions)
    assert files.dimensions == part_dimensions(part, 48, METHOD)
    positions = np.array([7, 0, 3, 3, 6])
    assert (files.rows(positions) == whole[positions]).all()


@pytest.mark.parametrize("part", ["tokens", "hog", "layer4", "layer8"])
def test_other_parts_are_as_they_were_measured(
    part: str, features: ExpressionFeatures, measures: dict[str, np.ndarray]
) -> None:
    assert (features.part(part).rows(np.arange(8)) == measures[part]).all()


def test_landmarks_at_the_template_stay(tmp_path: Path) -> None:
    measures = made_up(2)
    points = measures["landmarks"].reshape(2, 478, 3).astype(np.float32)
    points[:, alignment.POINTS, :2] = in_input(alignment.template(48), 48)
    measures["landmarks"] = points.reshape(2, -1)
    found = ExpressionFeatures(kept(tmp_path, measures, [2]), {}, SAMPLE[:0], 48, METHOD)
    places = found.part("landmarks").block(0).reshape(2, 478, 2)
    assert places[:, alignment.POINTS] == pytest.approx(
        np.stack([alignment.template(48)] * 2), abs=1e-4
    )
    # The middle of the input is the middle of the face.
    assert places == pytest.approx(points[:, :, :2] * 48 / METHOD.face + 23.5, abs=1e-4)


@settings(max_examples=20)
@given(
    st.floats(0.6, 1.5),
    st.floats(-0.6, 0.6),
    st.floats(-20, 20),
    st.floats(-20, 20),
    st.sampled_from([48, 64]),
)
def test_how_a_head_is_held_changes_no_landmark(
    tmp_path_factory: pytest.TempPathFactory,
    scale: float,
    angle: float,
    right: float,
    down: float,
    side: int,
) -> None:
    measures = made_up(3, side=side)
    points = measures["landmarks"].reshape(3, 478, 3).astype(np.float64)
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = points.copy()
    moved[:, :, :2] = points[:, :, :2] @ turn + [right, down]
    # Depth is not looked at.
    moved[:, :, 2] = 100
    places = []
    for values in (points, moved):
        measures["landmarks"] = values.reshape(3, -1).astype(np.float32)
        stored = kept(tmp_path_factory.mktemp("held"), measures, [3])
        features = ExpressionFeatures(stored, {}, SAMPLE[:0], side, METHOD)
        places.append(features.part("landmarks").block(0))
    assert places[0].shape == (3, 956)
    assert places[1] == pytest.approx(places[0], abs=1e-2)


@pytest.mark.parametrize("part", PARTS)
def test_pairs_are_of_parts_whose_mirror_image_says_something(
    part: str,
    features: ExpressionFeatures,
    measures: dict[str, np.ndarray],
    images: dict[str, np.ndarray],
) -> None:
    found = features.pairs(part)
    if part not in LEARNED_MIRROR:
        assert found is None
        return
    assert found is not None
    assert (found[0] == measures[part][SAMPLE]).all()
    assert (found[1] == images[part]).all()
    nobody = ExpressionFeatures(features.stored, features.mirrored, SAMPLE[:0], 48, METHOD)
    assert nobody.pairs(part) is None


def test_presence_is_of_all_faces(
    features: ExpressionFeatures, measures: dict[str, np.ndarray]
) -> None:
    assert (features.presence() == measures["presence"]).all()


def test_the_widest_part_is_a_layer_but_for_large_faces() -> None:
    assert set(PARTS) | {"presence"} == set(STORED)
    assert widest(48, METHOD) == 2048
    assert widest(96, METHOD) == hog_features(96, METHOD) == 15 * 15 * 4 * 8


def test_stored_rows_are_read_when_they_are_indexed(
    features: ExpressionFeatures, measures: dict[str, np.ndarray]
) -> None:
    positions = np.array([6, 1, 0, 7])
    rows = StoredRows(features.stored["tokens"], positions)
    wanted = measures["tokens"][positions]
    assert (len(rows), rows.shape) == (4, (4,))
    assert (rows[np.array([3, 0])] == wanted[[3, 0]]).all()
    assert (rows[np.array([True, False, False, True])] == wanted[[0, 3]]).all()
    assert (rows[1:] == wanted[1:]).all()
    assert (rows[np.array([2, 1]), :] == wanted[[2, 1]]).all()
