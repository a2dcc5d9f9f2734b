"""Jobs on a scheduler: a task that starts a process, which drives the run from a worker's machine.

The task secedes, so that it holds none of the worker's threads. When its worker dies, so does the
process, and Dask gives the task to another worker, where another process goes on from what lies in
the store. Nobody has to wait for its result: what a job leaves is on storage.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Reschedule, fire_and_forget, get_worker, secede

import daskfer
from daskfer.dask.schedulers import client_of_address, quiet_client
from daskfer.errors import JobError, SchedulerError
from daskfer.jobs.folder import ENDED, SUBMITTED_AGAIN, Attempt, JobFolder, Request
from daskfer.jobs.heart import BEAT_SECONDS, GRACE_SECONDS, LOOK_SECONDS
from daskfer.jobs.log import FIRST_BYTES, LAST_BYTES, shortened

DRIVERS = "daskfer.drivers-per-worker"
"""The key of Dask's configuration, on the worker, that says how many jobs it drives at a time."""

MOST_ATTEMPTS = 10
"""How many attempts a job may have before it is not moved to another worker any more."""

SUPERSEDED = "superseded"
"""How a task ends whose job was submitted again."""

ASK_SECONDS = 3
"""How long a scheduler may take to say which jobs it knows."""


def submit_job(client: Client, request: Request) -> None:
    """Give a job to the scheduler, and see that it has it.

    Raises
    ------
    JobError
        When the scheduler does not take it.
    """
    future = client.submit(
        supervise,
        request.run,
        request.key,
        key=request.key,
        # Before blocks of other jobs: it takes a thread for a moment only.
        priority=100,
        pure=False,
    )
    fire_and_forget(future)
    deadline = time.monotonic() + ASK_SECONDS
    while not client.run_on_scheduler(_wanted_keys(), [request.key]):
        if time.monotonic() > deadline:
            raise JobError(
                f"the scheduler at {request.scheduler} did not take job {request.id}: submit it "
                "again"
            )
        time.sleep(0.01)


def known(requests: Sequence[Request]) -> list[bool | None]:
    """Of each job whether its scheduler has its task; None when that does not answer.

    Each scheduler is asked once.
    """
    keys: dict[str, list[str]] = {}
    for request in requests:
        keys.setdefault(request.scheduler, []).append(request.key)
    wanted = {scheduler: _wanted_of(scheduler, some) for scheduler, some in keys.items()}
    answers = [(request.key, wanted[request.scheduler]) for request in requests]
    return [None if found is None else key in found for key, found in answers]


def _wanted_of(scheduler: str, keys: list[str]) -> list[str] | None:
    """Which of some keys a scheduler has for somebody; None when it does not answer."""
    quiet_client()
    try:
        with client_of_address(scheduler, ASK_SECONDS) as client:
            found: list[str] = client.run_on_scheduler(_wanted_keys(), keys)
            return found
    except (SchedulerError, OSError, TimeoutError):
        return None


def _wanted_keys() -> Callable[..., list[str]]:
    """A function, sent by value, that tells which of some keys the scheduler has for somebody."""

    def wanted(keys: list[str], dask_scheduler: Any = None) -> list[str]:
        tasks = dask_scheduler.tasks
        return [key for key in keys if key in tasks and tasks[key].who_wants]

    return wanted


def supervise(run: str, key: str) -> str:
    """Drive the job in a run folder from here, in a process of its own; how it ended.

    This is the job's task, of this key. It waits for its turn, starts the process, keeps what it
    prints, and says so when it ends without a word. It ends as superseded, and lets the job be,
    where that was submitted again meanwhile: two tasks would take it from each other in turns.
    """
    worker = get_worker()
    secede()
    folder = JobFolder(run)
    request = folder.request()
    if request.key != key:
        return SUPERSEDED
    attempt = folder.begin(worker.address, request.submission)
    with _turn(folder, attempt, key) as mine:
        if not mine:
            again = folder.is_superseded(key)
            last = folder.attempt(attempt.name).again(
                state="lost" if again else "stopped", error=SUBMITTED_AGAIN if again else ""
            )
            folder.write(last.again(ended=last.updated))
            return SUPERSEDED if again else "stopped"
        with _driver(folder, attempt, worker) as process:
            log = _Log(folder, attempt.name, process)
            asked = 0.0
            while process.poll() is None:
                log.write()
                # It looks for the wish itself; one that is suspended, or out of its mind, cannot.
                if asked and time.monotonic() - asked > 2 * GRACE_SECONDS:
                    process.kill()
                elif not asked and _is_to_stop(folder):
                    asked = time.monotonic()
                time.sleep(LOOK_SECONDS / 2)
            log.finish()
    state = _last_word(folder, attempt.name, process.returncode)
    if state == "lost" and folder.is_superseded(key):
        return SUPERSEDED
    if state == "lost" and attempt.number < MOST_ATTEMPTS:
        # The process lost the scheduler, and this worker did not.
        raise Reschedule
    return state


