"""Connecting to workers: a cluster on this machine, a scheduler's address, or a cluster file."""

from __future__ import annotations

import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import dask
from distributed import Client, KilledWorker, LocalCluster
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError

from daskfer.dask import dashboard
from daskfer.dask.cluster_file import configure, read_cluster_file, start_cluster
from daskfer.dask.plugins import cleared
from daskfer.dask.schedulers import client_of_address, quiet_client, wait_for_worker
from daskfer.dask.threads import one_thread
from daskfer.errors import SchedulerError, SchedulerGone

FIRST_SECONDS = 10
"""How long the first worker of a cluster may take before it is said that we wait for it."""

LOCAL = "local"
"""What is given as a scheduler to have workers started on this machine, whatever else says."""


@dataclass(frozen=True)
class Where:
    """Where a run is computed; by default on worker threads of this process, one a core.

    Attributes
    ----------
    scheduler : str or None
        Address of a running scheduler, such as tcp://host:8786.
    cluster_file : str or None
        YAML file that says which cluster to start (see the folder cluster_configs).
    workers : int or None
        Number of workers to start; by default one a core.
    processes : bool
        Whether local workers are processes of their own rather than threads.
    ship : bool
        Whether daskfer's code is sent to workers that are not started here.
    """

    scheduler: str | None = None
    cluster_file: str | None = None
    workers: int | None = None
    processes: bool = False
    ship: bool = False

    @property
    def local(self) -> bool:
        """Whether the workers are started by this process, on this machine."""
        return self.scheduler is None and self.cluster_file is None


def resolved(where: Where) -> Where:
    """The place that is meant: what the user states, else what Dask's configuration says.

    First comes ``--scheduler`` (``local`` for this machine) or ``--cluster``, whose file may name
    a running scheduler; then DASK_SCHEDULER_ADDRESS or ``scheduler-address`` in Dask's
    configuration files, unless workers are asked for; then this machine.

    Raises
    ------
    SchedulerError
        When a cluster file is wrong, or workers are asked of a running scheduler.
    """
    if where.scheduler == LOCAL:
        return replace(where, scheduler=None)
    if where.cluster_file is not None:
        file = read_cluster_file(where.cluster_file)
        if file.scheduler is None:
            return where
        configure(file)
        where = replace(where, scheduler=file.scheduler, cluster_file=None)
    elif where.scheduler is None and where.workers is None and not where.processes:
        where = replace(where, scheduler=dask.config.get("scheduler-address", None))
    if where.scheduler is not None and where.workers is not None:
        raise SchedulerError(
            f"--workers {where.workers} starts workers, and the scheduler at {where.scheduler} has "
            "its own: leave one of them out"
        )
    return where


@contextmanager
def connected(
    where: Where,
    prepare: Callable[[Client], None] = lambda client: None,
    warn: Callable[[str], None] = lambda text: None,
) -> Iterator[Client]:
    """A client of the workers that `where` asks for; what was started is closed at the end.

    Parameters
    ----------
    where : Where
    prepare : callable
        Called with the client as soon as there is a worker, before daskfer's own code goes to any.
    warn : callable
        Called with a line when the first worker of a cluster that is started is long in coming.

    Raises
    ------
    SchedulerError
        When the scheduler does not answer, or the cluster file is wrong.
    """
    quiet_client()
    if where.scheduler is not None:
        with client_of_address(where.scheduler) as client, cleared(client):
            wait_for_worker(client, where.scheduler)
            prepare(client)
            one_thread(client)
            yield client
        return
    with _cluster(where) as cluster, Client(cluster) as client, cleared(client):
        if not where.local:
            _wait_for_the_first(client, where, warn)
        prepare(client)
        one_thread(client)
        yield client


def _wait_for_the_first(client: Client, where: Where, warn: Callable[[str], None]) -> None:
    """Wait until a cluster that was started has a worker, and say so when that takes long.

    There is no end to it: a queue of jobs may take its time, and only the user knows how much.
    """
    try:
        client.wait_for_workers(1, timeout=FIRST_SECONDS)
    except TimeoutError:
        warn(
            f"{where.cluster_file}: its cluster has no worker after {FIRST_SECONDS} s; waiting for "
            "the first one, as a queue may take long (Ctrl-C gives up)"
        )
        client.wait_for_workers(1)


@contextmanager
def connected_to_scheduler(where: Where) -> Iterator[Client]:
    """A client of a running scheduler, which outlives this process.

    Raises
    ------
    SchedulerError
        When there is none: a cluster that this process starts would end with it.
    """
    if where.scheduler is None:
        of_file = f"--cluster {where.cluster_file} starts one that ends with this command: "
        raise SchedulerError(
            "a job needs a running scheduler: "
            + (of_file if where.cluster_file else "")
            + "give --scheduler ADDRESS (dask scheduler starts one, daskfer cluster start FILE "
            "keeps the cluster of a file)"
        )
    quiet_client()
    with client_of_address(where.scheduler) as client, cleared(client):
        wait_for_worker(client, where.scheduler)
        yield client


def check_store(store: str, where: Where) -> None:
    """Refuse a store that lies in this process's memory when workers are other processes.

    Raises
    ------
    SchedulerError
    """
    if store.startswith("memory:") and not (where.local and not where.processes):
        raise SchedulerError(
            f"--store {store} lies in this process's memory, where worker processes cannot see "
            "it: expected a folder or a URL that they can reach"
        )


@contextmanager
def scheduler_errors(where: Where) -> Iterator[None]:
    """Say in a line what it means when the scheduler or its workers go away during the work.

    Raises
    ------
    SchedulerError, SchedulerGone
        For Dask's errors of that kind.
    """
    place = f"the scheduler at {where.scheduler}" if where.scheduler else "the scheduler"
    again = "the same command goes on from the last finished stage"
    try:
        yield
    except KilledWorker as error:
        raise SchedulerError(
            f"too many workers died on one task ({error.task}), as they do when memory is short: "
            f"try fewer workers; {again}"
        ) from error
    except (CancelledError, FutureCancelledError, CommClosedError) as error:
        raise SchedulerGone(f"{place} went away: {again}") from error


def _cluster(where: Where) -> Any:
    if where.cluster_file is not None:
        file = read_cluster_file(where.cluster_file)
        with _interrupts_kept_from_workers():
            return start_cluster(file, where.workers)
    workers = where.workers or os.cpu_count() or 1
    settings: dict[str, Any] = {
        "n_workers": workers,
        "threads_per_worker": 1,
        "processes": where.processes,
        "silence_logs": logging.CRITICAL,
        **dashboard.settings(),
    }
    if not where.processes:
        # Threads share the process's memory, so none of them can have a limit of its own.
        settings["memory_limit"] = 0
    # Another run may take the port after we found it free; Dask then takes another, and says so.
    warnings.filterwarnings("ignore", "Port .* is already in use", UserWarning)
    with _interrupts_kept_from_workers():
        cluster = LocalCluster(**settings)
    dashboard.build_when_asked(cluster)
    return cluster


@contextmanager
def _interrupts_kept_from_workers() -> Iterator[None]:
    """Let processes that are started meanwhile ignore Ctrl-C.

    A terminal sends it to them too; we end them ourselves, without their tracebacks.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
