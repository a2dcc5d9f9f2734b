"""Real processes for tests, ended by id also when the test fails."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# Dask listens on all networks, unless told otherwise; with a few pages also without a dashboard.
OWN_PAGES = ("--dashboard-address", "127.0.0.1:0")
SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


def daskfer(
    *arguments: object,
    environment: dict[str, str],
    cwd: Path | None = None,
    before: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end, by a command `before` it that says where."""
    return subprocess.run(
        [*before, sys.executable, "-m", "daskfer", *map(str, arguments)],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
    )


@contextmanager
def started(
    *command: object,
    environment: dict[str, str] | None = None,
    heard: bool = True,
    log: Path | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A process group of its own that is killed at the end, whatever happens.

    What it prints is kept for the test if it is to be `heard`; nobody reads the pipes of one that
    talks long, so it would stop when they are full. A `log` takes all of it.
    """
    with ExitStack() as stack:
        output: object = subprocess.PIPE if heard else subprocess.DEVNULL
        if log is not None:
            output = stack.enter_context(log.open("a"))
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
        *OWN_PAGES,
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
            "--host",
            "127.0.0.1",
            "--nthreads",
            "1",
            "--no-dashboard",
            *OWN_PAGES,
            "--local-directory",
            folder,
            heard=False,
        ),
        workers_of(address, count - 1, folder),
    ):
        yield


@dataclass(frozen=True)
class Certificates:
    """A folder that scripts/make_certificates.py filled, and the commands that it printed."""

    folder: Path
    scheduler: list[str]
    worker: list[str]
    client: list[str]

    def environment(self, role: str = "client") -> dict[str, str]:
        """This process's environment, with Dask's settings to show the certificate of a role."""
        tls = "DASK_DISTRIBUTED__COMM__TLS__"
        return {
            **os.environ,
            "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
            f"{tls}CA_FILE": str(self.folder / "ca.pem"),
            f"{tls}{role.upper()}__CERT": str(self.folder / f"{role}.pem"),
            f"{tls}{role.upper()}__KEY": str(self.folder / f"{role}-key.pem"),
        }


def make_certificates(folder: Path, *arguments: object) -> Certificates:
    """Certificates of an authority of their own, as the script makes them."""
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "make_certificates.py"), str(folder), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    printed = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("dask")]

    def command(*words: str) -> list[str]:
        (found,) = [line for line in printed if line[: len(words)] == list(words)]
        # The program of that name that belongs to the Python that runs the tests.
        return [str(Path(sys.executable).parent / found[0]), *found[1:]]

    return Certificates(
        folder, command("dask", "scheduler"), command("dask", "worker"), command("daskfer", "run")
    )


@dataclass(frozen=True)
class Cluster:
    """A scheduler and workers that run as processes of their own.

    Attributes
    ----------
    address : str
        The scheduler's, with protocol and port.
    scheduler : int
        Process of the scheduler.
    nannies : list of int
        Process of each worker's nanny, which starts the worker again when it dies.
    environment : dict
        Environment for `daskfer`, in which `--scheduler ADDRESS` is let in.
    """

    address: str
    scheduler: int
    nannies: list[int]
    environment: dict[str, str]


@contextmanager
def tls_scheduler_with_workers(
    count: int, folder: Path, certificates: Certificates
) -> Iterator[Cluster]:
    """A scheduler and workers by TLS on loopback, started as the script's output says."""
    ready = folder / "scheduler.json"
    anywhere = ("--port", 0, "--dashboard-address", "127.0.0.1:0", "--scheduler-file", ready)
    with ExitStack() as stack:
        scheduler = stack.enter_context(started(*certificates.scheduler, *anywhere, heard=False))
        address = re.compile(r"tls://127\.0\.0\.1:\d+")
        wait_until(
            lambda: ready.exists() and address.search(ready.read_text()), "the scheduler's file"
        )
        found = address.search(ready.read_text())
        assert found is not None
        of_this_one = [
            found.group() if address.fullmatch(part) else part for part in certificates.worker
        ]
        nannies = [
            stack.enter_context(
                started(
                    *of_this_one, "--host", "127.0.0.1", "--local-directory", folder, heard=False
                )
            )
            for _ in range(count)
        ]
        yield Cluster(
            found.group(),
            scheduler.pid,
            [nanny.pid for nanny in nannies],
            certificates.environment(),
        )


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
