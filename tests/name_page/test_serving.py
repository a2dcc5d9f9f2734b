"""names.yaml while the page is served."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from name_page.conftest import CENTERS

from daskfer.name_page.serving import Names
from daskfer.run_folder import RunFolder


def prepared(planted):
    """A desk, and what writes the names of its run."""
    run = planted.folder / "run"
    run.mkdir()
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
