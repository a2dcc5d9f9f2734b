"""Results are copied whole, and over nothing that is somebody's."""

from __future__ import annotations

import pytest

from daskfer import storage
from daskfer.errors import JobError
from daskfer.jobs.fetching import fetch
from daskfer.jobs.folder import JobFolder

FILES = {"run.json": "{}", "labels.parquet": "x", "model/a.npz": "y", "metrics.json": "{}"}

PASSING = {".work-1.json": "{}", ".new-1/labels.parquet": "half", "model/.1.part": "half"}
"""What a run leaves there while it is at work."""


@pytest.fixture(params=["disk", "memory"])
def folder(request, tmp_path):
    run = str(tmp_path / "run") if request.param == "disk" else f"memory://{tmp_path.name}/run"
    for name, text in {
        **FILES,
        "job/requests/1.json": "{}",
        "job/logs/1.txt": "z",
        **PASSING,
    }.items():
        storage.write_text(storage.join(run, name), text)
    return JobFolder(run)


def test_all_but_the_job_s_own_files(folder, tmp_path):
    names = fetch(folder, str(tmp_path / "here"))
    assert set(names) == set(FILES)
    assert names[-1] == "metrics.json", "which says that the others are there"
    found = {
        path.relative_to(tmp_path / "here").as_posix(): path.read_text()
        for path in (tmp_path / "here").rglob("*")
        if path.is_file()
    }
    assert found == FILES


def test_again_over_the_same(folder, tmp_path):
    fetch(folder, str(tmp_path / "here"))
    assert set(fetch(folder, str(tmp_path / "here"))) == set(FILES)


def test_not_over_something_else(folder, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "thesis.tex").write_text("mine")
    with pytest.raises(JobError, match="holds something else"):
        fetch(folder, str(tmp_path / "here"))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(JobError, match="holds something else"):
        fetch(folder, str(tmp_path / "file"))


def test_not_over_the_results_of_another_run(folder, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "run.json").write_text('{"identity": "another"}')
    with pytest.raises(JobError, match="holds something else"):
        fetch(folder, str(tmp_path / "here"))


def test_not_onto_itself(tmp_path):
    storage.write_text(str(tmp_path / "run" / "run.json"), "{}")
    with pytest.raises(JobError, match="the run folder itself"):
        fetch(JobFolder(str(tmp_path / "run")), str(tmp_path / "run"))
