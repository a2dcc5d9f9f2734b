"""A scheduler and workers as real processes, which a test may kill and start again."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
from processes import Certificates, children_of, daskfer, is_worker, started, wait_until

CHANGES = (
    "--recipe", "hog", "--set", "block_rows=256", "--set", "classify.model=logistic",
)  # fmt: skip
"""A recipe whose job takes some seconds on synthetic faces."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether somebody listens on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Site:
    """A scheduler and workers on loopback, with TLS where there are certificates.

    Attributes
    ----------
    address : str
    environment : dict
        Of daskfer's commands: a store of the site's own, and what lets them in.
    """

    def __init__(self, folder: Path, certificates: Certificates | None = None) -> None:
        self.folder, self._certificates = folder, certificates
        self._stack = ExitStack()
        protocol = "tcp" if certificates is None else "tls"
        self.address = f"{protocol}://127.0.0.1:{free_port()}"
        self.environment = {
            **(dict(os.environ) if certificates is None else certificates.environment()),
            "DASKFER_STORE": str(folder / "store"),
            "COLUMNS": "120",
        }
        self.scheduler = 0
        self.nannies: list[int] = []

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def start_scheduler(self) -> None:
        """Start the scheduler, at the address that it always has."""
        port = self.address.rpartition(":")[2]
        process = self._stack.enter_context(
            started(
                sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1",
                "--port", port, "--no-dashboard", *self._flags("scheduler"),
                log=self.folder / "scheduler.log",
            )
        )  # fmt: skip
        self.scheduler = process.pid
        wait_until(lambda: answers(int(port)), "the scheduler")

    def start_worker(self, *more: object) -> None:
        """Start another worker, and the nanny that starts it again when it dies."""
        process = self._stack.enter_context(
            started(
                sys.executable, "-m", "distributed.cli.dask_worker", self.address, "--nthreads",
                "1", "--no-dashboard", "--local-directory", self.folder / "workers",
                *self._flags("worker"), *more, log=self.folder / "workers.log",
            )
        )  # fmt: skip
        self.nannies.append(process.pid)
        wait_until(lambda: any(map(is_worker, children_of(process.pid))), "a worker's process")

    def _flags(self, role: str) -> list[str]:
        if self._certificates is None:
            return []
        folder = self._certificates.folder
        return [
            "--protocol", "tls", "--tls-ca-file", str(folder / "ca.pem"),
            "--tls-cert", str(folder / f"{role}.pem"),
            "--tls-key", str(folder / f"{role}-key.pem"),
        ]  # fmt: skip

    def workers(self) -> set[int]:
        """Processes of the workers that live now."""
        return {pid for nanny in self.nannies for pid in children_of(nanny) if is_worker(pid)}

    def command(self, *arguments: object) -> str:
        """What a command of daskfer's prints, in a process of its own that succeeds."""
        done = daskfer(*arguments, environment=self.environment, cwd=self.folder)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def submit(self, *arguments: object) -> str:
        """Submit a job; its id."""
        return self.command("submit", *arguments, "--scheduler", self.address).strip()

    def status(self, job: str) -> dict[str, Any]:
        """How a job goes."""
        found: dict[str, Any] = json.loads(self.command("jobs", "status", job, "--json"))
        return found

    def attempt(self, job: str) -> dict[str, Any]:
        """What the last attempt at a job has written of itself, read without a command's start."""
        for entry in (self.folder / "store" / "jobs").glob(f"{job}.json"):
            attempts = Path(json.loads(entry.read_text())["run"], "job", "attempts")
            names = sorted(attempts.glob("*.json"))
            if names:
                found: dict[str, Any] = json.loads(names[-1].read_text())
                return found
        return {"state": "none", "name": "0000-", "pid": 0, "stage": ""}

    def wait_for_driver(self, job: str, attempt: int = 1) -> int:
        """Wait until this attempt's process is at work; the process."""

        def runs() -> bool:
            found = self.attempt(job)
            return found["name"].startswith(f"{attempt:04d}") and found["pid"] > 0

        wait_until(runs, f"attempt {attempt} at the job", 90)
        return int(self.attempt(job)["pid"])


def worker_of(driver: int) -> int:
    """The worker's process that started a job's."""
    return int(psutil.Process(driver).ppid())


def kill(process: int) -> None:
    os.kill(process, signal.SIGKILL)
