"""The synthetic faces: determinism, their CSV form, their truth, and how difficulty acts."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from daskfer.faces import EMOTIONS, USAGES
from daskfer.synthetic import (
    ACTIONS,
    EXPRESSIONS,
    FER2013_WEIGHTS,
    PEOPLE,
    Difficulty,
    FaceParameters,
    contact_sheet,
    draw_faces,
    draw_parameters,
    draw_people,
    format_rows,
    truth_columns,
    write_csv,
)

SCRIPT = Path(__file__).parents[1] / "scripts" / "make_faces.py"


def assert_same(left: FaceParameters, right: FaceParameters) -> None:
    """Every column of both is the same, bit for bit."""
    expected = truth_columns(right)
    for name, column in truth_columns(left).items():
        np.testing.assert_array_equal(column, expected[name], err_msg=name)


def read_csv(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


# --- parameters


def test_each_row_has_its_own_parameters_whatever_the_range() -> None:
    whole = draw_parameters(0, 2100, seed=5)
    part = draw_parameters(1000, 1050, seed=5)  # over the border of two blocks of 1024
    assert part.row.tolist() == list(range(1000, 1050))
    assert_same(part, whole.take(slice(1000, 1050)))


@settings(max_examples=25)
@given(start=st.integers(0, 3000), count=st.integers(1, 60), seed=st.integers(0, 2**32))
def test_a_single_row_equals_the_same_row_of_any_range(start: int, count: int, seed: int) -> None:
    part = draw_parameters(start, start + count, seed)
    last = start + count - 1
    assert_same(part.take(slice(count - 1, None)), draw_parameters(last, last + 1, seed))


def test_seeds_differ() -> None:
    one, other = draw_parameters(0, 500, seed=1), draw_parameters(0, 500, seed=2)
    assert (one.emotion != other.emotion).any()
    assert (one.pose.yaw != other.pose.yaw).all()
    assert len(np.unique(one.noise_key)) == 500


def test_difficulty_changes_neither_who_nor_which_emotion() -> None:
    easy, hard = draw_parameters(0, 300, difficulty=0.1), draw_parameters(0, 300, difficulty=0.9)
    np.testing.assert_array_equal(easy.emotion, hard.emotion)
    np.testing.assert_array_equal(easy.identity.number, hard.identity.number)
    np.testing.assert_array_equal(easy.usage, hard.usage)


def test_the_same_person_looks_alike_in_several_faces() -> None:
    faces = draw_parameters(0, 4000, seed=3)
    number = np.bincount(faces.identity.number).argmax()
    same = faces.take(faces.identity.number == number)
    assert len(same) >= 2
    person = draw_people(np.array([number]), seed=3)
    for trait in ("face_width", "eye_spacing", "skin_tone", "hair_line"):
        values = np.unique(getattr(same.identity, trait))
        assert values.tolist() == getattr(person, trait).tolist()
    assert len(np.unique(same.pose.yaw)) == len(same)
    assert len(np.unique(faces.identity.skin_tone)) > 100


def test_the_parts_of_a_face_are_drawn_independently() -> None:
    columns = truth_columns(draw_parameters(0, 4096, difficulty=0.5))
    names = ["emotion", "usage", "identity", "intensity", "yaw", "roll", "light_direction", "noise"]
    correlation = np.corrcoef([columns[name].astype(float) for name in names])
    assert np.abs(correlation - np.eye(len(names))).max() < 0.07  # 4.5 standard errors


def test_shares_of_emotions_and_usages() -> None:
    faces = draw_parameters(0, 20_000, seed=0, emotion_weights=FER2013_WEIGHTS)
    shares = np.bincount(faces.emotion, minlength=7) / len(faces)
    expected = np.array(FER2013_WEIGHTS) / sum(FER2013_WEIGHTS)
    np.testing.assert_allclose(shares, expected, atol=0.015)
    usages = np.bincount(faces.usage, minlength=3) / len(faces)
    np.testing.assert_allclose(usages, [0.8, 0.1, 0.1], atol=0.015)


def test_an_emotion_without_weight_does_not_occur() -> None:
    faces = draw_parameters(0, 3000, emotion_weights=[0, 1, 0, 0, 0, 1, 0])
    assert set(faces.emotion.tolist()) == {1, 5}


@pytest.mark.parametrize(
    ("part", "columns"),
    [
        ("identity", ["face_width", "skin_tone", "hair_tone"]),
        ("pose", ["yaw", "roll", "scale", "shift_x"]),
        ("light", ["light_strength", "light_contrast", "light_background"]),
        ("noise", ["noise"]),
        ("intensity", ["intensity"]),
    ],
)
def test_a_part_without_difficulty_does_not_vary(part: str, columns: list[str]) -> None:
    still = truth_columns(draw_parameters(0, 200, difficulty=Difficulty(0.5, **{part: 0.0})))
    plain = truth_columns(draw_parameters(0, 200, difficulty=0.5))
    for name, column in still.items():
        if name in columns:
            assert len(np.unique(column)) == 1
            assert len(np.unique(plain[name])) > 50
    changed = {name for name in still if (still[name] != plain[name]).any()}
    assert set(columns) <= changed
    assert not changed & {"row", "emotion", "usage", "identity", "noise_key"}


def test_expressions_are_told_apart_by_their_actions() -> None:
    assert EXPRESSIONS.shape == (len(EMOTIONS), len(ACTIONS))
    assert not EXPRESSIONS[EMOTIONS.index("neutral")].any()
    action = {name: EXPRESSIONS[:, column] for column, name in enumerate(ACTIONS)}
    assert EMOTIONS[action["lip_corner"].argmax()] == "happy"
    assert EMOTIONS[action["lip_corner"].argmin()] == "sad"
    assert EMOTIONS[action["jaw_drop"].argmax()] == "surprise"
    assert EMOTIONS[action["nose_wrinkle"].argmax()] == "disgust"
    assert EMOTIONS[action["brow_inner"].argmin()] == "angry"


# --- drawing


def test_a_face_depends_on_its_own_parameters_alone() -> None:
    parameters = draw_parameters(0, 150, seed=4, difficulty=1.0)
    together = draw_faces(parameters)
    assert together.shape == (150, 48 * 48)
    assert together.dtype == np.uint8
    np.testing.assert_array_equal(together, draw_faces(parameters))
    for row in (0, 63, 64, 149):
        np.testing.assert_array_equal(
            together[row], draw_faces(parameters.take(np.array([row])))[0]
        )
    np.testing.assert_array_equal(
        together[::-1], draw_faces(parameters.take(slice(None, None, -1)))
    )


def test_without_difficulty_there_are_seven_faces() -> None:
    parameters = draw_parameters(0, 200, difficulty=0.0)
    faces = draw_faces(parameters)
    assert len(np.unique(faces, axis=0)) == 7
    for emotion in range(7):
        assert len(np.unique(faces[parameters.emotion == emotion], axis=0)) == 1


def test_faces_without_difficulty_are_upright_heads_on_a_darker_background() -> None:
    faces = draw_faces(draw_parameters(0, 60, difficulty=0.0)).reshape(-1, 48, 48).astype(int)
    cheek, corner, pupil = (
        faces[:, 28, 12],
        faces[:, 47, 0],
        faces[:, 15:24, 10:20].min(axis=(1, 2)),
    )
    assert (cheek > corner + 30).all()
    assert (pupil < 40).all()


def test_a_surprised_mouth_is_dark_and_a_happy_one_shows_teeth() -> None:
    parameters = draw_parameters(0, 200, difficulty=0.0)
    mouths = draw_faces(parameters).reshape(-1, 48, 48)[:, 34:45, 19:29]

    def mouth(name: str) -> NDArray[np.uint8]:
        return mouths[parameters.emotion == EMOTIONS.index(name)][0]

    dark = {name: int((mouth(name) < 60).sum()) for name in EMOTIONS}
    light = {name: int((mouth(name) > 210).sum()) for name in EMOTIONS}
    assert max(dark, key=dark.__getitem__) == "surprise"
    assert light["happy"] > 0
    assert light["surprise"] == light["sad"] == light["neutral"] == 0


def test_noise_has_the_stated_strength() -> None:
    noisy = draw_parameters(0, 40, difficulty=Difficulty(0.0, noise=0.5))
    clean = draw_parameters(0, 40, difficulty=0.0)
    # Skin of the cheek: far from black and white, so that nothing is clipped.
    square = np.s_[:, 26:32, 9:15]
    noise = draw_faces(noisy).reshape(-1, 48, 48)[square].astype(float)
    noise -= draw_faces(clean).reshape(-1, 48, 48)[square]
    measured = noise.std(axis=(1, 2)) / noisy.noise
    assert abs(measured.mean() - 1) < 0.1
    assert noisy.noise.min() >= 0.5**0.7 * 13.0 * 0.5 - 1e-3


# --- difficulty


def cell_orientations(faces: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Histograms of 8 gradient orientations in cells of 8 x 8 pixels, each of unit length."""
    images = faces.reshape(-1, 48, 48).astype(float)
    down, right = np.gradient(images, axis=(1, 2))
    bins = ((np.arctan2(down, right) % np.pi) / np.pi * 8).astype(int) % 8
    votes = np.hypot(down, right)[..., None] * (bins[..., None] == np.arange(8))
    cells = votes.reshape(-1, 6, 8, 6, 8, 8).sum(axis=(2, 4))
    return (cells / (np.linalg.norm(cells, axis=-1, keepdims=True) + 50)).reshape(len(faces), -1)


