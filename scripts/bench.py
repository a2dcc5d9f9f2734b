#!/usr/bin/env python3
"""Time whole runs as a user starts them: a fresh process each, imports and workers included.

usage: bench.py INPUT.csv [--recipe seed] [--repeat 5] [-- further options of daskfer run]

Each repetition runs `daskfer run` twice: with an empty store, from the CSV to metrics.json, and
again into another run folder with the store as the first left it. Medians and extremes are
printed, with the peak memory of the largest process and the seconds of each stage. The machine
should be idle; the file is read once before, so that it is in the page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Run the repetitions and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", type=Path)
    parser.add_argument("--recipe", default="seed")
    parser.add_argument("--repeat", type=int, default=5)
    known, further = parser.parse_known_args()
    further = [option for option in further if option != "--"]
    known.input.read_bytes()
    fresh, stored, runs = [], [], []
    for number in range(known.repeat):
        with tempfile.TemporaryDirectory() as folder:
            seconds, metrics = timed_run(known.input, known.recipe, Path(folder), "one", further)
            again, _ = timed_run(known.input, known.recipe, Path(folder), "two", further)
        print(f"run {number + 1}: {seconds:.2f} s, with its store {again:.2f} s", flush=True)
        fresh.append(seconds)
        stored.append(again)
        runs.append(metrics)
    report("from the CSV", fresh)
    report("from the store", stored)
    peak = max(metrics["peak_memory_bytes"] for metrics in runs)
    print(f"peak memory of the largest process: {peak / 2**20:.0f} MiB")
    for stage in runs[0]["seconds"]:
        values = [metrics["seconds"][stage] for metrics in runs]
        print(f"  {stage:<10} {statistics.median(values):6.2f} s")


def timed_run(
    path: Path, recipe: str, folder: Path, name: str, further: list[str]
) -> tuple[float, dict[str, Any]]:
    """Wall seconds of one `daskfer run` as a process, and its metrics."""
    environment = {**os.environ, "DASKFER_STORE": str(folder / "store")}
    command = [sys.executable, "-m", "daskfer", "run", path, "--recipe", recipe]
    start = time.perf_counter()
    subprocess.run(
        [*map(str, command), "--out", str(folder / name), *further],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - start
    return seconds, json.loads((folder / name / "metrics.json").read_text())


def report(name: str, values: list[float]) -> None:
    """Print the median of some seconds, and their extremes."""
    print(
        f"{name:<15} median {statistics.median(values):.2f} s "
        f"({min(values):.2f} to {max(values):.2f}, {len(values)} runs)"
    )


if __name__ == "__main__":
    main()
