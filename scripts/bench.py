#!/usr/bin/env python3
"""Time daskfer as its users run it: whole processes, imports and workers' start included.

usage: bench.py run INPUT.csv [--recipe seed] [--repeat 5] [further options of daskfer run]
       bench.py peers INPUT.csv [--peer expert] [--repeat 3] [--python PYTHON] [--rows N]
       bench.py scale INPUT.csv LARGER.csv... [--repeat 3]
       bench.py workers INPUT.csv [--repeat 3]
       bench.py silhouette [--rows 35887] [--repeat 3]

`run` times a recipe from the CSV, with an empty store, and again with the store as that left it.
`peers` runs what users would pick instead (see scripts/peers) and daskfer on the same work, one
after the other, and prints ratios. `scale` compares files of different lengths by stage, `workers`
one worker with two, and `silhouette` the exact silhouette with scikit-learn's.

Medians are printed with the extremes. The machine should be idle; files are read once before, so
that they are in the page cache. `repeat_csv.py` makes larger files.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benching import HERE, Timed, daskfer, peer, show, warm

PEERS = {
    "notebook": "notebook.py",
    "expert": "expert.py",
    "dask-ml": "dask_ml_alone.py",
    "spark": "spark.py",
}
SAME_WORK = HERE / "peers" / "expert.yaml"


def main() -> None:
    """Run the measurement that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("--recipe", default="seed")
    peers = commands.add_parser("peers")
    peers.add_argument("--peer", choices=list(PEERS), default="expert")
    peers.add_argument("--python", default=sys.executable, help="The peer's own interpreter.")
    peers.add_argument("--rows", type=int, help="Only so many rows of the file, for both.")
    scale = commands.add_parser("scale")
    workers = commands.add_parser("workers")
    silhouettes = commands.add_parser("silhouette")
    silhouettes.add_argument("--rows", type=int, default=35_887)
    for command in (run, peers, scale, workers):
        command.add_argument("input", type=Path)
    scale.add_argument("larger", type=Path, nargs="+")
    for command in (run, peers, scale, workers, silhouettes):
        command.add_argument("--repeat", type=int, default=5 if command is run else 3)
    options, further = parser.parse_known_args()
    if further and options.command != "run":
        parser.error(f"unrecognized arguments: {' '.join(further)}")
    options.further = [option for option in further if option != "--"]
    globals()[f"measure_{options.command}"](options)


def measure_run(options: argparse.Namespace) -> None:
    """A recipe from the CSV, and from the store."""
    warm(options.input)
    fresh, stored = [], []
    for number in range(options.repeat):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            work = ["run", options.input, "--recipe", options.recipe, *options.further]
            fresh.append(daskfer(work, folder / "store", folder / "one"))
            stored.append(daskfer(work, folder / "store", folder / "two"))
        print(
            f"run {number + 1}: {fresh[-1].seconds:.2f} s, "
            f"with its store {stored[-1].seconds:.2f} s",
            flush=True,
        )
    show("from the CSV", [run.seconds for run in fresh])
    show("from the store", [run.seconds for run in stored])
    peak = max(run.metrics["peak_memory_bytes"] for run in fresh)
    print(f"peak memory of the largest process: {peak / 2**20:.0f} MiB")
    for stage in fresh[0].metrics["seconds"]:
        values = [run.metrics["seconds"][stage] for run in fresh]
        print(f"  {stage:<10} {statistics.median(values):6.2f} s")
    print("tasks:", ", ".join(f"{name} {n:,}" for name, n in fresh[0].metrics["tasks"].items()))