def cluster_accuracy(difficulty: float, seed: int = 0) -> float:
    """Share of faces whose cluster is the one that stands for their emotion."""
    parameters = draw_parameters(0, 500, seed, difficulty)
    reduced = PCA(10, random_state=0).fit_transform(cell_orientations(draw_faces(parameters)))
    found = KMeans(7, n_init=10, random_state=0).fit_predict(reduced)
    counts = np.zeros((7, 7), dtype=int)
    np.add.at(counts, (found, parameters.emotion), 1)
    return float(counts[linear_sum_assignment(-counts)].sum() / len(parameters))


def test_expressions_are_recovered_when_easy_and_lost_as_difficulty_rises() -> None:
    accuracy = [cluster_accuracy(difficulty) for difficulty in (0.1, 0.25, 0.5, 1.0)]
    assert accuracy[0] >= 0.97
    assert accuracy[1] >= 0.9
    assert accuracy[2] < accuracy[1] - 0.1
    assert accuracy[3] < accuracy[2] - 0.05
    assert accuracy[3] < 0.4


# --- files


def test_format_rows_worked_out() -> None:
    faces = np.array([[0, 7, 255, 10], [99, 100, 9, 0]], dtype=np.uint8)
    codes = np.array([3, 6], dtype=np.int8), np.array([0, 2], dtype=np.int8)
    assert format_rows(codes[0], faces, codes[1]) == (
        b"3,0 7 255 10,Training\n6,99 100 9 0,PrivateTest\n"
    )


