"""Names that files state: which clusters they speak of, and in what words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from daskfer.errors import InputError
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.recipe import load_recipe
from daskfer.stated import load_yaml, read_names, spelt, told_new


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "names.yaml"


def test_any_name_may_be_taken(path: Path) -> None:
    path.write_text("0: calm\n1: Tense\n2: CALM\n3: sad\n")
    found = read_names(str(path), 4, any_name=True)
    assert found.categories == (*EMOTIONS, "calm", "Tense")
    assert found.emotion(4).tolist() == [7, 8, 7, 4]
    path.write_text("".join(f"{number}: name {number}\n" for number in range(114)))
    with pytest.raises(InputError, match="more than 120 names in all"):
        read_names(str(path), 114, any_name=True)


@pytest.mark.parametrize("code", range(7))
def test_every_emotion_has_its_name(code: int, path: Path) -> None:
    path.write_text(f"0: {EMOTIONS[code]}\n")
    assert read_names(str(path), 1).code == {0: code}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4: happy\n", "cluster 4: expected a number from 0 to 3"),
        ("-1: happy\n", "cluster -1"),
        ("true: happy\n", "cluster True"),
        ("a: happy\n", "cluster 'a'"),
        ("0: joyful\n", "emotion 'joyful' of cluster 0: expected one of angry"),
        ("0: 3\n", "emotion 3 of cluster 0: YAML takes it for a number; write it in quotes"),
        ("0: yes\n", "emotion True of cluster 0: YAML takes it for true or false"),
        ("0: [happy]\n", "cluster 0: it is a list or a table; expected one name"),
        ("0: ''\n", "emotion '' of cluster 0: it is empty"),
        (
            "0: calm\n",
            r"expected one of angry, .*neutral, or mixed; .*--set name\.categories=\[\.\.\.\]",
        ),
        ("categories: calm\nclusters: {0: calm}\n", "categories='calm': expected a list of names"),
        ("categories: [a, A]\nclusters: {0: a}\n", "the name 'A' is there twice"),
        ("- happy\n", "expected lines cluster: emotion"),
        ("", "is empty: expected lines cluster: emotion"),
        (
            "0: happy\n1: sad\n0: sad\n",
            "0 is there twice, in line 3 again: expected YAML",
        ),
        ("clusters:\n  0: {emotion: sad}\n  0: {emotion: sad}\n", "0 is there twice, in line 3"),
        ("0: [happy\n", "expected YAML"),
    ],
)
def test_files_that_are_refused(text: str, message: str, path: Path) -> None:
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_names(str(path), 4)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_missing_or_no_text(path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_names(str(path), 4)
    path.write_bytes(b"0: \x80\x81")
    with pytest.raises(InputError, match="expected YAML"):
        read_names(str(path), 4)


def test_other_words_for_emotions_and_clusters_that_are_left_out(path: Path) -> None:
    path.write_text("0: ANGER\n1: surprised \n2: Mixed\n3:\n5: Joy\n")
    found = read_names(str(path), 6)
    assert found.code == {0: 0, 1: 5, 2: UNKNOWN, 5: 3}
    assert found.emotion(6).tolist() == [0, 5, UNKNOWN, UNKNOWN, UNKNOWN, 3]
    assert found.names() == {"0": "angry", "1": "surprise", "2": None, "5": "happy"}
    assert found.categories == EMOTIONS


def test_words_that_are_names_to_choose_from_mean_these(path: Path) -> None:
    path.write_text("0: Mixed\n1: anger\n2: joy\n")
    found = read_names(str(path), 3, ("mixed", "anger", "angry", "cat"), any_name=True)
    assert found.names() == {"0": "mixed", "1": "anger", "2": "joy"}
    assert found.categories[4:] == ("joy",), "no other word of an emotion that is not there"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("HAPPY", "happy"), (" Fearful ", "fear"), ("MIXED", None), ("hapy", "hapy")],
)
def test_spelling(name: str, expected: str | None) -> None:
    assert spelt(name, EMOTIONS) == expected


def test_slips_are_told() -> None:
    said = told_new(("hapy", "contempt", "Dsgust"), EMOTIONS)
    assert said == "hapy (did you mean happy?), contempt, Dsgust (did you mean disgust?)"


def test_yaml_is_that_of_python() -> None:
    text = load_recipe("expression").as_yaml()
    assert load_yaml(text) == yaml.safe_load(text)
    with pytest.raises(yaml.YAMLError):
        load_yaml("!!python/object/apply:os.system [ls]")
