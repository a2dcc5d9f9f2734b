#!/usr/bin/env python3
"""Time reading: rows a second and core, beside pandas, and from a file to the store.

usage: bench_ingest.py INPUT.csv [--repeat 5] [--workers 2] [--times 10] [--scratch DIR]

1. One thread parses the whole file from its bytes, all checks included, and so does what a
   script would do instead: pandas.read_csv and np.fromstring row by row (which checks nothing:
   it turns 300 into 44). Repetitions of the two alternate; rows per second of processor time.
2. Warm worker processes of one thread read the file into an empty store, with the file dropped
   from the page cache before (where the system lets us). Wall seconds of the stage and the peak
   memory of a worker.
3. The same, in fresh workers, for a file that holds the rows so many times (--times 1: left out).

Medians and extremes are printed. The machine should be idle.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from daskfer.cli.session import prepare_process


def main() -> None:
    """Run the three parts and print what they took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", type=Path)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--scratch", type=Path, help="Folder for the long file and the stores.")
    options = parser.parse_args()
    prepare_process()
    rows = one_thread(options.input, options.repeat)
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        once = into_store(options.input, options.workers, options.repeat, Path(folder))
        if options.times > 1:
            long = repeated(options.input, options.times, Path(folder) / "long.csv")
            often = into_store(long, options.workers, 1, Path(folder))
            print(
                f"{options.times} × the rows: {often / once:.2f} × the time "
                f"({rows * options.times:,} rows)"
            )


def one_thread(path: Path, repeat: int) -> int:
    """Print rows per processor second of daskfer's reader and of the usual script; the rows."""
    parsers: dict[str, Callable[[Path], int]] = {"daskfer": ours, "pandas": theirs}
    for parse in parsers.values():
        parse(path)
    found: dict[str, list[float]] = {name: [] for name in parsers}
    for _ in range(repeat):
        for name, parse in parsers.items():
            start = time.process_time()
            rows = parse(path)
            found[name].append(rows / (time.process_time() - start))
    print(f"{rows:,} rows from the bytes of {path.name}, one thread, rows per processor second:")
    for name, values in found.items():
        print(f"  {name:<8} {spread(values, ',.0f')}")
    ratios = [mine / other for mine, other in zip(*found.values(), strict=True)]
    print(f"  ratio    {spread(ratios, '.2f')}")
    return rows


def ours(path: Path) -> int:
    """Read a CSV file as a worker does, and throw the rows away."""
    from daskfer.ingest.csv import HEAD_BYTES, read_layout
    from daskfer.ingest.text import CsvBlock

    with path.open("rb") as file:
        layout = read_layout(str(path), file.read(HEAD_BYTES))
    size = path.stat().st_size
    block = CsvBlock(str(path), layout, layout.body, size, 0, layout.body_line)
    return sum(len(rows.pixels) for rows in block.pieces())


def theirs(path: Path) -> int:
    """Read a CSV file as the original notebook did."""
    import pandas as pd

    table = pd.read_csv(path)
    pixels = np.stack([np.fromstring(text, np.uint8, sep=" ") for text in table["pixels"]])
    return len(pixels)


def into_store(path: Path, workers: int, repeat: int, folder: Path) -> float:
    """Print the seconds and the peak memory of reading into empty stores; the median seconds."""
    from daskfer.dask.connect import Where, connected
    from daskfer.dask.engine import DaskEngine
    from daskfer.dask.memory import process_peak
    from daskfer.ingest.finding import find_sources
    from daskfer.pipeline import read
    from daskfer.recipe import load_recipe
    from daskfer.store import Store

    seconds = []
    with connected(Where(workers=workers, processes=True)) as client:
        engine = DaskEngine(client)
        client.run(warm)
        for number in range(repeat):
            cold = dropped_from_cache(path)
            start = time.perf_counter()
            faces = read(
                load_recipe("hog"),
                find_sources([str(path)]),
                Store(str(folder / f"{path.stem}-{number}")),
                engine,
                Quiet(),
            )
            seconds.append(time.perf_counter() - start)
        peaks = client.run(process_peak)
    state = "cold" if cold else "page cache"
    print(
        f"{path.name} ({path.stat().st_size / 1e6:,.0f} MB, {len(faces.table):,} rows, {state}) "
        f"into the store, {workers} warm workers: {spread(seconds, '.2f')} s; "
        f"peak of a worker {max(peaks.values()) / 2**20:.0f} MiB"
    )
    return statistics.median(seconds)


def warm() -> None:
    """Compile what reading needs, in a worker."""
    import io

    from daskfer.ingest.csv import read_layout
    from daskfer.ingest.text import read_rows

    text = b"pixels\n1 2 3 4\n"
    layout = read_layout("warm", text)
    for _ in read_rows(io.BytesIO(text[layout.body :]).read, "warm", layout, 0, 1, 0):
        pass


class Quiet:
    """A watch that sees nothing."""

    @contextmanager
    def stage(self, name: str, rows: int | None = None) -> Iterator[None]:
        """Let a stage pass."""
        yield

    def advance(self, rows: int) -> None:
        """Let rows pass."""

    def reused(self) -> None:
        """Refuse to time a store that was there."""
        raise RuntimeError("the store was not empty")

    def say(self, text: str) -> None:
        """Let words pass."""


def dropped_from_cache(path: Path) -> bool:
    """Ask the system to forget a file's pages; whether it could be asked."""
    if not hasattr(os, "posix_fadvise"):
        return False
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def repeated(path: Path, times: int, target: Path) -> Path:
    """Write a CSV file whose rows are those of another one, so many times over."""
    with path.open("rb") as source, target.open("wb") as out:
        header = source.readline()
        out.write(header)
        for _ in range(times):
            source.seek(len(header))
            while data := source.read(16 << 20):
                out.write(data)
    return target


def spread(values: list[Any], form: str) -> str:
    """The median of some values, and their extremes."""
    median = format(statistics.median(values), form)
    if len(values) == 1:
        return median
    return f"median {median} ({min(values):{form}} to {max(values):{form}}, {len(values)} runs)"


if __name__ == "__main__":
    main()
