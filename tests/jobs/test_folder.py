"""A job's files: what is written is read back, by whoever looks, on a disk and behind a URL."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from daskfer import storage
from daskfer.errors import JobError
from daskfer.jobs.folder import JobFolder, asked_again, new_request


@pytest.fixture(params=["disk", "memory"])
def folder(request, tmp_path):
    root = str(tmp_path) if request.param == "disk" else f"memory://{uuid.uuid4().hex}"
    return JobFolder(storage.join(root, "run"))


def asked(folder: JobFolder):
    request = new_request(folder.run, ["faces.csv"], "store", 8 << 20, "tcp://127.0.0.1:8786")
    folder.write_request(request)
    return request


def test_the_request_is_read_back(folder):
    assert not folder.exists()
    request = asked(folder)
    assert folder.exists()
    assert folder.request() == request
    assert request.key == f"job-{request.id}-1"


def test_a_folder_without_a_job(folder):
    with pytest.raises(JobError, match=r"has no job: expected .*daskfer jobs list"):
        folder.request()


@pytest.mark.parametrize("content", ['{"format": 99, "id": "a"}', "[]", "{", '{"format": 1}'])
def test_a_request_of_another_version(folder, content):
    storage.write_text(folder.file("requests", "0001.json"), content)
    with pytest.raises(JobError, match="no request of a job as this version writes it"):
        folder.request()


def test_keys_of_a_later_version_are_left_out(folder):
    request = asked(folder)
    path = folder.file("requests", "0001.json")
    storage.write_json(path, {**storage.read_json(path), "colour": "blue"})
    assert folder.request() == request


def test_asked_again_is_the_same_job_with_another_key(folder):
    request = asked(folder)
    folder.ask_to_stop()
    assert folder.is_to_stop()
    other = new_request(folder.run, ["faces.csv"], "store", 8 << 20, "tcp://127.0.0.1:1")
    again = asked_again(request, other)
    folder.write_request(again)
    assert (again.id, again.submission, again.scheduler) == (request.id, 2, "tcp://127.0.0.1:1")
    assert again.key != request.key
    assert not folder.is_to_stop(), "the wish to stop was of the submission before"


def test_of_several_submissions_of_one_number_one_is_written(folder):
    """As when two submit at the same time: both have seen the same folder before."""
    requests = [
        new_request(folder.run, ["faces.csv"], "store", 1, f"tcp://127.0.0.1:{number}")
        for number in range(8)
    ]
    for submission in (1, 2, 10_000):
        asked_for = [replace(request, submission=submission) for request in requests]
        # Of memory nobody promises that two threads do not both write.
        at_once = 1 if storage.is_url(folder.run) else len(asked_for)
        with ThreadPoolExecutor(at_once) as pool:
            written = list(pool.map(folder.write_request, asked_for))
        assert sum(written) == 1
        assert folder.request() == asked_for[written.index(True)]
        assert [folder.is_superseded(request.key) for request in asked_for] == [
            not one for one in written
        ]


def test_a_request_that_comes_too_late_forgets_no_wish(folder):
    request = asked(folder)
    folder.ask_to_stop()
    assert not folder.write_request(replace(request, host="another"))
    assert folder.is_to_stop()
    assert folder.request() == request


def test_attempts_in_their_order(folder):
    asked(folder)
    assert folder.attempts() == []
    first = folder.begin("tcp://127.0.0.1:1")
    assert (first.number, first.submission, first.state) == (1, 1, "queued")
    assert folder.is_last(first.name)
    second = folder.begin("tcp://127.0.0.1:2")
    assert second.number == 2
    assert folder.is_last(second.name)
    assert not folder.is_last(first.name)
    later = second.again(state="running", stage="ingest", done=5, rows=9)
    folder.write(later)
    assert later.beat == second.beat + 1
    assert folder.attempts() == [first, later]
    assert folder.attempt(second.name) == later


def test_of_two_attempts_of_one_number_one_is_the_last(folder):
    """As when a scheduler takes a worker for dead, and both look at the same time."""
    asked(folder)
    first = folder.begin("a")
    name = f"0001-{'0' * 8}" if first.name > "0001-8" else f"0001-{'f' * 8}"
    folder.write(type(first)(name=name))
    assert sorted(map(folder.is_last, (first.name, name))) == [False, True]


def test_logs_of_all_attempts(folder):
    asked(folder)
    first, second = folder.begin("a"), folder.begin("b")
    folder.write_log(second.name, b"two\n")
    folder.write_log(first.name, b"one\n")
    folder.write_log(first.name, b"one\nmore\n")
    assert folder.logs() == [(first.name, b"one\nmore\n"), (second.name, b"two\n")]


def test_what_is_no_attempt_is_passed_over(tmp_path):
    folder = JobFolder(str(tmp_path))
    asked(folder)
    first = folder.begin("a")
    for name, content in (("0000-x.json", "{"), ("0009-y.txt", ""), ("0000-z.json", "[1]")):
        storage.write_text(folder.file("attempts", name), content)
    assert folder.attempts() == [first]
    assert json.loads((tmp_path / "job" / "attempts" / f"{first.name}.json").read_text())
