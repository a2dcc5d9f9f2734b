"""What is said of a job, by what its folder holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from daskfer import storage
from daskfer.jobs.folder import Attempt, JobFolder, new_request
from daskfer.jobs.status import AGAIN_SECONDS, statuses


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


class Job:
    """A job's folder, and who is asked about it."""

    def __init__(self, run: str) -> None:
        self.folder = JobFolder(run)
        self.request = new_request(run, ["faces.csv"], "store", 1, "tcp://127.0.0.1:8786")
        self.folder.write_request(self.request)
        self.asked = 0
        self.waited: list[float] = []

    def submitted(self, seconds: float) -> None:
        self.request = replace(self.request, submitted=ago(seconds))
        path = self.folder.file("requests", "0001.json")
        storage.write_json(path, {**storage.read_json(path), "submitted": self.request.submitted})

    def attempt(self, state: str, silent: float = 0, **more: object) -> Attempt:
        found = replace(self.folder.begin("tcp://w"), state=state, updated=ago(silent), **more)
        self.folder.write(found)
        return found

    def status(self, known: bool | None = None, meanwhile=lambda: None):
        def ask(requests):
            self.asked += len(requests)
            return [known] * len(requests)

        def wait(seconds):
            self.waited.append(seconds)
            meanwhile()

        return statuses([self.folder], ask, wait)[0]


@pytest.fixture
def job(tmp_path):
    return Job(str(tmp_path))


def test_just_submitted(job):
    assert job.status().state == "queued"
    assert job.asked == 0, "a young job is not asked for"


@pytest.mark.parametrize(
    ("known", "state", "part"),
    [
        (True, "queued", "no worker is free"),
        (False, "interrupted", "does not know it any more; daskfer submit --resume"),
        (None, "interrupted", "does not answer; daskfer submit --resume"),
    ],
)
def test_submitted_long_ago_and_never_begun(job, known, state, part):
    job.submitted(100)
    found = job.status(known)
    assert (found.state, part in found.note) == (state, True)


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_beating_attempt(job, state):
    attempt = job.attempt(state, stage="ingest", done=3)
    found = job.status()
    assert (found.state, found.attempt, found.ended) == (state, attempt, False)
    assert (job.asked, job.waited) == (0, [])


@pytest.mark.parametrize("state", ["succeeded", "failed", "stopped"])
def test_an_attempt_that_ended_long_ago(job, state):
    job.submitted(2000)
    job.attempt(state, silent=1000, error="why", submission=1)
    found = job.status()
    assert (found.state, found.ended, found.as_dict()["error"]) == (state, True, "why")
    assert (job.asked, job.waited) == (0, [])


def test_a_clock_that_is_behind_is_no_death(job):
    attempt = job.attempt("running", silent=3600)
    # Its next beat has the same wrong clock.
    found = job.status(meanwhile=lambda: job.folder.write(replace(attempt, beat=7)))
    assert (found.state, job.waited, job.asked) == ("running", [AGAIN_SECONDS], 0)


@pytest.mark.parametrize(
    ("known", "state"), [(False, "interrupted"), (None, "interrupted"), (True, "queued")]
)
def test_a_silent_attempt(job, known, state):
    job.attempt("running", silent=60)
    found = job.status(known)
    assert (found.state, job.waited, job.asked) == (state, [AGAIN_SECONDS], 1)


def test_one_that_was_killed_after_its_last_file(job):
    job.attempt("running", silent=60)
    storage.write_text(storage.join(job.folder.run, "metrics.json"), "{}")
    assert job.status(False).state == "succeeded"


def test_one_that_was_killed_when_it_was_told_to_stop(job):
    job.attempt("running", silent=60)
    job.folder.ask_to_stop()
    assert job.status(False).state == "stopped"


def test_told_to_stop(job):
    job.attempt("running")
    job.folder.ask_to_stop()
    assert (job.status().state, job.status().note) == ("running", "told to stop")


def test_a_lost_attempt_waits_for_another_worker_for_a_while(job):
    job.attempt("lost", error="its worker ended")
    found = job.status(None)
    assert (found.state, found.ended) == ("running", False)
    assert found.note == "its worker ended; waiting for another worker"


@pytest.mark.parametrize(("known", "state"), [(None, "interrupted"), (True, "queued")])
def test_a_lost_attempt_without_another_worker(job, known, state):
    job.attempt("lost", silent=60)
    assert job.status(known).state == state


def test_a_new_attempt_goes_before_a_lost_one(job):
    job.attempt("lost")
    job.attempt("running")
    assert job.status().attempt.number == 2


def test_submitted_again_after_it_was_stopped(job):
    job.attempt("stopped", silent=60)
    job.request = replace(job.request, submission=2, submitted=ago(0))
    job.folder.write_request(job.request)
    assert job.status().state == "queued"


def test_an_earlier_submission_that_begins_late_hides_nothing(job):
    job.folder.write_request(replace(job.request, submission=2, submitted=ago(60)))
    running = job.attempt("running")
    job.folder.begin("tcp://late", submission=1)
    assert (job.status().state, job.status().attempt) == ("running", running)


def test_many_jobs_are_waited_for_once(tmp_path):
    jobs = [Job(str(tmp_path / str(number))) for number in range(3)]
    for one in jobs[1:]:
        one.attempt("running", silent=60)
    waited = []
    asked = []

    def known(requests):
        asked.append(requests)
        return [False, True]

    found = statuses([one.folder for one in jobs], known, waited.append)
    assert [one.state for one in found] == ["queued", "interrupted", "queued"]
    assert waited == [AGAIN_SECONDS]
    assert asked == [[one.request for one in jobs[1:]]], "once, of those that show no sign of life"
