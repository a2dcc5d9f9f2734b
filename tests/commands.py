"""The commands of cluster files, run as processes of this machine, and daskfer run on them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from processes import children_of, daskfer, is_alive, wait_until

QUICK = [
    "--recipe",
    "hog",
    "--set",
    "classify.model=none",
    "--set",
    "evaluate.folds=0",
    "--set",
    "evaluate.null_draws=1",
    "--set",
    "evaluate.stability_draws=0",
]
"""A recipe that uses all stages but the slow ones, for tests of where it runs."""


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody listens on, all different."""
    with ExitStack() as open_ones:
        found = []
        for _ in range(count):
            one = open_ones.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            found.append(one.getsockname()[1])
        return found


def as_here(command: Sequence[str], changes: Mapping[str, str]) -> list[str]:
    """A command with this environment's programs, and with other names of hosts and ports."""
    program, *rest = command
    own = Path(sys.executable).parent / Path(program).name
    assert own.exists(), f"{program} is no program of this environment"
    for old, new in changes.items():
        rest = [part.replace(old, new) for part in rest]
    return [str(own), *rest]


@contextmanager
def running(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[Any]:
    """A process that writes into a file; it and all that it started are killed at the end."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        # Some give their own children sessions of their own; so by their ids too.
        for each in [*children_of(process.pid), process.pid]:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)


def wait_for_workers(client: Any, count: int, processes: Mapping[Path, Any]) -> dict[str, Any]:
    """What a scheduler knows of its workers once they are there; the log of a process that ends."""

    def there() -> bool:
        for log, process in processes.items():
            assert is_alive(process.pid), f"{process.args} ended: {log.read_text()}"
        return len(client.scheduler_info(n_workers=-1)["workers"]) == count

    wait_until(there, f"{count} workers")
    return dict(client.scheduler_info(n_workers=-1)["workers"])


@contextmanager
def cluster_of(
    scheduler: Sequence[str],
    workers: Sequence[Sequence[str]],
    address: str,
    folder: Path,
    environment: Mapping[str, str],
) -> Iterator[dict[str, Any]]:
    """Start a scheduler and workers by their commands; what the scheduler knows of the workers."""
    from distributed import Client

    commands = {folder / "scheduler.log": scheduler}
    commands |= {folder / f"worker-{number}.log": one for number, one in enumerate(workers)}
    with ExitStack() as stack:
        processes = {
            log: stack.enter_context(running(command, log, environment))
            for log, command in commands.items()
        }
        first = folder / "scheduler.log"
        host, port = address.rpartition("//")[2].rsplit(":", 1)

        def listens() -> bool:
            assert is_alive(processes[first].pid), f"{scheduler} ended: {first.read_text()}"
            with socket.socket() as probe:
                return probe.connect_ex((host, int(port))) == 0

        wait_until(listens, f"a scheduler at {address}")
        with Client(address, timeout=30) as client:
            found = wait_for_workers(client, len(workers), processes)
            assert client.submit(sum, [1, 2]).result() == 3
        yield found


def run_on(
    csv: Path, folder: Path, environment: Mapping[str, str], *where: str
) -> dict[str, dict[str, Any]]:
    """Run daskfer on faces somewhere, quickly; the metrics that it leaves."""
    out = folder / "run"
    done = daskfer("run", csv, "--out", out, *QUICK, *where, environment=dict(environment))
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((out / "metrics.json").read_text())
