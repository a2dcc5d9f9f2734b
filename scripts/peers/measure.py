"""What the peers share: seconds of each step, peak memory, and the JSON object they end with.

It needs psutil and nothing of daskfer, so that it also runs in Spark's own environment.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


class Steps:
    """Wall seconds of the steps of a run, from the making of this object on."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count the time inside to a step."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def report(self, rows: int, **figures: object) -> None:
        """Print the run as JSON; call it while workers and JVM still live, to see their memory.

        `peak_memory_bytes` is the largest process's, as in daskfer's metrics.json, and
        `peak_memory_all_bytes` the sum of all their peaks: an upper bound, since they share pages
        and do not peak together.
        """
        self.seconds["total"] = time.perf_counter() - self.start
        peaks = process_peaks()
        run = {
            "rows": rows,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "peak_memory_bytes": max(peaks),
            "peak_memory_all_bytes": sum(peaks),
            "processes": len(peaks),
        }
        print(json.dumps({**run, **figures}, indent=2), flush=True)


def process_peaks() -> list[int]:
    """The largest resident memory, in bytes, of this process and of each that descends from it."""
    own = psutil.Process()
    peaks = []
    for process in [own, *own.children(recursive=True)]:
        try:
            peaks.append(process_peak(process))
        except (OSError, psutil.Error):  # it ended meanwhile
            continue
    return peaks


def process_peak(process: psutil.Process) -> int:
    """The largest resident memory of a process so far; what it has now where Linux is not."""
    if psutil.LINUX:
        with open(f"/proc/{process.pid}/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    return int(process.memory_info().rss)
