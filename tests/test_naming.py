"""Names of clusters: by the dominant emotion, from a file, or none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from daskfer.errors import InputError
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.naming import Given, Names, among, given_names, name_clusters
from daskfer.recipe import NameByDominant, NameByFile, NameByPage, NoNames
from daskfer.splits import Split
from daskfer.stated import read_names

CLUSTER = np.array([0, 0, 0, 1, 1, 2, 2, 2], np.int32)
EMOTION = np.array([3, 3, 0, 5, 4, UNKNOWN, UNKNOWN, UNKNOWN], np.int8)


def test_dominant_by_hand() -> None:
    names = name_clusters(NameByDominant(), CLUSTER, EMOTION, 4)
    # Cluster 1 is a tie, which the lower code wins; 2 has no labels, 3 no faces.
    assert names.emotion.tolist() == [3, 4, UNKNOWN, UNKNOWN]
    assert names.rows.tolist() == [3, 2, 3, 0]
    assert names.purity[:2] == pytest.approx([2 / 3, 1 / 2])
    assert np.isnan(names.purity[2:]).all()
    assert (names.how, names.looks) == ("dominant", 0)
    assert names.labels_used == (
        ("name", "the most frequent true emotion of each cluster's fitted rows (5)"),
    )


def test_names_of_faces() -> None:
    names = name_clusters(NameByDominant(), CLUSTER, EMOTION, 4)
    assert names.of(np.array([1, 0, 3])).tolist() == [4, 3, UNKNOWN]


def test_faces_without_a_cluster_have_no_name() -> None:
    names = name_clusters(NameByDominant(), CLUSTER, EMOTION, 3)
    # The last cluster has a name here, which -1 must not reach.
    names = replace(names, emotion=np.array([4, 3, 6], np.int8))
    found = names.of(np.array([UNKNOWN, 2, UNKNOWN, 0], np.int32))
    assert found.dtype == np.int8
    assert found.tolist() == [UNKNOWN, 6, UNKNOWN, 4]
    assert names.of(np.zeros(0, np.int32)).tolist() == []


def test_dominant_without_labels_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"needs emotion labels.*name\.how=none"):
        name_clusters(NameByDominant(), CLUSTER, np.full(8, UNKNOWN, np.int8), 3)


def test_no_names_read_no_labels() -> None:
    names = name_clusters(NoNames(), CLUSTER, EMOTION, 3)
    assert names.emotion.tolist() == [UNKNOWN] * 3
    assert names.labels_used == ()
    assert np.isnan(names.purity).all()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "names.yaml"


def test_a_file_of_names(path: Path) -> None:
    path.write_text("0: happy\n2: Sad   # a comment\n1: null\n")
    names = name_clusters(NameByFile(file=str(path)), CLUSTER, EMOTION, 4)
    assert names.emotion.tolist() == [3, UNKNOWN, 4, UNKNOWN]
    assert (names.how, names.looks) == ("file", 2)
    # The purity beside the names reads labels; without labels nothing does.
    assert [stage for stage, _ in names.labels_used] == ["name"]
    unlabelled = np.full_like(EMOTION, UNKNOWN)
    assert name_clusters(NameByFile(file=str(path)), CLUSTER, unlabelled, 4).labels_used == ()


def test_a_runs_own_names_are_a_file_of_names(path: Path) -> None:
    names = name_clusters(NameByDominant(), CLUSTER, EMOTION, 4)
    path.write_text(yaml.safe_dump(names.as_dict(), sort_keys=False))
    found = read_names(str(path), 4)
    assert found.emotion(4).tolist() == names.emotion.tolist()
    assert found.categories == EMOTIONS


def test_names_of_ones_own_in_a_file(path: Path) -> None:
    path.write_text("0: Calm\n2: HAPPY\n3: tense\n")
    method = NameByFile(file=str(path), categories=("happy", "calm", "tense"))
    names = name_clusters(method, CLUSTER, EMOTION, 4)
    assert names.categories == (*EMOTIONS, "calm", "tense")
    assert names.emotion.tolist() == [7, UNKNOWN, 3, 8]
    assert names.beyond_classes
    # No label is called calm.
    assert np.isnan(names.purity).all()
    content = names.as_dict()
    assert content["categories"] == [*EMOTIONS, "calm", "tense"]
    assert [one["emotion"] for one in content["clusters"].values()] == [
        "calm", None, "happy", "tense",
    ]  # fmt: skip
    # What we wrote is read as it is, without any key of the recipe.
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    found = read_names(str(path), 4)
    assert found.emotion(4).tolist() == names.emotion.tolist()
    assert found.categories == names.categories


def test_clusters_that_wait_for_a_person() -> None:
    names = name_clusters(NameByPage(categories=("calm", "sad")), CLUSTER, EMOTION, 3)
    assert (names.how, names.looks, names.labels_used) == ("page", 0, ())
    assert names.emotion.tolist() == [UNKNOWN] * 3
    assert names.categories == (*EMOTIONS, "calm")


def test_given_names_by_hand() -> None:
    split = Split(2, 3, np.zeros((2, 1)))
    given = Given(
        "page", 4, (*EMOTIONS, "calm"), np.array([3, UNKNOWN, 7, 4], np.int8),
        ("page", None, "page", "facs"), np.array([1, np.nan, 1, 0.7]), (split,), (("look", "why"),),
    )  # fmt: skip
    cluster = np.array([0, 0, 0, 1, 1, 2, 3, 3], np.int32)
    names = given_names(given, cluster, EMOTION)
    assert names.rows.tolist() == [3, 2, 1, 2]
    assert names.purity[0] == pytest.approx(2 / 3)
    assert np.isnan(names.purity[1:]).all()
    assert names.labels_used == (
        ("look", "why"),
        ("name", "the purity beside each name in names.yaml; the names come from a person"),
    )
    assert names.as_dict() == {
        "how": "page",
        "looks": 4,
        "categories": [*EMOTIONS, "calm"],
        "clusters": {
            0: {"emotion": "happy", "faces": 3, "purity": 0.6667, "score": 1.0, "by": "page"},
            1: {"emotion": None, "faces": 2, "purity": None, "score": None, "by": None},
            2: {"emotion": "calm", "faces": 1, "purity": None, "score": 1.0, "by": "page"},
            3: {
                "emotion": "sad", "faces": 2, "purity": None, "score": 0.7, "by": "facs", "of": 2,
            },
        },
    }  # fmt: skip


def test_given_names_that_labels_decided_tell_it_once() -> None:
    used = (("name", "the most frequent true emotion of each cluster's fitted rows (5)"),)
    given = Given("dominant", 0, EMOTIONS, np.array([3, 4, UNKNOWN]), (), labels_used=used)
    names = given_names(given, CLUSTER, EMOTION)
    assert names.labels_used == used
    # As the run itself would have named them, type and all.
    own = name_clusters(NameByDominant(), CLUSTER, EMOTION, 3)
    assert names.emotion.dtype == own.emotion.dtype
    assert names.as_dict() == own.as_dict()


def test_as_dict_by_hand() -> None:
    names = Names(
        np.array([6, UNKNOWN], np.int8), "file", 1, np.array([8, 0]), np.array([0.12346, np.nan])
    )
    assert names.as_dict() == {
        "how": "file",
        "looks": 1,
        "clusters": {
            0: {"emotion": "neutral", "faces": 8, "purity": 0.1235},
            1: {"emotion": None, "faces": 0, "purity": None},
        },
    }


ANIMALS = ("cat", "dog", "bird")


def test_names_of_other_classes() -> None:
    emotion = np.array([2, 2, 0, 1, 1, UNKNOWN, UNKNOWN, UNKNOWN], np.int8)
    names = name_clusters(NameByDominant(), CLUSTER, emotion, 3, ANIMALS)
    assert names.emotion.tolist() == [2, 1, UNKNOWN]
    assert names.categories == names.classes == ANIMALS
    assert names.purity[:2] == pytest.approx([2 / 3, 1])
    assert not names.beyond_classes
    assert names.as_dict()["clusters"][0]["emotion"] == "bird"
    assert names.as_dict()["categories"] == list(ANIMALS)


def test_names_behind_other_classes(tmp_path: Path) -> None:
    emotion = np.array([2, 2, 0, 1, 1, 0, UNKNOWN, UNKNOWN], np.int8)
    path = tmp_path / "names.yaml"
    path.write_text("0: Bird\n1: furry\n2: happy\n")
    method = NameByFile(file=str(path), categories=("furry", "CAT", "happy"))
    names = name_clusters(method, CLUSTER, emotion, 3, ANIMALS)
    # CAT is the class; happy is no emotion here but a name of one's own.
    assert names.categories == (*ANIMALS, "furry", "happy")
    assert names.emotion.tolist() == [2, 3, 4]
    assert names.beyond_classes
    assert names.purity[0] == pytest.approx(2 / 3)
    assert np.isnan(names.purity[1:]).all()
    waiting = name_clusters(NameByPage(), CLUSTER, emotion, 3, ANIMALS)
    assert waiting.categories == waiting.classes == ANIMALS


def test_emotions_among_classes() -> None:
    told = np.array([3, 0, UNKNOWN, 6], np.int8)
    found = among(told, ("neutral", "Happy", "contempt"))
    assert found.dtype == np.int8
    assert found.tolist() == [1, UNKNOWN, UNKNOWN, 0]
    assert among(told, EMOTIONS).tolist() == told.tolist()
