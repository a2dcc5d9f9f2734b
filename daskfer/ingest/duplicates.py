"""Faces that are there more than once, by the hash of their pixels."""

from __future__ import annotations

import hashlib

import numpy as np


def digests(pixels: np.ndarray) -> np.ndarray:
    """BLAKE2b hashes of 16 bytes of each row of a uint8 array (n, d), as uint64 (n, 2)."""
    rows = np.ascontiguousarray(pixels)
    joined = b"".join(hashlib.blake2b(row, digest_size=16).digest() for row in rows)
    return np.frombuffer(joined, np.uint64).reshape(-1, 2)


def first_of_each(digest: np.ndarray) -> np.ndarray:
    """For each row, the index (int64) of the first row that has the same digest."""
    if len(digest) == 0:
        return np.zeros(0, np.int64)
    keys = np.ascontiguousarray(digest).view([("a", np.uint64), ("b", np.uint64)]).ravel()
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    return first[group].astype(np.int64)


def redundant_count(digest: np.ndarray) -> int:
    """Number of rows that repeat an earlier one."""
    return int((first_of_each(digest) != np.arange(len(digest))).sum())
