"""Words for emotions and splits, in columns and in the names of folders."""

from __future__ import annotations

import pytest

from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.ingest.labels import emotion_code, explain_emotion, folder_labels, usage_code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"0", 0), (b" 6 ", 6), (b"3.0", 3), (b"Happy", 3), (b"HAPPINESS", 3), (b"joy", 3),
        (b"anger", 0), (b"disgusted", 1), (b"fearful", 2), (b"sadness", 4), (b"surprised", 5),
        (b"neutral", 6), (b"", UNKNOWN), (b"  ", UNKNOWN), (b"NaN", UNKNOWN),
        (b"7", None), (b"-1", None), (b"3.5", None), (b"bored", None), (b"\xff", None),
    ],
)  # fmt: skip
def test_emotions(text: bytes, code: int | None) -> None:
    assert emotion_code(text) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"Training", 0), (b"train", 0), (b"PublicTest", 1), (b"Public Test", 1),
        (b"public_test", 1), (b"val", 1), (b"Validation", 1), (b"PrivateTest", 2),
        (b"private-test", 2), (b"TEST", 2), (b"", UNKNOWN), (b"nan", UNKNOWN),
        (b"Exam", None), (b"trainee", None),
    ],
)  # fmt: skip
def test_splits(text: bytes, code: int | None) -> None:
    assert usage_code(text) == code


def test_every_emotion_has_its_name_and_number() -> None:
    for code, name in enumerate(EMOTIONS):
        assert emotion_code(name.encode()) == emotion_code(str(code).encode()) == code


@pytest.mark.parametrize(
    ("folders", "labels"),
    [
        ([], (UNKNOWN, UNKNOWN)),
        (["train", "angry"], (0, 0)),
        (["Angry", "Test"], (0, 2)),
        (["fer", "validation", "subject 12", "surprised"], (5, 1)),
        # A number may be a person's; the innermost word counts.
        (["train", "3"], (UNKNOWN, 0)),
        (["happy", "sad"], (4, UNKNOWN)),
        (["photos", "contempt"], (UNKNOWN, UNKNOWN)),
    ],
)
def test_folders(folders: list[str], labels: tuple[int, int]) -> None:
    assert folder_labels(folders) == labels


def test_a_long_word_is_shortened() -> None:
    message = explain_emotion(b"x" * 1000)
    assert message.startswith("unknown emotion: 'xxxxxxxxxxxxxxxxxxxxxxxx', expected 0–6 or one of")
    assert len(message) < 140
