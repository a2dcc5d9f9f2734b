"""Jobs are found by their id, the beginning of one, or their run folder."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from daskfer import cache, storage
from daskfer.errors import JobError
from daskfer.jobs import index
from daskfer.jobs.folder import JobFolder, new_request


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "store")


def entered(store, run, id_of, submitted="2026-01-01T00:00:00+00:00"):
    request = new_request(str(run), ["faces.csv"], store, 1, "tcp://127.0.0.1:1")
    request = replace(request, id=id_of, submitted=submitted)
    folder = JobFolder(str(run))
    folder.write_request(request)
    index.enter(request)
    return folder


def test_listed_by_time(store, tmp_path):
    late = entered(store, tmp_path / "a", "aaaa0001", "2026-02-01T00:00:00+00:00")
    early = entered(store, tmp_path / "b", "bbbb0001", "2026-01-01T00:00:00+00:00")
    assert index.listed(store) == [early, late]
    assert index.listed(str(tmp_path / "none")) == []


def test_found(store, tmp_path):
    one = entered(store, tmp_path / "a", "aaaa0001")
    entered(store, tmp_path / "b", "aaaa0002")
    assert index.find(store, "aaaa0001") == one
    assert index.find(store, str(tmp_path / "a")) == one
    with pytest.raises(JobError, match=r"2 jobs' ids \(aaaa0001, aaaa0002\)"):
        index.find(store, "aaaa")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(JobError, match=r"no job .*file in the store"):
        index.find(store, str(tmp_path / "file"))
    with pytest.raises(JobError, match=r"no job cc in the store .*: expected an id"):
        index.find(store, "cc")


def test_a_run_folder_that_is_gone_or_another_job_s(store, tmp_path):
    entered(store, tmp_path / "a", "aaaa0001")
    entered(store, tmp_path / "b", "bbbb0001")
    shutil.rmtree(tmp_path / "a")
    shutil.rmtree(tmp_path / "b")
    entered(store, tmp_path / "b", "cccc0001")
    assert [folder.request().id for folder in index.listed(store)] == ["cccc0001"]


def test_what_is_no_entry_is_passed_over(store, tmp_path):
    one = entered(store, tmp_path / "a", "aaaa0001")
    for name, content in (("x.json", "{"), ("y.json", "{}"), ("z.json", "[]")):
        storage.write_text(storage.join(store, "jobs", name), content)
    assert index.listed(store) == [one]


def test_the_cache_lets_the_list_of_jobs_alone(store, tmp_path):
    entered(store, tmp_path / "a", "aaaa0001")
    contents = cache.look(store)
    assert (contents.folders, contents.others) == ((), 0)
    cache.clear(store, list(contents.folders))
    assert len(index.listed(store)) == 1
