"""names.yaml and the log: which follows from which, and that nothing written by hand is lost."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from daskfer.answer_log import LOG
from daskfer.errors import DaskferError, RunFolderError
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.names_file import (
    as_yaml,
    given_names,
    open_log,
    take_over,
    write_given,
    write_names,
)
from daskfer.run_folder import RunFolder

NAMES = ["happy", "sad", None, "angry"]


def run_folder(path: Path, how: str, names: list[str | None] = NAMES, score: bool = False):
    """A run's folder, as far as names are concerned, whose files are a minute old."""
    path.mkdir(exist_ok=True)
    clusters = {number: {"emotion": name, "faces": 10} for number, name in enumerate(names)}
    if score:
        for number, one in clusters.items():
            one["score"] = 0.5 + number / 10
    (path / "names.yaml").write_text(yaml.safe_dump({"how": how, "looks": 0, "clusters": clusters}))
    columns = {
        "cluster": pa.array([0, 0, 1, 2, 3, None], pa.int32()),
        "emotion": pa.array([*(names[number] for number in (0, 0, 1, 2, 3)), None], pa.string()),
    }
    columns["emotion"] = columns["emotion"].dictionary_encode()
    pq.write_table(pa.table(columns), path / "labels.parquet")
    (path / "metrics.json").write_text(json.dumps({"cluster": {"k": len(names)}}))
    (path / "run.json").write_text(json.dumps({"identity": "this one"}))
    for file in path.iterdir():
        past = file.stat().st_mtime - 60
        os.utime(file, (past, past))
    return RunFolder(str(path))


def edit(folder: RunFolder, cluster: int, name: str | None) -> None:
    """Change a name by hand."""
    path = Path(folder.file("names.yaml"))
    content = yaml.safe_load(path.read_text())
    content["clusters"][cluster]["emotion"] = name
    path.write_text(yaml.safe_dump(content))


def names_of(folder: RunFolder) -> list[str | None]:
    content = yaml.safe_load(Path(folder.file("names.yaml")).read_text())
    return [one["emotion"] for one in content["clusters"].values()]


def by_name(given) -> list[str | None]:
    return [None if code == UNKNOWN else given.categories[code] for code in given.emotion.tolist()]


@pytest.mark.parametrize("how", ["facs", "dominant", "file", "none", "page"])
def test_a_run_that_nobody_touched_was_given_nothing(tmp_path, how):
    folder = run_folder(tmp_path / "run", how)
    assert given_names(folder) is None
    assert not Path(folder.file(LOG)).exists()


def test_names_that_action_units_told_stand_beside_answers(tmp_path):
    folder = run_folder(tmp_path / "run", "facs", score=True)
    log = open_log(folder)
    log.append({"do": "name", "group": "c2", "name": "fear"})
    given = given_names(folder)
    assert by_name(given) == ["happy", "sad", "fear", "angry"]
    assert given.by == ("facs", "facs", "page", "facs")
    assert given.trust.tolist() == [0.5, 0.6, 1.0, 0.8]


@pytest.mark.parametrize("how", ["dominant", "none", "page"])
def test_names_by_labels_do_not_stand_beside_answers(tmp_path, how):
    folder = run_folder(tmp_path / "run", how)
    open_log(folder).append({"do": "name", "group": "c2", "name": "fear"})
    given = given_names(folder)
    assert by_name(given) == [None, None, "fear", None]
    assert given.trust is None
    assert given.labels_used == ()


@pytest.mark.parametrize("how", ["facs", "dominant", "none", "page"])
def test_what_is_written_by_hand_counts(tmp_path, how):
    folder = run_folder(tmp_path / "run", how, [None] * 4 if how in ("none", "page") else NAMES)
    edit(folder, 1, "surprise")
    given = given_names(folder)
    assert by_name(given)[1] == "surprise"
    assert given.by[1] == "file"
    # Once: asked again, it is the same.
    lines = Path(folder.file(LOG)).read_bytes()
    assert by_name(given_names(folder)) == by_name(given)
    assert Path(folder.file(LOG)).read_bytes() == lines


def test_what_is_written_by_hand_after_answers_counts(tmp_path):
    folder = run_folder(tmp_path / "run", "none", [None] * 4)
    log = open_log(folder)
    log.append({"do": "name", "group": "c0", "name": "happy"})
    write_names(folder, log)
    edit(folder, 3, "calm")
    edit(folder, 0, None)
    given = given_names(folder)
    assert by_name(given) == [None, None, None, "calm"]
    assert given.by == ("file", None, None, "file")
    log = open_log(folder)
    log.append({"do": "undo"})
    assert by_name(log.answers.given()) == ["happy", None, None, None]