def test_csv_is_in_the_form_of_fer2013(tmp_path: Path) -> None:
    write_csv(tmp_path / "faces.csv", 1030, seed=2)  # more than a block
    raw = (tmp_path / "faces.csv").read_bytes()
    assert raw.startswith(b"emotion,pixels,Usage\n")
    assert raw.endswith(b"\n")
    assert b"\r" not in raw
    assert b"\0" not in raw
    assert b"  " not in raw
    header, *lines = read_csv(tmp_path / "faces.csv")
    assert header == ["emotion", "pixels", "Usage"]
    parameters = draw_parameters(0, 1030, seed=2)
    assert [line[0] for line in lines] == [str(code) for code in parameters.emotion]
    assert [line[2] for line in lines] == [USAGES[code] for code in parameters.usage]
    pixels = np.array([line[1].split(" ") for line in lines], dtype=np.uint8)
    np.testing.assert_array_equal(pixels, draw_faces(parameters))


def test_a_longer_file_begins_with_the_shorter_one(tmp_path: Path) -> None:
    write_csv(tmp_path / "short.csv", 20, seed=2)
    write_csv(tmp_path / "long.csv", 50, seed=2)
    assert (tmp_path / "long.csv").read_bytes().startswith((tmp_path / "short.csv").read_bytes())


def test_truth_is_exact(tmp_path: Path) -> None:
    write_csv(tmp_path / "faces.csv", 1030, seed=9, difficulty=0.4, truth=tmp_path / "truth.csv")
    header, *lines = read_csv(tmp_path / "truth.csv")
    assert len(lines) == 1030
    assert {"row", "emotion", "identity", "yaw", "pitch", "roll", "noise"} <= set(header)
    assert {"intensity", "light_direction", "light_strength", "skin_tone"} <= set(header)
    columns = dict(zip(header, zip(*lines, strict=True), strict=True))
    for name, expected in truth_columns(draw_parameters(0, 1030, 9, 0.4)).items():
        np.testing.assert_array_equal(np.array(columns[name], dtype=expected.dtype), expected)


