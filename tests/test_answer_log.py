"""The log of answers: it loses nothing, whoever writes, and whatever ends in the middle."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest

from daskfer.answer_log import Log
from daskfer.answers import AnswerError, Answers, GoneError, Told
from daskfer.faces import EMOTIONS, UNKNOWN

HALVES = [[0.0, 0.0], [1.0, 0.0]]
ANGRY, HAPPY, SAD = (EMOTIONS.index(name) for name in ("angry", "happy", "sad"))


def said(answers: Answers) -> dict[int, str | None]:
    return {answers.groups[key].number: name for key, name in answers.said.items()}


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
        "import sys; from daskfer.answer_log import Log\n"
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
