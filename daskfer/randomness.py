"""Random numbers drawn from (seed, stage, number), never from a worker."""

from __future__ import annotations

import zlib

import numpy as np


def generator(seed: int, stage: str, number: int = 0) -> np.random.Generator:
    """The random generator of one draw in one stage."""
    return np.random.default_rng([seed, zlib.crc32(stage.encode()), number])


def random_state(seed: int, stage: str, number: int = 0) -> int:
    """The same as a whole number below 2**31, as scikit-learn takes it."""
    return int(generator(seed, stage, number).integers(2**31))
