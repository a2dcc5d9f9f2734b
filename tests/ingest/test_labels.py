"""Words for emotions and splits, in columns and in the names of folders."""

from __future__ import annotations

import pytest

from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.ingest.labels import class_code, explain_class, folder_labels, readers, usage_code


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
    assert class_code(text) == code


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
        assert class_code(name.encode()) == class_code(str(code).encode()) == code


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
    message = explain_class(b"x" * 1000)
    assert message.startswith("unknown emotion: 'xxxxxxxxxxxxxxxxxxxxxxxx', expected 0–6 or one of")
    assert len(message) < 180


ANIMALS = ("Cat", "golden retriever", "Bär", "3")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"cat", 0), (b"CAT ", 0), (b"Golden Retriever", 1), ("BÄR".encode(), 2), (b"0", 0),
        (b"2.0", 2), (b"", UNKNOWN), (b"nan", UNKNOWN), (b"happy", None), (b"4", None),
        # What a class is called comes before its place.
        (b"3", 3),
    ],
)  # fmt: skip
def test_classes_of_a_set(text: bytes, code: int | None) -> None:
    assert class_code(text, ANIMALS) == code


def test_a_number_that_is_a_name_is_that_class() -> None:
    assert class_code(b"1", ("2", "1")) == 1
    assert class_code(b"0", ("2", "1")) == 0


@pytest.mark.parametrize(
    ("folders", "labels"),
    [
        (["train", "cat"], (0, 0)),
        (["Golden Retriever", "test"], (1, 2)),
        # A class may be called by a number, but the place of a class is no folder.
        (["3"], (3, UNKNOWN)),
        (["0"], (UNKNOWN, UNKNOWN)),
        (["happy"], (UNKNOWN, UNKNOWN)),
    ],
)
def test_folders_of_classes(folders: list[str], labels: tuple[int, int]) -> None:
    assert folder_labels(folders, ANIMALS) == labels


def test_emotions_among_other_classes_keep_their_other_words() -> None:
    classes = ("contempt", "happy", "neutral")
    assert class_code(b"Joy", classes) == class_code(b"1", classes) == 1
    assert class_code(b"anger", classes) is None
    assert folder_labels(["contempt"], classes) == (0, UNKNOWN)


def test_what_is_no_class_names_the_classes_and_the_way_out() -> None:
    message = explain_class(b"dog", ("cat", "bird"))
    assert message == (
        "unknown emotion: 'dog', expected 0–1 or one of cat, bird; other classes by --set "
        "ingest.classes=[...]"
    )


def test_without_classes_labels_are_passed_over() -> None:
    for reader in readers(()):
        assert reader.code_of(b"bored") == reader.code_of(b"Exam") == UNKNOWN
    classes, splits = readers(EMOTIONS)
    assert (classes.code_of(b"joy"), classes.code_of(b"bored")) == (3, None)
    assert (splits.code_of(b"test"), splits.code_of(b"Exam")) == (2, None)