def test_two_servers_take_what_is_written_by_hand_once(tmp_path, monkeypatch):
    folder = run_folder(tmp_path / "run", "none", [None] * 4)
    logs = [open_log(folder), open_log(folder)]
    edit(folder, 1, " HAPPY ")
    with monkeypatch.context() as changed:
        # The first has it in the log already, but has not written the file yet.
        changed.setattr("daskfer.names_file.write_names", lambda folder, log: None)
        take_over(folder, logs[0])
    take_over(folder, logs[1])
    assert names_of(folder) == [None, "happy", None, None]
    logs[1].append({"do": "undo"})
    assert by_name(logs[1].answers.given()) == [None] * 4
    assert by_name(open_log(folder).answers.given()) == [None] * 4


def test_answers_that_did_not_reach_the_file_are_no_edits(tmp_path):
    # The server was killed between an answer and the writing of names.yaml.
    for how in ("none", "dominant", "facs"):
        folder = run_folder(tmp_path / how, how)
        log = open_log(folder)
        log.append({"do": "name", "group": "c0", "name": "fear"})
        assert by_name(given_names(folder))[0] == "fear"
        write_names(folder, log)
        log.append({"do": "mixed", "group": "c0"})
        log.append({"do": "name", "group": "c1", "name": "sad"})
        assert by_name(given_names(folder))[:2] == [None, "sad"]
        assert len(open_log(folder).entries) == 4


def test_the_file_is_written_as_the_log_says(tmp_path):
    folder = run_folder(tmp_path / "run", "none", [None] * 4)
    log = open_log(folder)
    log.append({"do": "name", "group": "c0", "name": "überrascht: sehr"})
    log.append({"do": "split", "group": "c1", "centers": [[0, 0], [1, 1]]})
    log.append({"do": "name", "group": "2.4", "name": "yes"})
    given = log.answers.given(len(log.entries))
    write_given(folder, given, np.array([10, 6, 10, 10, 4]))
    content = yaml.safe_load(Path(folder.file("names.yaml")).read_text())
    assert (content["how"], content["looks"], content["answers"]) == ("page", 3, 4)
    assert content["categories"] == [*EMOTIONS, "überrascht: sehr", "yes"]
    assert names_of(folder) == ["überrascht: sehr", None, None, None, "yes"]
    assert content["clusters"][4] == {
        "emotion": "yes", "faces": 4, "purity": None, "by": "page", "of": 1,
    }  # fmt: skip
    assert by_name(given_names(folder)) == names_of(folder)


def test_settings_alone_give_no_names(tmp_path):
    folder = run_folder(tmp_path / "run", "dominant")
    open_log(folder).append({"do": "categories", "names": ["a", "b"]})
    assert given_names(folder) is None


@pytest.mark.parametrize("text", ["clusters: [", "- happy", "clusters: 3"])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path, text):
    folder = run_folder(tmp_path / "run", "none")
    Path(folder.file("names.yaml")).write_text(text)
    with pytest.raises(RunFolderError, match=r"names\.yaml"):
        open_log(folder)


def test_an_unfinished_run_is_an_error(tmp_path):
    folder = run_folder(tmp_path / "run", "none")
    Path(folder.file("metrics.json")).unlink()
    with pytest.raises(RunFolderError, match="has not finished"):
        open_log(folder)


def test_names_that_are_no_text_are_an_error(tmp_path):
    folder = run_folder(tmp_path / "run", "none", [None] * 4)
    edit(folder, 1, True)  # type: ignore[arg-type]
    with pytest.raises(DaskferError, match="quotes"):
        given_names(folder)


def test_yaml_of_libyaml_is_that_of_python(tmp_path):
    content = {"how": "page", "clusters": {0: {"emotion": "é", "faces": 1, "purity": None}}}
    assert yaml.safe_load(as_yaml(content)) == content


def test_words_written_by_hand_are_those_of_a_file(tmp_path):
    folder = run_folder(tmp_path, "facs")
    edit(folder, 0, "Anger")
    edit(folder, 1, "mixed")
    assert by_name(given_names(folder))[:2] == ["angry", None]
    assert names_of(folder)[:2] == ["angry", None]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  3:", "  99:", "cluster '99': expected a number from 0 to 3"),
        ("  3:", "  three:", "cluster 'three': expected a number"),
        ("  3:", "  2:", "2 is there twice"),
        ("emotion: sad", "emotion: 7", "the name '7' of cluster 1: YAML takes it for a number"),
        ("emotion: sad", "emotion: [sad]", "of cluster 1: it is a list"),
    ],
)
def test_slips_by_hand_are_errors_that_say_where(tmp_path, old, new, words):
    folder = run_folder(tmp_path, "facs")
    path = Path(folder.file("names.yaml"))
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(RunFolderError, match=re.escape(words)) as caught:
        open_log(folder)
    assert str(path) in str(caught.value)
