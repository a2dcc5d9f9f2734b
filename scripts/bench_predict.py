"""How fast a trained model labels: rows a second of a table, and a photo from the shell.

    python scripts/bench_predict.py rows MODEL FILE --repeat 3
    python scripts/bench_predict.py photo MODEL PHOTO --repeat 5

- rows: FILE, a CSV of faces, read and labelled in one process on one thread, without the imports.
- photo: seconds of the whole `daskfer predict MODEL PHOTO`, imports and all.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["rows", "photo"])
    parser.add_argument("model")
    parser.add_argument("file", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    if options.what == "rows":
        rates = [rows(options.model, options.file) for _ in range(options.repeat)]
        print(f"{shown(rates, 0)} rows a second")
    else:
        command = [sys.executable, "-m", "daskfer", "predict", options.model, str(options.file)]
        seconds = []
        for _ in range(options.repeat):
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - start)
        print(f"{shown(seconds, 2)} s")


def rows(folder: str, file: Path) -> float:
    """Rows a second of one pass over a file."""
    from daskfer.engine import InProcess
    from daskfer.ingest.finding import find_sources
    from daskfer.stages.predict import label, opened

    sources, model = find_sources([str(file)]), opened(folder)
    # What is compiled at first use is no part of the rate.
    next(label(sources, model, InProcess()), None)
    start = time.perf_counter()
    count = sum(found.records for _, found in label(sources, model, InProcess()))
    return count / (time.perf_counter() - start)


def shown(values: list[float], digits: int) -> str:
    """Median and extremes."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


if __name__ == "__main__":
    main()
