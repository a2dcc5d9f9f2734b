"""Random numbers drawn from (seed, stage, number), never from a worker.

A draw of few rows out of many goes by hashes instead: each row has a random number of its own,
which depends on no other row, and the rows with the smallest are the sample.
"""

from __future__ import annotations

import zlib

import numpy as np

_GAMMA = 0x9E3779B97F4A7C15
"""By how much SplitMix64's state grows: 2**64 over the golden ratio."""


def generator(seed: int, stage: str, number: int = 0) -> np.random.Generator:
    """The random generator of one draw in one stage."""
    return np.random.default_rng([seed, zlib.crc32(stage.encode()), number])


def random_state(seed: int, stage: str, number: int = 0) -> int:
    """The same as a whole number below 2**31, as scikit-learn takes it."""
    return int(generator(seed, stage, number).integers(2**31))


def row_hashes(seed: int, stage: str, rows: np.ndarray) -> np.ndarray:
    """A random number of each row, uint64 (n,), of rows (int, (n,)) counted from 0.

    Row i's is the i-th output of the generator SplitMix64 (G. Steele, D. Lea and C. Flood, "Fast
    splittable pseudorandom number generators", OOPSLA 2014) started from (seed, stage). Different
    rows never have the same.
    """
    key = np.random.SeedSequence([seed, zlib.crc32(stage.encode())]).generate_state(1, np.uint64)
    return splitmix64(int(key[0]), rows)


def splitmix64(start: int, rows: np.ndarray) -> np.ndarray:
    """Outputs, uint64 (n,), number 0, 1, … as in `rows` of SplitMix64 started from `start`."""
    mixed = rows.astype(np.uint64)  # a copy: mixed in place, so that no third one is needed
    mixed += np.uint64(1)
    mixed *= np.uint64(_GAMMA)
    mixed += np.uint64(start)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def drawn_part(positions: np.ndarray, most: int, seed: int, stage: str) -> np.ndarray:
    """These positions (ascending), or of more than `most` so many, drawn by seed, ascending."""
    if len(positions) <= most:
        return positions
    drawn = generator(seed, stage).choice(len(positions), most, replace=False)
    return np.asarray(positions[np.sort(drawn)])
