"""Answers: what follows from a log, and that the log loses nothing."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daskfer.answers import AnswerError, Answers, GoneError, Log, Told
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
    assert found.choices == ("calm", "Happy")
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


@settings(max_examples=100, deadline=None)
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


# ------------------------------------------------------------------------------------ the log


def open_log(folder, **more) -> Log:
    return Log(str(folder), "identity", 4, **more)


def test_a_log_begins_with_the_first_answer_and_is_read_back(tmp_path):
    told = Told("facs", (HAPPY, UNKNOWN, UNKNOWN, UNKNOWN), (0.75, 0, 0, 0))
    log = open_log(tmp_path, told=told)
    assert not log.begun
    assert not log.path.exists()
    log.append({"do": "name", "group": "c1", "name": "fröhlich"})
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [line["n"] for line in lines] == [0, 1]
    assert lines[0]["told"] == {"how": "facs", "emotion": [3, -1, -1, -1], "score": [0.75, 0, 0, 0]}
    # What was told is the log's from now on, whatever names.yaml becomes.
    again = open_log(tmp_path)
    assert said(again.answers) == {1: "fröhlich"}
    assert again.answers.given().emotion.tolist() == [HAPPY, 7, UNKNOWN, UNKNOWN]
    assert again.answers.given().by[0] == "facs"


def test_an_answer_that_does_not_fit_is_not_written(tmp_path):
    log = open_log(tmp_path)
    log.append({"do": "mixed", "group": "c0"})
    before = log.path.read_bytes()
    with pytest.raises(AnswerError):
        log.append({"do": "mixed", "group": "c7"})
    assert log.path.read_bytes() == before


@pytest.mark.parametrize(
    "torn", [b'{"n": 2, "do": "mi', b"\xff\xfe", b"3\n", b"[" * 9**5 + b"\n", b"{}\n"]
)
def test_what_a_killed_process_left_of_a_line_does_not_count(tmp_path, torn):
    open_log(tmp_path).append({"do": "mixed", "group": "c0"})
    log = open_log(tmp_path)
    with log.path.open("ab") as file:
        file.write(torn)
    assert said(open_log(tmp_path).answers) == {0: None}
    log.append({"do": "mixed", "group": "c2"})
    log.append({"do": "mixed", "group": "c3"})
    assert said(open_log(tmp_path).answers) == {0: None, 2: None, 3: None}
    assert said(log.answers) == {0: None, 2: None, 3: None}


def test_a_whole_last_line_without_its_end_counts(tmp_path):
    """As an editor or a killed process may leave it: nothing may be written that contradicts it."""
    log = open_log(tmp_path)
    log.append({"do": "split", "group": "c1", "centers": HALVES})
    log.path.write_bytes(log.path.read_bytes()[:-1])
    log = open_log(tmp_path)
    with pytest.raises(GoneError):
        log.append({"do": "mixed", "group": "c1"})
    log.append({"do": "mixed", "group": "1.4"})
    assert said(open_log(tmp_path).answers) == said(log.answers) == {4: None}


def test_an_answer_that_the_disk_does_not_take_does_not_count_later(tmp_path, monkeypatch):
    log = open_log(tmp_path)
    log.append({"do": "mixed", "group": "c0"})
    before = log.path.read_bytes()

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as changed:
        changed.setattr(os, "fsync", full)
        with pytest.raises(AnswerError, match="No space left on device"):
            log.append({"do": "mixed", "group": "c1"})
    assert log.path.read_bytes() == before
    log.append({"do": "mixed", "group": "c2"})
    assert said(log.answers) == said(open_log(tmp_path).answers) == {0: None, 2: None}


@pytest.mark.parametrize("left", ["nothing", "less"])
def test_a_log_that_was_taken_away_takes_no_answers(tmp_path, left):
    log = open_log(tmp_path)
    log.append({"do": "mixed", "group": "c0"})
    if left == "nothing":
        log.path.unlink()
    else:
        log.path.write_bytes(log.path.read_bytes()[:5])
    with pytest.raises(AnswerError, match="is gone or shorter"):
        log.append({"do": "mixed", "group": "c1"})


def test_a_deleted_run_folder_does_not_come_back(tmp_path):
    (tmp_path / "run").mkdir()
    log = open_log(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(AnswerError, match="No such file"):
        log.append({"do": "mixed", "group": "c1"})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "entry",
    [
        {"do": "dance"},
        {"do": "name"},
        {"do": "name", "group": "c1", "name": 7},
        {"do": "name", "group": "c99", "name": "happy"},
        {"do": "merge", "group": "c1", "with": "c99"},
        {"do": "split", "group": "c1"},
        {"do": "split", "group": "c1", "centers": [1.0]},
        {"do": "names", "names": {"x": "happy"}, "how": "file"},
        {"do": "names", "how": "file"},
    ],
)
def test_a_damaged_log_is_an_error_that_tells_the_answer(tmp_path, entry):
    log = open_log(tmp_path)
    log.append({"do": "mixed", "group": "c0"})
    with log.path.open("a") as file:
        file.write(json.dumps({"n": 2, **entry}) + "\n")
    for _ in range(2):
        with pytest.raises(AnswerError, match="damaged: answer 2 does not fit"):
            log.refresh()
    assert said(log.answers) == {0: None}
    with pytest.raises(AnswerError, match="damaged: answer 2 does not fit"):
        open_log(tmp_path)


def test_two_readers_see_what_the_other_wrote(tmp_path):
    one, other = open_log(tmp_path), open_log(tmp_path)
    one.append({"do": "split", "group": "c1", "centers": HALVES})
    with pytest.raises(GoneError):
        other.append({"do": "mixed", "group": "c1"})
    other.append({"do": "mixed", "group": "1.4"})
    one.refresh()
    assert said(one.answers) == said(other.answers) == {4: None}


def test_undo_speaks_of_the_last_answer_that_was_seen(tmp_path):
    one, other = open_log(tmp_path), open_log(tmp_path)
    one.append({"do": "mixed", "group": "c0"})
    seen = len(one.entries)
    other.append({"do": "mixed", "group": "c1"})
    with pytest.raises(GoneError, match="somebody answered meanwhile"):
        one.append({"do": "undo"}, seen)
    one.append({"do": "undo"}, len(one.entries))
    assert said(one.answers) == {0: None}


def test_the_log_of_another_run_is_refused(tmp_path):
    open_log(tmp_path).append({"do": "mixed", "group": "c0"})
    with pytest.raises(AnswerError, match="answers of another run: move it away"):
        Log(str(tmp_path), "another", 4)


def test_many_processes_write_one_log_and_nothing_is_lost(tmp_path):
    code = (
        "import sys; from daskfer.answers import Log\n"
        "log = Log(sys.argv[1], 'identity', 4)\n"
        "for number in range(25): log.append({'do': 'name', 'group': 'c' + sys.argv[2], "
        "'name': str(number) + 'x'})"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(number)])
        for number in range(4)
    ]
    try:
        assert [process.wait(60) for process in processes] == [0] * 4
    finally:
        for process in processes:
            process.kill()
    log = open_log(tmp_path)
    assert [entry["n"] for entry in log.entries] == list(range(101))
    assert said(log.answers) == dict.fromkeys(range(4), "24x")
