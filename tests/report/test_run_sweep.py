"""A sweep beside a run: of the same faces, or a line on what differs."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from swept import INPUTS, SUPPORTED, cells, content_of, write_run, write_sweep

from daskfer import storage
from daskfer.errors import RunFolderError
from daskfer.recipe import load_recipe
from daskfer.report.run_sweep import bring, of_run


@pytest.mark.parametrize(
    "changes",
    [
        [],
        ["reduce.components=7", "cluster.clusters=100", "cluster.restarts=2"],
        ["reduce.method=svd", "cluster.method=gmm", "classify.model=none", "name.how=page"],
        ["ingest.max_bad=0.5", "evaluate.folds=3"],
        ["represent.method=pixels"],
    ],
)
def test_a_sweep_of_the_same_faces_is_brought_as_it_is(tmp_path: Path, changes: list[str]) -> None:
    recipe = load_recipe("hog", changes)
    run = write_run(tmp_path / "run", recipe)
    folder = write_sweep(tmp_path / "sweep", content_of(cells(better={("hog", 5, 7): SUPPORTED})))
    swept, data = bring(folder, run, recipe)
    assert data == (tmp_path / "sweep" / "sweep.json").read_bytes()
    assert swept.inputs == INPUTS
    # Nothing is written by looking at it.
    assert of_run(run, recipe) is None
    storage.write_whole(run.file("sweep.json"), data)
    assert of_run(run, recipe) == swept


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["seed=1"], "(seed=42 there, 1 here)"),
        (["normalize.method=zscore"], "(normalize.method=minmax there, zscore here)"),
        (["ingest.duplicates=keep"], "ingest.duplicates=drop-from-fit there, keep here"),
        (["split.method=random", "split.test=0.3"], "split.test=0.1 there, 0.3 here"),
        (["balance.method=first"], "balance.method=none there, first here"),
        (["represent.cell=6"], "(represent.cell=8 there, 6 here)"),
        (["represent.method=expression"], "(represent.method=hog,pixels there, expression here)"),
    ],
)
def test_a_sweep_of_other_faces_is_refused(tmp_path: Path, changes: list[str], said: str) -> None:
    recipe = load_recipe("hog", changes)
    run = write_run(tmp_path / "run", recipe)
    folder = write_sweep(tmp_path / "sweep", content_of(cells()))
    with pytest.raises(RunFolderError) as raised:
        bring(folder, run, recipe)
    text = str(raised.value)
    assert text.startswith(f"{folder} holds a sweep of other faces than {run.path} clusters")
    assert said in text
    assert f"daskfer sweep INPUT --recipe {run.path}/recipe.yaml makes one" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"path": "/home/ada/other.csv"}, "a sweep of /home/ada/other.csv: expected one of"),
        ({"version": "2"}, "a sweep of an earlier or later version of /home/ada/faces.csv"),
        ({"path": "/a\x1b[2J"}, r"a sweep of /a\x1b[2J: expected"),
    ],
)
def test_a_sweep_of_other_inputs_is_refused(
    tmp_path: Path, change: dict[str, str], said: str
) -> None:
    run = write_run(tmp_path / "run")
    content = content_of(cells())
    content["inputs"] = [copy.deepcopy(INPUTS[0]) | change]
    folder = write_sweep(tmp_path / "sweep", content)
    with pytest.raises(RunFolderError) as raised:
        bring(folder, run, load_recipe("hog"))
    assert said in str(raised.value)
    assert str(raised.value).isprintable()


def test_folders_without_a_sweep(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    for folder in (tmp_path / "nothing", tmp_path / "run" / "run.json"):
        with pytest.raises(RunFolderError, match=r"has no sweep\.json: expected the folder of a"):
            bring(str(folder), run, load_recipe("hog"))


def test_what_is_wrong_with_a_run_s_own_is_told_and_not_raised(tmp_path: Path) -> None:
    run, recipe = write_run(tmp_path / "run"), load_recipe("hog")
    mark = tmp_path / "run" / "sweep.json"
    mark.write_text("{")
    assert "is no sweep's JSON" in str(of_run(run, recipe))
    write_sweep(run.path, content_of(cells(), load_recipe("hog", ["seed=1"])))
    assert "seed=1 there, 42 here" in str(of_run(run, recipe))
    mark.unlink()
    mark.mkdir()
    assert "directory" in str(of_run(run, recipe))
