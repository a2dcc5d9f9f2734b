"""Connecting to workers: a cluster on this machine, a scheduler's address, or a cluster file."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import yaml
from distributed import Client, KilledWorker, LocalCluster
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError
from distributed.diagnostics.plugin import WorkerPlugin

from daskfer.dask import dashboard
from daskfer.errors import SchedulerError

NOT_CONVERGED = (
    "Number of distinct clusters|lbfgs failed to converge|Stochastic Optimizer: Maximum|"
    "Solver terminated early|Best performing initialization did not converge"
)
"""How the messages of scikit-learn's ConvergenceWarning begin, in the models used here."""

CONNECT_SECONDS = 10
WORKER_SECONDS = 20


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
    """

    scheduler: str | None = None
    cluster_file: str | None = None
    workers: int | None = None
    processes: bool = False


class OneThread(WorkerPlugin):
    """Keeps numerical libraries on a worker to one thread.

    Workers share the cores already; and sums that a library divides among its threads round
    differently on machines with other numbers of cores.
    """

    name = "daskfer-one-thread"

    def setup(self, worker: Any) -> None:
        """Limit the threads, and remember how many there were."""
        self.limits = prepare_numerics()

    def teardown(self, worker: Any) -> None:
        """Give the threads back: a scheduler may serve others after us."""
        self.limits.restore_original_limits()


def prepare_numerics() -> Any:
    """Limit this process's numerical libraries to one thread, and silence what is known.

    What is limited has to be loaded first. scikit-learn, which takes long to load, is left
    for later where the environment will limit it too. The filters are for the process, because
    warnings have no filters of a thread's own.
    """
    import numpy  # noqa: F401
    import scipy.linalg  # noqa: F401

    if os.environ.get("OMP_NUM_THREADS") != "1":
        import sklearn  # noqa: F401
    from threadpoolctl import threadpool_limits

    # dask-ml divides 0 by 0 for the first batch of IncrementalPCA, and replaces the result.
    warnings.filterwarnings(
        "ignore", "invalid value encountered in divide", RuntimeWarning, "dask._task_spec"
    )
    # Fewer distinct points than clusters, or an optimizer at its limit: the scores tell.
    warnings.filterwarnings("ignore", NOT_CONVERGED, UserWarning)
    return threadpool_limits(1)


@contextmanager
def connected(where: Where) -> Iterator[Client]:
    """A client of the workers that `where` asks for; what was started is closed at the end.

    Raises
    ------
    SchedulerError
        When the scheduler does not answer, or the cluster file is wrong.
    """
    _quiet_client()
    if where.scheduler is not None:
        with _client_of_address(where.scheduler) as client:
            _wait_for_worker(client, where.scheduler)
            with _one_thread(client):
                yield client
        return
    with _cluster(where) as cluster, Client(cluster) as client, _one_thread(client):
        yield client


def _quiet_client() -> None:
    """Give the client's log the level of Dask's own, which its defaults set apart.

    A scheduler that goes away is an error of ours, in one line; the client would add a traceback.
    """
    level = dask.config.get("logging.distributed", None)
    if isinstance(level, str):
        logging.getLogger("distributed.client").setLevel(level.upper())


def check_reach(store: str, where: Where) -> None:
    """Refuse a store that lies in this process's memory when workers are other processes.

    Raises
    ------
    SchedulerError
    """
    threads = where.scheduler is None and where.cluster_file is None and not where.processes
    if store.startswith("memory:") and not threads:
        raise SchedulerError(
            f"--store {store} lies in this process's memory, where worker processes cannot see "
            "it: expected a folder or a URL that they can reach"
        )


@contextmanager
def scheduler_errors(where: Where) -> Iterator[None]:
    """Say in a line what it means when the scheduler or its workers go away during the work.

    Raises
    ------
    SchedulerError
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
        raise SchedulerError(f"{place} went away: {again}") from error


@contextmanager
def _one_thread(client: Client) -> Iterator[None]:
    client.register_plugin(OneThread())
    try:
        yield
    finally:
        # The scheduler may be gone, and then there is nobody to give threads back to.
        with suppress(OSError, TimeoutError, RuntimeError):
            if client.status == "running":
                client.unregister_worker_plugin(OneThread.name)


def _wait_for_worker(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except TimeoutError:
        raise SchedulerError(
            f"the scheduler at {address} has no workers after {WORKER_SECONDS} s: start some "
            f"with dask worker {address} --nthreads 1"
        ) from None


def _client_of_address(address: str) -> Client:
    try:
        return Client(address, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SchedulerError(
            f"no scheduler answers at {address} ({reason}): check the address, or leave "
            "--scheduler out to run on this machine"
        ) from error


def _cluster(where: Where) -> Any:
    if where.cluster_file is not None:
        return _cluster_of_file(where.cluster_file, where.workers)
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


def _cluster_of_file(path: str, workers: int | None) -> Any:
    """Start the cluster that a YAML file describes: its class, and what that is called with."""
    if not Path(path).is_file():
        raise SchedulerError(f"--cluster {path}: no such file; see the folder cluster_configs")
    try:
        content = yaml.safe_load(Path(path).read_text())
    except yaml.YAMLError as error:
        raise SchedulerError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or "cluster" not in content:
        raise SchedulerError(
            f"{path}: expected a key cluster that names a class, such as "
            "dask.distributed.LocalCluster"
        )
    unknown = sorted(set(content) - {"cluster", "arguments", "workers", "dask"})
    if unknown:
        raise SchedulerError(
            f"{path}: unknown key {unknown[0]!r}; expected cluster, arguments, workers or dask"
        )
    dask.config.update(dask.config.config, content.get("dask") or {})
    module, _, name = str(content["cluster"]).rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise SchedulerError(
            f"{path}: cluster {content['cluster']} cannot be imported ({error})"
        ) from error
    arguments = dict(content.get("arguments") or {})
    if isinstance(kind, type) and issubclass(kind, LocalCluster):
        # Its worker processes have a log level of their own, beside Dask's configuration.
        arguments.setdefault("silence_logs", logging.CRITICAL)
    wanted = workers or content.get("workers")
    cluster = None
    try:
        with _interrupts_kept_from_workers():
            cluster = kind(**arguments)
        if wanted is not None:
            cluster.scale(int(wanted))
    except (TypeError, ValueError, OSError, RuntimeError) as error:
        if cluster is not None:
            cluster.close()
        raise SchedulerError(
            f"{path}: the cluster does not start: {_first_cause(error)}"
        ) from error
    return cluster


def _first_cause(error: BaseException) -> BaseException:
    """The error that the others were raised from."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def peak_memory(client: Client) -> int:
    """The largest resident memory that this process or any worker's has had, in bytes.

    Of workers that served others before, that is their largest since they started; those that
    do not answer are left out.
    """
    found = client.run(process_peak, on_error="ignore").values()
    return max([process_peak(), *(value for value in found if isinstance(value, int))])


def process_peak() -> int:
    """The largest resident memory that this process has had, in bytes."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource
    import sys

    # Kilobytes on Linux, bytes on macOS. Where there is a choice, not this: a process counts as
    # its own what its parent had when it was forked.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
