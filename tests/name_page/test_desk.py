"""The desk: what comes next, what is suggested, and how far one is."""

from __future__ import annotations

import numpy as np
import pytest
from name_page.conftest import CENTERS

from daskfer.answers import AnswerError, GoneError
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.name_page.hints import Hint


class PlantedHints:
    """Hints as they would be told, by the number of the cluster."""

    def __init__(self, told: dict[int, Hint]) -> None:
        self.told = told

    def learn(self, groups):
        pass

    def of(self, key: str, members: np.ndarray) -> Hint:
        number = int(key[1:]) if key.startswith("c") else -1
        return self.told.get(number, Hint(UNKNOWN, 0.3, ()))


def hinted(planted, told: dict[int, Hint]):
    desk = planted.desk()
    desk.gallery.hints = PlantedHints(told)  # type: ignore[assignment]
    return desk


def next_of(desk) -> list[int]:
    return [entry["number"] for entry in desk.state()["next"]]


def name(desk, key: str, said: str) -> None:
    desk.answer({"do": "name", "group": key, "name": said})


def test_what_is_surest_by_itself_comes_last(planted):
    happy = EMOTIONS.index("happy")
    desk = hinted(planted, {0: Hint(happy, 0.95, ()), 1: Hint(happy, 0.6, ()), 3: Hint(4, 0.2, ())})
    # Equal sizes: without a suggestion a look is worth most.
    assert [group.number for group in desk.order()] == [2, 4, 3, 1, 0]
    assert desk.worth(desk.log.answers.groups["c0"]) == pytest.approx(58 * 0.05)
    assert desk.state()["progress"]["gain"] == pytest.approx(58 * 6 / 7 / 290)


def test_larger_clusters_come_first(planted):
    planted.cluster[planted.cluster == 4] = 2
    desk = planted.desk()
    assert [group.number for group in desk.order()] == [2, 0, 1, 3]


def order_of(desk) -> list[int]:
    """The numbers of all groups that wait, after what was answered last."""
    desk.state()
    return [group.number for group in desk.order()]


def test_the_order_of_what_waits(planted):
    desk = planted.desk()
    assert next_of(desk) == [0, 1, 2, 3]
    desk.answer({"do": "skip", "group": "c0"})
    assert order_of(desk) == [1, 2, 3, 4, 0]
    desk.answer({"do": "split", "group": "c2"})
    assert order_of(desk) == [2, 5, 1, 3, 4, 0]
    name(desk, "c1", "happy")
    assert order_of(desk) == [2, 5, 3, 4, 0]
    desk.answer({"do": "undo"})
    assert order_of(desk) == [1, 2, 5, 3, 4, 0]
    desk.answer({"do": "undo"})
    assert order_of(desk) == [2, 1, 3, 4, 0]
    assert desk.gallery.clusters == 5


def test_all_answered_leaves_nothing(planted):
    desk = planted.desk()
    for number in range(len(CENTERS)):
        name(desk, f"c{number}", "happy" if number % 2 else "sad")
    state = desk.state()
    assert (state["next"], state["left"]) == ([], 0)
    assert state["progress"]["covered"] == state["progress"]["faces"] == 290
    assert state["progress"]["by_name"]["sad"] == 3 * 58
    assert (state["progress"]["gain"], state["progress"]["rest"]) == (0, 0)


def test_suggestions_come_from_action_units_then_from_neighbours(planted):
    desk = hinted(planted, {3: Hint(EMOTIONS.index("happy"), 0.8, (("AU12 x", 1.5),))})
    entries = {entry["number"]: entry for entry in desk.state()["next"]}
    assert entries[0]["suggestion"] is None
    entry = desk.look("c3")
    assert entry["suggestion"] == {"name": "happy", "why": "action units tell it, at 80%"}
    assert entry["units"] == [["AU12 x", 1.5]]
    assert desk.look("c4")["suggestion"] is None
    name(desk, "c3", "calm")
    suggestion = desk.look("c4")["suggestion"]
    assert suggestion == {"name": "calm", "why": "the faces are most like those of 3"}
    # A name that is not among those to choose from is not suggested by action units.
    desk.answer({"do": "categories", "names": ["calm", "tense"]})
    assert desk.look("c3")["suggestion"] is None
    unsure = desk.worth(desk.log.answers.group("c3"))
    # It is suggested as the list spells it, and told emotions count as known then.
    desk.answer({"do": "categories", "names": ["Happy", "tense"]})
    assert desk.look("c3")["suggestion"]["name"] == "Happy"
    assert desk.worth(desk.log.answers.group("c3")) < unsure


