#!/usr/bin/env python3
"""Check that labels do not depend on where they are computed.

usage: same_labels.py INPUT.csv [--recipe seed] [--workers 1 2 4] [--megabytes 1 8 64]

Runs the recipe from an empty store with each number of workers, as threads and as processes, and
with each size of the byte ranges that workers scan, and prints a hash of all labels and centres
of each run. Ends with exit status 1 when any two differ. The classifier and the cross-validation
are left out, because labels do not depend on them.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Run every combination and compare the hashes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", type=Path)
    parser.add_argument("--recipe", default="seed")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[1, 8, 64])
    known = parser.parse_args()
    found = set()
    kinds = ("--threads", "--processes")
    for workers, kind, megabytes in itertools.product(known.workers, kinds, known.megabytes):
        with tempfile.TemporaryDirectory() as folder:
            digest = labels_hash(known.input, known.recipe, workers, kind, megabytes, Path(folder))
        found.add(digest)
        print(f"{workers} {kind[2:]:<10} {megabytes:>3} MB  {digest}", flush=True)
    if len(found) > 1:
        sys.exit(f"{len(found)} different results")
    print("all the same")


def labels_hash(
    path: Path, recipe: str, workers: int, kind: str, megabytes: int, folder: Path
) -> str:
    """Hash of labels.parquet and of the centres of one run."""
    command = [
        sys.executable, "-m", "daskfer", "run", path, "--recipe", recipe, "--out", folder / "run",
        "--workers", workers, kind, "--csv-block", megabytes, "--set", "classify.model=none",
        "--set", "evaluate.folds=0",
    ]  # fmt: skip
    environment = {**os.environ, "DASKFER_STORE": str(folder / "store")}
    subprocess.run(
        [str(part) for part in command], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    data = hashlib.sha256()
    (clusters,) = (folder / "run" / "model").glob("clusters-*.npz")
    for file in (folder / "run" / "labels.parquet", clusters):
        data.update(file.read_bytes())
    return data.hexdigest()[:16]


if __name__ == "__main__":
    main()
