"""Real processes for tests, ended by id also when the test fails."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def daskfer(
    *arguments: object, environment: dict[str, str], cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "daskfer", *map(str, arguments)],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
    )


@contextmanager
def started(
    *command: object, environment: dict[str, str] | None = None, heard: bool = True
) -> Iterator[subprocess.Popen[str]]:
    """A process group of its own that is killed at the end, whatever happens.

    What it prints is kept for the test if it is to be `heard`; nobody reads the pipes of one that
    talks long, so it would stop when they are full.
    """
    output = subprocess.PIPE if heard else subprocess.DEVNULL
    process = subprocess.Popen(
        [str(part) for part in command],
        env=environment,
        stdout=output,
        stderr=output,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)


@contextmanager
def scheduler_with_workers(count: int, folder: Path) -> Iterator[str]:
    """A Dask scheduler and workers as processes of their own; its address."""
    ready = folder / "scheduler.json"
    with started(
        sys.executable,
        "-m",
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        ready,
        heard=False,
    ):
        address = re.compile(r"tcp://127\.0\.0\.1:\d+")
        wait_until(
            lambda: ready.exists() and address.search(ready.read_text()), "the scheduler's file"
        )
        found = address.search(ready.read_text())
        assert found is not None
        with workers_of(found.group(), count, folder):
            yield found.group()


@contextmanager
def workers_of(address: str, count: int, folder: Path) -> Iterator[None]:
    """Workers of a scheduler, as processes of their own."""
    if count == 0:
        yield
        return
    with (
        started(
            sys.executable,
            "-m",
            "distributed.cli.dask_worker",
            address,
            "--nthreads",
            "1",
            "--no-dashboard",
            "--local-directory",
            folder,
            heard=False,
        ),
        workers_of(address, count - 1, folder),
    ):
        yield


def wait_until(condition: object, what: str, seconds: float = 60) -> None:
    """Wait for a condition; fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)


def children_of(process: int) -> list[int]:
    """Ids of all processes that descend from one."""
    import psutil

    try:
        return [child.pid for child in psutil.Process(process).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    import psutil

    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_worker(process: int) -> bool:
    """Whether a process is a Dask worker that a nanny started."""
    import psutil

    try:
        return "spawn_main" in " ".join(psutil.Process(process).cmdline())
    except psutil.NoSuchProcess:
        return False
