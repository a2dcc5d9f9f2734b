"""Files of cluster_configs, with what must differ on this machine; and runs that use them."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dask.config
import psutil
import pyarrow.parquet as pq
import yaml
from processes import wait_until

CONFIGS = Path(__file__).resolve().parents[2] / "cluster_configs"


def shipped(name: str, folder: Path, changes: dict[str, Any]) -> Path:
    """A copy of a shipped file in which only `changes` differ, however deep they lie."""
    content = yaml.safe_load((CONFIGS / name).read_text())
    path = folder / name
    path.write_text(yaml.safe_dump(dask.config.merge(content, changes)))
    return path


def command(csv: Path, out: Path, *more: object) -> list[object]:
    """A run of recipe hog in several blocks, which is quick."""
    changes = ("--set", "block_rows=256", "--set", "classify.model=logistic")
    run = (sys.executable, "-m", "daskfer", "run", "--recipe", "hog", csv, "--out", out)
    return [*run, *changes, *more]


def assert_same_labels(run: Path, other: Path) -> None:
    """Both runs said the same of every face, to the last bit."""
    table, expected = (pq.read_table(folder / "labels.parquet") for folder in (run, other))
    assert table.equals(expected)


def marked(variable: str, value: object) -> list[psutil.Process]:
    """Processes whose environment says that they belong to a test, whoever their parent is now."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(variable) == str(value):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def kill_marked(variable: str, value: object) -> None:
    """End what a test has left, by the ids of its processes."""
    for process in marked(variable, value):
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def arguments_of(process: psutil.Process) -> str:
    """A process's command line; empty when it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def wait_for(condition: Callable[[], object], what: str, seconds: float = 120) -> None:
    """Wait for a condition that takes long to look at: it must not keep the processors busy."""
    wait_until(lambda: time.sleep(0.2) or condition(), what, seconds)
