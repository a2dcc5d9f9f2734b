"""What a scheduler is asked of jobs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client, Event, fire_and_forget

from daskfer.dask import jobs
from daskfer.dask.connect import Where, connected
from daskfer.jobs.folder import JobFolder, Request, asked_again, new_request


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with connected(Where(workers=1)) as client:
        yield client


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The schedulers that a client was made of, in their order."""
    found: list[str] = []
    connect = jobs.client_of_address

    def noted(address: str, seconds: float | None = None) -> Client:
        found.append(address)
        return connect(address, 0.5 if seconds is None else min(seconds, 0.5))

    monkeypatch.setattr(jobs, "client_of_address", noted)
    return found


def request_at(scheduler: str) -> Request:
    return new_request("run", ["faces.csv"], "store", 1, scheduler)


def test_each_scheduler_is_asked_once(asked: list[str], client: Client) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        gone = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
        there = client.scheduler.address
        requests = [request_at(address) for address in (gone, there, gone, there, gone)]
        fire_and_forget(client.submit(Event("over").wait, key=requests[3].key))
        try:
            assert jobs.known(requests) == [None, False, None, True, None]
        finally:
            Event("over").set()
    assert sorted(asked) == sorted([gone, there])


def test_another_submission_is_another_task(asked: list[str], client: Client) -> None:
    first = request_at(client.scheduler.address)
    fire_and_forget(client.submit(Event("end").wait, key=first.key))
    try:
        assert jobs.known([first, replace(first, submission=2)]) == [True, False]
    finally:
        Event("end").set()


def test_a_task_of_an_earlier_submission_lets_the_job_be(client: Client, tmp_path: Path) -> None:
    """As when its scheduler comes back, and the job was submitted to another meanwhile."""
    folder = JobFolder(str(tmp_path))
    first = new_request(folder.run, ["faces.csv"], "store", 1, client.scheduler.address)
    folder.write_request(first)
    folder.write_request(asked_again(first, first))
    future = client.submit(jobs.supervise, folder.run, first.key, key=first.key)
    assert future.result() == "superseded"
    assert folder.attempts() == []
