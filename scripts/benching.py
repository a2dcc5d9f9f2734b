"""What the benchmarks share: whole processes, timed, and medians with their extremes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Timed:
    """Wall seconds of a process, and the figures that it left."""

    seconds: float
    metrics: dict[str, Any]


def daskfer(arguments: list[Any], store: Path, out: Path | None) -> Timed:
    """A daskfer command as a process of its own, with a store of its own."""
    command = [sys.executable, "-m", "daskfer", *map(str, arguments)]
    if out is not None:
        command += ["--out", str(out)]
    environment = {**os.environ, "DASKFER_STORE": str(store)}
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    metrics = out / "metrics.json" if out is not None else None
    found = json.loads(metrics.read_text()) if metrics is not None and metrics.exists() else {}
    return Timed(seconds, found)


def peer(python: str, script: Path, path: Path) -> Timed:
    """A peer's script as a process of its own; the JSON object that it ends with."""
    start = time.perf_counter()
    done = subprocess.run(
        [python, str(script), str(path)], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds = time.perf_counter() - start
    return Timed(seconds, json.loads(done.stdout[done.stdout.index("{") :]))


def warm(path: Path) -> None:
    """Read a file once, so that it is in the page cache."""
    with open(path, "rb") as file:
        while file.read(1 << 24):
            pass


def show(name: str, values: list[float], unit: str = "s") -> None:
    """Print a median and the extremes."""
    print(
        f"{name:<20} median {statistics.median(values):.2f} {unit} "
        f"({min(values):.2f} to {max(values):.2f}, {len(values)} runs)"
    )