def test_a_failed_write_leaves_the_old_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faces.csv").write_text("old")

    def full_disk(*_: object) -> bytes:
        raise OSError("no space left")

    monkeypatch.setattr("daskfer.synthetic.writing.format_rows", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_csv(tmp_path / "faces.csv", 10, truth=tmp_path / "truth.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["faces.csv"]
    assert (tmp_path / "faces.csv").read_text() == "old"


def test_faces_are_drawn_in_batches_of_bounded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def blank_faces(parameters: FaceParameters) -> NDArray[np.uint8]:
        sizes.append(len(parameters))
        return np.zeros((len(parameters), 4), dtype=np.uint8)

    monkeypatch.setattr("daskfer.synthetic.writing.draw_faces", blank_faces)
    write_csv(tmp_path / "faces.csv", 2500)
    assert sizes == [1024, 1024, 452]
    assert len(read_csv(tmp_path / "faces.csv")) == 2501


# --- contact sheet and script


def test_contact_sheet_has_a_row_for_each_emotion() -> None:
    sheet = contact_sheet(seed=1, columns=3, magnify=2)
    assert sheet.shape == (7 * 96, 3 * 96)
    assert sheet.dtype == np.uint8
    happy = draw_faces(draw_parameters(0, 3, 1, emotion_weights=[0, 0, 0, 1, 0, 0, 0]))
    np.testing.assert_array_equal(sheet[3 * 96 : 4 * 96 : 2, 96:192:2], happy[1].reshape(48, 48))


def test_script_writes_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(SCRIPT))["main"]
    out, truth, sheet = tmp_path / "faces.csv", tmp_path / "truth.csv", tmp_path / "sheet.png"
    options = ["--rows", "30", "--seed", "4", "--difficulty", "0.5", "--weights", "fer2013"]
    main([str(out), *options, "--truth", str(truth), "--sheet", str(sheet)])
    write_csv(tmp_path / "direct.csv", 30, 4, 0.5, FER2013_WEIGHTS)
    assert out.read_bytes() == (tmp_path / "direct.csv").read_bytes()
    assert len(read_csv(truth)) == 31
    assert sheet.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"30 faces: {out}, {truth}, {sheet}\n"


def test_script_says_what_is_wrong_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = runpy.run_path(str(SCRIPT))["main"]
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path / "faces.csv"), "--difficulty", "2"])
    assert stopped.value.code == 2
    assert "Got difficulty 2.0, but expected a number from 0 to 1" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# --- errors


@pytest.mark.parametrize("value", [-0.1, 1.01, float("nan")])
def test_difficulty_out_of_range(value: float) -> None:
    with pytest.raises(ValueError, match=r"Got difficulty .*expected a number from 0 to 1"):
        draw_parameters(0, 1, difficulty=value)
    with pytest.raises(ValueError, match=r"Got difficulty of pose .*expected a number from 0 to 1"):
        Difficulty(pose=value)


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 5), (6, 5)])
def test_bad_row_ranges(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match=rf"Got rows {start} to {stop}, but expected 0 <= start"):
        draw_parameters(start, stop)


@pytest.mark.parametrize(
    "weights", [[1, 1], [0] * 7, [1, 1, 1, 1, 1, 1, -1], [1, 1, 1, 1, 1, 1, float("inf")]]
)
def test_bad_weights(weights: list[float]) -> None:
    with pytest.raises(ValueError, match=r"Got emotion weights .*expected 7 numbers >= 0"):
        draw_parameters(0, 1, emotion_weights=weights)


def test_other_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Got seed -1, but expected a whole number >= 0"):
        draw_parameters(0, 1, seed=-1)
    with pytest.raises(ValueError, match=f"expected numbers from 0 to {PEOPLE - 1}"):
        draw_people(np.array([PEOPLE]))
    with pytest.raises(ValueError, match="Got rows=0, but expected a whole number >= 1"):
        write_csv(tmp_path / "faces.csv", 0)
    with pytest.raises(ValueError, match="expected two files"):
        write_csv(tmp_path / "faces.csv", 1, truth=tmp_path / "faces.csv")
    with pytest.raises(ValueError, match="Got columns=0, but expected a whole number >= 1"):
        contact_sheet(columns=0)
    assert list(tmp_path.iterdir()) == []