_PLACES: list[threading.Semaphore] = []
_PLACES_LOCK = threading.Lock()


@contextmanager
def _turn(folder: JobFolder, attempt: Attempt, key: str) -> Iterator[bool]:
    """Wait until this worker may drive another job; false when it is not to begin it any more."""
    with _PLACES_LOCK:
        if not _PLACES:
            _PLACES.append(threading.Semaphore(int(dask.config.get(DRIVERS, 1))))
    places = _PLACES[0]
    waiting, beaten = attempt, time.monotonic()
    while not places.acquire(timeout=LOOK_SECONDS):
        if _is_to_stop(folder):
            yield False
            return
        with suppress(Exception):
            if time.monotonic() - beaten > BEAT_SECONDS:
                waiting, beaten = waiting.again(), time.monotonic()
                folder.write(waiting)
    try:
        yield not (_is_to_stop(folder) or _is_superseded(folder, key))
    finally:
        places.release()


@contextmanager
def _driver(folder: JobFolder, attempt: Attempt, worker: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The process that drives the job; killed at the end if it is still there.

    Its standard input is a pipe to this worker: when that closes, the worker has died.
    """
    command = [sys.executable, "-m", "daskfer", "drive", folder.run, attempt.name]
    process = subprocess.Popen(
        [*command, "--scheduler", worker.scheduler.address],
        env=_environment(worker),
        cwd=worker.local_directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _environment(worker: Any) -> dict[str, str]:
    """This worker's environment, with Dask's configuration and what proves who the worker is."""
    settings: dict[str, Any] = {}
    security = worker.security
    if security.tls_worker_cert:
        settings["distributed.comm.tls.ca-file"] = security.tls_ca_file
        settings["distributed.comm.tls.client.cert"] = security.tls_worker_cert
        settings["distributed.comm.tls.client.key"] = security.tls_worker_key
        settings["distributed.comm.require-encryption"] = security.require_encryption
    with dask.config.set(settings):
        inherited = dask.config.serialize(dask.config.global_config)
    # What was shipped lies beside what is installed.
    paths = [str(Path(daskfer.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "DASK_INTERNAL_INHERIT_CONFIG": inherited,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONUNBUFFERED": "1",
    }


class _Log:
    """Keeps what a process prints in the job's folder."""

    def __init__(self, folder: JobFolder, name: str, process: subprocess.Popen[bytes]) -> None:
        self._folder, self._name = folder, name
        self._text, self._written = b"", 0
        self._when = 0.0
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, stream: Any) -> None:
        while data := os.read(stream.fileno(), 1 << 16):
            text = self._text + data
            self._text = shortened(text) if len(text) > 2 * (FIRST_BYTES + LAST_BYTES) else text

    def write(self, *, seldom: bool = True) -> None:
        """Write it down if there is more; at most once in half a second."""
        if seldom and time.monotonic() - self._when < LOOK_SECONDS:
            return
        self._when = time.monotonic()
        text = self._text
        if text and hash(text) != self._written:
            # Storage may be out of reach for a while; then the next time has it.
            with suppress(Exception):
                self._folder.write_log(self._name, text)
                self._written = hash(text)

    def finish(self) -> None:
        """Write all of it down, once the process has ended."""
        self._reader.join(timeout=5)
        self.write(seldom=False)


def _is_to_stop(folder: JobFolder) -> bool:
    # Storage may be out of reach for a while.
    with suppress(Exception):
        return folder.is_to_stop()
    return False


def _is_superseded(folder: JobFolder, key: str) -> bool:
    with suppress(Exception):
        return folder.is_superseded(key)
    return False


def _last_word(folder: JobFolder, name: str, status: int) -> str:
    """How the attempt ended: as its process wrote, or as its exit status tells."""
    attempt = folder.attempt(name)
    if not attempt.ended:
        error = f"its process ended with status {status} and said nothing: see the log"
        if status < 0:
            with suppress(ValueError):
                error = f"its process was ended by {signal.Signals(-status).name}"
        if status == -signal.SIGKILL:
            error += ", as happens when memory is short"
        state = "stopped" if folder.is_to_stop() else "failed"
        last = attempt.again(state=state, error="" if state == "stopped" else error)
        attempt = last.again(ended=last.updated)
        folder.write(attempt)
    assert attempt.state in (*ENDED, "lost")
    return attempt.state
