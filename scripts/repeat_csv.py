#!/usr/bin/env python3
"""Write a CSV file with so many times the rows of another one, no copy of a face like the last.

usage: repeat_csv.py INPUT.csv TIMES OUT.csv

Copy 0 of a row is the row itself; each further copy is mirrored, or shifted by a few pixels with
its edge replicated, or both, in another way for each copy number, so that copies are faces like
the first but no duplicates of it. The same input gives the same file. The copies of a row stay
near it, so that a file sorted by split stays sorted. Memory does not grow with the file.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from itertools import islice, product
from pathlib import Path

import numpy as np

BLOCK_ROWS = 1_000
WORDS = [str(value) for value in range(256)]


def main() -> None:
    """Read blocks of rows and write their copies."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", type=Path)
    parser.add_argument("times", type=int)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    csv.field_size_limit(sys.maxsize)
    with options.input.open(newline="") as source, options.out.open("w", newline="") as out:
        reader = csv.reader(source)
        header = next(reader)
        column = [name.strip() for name in header].index("pixels")
        out.write(",".join(header) + "\n")
        while rows := list(islice(reader, BLOCK_ROWS)):
            pixels = np.stack([np.fromstring(row[column], np.uint8, sep=" ") for row in rows])
            for order in orders(math.isqrt(pixels.shape[1]), options.times):
                for row, face in zip(rows, pixels[:, order], strict=True):
                    row[column] = " ".join(map(WORDS.__getitem__, face.tobytes()))
                    out.write(",".join(row) + "\n")


def orders(side: int, times: int) -> list[np.ndarray]:
    """Which pixel each pixel (row by row) of a copy comes from, for so many copies."""
    reach = math.isqrt(times) + 1
    shifts = sorted(
        product(range(-reach, reach + 1), repeat=2), key=lambda s: s[0] ** 2 + s[1] ** 2
    )
    places = np.arange(side)
    found = []
    for copy in range(times):
        down, right = shifts[copy // 2]
        lines = np.clip(places + down, 0, side - 1)
        columns = np.clip(places + right, 0, side - 1)[:: -1 if copy % 2 else 1]
        found.append((lines[:, None] * side + columns).ravel())
    return found


if __name__ == "__main__":
    main()
