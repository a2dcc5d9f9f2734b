"""What jobs cost: submitting one, a remote scheduler beside a LocalCluster, twenty jobs at once.

    python scripts/bench_jobs.py submit FILE --repeat 5
    python scripts/bench_jobs.py remote FILE --repeat 3 --recipe hog
    python scripts/bench_jobs.py many FILE --jobs 20
    python scripts/bench_jobs.py stop FILE --repeat 5

A scheduler and two workers are started for it as processes on loopback, and ended by their ids.

- submit: seconds of the whole command, from its start to the shell's prompt.
- remote: seconds of the whole `daskfer run`, with `--scheduler` and with `--processes --workers 2`,
  in turns, each with an empty store; the file is in the page cache.
- many: jobs that differ in their number of clusters, submitted one after the other without waiting;
  the scheduler's resident memory before, at most and after, how they end, and whether the labels of
  the first equal those of a run on this machine.
- stop: seconds of the whole `daskfer jobs stop`, and until the job's process was gone.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
from benching import show, warm

CHANGES = ("--set", "classify.model=logistic")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["submit", "remote", "many", "stop"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--recipe", default="hog")
    parser.add_argument("--jobs", type=int, default=20)
    options = parser.parse_args()
    options.file = options.file.resolve()
    with tempfile.TemporaryDirectory() as folder, Site(Path(folder)) as site:
        {"submit": submit, "remote": remote, "many": many, "stop": stop}[options.what](
            site, options
        )


class Site:
    """A scheduler and two workers on loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "DASKFER_STORE": str(folder / "store")}
        self._stack = ExitStack()

    def __enter__(self) -> Site:
        ready = self.folder / "scheduler.json"
        loopback = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0")
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", ready, *loopback
        )
        while not ready.exists():
            time.sleep(0.05)
        self.address = str(json.loads(ready.read_text())["address"])
        for number in range(2):
            place = ("--local-directory", self.folder / f"worker-{number}")
            self._start("worker", self.address, "--nthreads", "1", *place, *loopback)
        # The first command waits for workers; here they all shall be there.
        time.sleep(10)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _start(self, kind: str, *arguments: object) -> int:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *map(str, arguments)]
        process = self._stack.enter_context(started(command))
        return process.pid

    def run(self, *arguments: object) -> tuple[float, str]:
        """Seconds of a whole command of daskfer's, and what it printed."""
        command = [sys.executable, "-m", "daskfer", *map(str, arguments)]
        begun = time.perf_counter()
        done = subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, text=True
        )
        seconds = time.perf_counter() - begun
        if done.returncode:
            sys.exit(f"{' '.join(command)}: {done.stderr}")
        return seconds, done.stdout.strip()


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process group that is killed at the end."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def submit(site: Site, options: argparse.Namespace) -> None:
    seconds = []
    for number in range(options.repeat):
        out = ("--out", site.folder / f"run-{number}", "--recipe", options.recipe, *CHANGES)
        one, job = site.run("submit", options.file, *out, "--scheduler", site.address)
        site.run("jobs", "stop", job)
        seconds.append(one)
    show("daskfer submit, the whole command", seconds)


def remote(site: Site, options: argparse.Namespace) -> None:
    places = {
        "remote scheduler": ("--scheduler", site.address),
        "LocalCluster": ("--processes", "--workers", "2"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in places}
    warm(options.file)
    for number in range(options.repeat):
        for name, place in places.items():
            folder = site.folder / f"{name}-{number}".replace(" ", "-")
            where = ("--out", folder / "run", "--store", folder / "store", *place)
            one, _ = site.run("run", options.file, "--recipe", options.recipe, *CHANGES, *where)
            seconds[name].append(one)
    for name, values in seconds.items():
        show(f"daskfer run, {name}", values)
    pairs = zip(seconds["remote scheduler"], seconds["LocalCluster"], strict=True)
    show("ratio within a pair", [one / other for one, other in pairs], "")


def many(site: Site, options: argparse.Namespace) -> None:
    where = ("--recipe", options.recipe, *CHANGES, "--scheduler", site.address)
    memory = [resident(site.scheduler)]
    # The first job has the scheduler import what its tasks are made of.
    site.run("submit", options.file, "--set", "cluster.clusters=4", *where, "--wait")
    memory.append(resident(site.scheduler))
    begun = time.perf_counter()
    jobs = []
    for number in range(options.jobs):
        change = ("--set", f"cluster.clusters={5 + number}")
        jobs.append(site.run("submit", options.file, *change, *where)[1])
    print(f"{len(jobs)} jobs submitted in {time.perf_counter() - begun:.0f} s", flush=True)
    while True:
        memory.append(resident(site.scheduler))
        listed = json.loads(site.run("jobs", "list", "--json")[1])
        states = Counter(job["state"] for job in listed if job["id"] in jobs)
        if not {"queued", "running"} & set(states):
            break
        time.sleep(2)
    print(f"all ended after {time.perf_counter() - begun:.0f} s: {dict(states)}")
    time.sleep(5)
    memory.append(resident(site.scheduler))
    first, one, last = memory[0], memory[1], memory[-1]
    print(
        f"scheduler's memory: {first:.0f} MiB when it has started, {one:.0f} after one job, "
        f"{max(memory):.0f} at most, {last:.0f} after all"
    )
    local = ("--out", site.folder / "local", "--store", site.folder / "other")
    same_recipe = ("--set", "cluster.clusters=5", "--recipe", options.recipe, *CHANGES)
    site.run("run", options.file, *same_recipe, *local, "--scheduler", "local")
    site.run("jobs", "fetch", jobs[0], "--to", site.folder / "fetched")
    same = [(site.folder / name / "labels.parquet").read_bytes() for name in ("local", "fetched")]
    print(f"labels of the first equal a local run's: {same[0] == same[1]}")


def stop(site: Site, options: argparse.Namespace) -> None:
    seconds: list[float] = []
    gone: list[float] = []
    for number in range(options.repeat):
        out = ("--out", site.folder / f"run-{number}", "--recipe", options.recipe, *CHANGES)
        _, job = site.run("submit", options.file, *out, "--scheduler", site.address)
        while not (found := json.loads(site.run("jobs", "status", job, "--json")[1]))["stage"]:
            time.sleep(0.2)
        begun = time.perf_counter()
        one, said = site.run("jobs", "stop", job)
        while psutil.pid_exists(found["pid"]):
            time.sleep(0.02)
        gone.append(time.perf_counter() - begun)
        print(f"in stage {found['stage']}: {said}")
        seconds.append(one)
    show("daskfer jobs stop, the whole command", seconds)
    show("until its process was gone", gone)


def resident(process: int) -> float:
    """MiB of memory that a process has."""
    return float(psutil.Process(process).memory_info().rss) / 2**20


if __name__ == "__main__":
    main()
