"""A run's folder: whose it is, and its results, which are old or new together."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from kills import killed_after
from processes import daskfer

from daskfer import storage, switching
from daskfer.at_work import WORK
from daskfer.errors import RunFolderError
from daskfer.ingest.finding import find_sources
from daskfer.ingest.sources import Source
from daskfer.model import read_model
from daskfer.names_file import given_names, open_log
from daskfer.recipe import load_recipe
from daskfer.run_folder import RunFolder
from daskfer.synthetic import write_csv

WORKING = """
import sys, time
from daskfer.ingest.finding import find_sources
from daskfer.recipe import load_recipe
from daskfer.run_folder import RunFolder
with RunFolder(sys.argv[1]).at_work(load_recipe("hog"), find_sources([sys.argv[2]])):
    print("at work", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    path = tmp_path_factory.mktemp("sources") / "faces.csv"
    write_csv(path, 20, seed=1)
    return find_sources([str(path)])


ONE, OTHER = load_recipe("hog"), load_recipe("hog", ["seed=7"])


@pytest.fixture
def at_work(sources: list[Source], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that computes recipe ONE for the folder ``run``."""
    command = [sys.executable, "-c", WORKING, str(tmp_path / "run"), sources[0].path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        yield process
        process.kill()


def owner(folder: RunFolder) -> str:
    return str(storage.read_json(folder.file("run.json"))["identity"])


def test_a_folder_of_a_living_run_is_refused(
    at_work: subprocess.Popen[str], sources: list[Source], tmp_path: Path
) -> None:
    folder = RunFolder(str(tmp_path / "run"))
    before = (owner(folder), folder.recipe())

    def begin() -> None:
        with folder.at_work(OTHER, sources):
            raise AssertionError("it began")

    for claim in (lambda: folder.claim(OTHER, sources), begin):
        with pytest.raises(RunFolderError, match=r"another run is at work in .*: wait for it, or"):
            claim()
    assert (owner(folder), folder.recipe()) == before
    # The same run may be computed twice; both find the same.
    with folder.at_work(ONE, sources) as identity:
        assert identity == owner(folder)
    at_work.kill()
    at_work.wait(timeout=30)
    with folder.at_work(OTHER, sources) as identity:
        assert (identity, folder.recipe()) == (owner(folder), OTHER)
        assert identity != before[0]


def test_a_run_at_work_keeps_nothing_there(sources: list[Source], tmp_path: Path) -> None:
    folder = RunFolder(str(tmp_path / "run"))
    with folder.at_work(ONE, sources):
        assert [name for name in os.listdir(folder.path) if name.startswith(WORK)]
    assert sorted(os.listdir(folder.path)) == ["recipe.yaml", "run.json"]
    # What a process left that was killed before it signed is no other kind of folder.
    for name in os.listdir(folder.path):
        os.unlink(folder.file(name))
    Path(folder.file(f"{WORK}0.json")).write_text("{}")
    folder.claim(OTHER, sources)
    assert folder.recipe() == OTHER


def test_folders_of_others_are_refused_untouched(sources: list[Source], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    folder = RunFolder(str(tmp_path))
    for claim in (folder.claim, folder.check, lambda *one: folder.at_work(*one).__enter__()):
        with pytest.raises(RunFolderError, match=r"holds notes\.txt and is no run's folder"):
            claim(ONE, sources)
    assert os.listdir(tmp_path) == ["notes.txt"]


@pytest.fixture(scope="module")
def computed(small_runs: tuple[Path, dict[str, str]]) -> Any:
    """The run ``waiting``, whose clusters a person has named, computed again; and its identity."""
    from daskfer.cli.console import Log
    from daskfer.cli.finished import computed_again, finished, recipe_of
    from daskfer.cli.session import place_of

    folder, environment = small_runs
    run = folder / "to-write"
    shutil.copytree(folder / "waiting", run)
    log = open_log(RunFolder(str(run)))
    for number in range(log.clusters):
        log.append({"do": "name", "name": "happy" if number else "sad", "group": f"c{number}"})
    given = given_names(RunFolder(str(run)))
    found = finished(str(run))
    with computed_again(
        str(run), found, recipe_of(str(run), []), given, place_of(None, None, 1, False),
        environment["DASKFER_STORE"], Log(),
    ) as (result, _):  # fmt: skip
        yield run, result, found["identity"]


@pytest.fixture
def again(computed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A copy of that run to write into, and what writes; its report is short."""
    run, result, identity = computed
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    monkeypatch.setattr(
        "daskfer.report.write_report", lambda path, *_, **__: storage.write_text(path, "new page")
    )
    metrics = {**result.figures, "mark": "new"}

    def write(into: Path = copy) -> None:
        RunFolder(str(into)).write(result, metrics, identity)

    return copy, write


def told(run: Path) -> list[bool]:
    """Of each file that a rewrite replaces, whether it is the new one."""
    emotions = set(pq.read_table(run / "labels.parquet").to_pydict()["emotion"])
    return [
        "mark" in json.loads((run / "metrics.json").read_text()),
        emotions == {"happy", "sad"},
        (run / "report.html").read_text() == "new page",
        read_model(str(run)).classifier is not None,
    ]


def test_results_are_old_or_new_whenever_the_writer_is_killed(
    again: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, write = again
    seen = []
    for steps in range(60):
        copy = tmp_path / f"killed-{steps}"
        shutil.copytree(run, copy)
        ended = killed_after(
            steps, ("replace", "rename", "remove"), monkeypatch, lambda copy=copy: write(copy)
        )
        # The model is whole even before anybody looks at the run.
        assert read_model(str(copy)).side == 48
        marked = "mark" in json.loads((copy / "metrics.json").read_text())
        assert not marked or all(told(copy))
        metrics = RunFolder(str(copy)).metrics()
        assert metrics is not None
        assert len(set(told(copy))) == 1, (steps, told(copy))
        seen.append("mark" in metrics)
        names = yaml.safe_load((copy / "names.yaml").read_text())["clusters"]
        assert {one["emotion"] for one in names.values()} in ({None}, {"happy", "sad"})
        if ended:
            break
    assert ended
    assert seen == sorted(seen)
    assert set(seen) == {False, True}
    hidden = [path.name for path in copy.iterdir() if path.name.startswith(switching.NEW)]
    assert hidden == []


def test_results_are_not_written_beside_another_recipe(again: Any) -> None:
    run, write = again
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(content | {"identity": "another"}))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(RunFolderError, match=r"run\.json is that of run another, and the results"):
        write()
    (run / "run.json").unlink()
    with pytest.raises(RunFolderError, match=r"run\.json is gone, and the results are of run"):
        write()
    del before[run / "run.json"]
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def names_in(run: Path) -> dict[int, str | None]:
    clusters = yaml.safe_load((run / "names.yaml").read_text())["clusters"]
    return {number: one["emotion"] for number, one in clusters.items()}


def test_names_written_by_hand_meanwhile_stay(again: Any) -> None:
    run, write = again
    open_log(RunFolder(str(run)))
    write()
    assert names_in(run)[2] == "happy"
    text = (run / "names.yaml").read_text()
    content = yaml.safe_load(text)
    content["clusters"][2]["emotion"] = "fear"
    (run / "names.yaml").write_text(yaml.safe_dump(content))
    write()
    assert names_in(run) == {0: "sad", 1: "happy", 2: "fear"} | dict.fromkeys(range(3, 7), "happy")
    log = open_log(RunFolder(str(run)))
    assert log.entries[-1]["names"] == {"2": "fear"}
    # The results are those of the names before, all of them.
    assert all(told(run))
    # A name that is none ends it before any result is replaced.
    content = yaml.safe_load((run / "names.yaml").read_text())
    content["clusters"][2]["emotion"] = "a\nb"
    (run / "names.yaml").write_text(yaml.safe_dump(content))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(RunFolderError, match="of cluster 2: it holds a control character"):
        write()
    assert {path: path.read_bytes() for path in before} == before


def test_names_given_on_the_page_meanwhile_stay(again: Any) -> None:
    run, write = again
    log = open_log(RunFolder(str(run)))
    log.append({"do": "name", "name": "angry", "group": "c1"})
    write()
    assert names_in(run)[1] == "angry"
    assert len(open_log(RunFolder(str(run))).entries) == len(log.entries)


def test_a_command_finishes_what_was_killed(again: Any, small_runs: Any) -> None:
    run, write = again
    write()
    new = {name: (run / name).read_bytes() for name in ("metrics.json", "labels.parquet")}
    # As if it had been killed right after the rename by which they count.
    (run / switching.SWITCHING).mkdir()
    for name in new:
        (run / name).rename(run / switching.SWITCHING / name)
        (run / name).write_bytes(b"{}")
    done = daskfer("name", run, "--sheets", run.parent / "sheets", environment=small_runs[1])
    assert done.returncode == 0, done.stderr
    assert {name: (run / name).read_bytes() for name in new} == new
    assert not switching.is_unsettled(str(run))