def measure_peers(options: argparse.Namespace) -> None:
    """Pairs of a peer and daskfer; the peer's seconds divided by daskfer's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = some_rows(options.input, options.rows, folder) if options.rows else options.input
        warm(path)
        work = same_work(options.peer, path)
        # A store that holds the faces and nothing else.
        daskfer(["inspect", path], folder / "faces", None)
        shutil.rmtree(folder / "faces" / "leases", ignore_errors=True)
        theirs, fresh, stored = [], [], []
        for number in range(options.repeat):
            theirs.append(peer(options.python, HERE / "peers" / PEERS[options.peer], path))
            fresh.append(daskfer(work, folder / f"store{number}", folder / f"one{number}"))
            shutil.rmtree(folder / f"store{number}")
            shutil.copytree(folder / "faces", folder / "copy")
            stored.append(daskfer(work, folder / "copy", folder / f"two{number}"))
            shutil.rmtree(folder / "copy")
            print(
                f"pair {number + 1}: {options.peer} {theirs[-1].seconds:.2f} s, "
                f"daskfer {fresh[-1].seconds:.2f} s, with the faces in its store "
                f"{stored[-1].seconds:.2f} s",
                flush=True,
            )
    show(options.peer, [run.seconds for run in theirs])
    show("daskfer, CSV", [run.seconds for run in fresh])
    show("daskfer, store", [run.seconds for run in stored])
    show("ratio, CSV", ratios(theirs, fresh), "x")
    show("ratio, store", ratios(theirs, stored), "x")
    show(f"memory, {options.peer}", [run.metrics["peak_memory_bytes"] / 2**20 for run in theirs],
         "MiB")  # fmt: skip
    if "peak_memory_bytes" in fresh[0].metrics:
        show("memory, daskfer", [run.metrics["peak_memory_bytes"] / 2**20 for run in fresh], "MiB")


def same_work(peer_name: str, path: Path) -> list[Any]:
    """What daskfer does that the peer does."""
    if peer_name == "notebook":
        options = ["--recipe", "seed", "--components", "2:5", "--clusters", "5:15"]
        options += ["--no-noise", "--cv-best"]
        return ["sweep", path, *options]
    return ["run", path, "--recipe", SAME_WORK]


def ratios(theirs: list[Timed], ours: list[Timed]) -> list[float]:
    """How many times as long the peer took, pair by pair."""
    return [one.seconds / other.seconds for one, other in zip(theirs, ours, strict=True)]


def some_rows(path: Path, rows: int, folder: Path) -> Path:
    """A file of the header and so many rows, spread evenly over the whole."""
    lines = path.read_bytes().splitlines(keepends=True)
    count = len(lines) - 1
    kept = [lines[1 + number * count // rows] for number in range(min(rows, count))]
    part = folder / "part.csv"
    part.write_bytes(b"".join([lines[0], *kept]))
    return part


def measure_scale(options: argparse.Namespace) -> None:
    """Seconds of each stage, memory of a worker and tasks, by the length of the file."""
    paths = [options.input, *options.larger]
    runs: dict[Path, list[Timed]] = {path: [] for path in paths}
    for number in range(options.repeat):
        for path in paths:
            warm(path)
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                work = ["run", path, "--recipe", SAME_WORK, "--processes", "--workers", "2"]
                runs[path].append(daskfer(work, folder / "store", folder / "run"))
            print(f"run {number + 1}: {path} {runs[path][-1].seconds:.2f} s", flush=True)
    least = runs[options.input]
    for path, timed in runs.items():
        rows = timed[0].metrics["rows"]["read"]
        times = rows / least[0].metrics["rows"]["read"]
        print(f"{path}: {rows:,} rows, {times:.2f} times as many")
        show("  whole process", [run.seconds for run in timed])
        show("  peak memory", [run.metrics["peak_memory_bytes"] / 2**20 for run in timed], "MiB")
        for stage in timed[0].metrics["seconds"]:
            median = statistics.median(run.metrics["seconds"][stage] for run in timed)
            first = statistics.median(run.metrics["seconds"][stage] for run in least)
            print(f"  {stage:<10} {median:7.2f} s  {median / max(first, 1e-3):6.2f} x")
        tasks = timed[0].metrics["tasks"]
        print("  tasks:", ", ".join(f"{name} {count:,}" for name, count in tasks.items()))


def measure_workers(options: argparse.Namespace) -> None:
    """Parallel efficiency of two workers: half the quotient of the seconds of one and of two.

    In one process that has everything imported, because imports run beside one worker for free.
    """
    from daskfer.cli.session import prepare_process

    prepare_process()
    warm(options.input)
    pixels = str(SAME_WORK)
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for number in range(options.repeat + 1):
        for recipe in ("hog", pixels):
            for workers in (1, 2):
                seconds = stages_of(options.input, recipe, workers)
                if number:  # the first run imports
                    found.setdefault((recipe, workers), []).append(seconds)
    for recipe, stage in (("hog", "represent"), (pixels, "reduce"), (pixels, "evaluate")):
        one, two = ([run[stage] for run in found[recipe, workers]] for workers in (1, 2))
        show(
            f"{Path(recipe).stem}, {stage}",
            [a / b / 2 for a, b in zip(one, two, strict=True)],
            f"of {statistics.median(one):.2f} s",
        )


def stages_of(path: Path, recipe: str, workers: int) -> dict[str, float]:
    """Seconds of each stage of a run in this process, with an empty store."""
    from daskfer import pipeline
    from daskfer.cli.console import Progress
    from daskfer.dask.connect import Where, connected
    from daskfer.dask.engine import DaskEngine
    from daskfer.ingest.finding import find_sources
    from daskfer.recipe import load_recipe
    from daskfer.store import Store

    changes = ["evaluate.null_draws=0", "evaluate.stability_draws=0", "split.method=none"]
    progress = Progress()
    with tempfile.TemporaryDirectory() as store, connected(Where(workers=workers)) as client:
        pipeline.run(
            load_recipe(recipe, changes), find_sources([str(path)]), Store(store),
            DaskEngine(client), progress,
        )  # fmt: skip
    return progress.seconds


def measure_silhouette(options: argparse.Namespace) -> None:
    """The exact silhouette of noise in 50 dimensions, on two workers and by scikit-learn."""
    import time

    import numpy as np
    from sklearn.metrics import silhouette_samples
    from threadpoolctl import threadpool_limits

    from daskfer.dask.connect import Where, connected
    from daskfer.dask.engine import DaskEngine
    from daskfer.evaluate.silhouette import silhouette_values

    random = np.random.default_rng(0)
    points = random.normal(size=(options.rows, 50))
    labels = points[:, :7].argmax(axis=1)
    ratio = []
    with connected(Where(workers=2)) as client:
        engine = DaskEngine(client)
        silhouette_values(points[:5000], labels[:5000], 7, engine)  # compiled before it is timed
        for _ in range(options.repeat):
            start = time.perf_counter()
            ours = silhouette_values(points, labels, 7, engine)
            middle = time.perf_counter()
            # Both cores are scikit-learn's to use, as they are when it is used alone.
            with threadpool_limits(2):
                theirs = silhouette_samples(points, labels)
            end = time.perf_counter()
            ratio.append((end - middle) / (middle - start))
            print(
                f"daskfer {middle - start:.2f} s, scikit-learn {end - middle:.2f} s, largest "
                f"difference {np.abs(ours - theirs).max():.1e}, of the means "
                f"{abs(ours.mean() - theirs.mean()):.1e}",
                flush=True,
            )
    show("ratio", ratio, "x")


if __name__ == "__main__":
    main()
