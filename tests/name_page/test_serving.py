"""names.yaml while the page is served."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from name_page.conftest import CENTERS

from daskfer.name_page.serving import Names
from daskfer.run_folder import RunFolder


def prepared(planted):
    """A desk, and what writes the names of its run."""
    run = planted.folder / "run"
    run.mkdir(exist_ok=True)
    (run / "metrics.json").write_text(json.dumps({"cluster": {"k": len(CENTERS)}}))
    desk = planted.desk()
    return desk, Names(RunFolder(str(run)), desk), run / "names.yaml"


def names_in(path: Path) -> list[str | None]:
    content = yaml.safe_load(path.read_text())
    return [one["emotion"] for one in content["clusters"].values()]


def test_the_file_is_written_once_there_is_an_answer(planted):
    desk, names, path = prepared(planted)
    names.write()
    assert not path.exists()
    desk.answer({"do": "name", "group": "c1", "name": "sad"})
    names.write()
    assert names_in(path) == [None, "sad", None, None, None]
    desk.answer({"do": "split", "group": "c1"})
    names.write()
    content = yaml.safe_load(path.read_text())
    assert names_in(path) == [None] * 6
    assert sum(one["faces"] for one in content["clusters"].values()) == 290
    # Nothing new: the file stays as it is.
    before = path.stat().st_mtime_ns
    names.write()
    assert path.stat().st_mtime_ns == before


def test_what_somebody_writes_meanwhile_becomes_an_answer(planted):
    desk, names, path = prepared(planted)
    desk.answer({"do": "name", "group": "c1", "name": "sad"})
    names.write()
    path.write_text(path.read_text().replace("emotion: sad", "emotion: fear"))
    desk.answer({"do": "name", "group": "c2", "name": "happy"})
    names.write()
    assert names_in(path) == [None, "fear", "happy", None, None]
    assert desk.log.answers.said == {"c1": "fear", "c2": "happy"}


def test_a_file_of_training_is_no_edit(planted):
    desk, names, path = prepared(planted)
    desk.answer({"do": "name", "group": "c1", "name": "sad"})
    names.write()
    # Training began with the answers of then, and has written more about them by now.
    trained = path.read_text().replace("purity: null", "purity: 0.5")
    desk.answer({"do": "name", "group": "c1", "name": "happy"})
    path.write_text(trained)
    names.write()
    assert names_in(path) == [None, "happy", None, None, None]
    assert len(desk.log.entries) == 3


def test_answers_given_while_a_training_ran_come_back_into_the_file(planted):
    desk, names, path = prepared(planted)
    desk.answer({"do": "name", "group": "c1", "name": "sad"})
    names.write()
    trained = path.read_text()
    desk.answer({"do": "name", "group": "c2", "name": "happy"})
    names.write()
    # Training ends, and nobody answers any more.
    path.write_text(trained)
    names.write()
    assert names_in(path) == [None, "sad", "happy", None, None]
    before = path.stat().st_mtime_ns
    names.write()
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("clusters:", "clusters: [", "expected YAML"), ("emotion: sad", "emotion: yes", "in quotes")],
)
def test_a_file_that_cannot_be_read_is_told_once_and_left_alone(planted, capsys, old, new, words):
    desk, names, path = prepared(planted)
    desk.answer({"do": "name", "group": "c1", "name": "sad"})
    names.write()
    broken = path.read_text().replace(old, new)
    path.write_text(broken)
    desk.answer({"do": "name", "group": "c2", "name": "happy"})
    names.write_or_warn()
    names.write_or_warn()
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("warning: names.yaml is not written: ")
    assert words in told
    assert path.read_text() == broken
    path.write_text(broken.replace(new, old))
    names.write_or_warn()
    assert names_in(path) == [None, "sad", "happy", None, None]
