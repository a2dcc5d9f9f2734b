"""Plugins on a scheduler that others use too end with the client that registered them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from distributed import Client, Event, fire_and_forget
from processes import scheduler_with_workers, started, wait_until

from daskfer.dask import threads
from daskfer.dask.connect import Where, connected
from daskfer.dask.plugins import cleared
from daskfer.dask.software import ship_code

pytestmark = pytest.mark.cluster

OTHER = """
import signal
import sys
from daskfer.dask.connect import Where, connected

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
with connected(Where(sys.argv[1])) as client:
    print(client.id, flush=True)
    signal.sigwait({signal.SIGUSR1})
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with scheduler_with_workers(1, tmp_path_factory.mktemp("dask")) as address:
        yield address


@pytest.fixture
def looking(address: str) -> Iterator[Client]:
    """A client that is none of daskfer's."""
    with Client(address) as client:
        client.wait_for_workers(1, timeout=60)
        yield client


@contextmanager
def other_run(address: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that is connected, and the name of its client."""
    with started(sys.executable, "-c", OTHER, address) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()


def plugins(client: Client) -> list[str]:
    """Names of daskfer's plugins, which scheduler and worker have alike."""
    found = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.worker_plugins))
    (others,) = client.run(lambda dask_worker: list(dask_worker.plugins)).values()
    ours = [sorted(name for name in some if "daskfer" in name) for some in (found, others)]
    assert ours[0] == ours[1]
    return ours[0]


def limited(client: Client) -> list[int]:
    """How many ask the worker for one thread, and how many limits it has set."""
    (found,) = client.run(lambda: [len(threads._ASKING), len(threads._LIMITS)]).values()
    return list(found)


def is_known(client: Client, other: str) -> bool:
    return bool(client.run_on_scheduler(lambda dask_scheduler: other in dask_scheduler.clients))


def test_what_a_killed_client_left_goes_with_the_next(address: str, looking: Client) -> None:
    with other_run(address) as (process, other):
        assert plugins(looking) == [f"daskfer/one-thread/{other}/"]
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not is_known(looking, other), "the news of its end")
    assert plugins(looking) == [f"daskfer/one-thread/{other}/"]
    with connected(Where(address)) as client:
        assert plugins(looking) == [f"daskfer/one-thread/{client.id}/"]
        assert limited(looking) == [1, 1]
    assert plugins(looking) == []
    assert limited(looking) == [0, 0]


def test_a_client_at_work_keeps_its_own(address: str, looking: Client) -> None:
    with other_run(address) as (process, other):
        with connected(Where(address)) as client:
            both = {f"daskfer/one-thread/{one}/" for one in (other, client.id)}
            assert set(plugins(looking)) == both
        assert plugins(looking) == [f"daskfer/one-thread/{other}/"]
        assert limited(looking) == [1, 1]
        process.send_signal(signal.SIGUSR1)
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert plugins(looking) == []


def test_a_job_keeps_the_code_when_its_client_leaves(address: str, looking: Client) -> None:
    with Client(address, set_as_default=False) as client, cleared(client):
        ship_code(client, "job-a-1")
        fire_and_forget(client.submit(lambda: Event("over").wait(), key="job-a-1", pure=False))
        name = f"daskfer/code/{client.id}/job-a-1"
    assert plugins(looking) == [name]
    with connected(Where(address)):
        assert name in plugins(looking)
    Event("over", client=looking).set()
    wait_until(
        lambda: not looking.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks)),
        "the end of the job",
    )
    with connected(Where(address)):
        assert name not in plugins(looking)


def test_what_is_left_when_the_scheduler_is_gone(tmp_path: Path) -> None:
    """Nothing is said of it: the run's own error tells."""
    with scheduler_with_workers(1, tmp_path) as address:
        context = connected(Where(address))
        client = context.__enter__()
    wait_until(lambda: client.status != "running", "the news of it")
    context.__exit__(None, None, None)
