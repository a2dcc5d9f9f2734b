"""Answers: what follows from a log, and that the log loses nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daskfer.answers import AnswerError, Answers, GoneError
from daskfer.faces import EMOTIONS, UNKNOWN

HALVES = [[0.0, 0.0], [1.0, 0.0]]
ANGRY, HAPPY, SAD = (EMOTIONS.index(name) for name in ("angry", "happy", "sad"))


def replayed(*entries: dict, clusters: int = 4, told: dict | None = None) -> Answers:
    numbered = [{"n": 0, "do": "begin", "told": told}]
    numbered += [{"n": number, **entry} for number, entry in enumerate(entries, start=1)]
    return Answers.replay(numbered, clusters)


def said(answers: Answers) -> dict[int, str | None]:
    return {answers.groups[key].number: name for key, name in answers.said.items()}


def test_names_and_mixed():
    found = replayed(
        {"do": "name", "group": "c2", "name": "happy"},
        {"do": "mixed", "group": "c0"},
        {"do": "name", "group": "c2", "name": "sad"},
    )
    assert said(found) == {0: None, 2: "sad"}
    names = found.given()
    assert names.emotion.tolist() == [UNKNOWN, UNKNOWN, SAD, UNKNOWN]
    assert names.by == ("page", None, "page", None)
    assert (names.how, names.looks, names.trust) == ("page", 3, None)


def test_a_split_makes_two_groups_that_come_first():
    found = replayed({"do": "split", "group": "c1", "centers": HALVES})
    assert found.first == ["1.1", "1.4"]
    assert {key: group.parts for key, group in found.groups.items()} == {
        "c0": (0,), "c2": (2,), "c3": (3,), "1.1": (1,), "1.4": (4,),
    }  # fmt: skip
    (split,) = found.splits
    assert (split.of, split.new, split.centers.tolist()) == (1, 4, HALVES)
    with pytest.raises(GoneError, match="'c1' is not there any more"):
        found.check({"do": "name", "group": "c1", "name": "happy"})


def test_a_split_of_what_was_merged_brings_the_parts_back():
    found = replayed(
        {"do": "merge", "group": "c0", "with": "c3"},
        {"do": "name", "group": "1.m", "name": "happy"},
        {"do": "split", "group": "1.m"},
    )
    assert found.splits == []
    assert found.first == ["3.0", "3.3"]
    assert said(found) == {}


def test_merging_with_a_named_neighbour_takes_its_name():
    found = replayed(
        {"do": "name", "group": "c3", "name": "happy"},
        {"do": "merge", "group": "c0", "with": "c3"},
    )
    assert found.groups["2.m"].parts == (0, 3)
    assert found.given().emotion.tolist() == [HAPPY, UNKNOWN, UNKNOWN, HAPPY]
    assert found.first == []


def test_merging_with_an_unnamed_or_mixed_neighbour_is_looked_at_next():
    found = replayed({"do": "mixed", "group": "c3"}, {"do": "merge", "group": "c0", "with": "c3"})
    assert found.first == ["2.m"]
    assert said(found) == {}


def test_skipped_groups_wait_in_their_order_until_they_are_answered():
    skips = [{"do": "skip", "group": key} for key in ("c2", "c0", "c2")]
    assert replayed(*skips).skipped == ["c0", "c2"]
    assert replayed(*skips, {"do": "mixed", "group": "c0"}).skipped == ["c2"]


def test_undo_takes_back_one_after_the_other_and_shows_what_it_was_about():
    entries = [
        {"do": "name", "group": "c0", "name": "happy"},
        {"do": "split", "group": "c1", "centers": HALVES},
        {"do": "name", "group": "2.4", "name": "sad"},
    ]
    once = replayed(*entries, {"do": "undo"})
    assert said(once) == {0: "happy"}
    assert once.first == ["2.1", "2.4"]
    assert once.back == "2.4"
    twice = replayed(*entries, {"do": "undo"}, {"do": "undo"})
    assert "c1" in twice.groups
    assert twice.splits == []
    assert (twice.first, twice.back) == ([], "c1")
    assert said(replayed(*entries, *[{"do": "undo"}] * 5)) == {}
    with pytest.raises(AnswerError, match="nothing to undo"):
        replayed({"do": "labels"}).check({"do": "undo"})


def test_names_of_ones_own_come_behind_the_emotions_in_any_case():
    found = replayed(
        {"do": "categories", "names": ["calm", "Happy"]},
        {"do": "name", "group": "c0", "name": "Happy"},
        {"do": "name", "group": "c1", "name": "tense"},
        {"do": "name", "group": "c2", "name": "CALM"},
    )
    names = found.given()
    assert names.categories == (*EMOTIONS, "calm", "tense")
    assert names.emotion.tolist() == [HAPPY, 8, 7, UNKNOWN]
    assert found.choices() == ("calm", "Happy", "tense")
    assert len(replayed({"do": "categories", "names": ["a", "b"]}, {"do": "labels"}).effective) == 0


def test_what_the_run_told_stands_until_a_person_says_otherwise():
    told = {"how": "facs", "emotion": [HAPPY, SAD, UNKNOWN, ANGRY], "score": [0.9, 0.6, 0, 0.8]}
    found = replayed(
        {"do": "mixed", "group": "c1"},
        {"do": "name", "group": "c2", "name": "sad"},
        {"do": "split", "group": "c3", "centers": HALVES},
        told=told,
    )
    names = found.given()
    # A cluster that was split is not what was told of.
    assert names.emotion.tolist() == [HAPPY, UNKNOWN, SAD, UNKNOWN, UNKNOWN]
    assert names.by == ("facs", "page", "page", None, None)
    assert names.trust is not None
    assert names.trust[[0, 2]].tolist() == [0.9, 1.0]
    assert replayed(told=told).given().how == "facs"


def test_names_for_all_at_once_take_apart_what_was_merged():
    found = replayed(
        {"do": "merge", "group": "c0", "with": "c1"},
        {"do": "name", "group": "1.m", "name": "happy"},
        {"do": "names", "how": "file", "names": {"1": "sad", "2": None, "9": "sad"}},
    )
    assert said(found) == {0: "happy", 1: "sad", 2: None}
    assert found.given().by == ("page", "file", "file", None)
    assert said(replayed(*found.effective, {"do": "undo"})) == {0: "happy"}


def test_labels_that_were_shown_or_decided_are_told():
    assert replayed().given().labels_used == ()
    shown = replayed({"do": "labels"}, {"do": "labels"}).given()
    assert shown.labels_used == (("name", "the naming page showed the accuracy so far, 2 times"),)
    decided = replayed({"do": "names", "how": "dominant", "names": {"0": "sad"}}).given()
    assert [stage for stage, _ in decided.labels_used] == ["name"]
    assert decided.how == "dominant"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"do": "delete"}, "answer 'delete': expected one of"),
        ({"do": "name", "group": "c9", "name": "sad"}, "'c9' is not there"),
        ({"do": "name", "group": 1, "name": "sad"}, "1 is not there"),
        ({"do": "name", "group": "c1", "name": " sad"}, "without blanks"),
        ({"do": "name", "group": "c1", "name": ""}, "empty"),
        ({"do": "name", "group": "c1", "name": "a" * 61}, "at most 60"),
        ({"do": "name", "group": "c1", "name": "a\nb"}, "control character"),
        ({"do": "name", "group": "c1", "name": None}, "quotes"),
        ({"do": "merge", "group": "c1", "with": "c1"}, "with itself"),
        ({"do": "merge", "group": "c1"}, "None is not there"),
        ({"do": "categories", "names": "abc"}, "expected a list"),
        ({"do": "categories", "names": ["a"]}, "expected 2 to 100"),
        ({"do": "categories", "names": ["a", "A"]}, "twice"),
        ({"do": "names", "names": {"0": 3}}, "quotes"),
    ],
)
def test_answers_that_do_not_fit_are_refused(entry, message):
    with pytest.raises(AnswerError, match=message):
        replayed().check(entry)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["name", "mixed", "skip", "split", "merge", "undo", "names"]),
        st.integers(0, 20),
        st.integers(0, 20),
    ),
    max_size=25,
)


@settings(max_examples=100)
@given(ACTIONS)
def test_every_cluster_is_in_one_group_whatever_is_answered(actions):
    entries: list[dict] = [{"n": 0, "do": "begin", "told": None}]
    found = Answers.replay(entries, 5)
    for do, one, other in actions:
        keys = list(found.groups)
        group, second = keys[one % len(keys)], keys[other % len(keys)]
        entry = {"n": len(entries), "do": do}
        if do in ("name", "mixed", "skip", "split", "merge"):
            entry["group"] = group
        if do == "name":
            entry["name"] = ["happy", "calm"][other % 2]
        if do == "merge":
            entry["with"] = second
        if do == "split" and len(found.groups[group].parts) == 1:
            entry["centers"] = HALVES
        if do == "names":
            entry |= {"how": "file", "names": {str(one % found.k): "sad"}}
        try:
            found.check(entry)
        except AnswerError:
            continue
        entries.append(entry)
        before = [*found.effective]
        if do == "undo":
            found = Answers.replay(entries, 5)
            assert found.effective == before[:-1]
        else:
            found.apply(entry)
        parts = sorted(part for one in found.groups.values() for part in one.parts)
        assert parts == list(range(5 + len(found.splits)))
        assert [split.new for split in found.splits] == list(range(5, found.k))
        waiting = [*found.first, *found.skipped]
        assert set(waiting) <= set(found.groups) - set(found.said)
        assert len(waiting) == len(set(waiting))
        # Step by step is the same as all at once.
        again = Answers.replay(entries, 5)
        assert (again.groups, again.said, again.skipped, again.first, again.back) == (
            found.groups, found.said, found.skipped, found.first, found.back,
        )  # fmt: skip
        assert np.array_equal(again.given().emotion, found.given().emotion)


def test_names_of_a_set_with_other_classes():
    entries = [
        {"n": 0, "do": "begin", "told": {"how": "facs", "emotion": [1, -1, 0], "score": [1, 0, 1]}},
        {"n": 1, "do": "name", "group": "c1", "name": "Dog"},
        {"n": 2, "do": "name", "group": "c2", "name": "happy"},
    ]
    found = Answers.replay(entries, 3, ("cat", "dog"))
    assert found.choices() == ("cat", "dog", "happy")
    assert found.choices(("x", "DOG")) == ("x", "DOG", "happy")
    given = found.given()
    assert given.categories == ("cat", "dog", "happy")
    assert given.classes == ("cat", "dog")
    assert given.emotion.tolist() == [1, 1, 2]


def test_more_names_than_there_are_codes_are_refused():
    classes = tuple(f"class {number}" for number in range(100))
    found = Answers.replay([{"n": 0, "do": "begin"}], 130, classes)
    for number in range(20):
        entry = {"n": number + 1, "do": "name", "group": f"c{number}", "name": f"own {number}"}
        found.check(entry)
        found.apply(entry)
    for name in ("one more", "another"):
        with pytest.raises(AnswerError, match="more than 120 names"):
            found.check({"do": "name", "group": "c100", "name": name})
    found.check({"do": "name", "group": "c100", "name": "Own 3"})
    found.check({"do": "name", "group": "c100", "name": "class 7"})
    with pytest.raises(AnswerError, match="more than 120 names"):
        found.check({"do": "names", "how": "file", "names": {"100": "a", "101": "b"}})
    with pytest.raises(AnswerError, match="more than 120 names"):
        found.check({"do": "categories", "names": ["calm", "tense"]})
    assert found.given().emotion.max() == 119