def test_mixed_neighbours_suggest_nothing(planted):
    desk = planted.desk()
    desk.answer({"do": "mixed", "group": "c3"})
    assert desk.look("c4")["suggestion"] is None
    assert desk.look("c4")["neighbours"][0]["said"] == {"name": None, "by": "page"}


def test_accuracy_is_told_when_asked_for_and_that_is_kept(planted):
    desk = planted.desk()
    assert desk.state()["progress"]["accuracy"] is None
    name(desk, "c0", "happy")  # true: emotion 3 is happy
    name(desk, "c1", "happy")  # true: 4, sad
    name(desk, "c3", "happy")  # true: 3
    desk.answer({"do": "labels"})
    found = desk.state()["progress"]["accuracy"]
    assert found == {"share": 2 / 3, "chance": 2 / 3, "faces": 174}
    assert desk.log.answers.given().labels_used != ()
    desk.answer({"do": "undo"})
    desk.answer({"do": "undo"})
    assert desk.state()["progress"]["accuracy"] == {"share": 1, "chance": 1, "faces": 58}
    name(desk, "c1", "calm")
    assert "seven emotions" in desk.state()["progress"]["accuracy"]["why"]


def test_without_labels_there_is_no_accuracy(planted):
    planted.emotion[:] = UNKNOWN
    desk = planted.desk()
    assert not desk.state()["progress"]["labels"]
    with pytest.raises(AnswerError, match="no face has a label"):
        desk.answer({"do": "labels"})
    assert not desk.log.begun


def test_labels_of_faces_that_are_not_fitted_do_not_count(planted):
    planted.emotion[planted.fit] = UNKNOWN
    assert not planted.desk().state()["progress"]["labels"]


def test_what_cannot_be_split(planted):
    planted.points[planted.cluster == 1] = 7
    desk = planted.desk()
    with pytest.raises(AnswerError, match="cluster 1 cannot be split"):
        desk.answer({"do": "split", "group": "c1"})
    assert not desk.log.begun


def test_empty_clusters_are_not_shown(planted):
    planted.cluster[planted.cluster == 4] = 3
    desk = planted.desk()
    assert [group.number for group in desk.order()] == [3, 0, 1, 2]
    assert desk.state()["progress"]["groups"] == 4
    with pytest.raises(GoneError, match="no faces"):
        desk.picture("c4")


def test_two_desks_of_one_run_see_the_same(planted):
    one, other = planted.desk(), planted.desk()
    one.answer({"do": "split", "group": "c1"})
    one.answer({"do": "merge", "group": "c3", "with": "c4"})
    assert other.state() == one.state()
    assert other.picture("2.m") == one.picture("2.m")
    with pytest.raises(GoneError):
        other.answer({"do": "mixed", "group": "c4"})


def test_what_undo_would_undo_is_told(planted):
    desk = planted.desk()
    assert desk.state()["undo"] is None
    name(desk, "c1", "sad")
    assert desk.state()["undo"] == "the name sad"
    desk.answer({"do": "merge", "group": "c0", "with": "c1"})
    assert desk.state()["undo"] == "the merging"


def test_accuracy_beside_the_classes_of_a_set(planted):
    classes = ("cat", "dog", "bird")
    planted.emotion = (planted.cluster % 3).astype(np.int8)
    desk = planted.desk(classes=classes)
    assert desk.state()["choices"] == list(classes)
    desk.answer({"do": "labels"})
    desk.answer({"do": "name", "group": "c0", "name": "CAT"})
    desk.answer({"do": "name", "group": "c1", "name": "bird"})
    found = desk.state()["progress"]["accuracy"]
    assert found["share"] == pytest.approx(0.5, abs=0.02)
    desk.answer({"do": "name", "group": "c2", "name": "happy"})
    assert desk.state()["progress"]["accuracy"] == {
        "why": "the labels of the faces know only cat, dog, bird"
    }
