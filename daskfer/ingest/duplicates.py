"""Faces that are there more than once: by the hash of their pixels, and nearly so by their look."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from daskfer.faces import UNKNOWN, FaceTable

HASH_ROWS, HASH_COLUMNS = 8, 9
"""Cells of the difference hash: eight comparisons in each of eight rows make 64 bits."""


@dataclass(frozen=True)
class Duplicates:
    """How often faces repeat.

    Attributes
    ----------
    distinct : int
        Different images.
    redundant : int
        Rows that repeat an earlier one exactly.
    conflicting : int
        Groups of identical rows that have more than one emotion.
    spanning : int
        Groups of identical rows that are in more than one split.
    similar : int
        Rows that look like an earlier, different one: the same difference hash. Blank rows are
        not counted.
    """

    distinct: int
    redundant: int
    conflicting: int
    spanning: int
    similar: int


def digests(pixels: np.ndarray) -> np.ndarray:
    """BLAKE2b hashes of 16 bytes of each row of a uint8 array (n, d), as uint64 (n, 2)."""
    rows = np.ascontiguousarray(pixels)
    joined = b"".join(hashlib.blake2b(row, digest_size=16).digest() for row in rows)
    return np.frombuffer(joined, np.uint64).reshape(-1, 2)


def difference_hashes(pixels: np.ndarray) -> np.ndarray:
    """Perceptual hashes of images: which of two neighbouring cells is brighter, 64 times.

    A change of brightness or contrast, or a compression, leaves most of them as they are.
    Images of less than nine pixels a side have no such cells and hash to 0.

    Parameters
    ----------
    pixels : uint8 array (n, side * side)

    Returns
    -------
    uint64 array (n,)

    References
    ----------
    N. Krawetz, "Kind of Like That", The Hacker Factor Blog, 21 January 2013 (dHash).
    """
    side = round(pixels.shape[1] ** 0.5)
    if side < HASH_COLUMNS or len(pixels) == 0:
        return np.zeros(len(pixels), np.uint64)
    rows = np.arange(HASH_ROWS) * side // HASH_ROWS
    columns = np.arange(HASH_COLUMNS + 1) * side // HASH_COLUMNS
    # Sums over cells as products with ones and zeros, which are several times faster than sums
    # over runs; whole numbers of this size are exact in float32.
    across = _ones(columns).astype(np.float32)
    down = _ones(np.append(rows, side)).astype(np.float32)
    bands = pixels.reshape(-1, side).astype(np.float32) @ across.T
    cells = (down @ bands.reshape(len(pixels), side, -1)).astype(np.uint32)
    # Sums are compared as means, without rounding: each times the other's width.
    widths = np.diff(columns).astype(np.uint32)
    brighter = cells[:, :, :-1] * widths[1:] < cells[:, :, 1:] * widths[:-1]
    bits = np.packbits(brighter.reshape(len(pixels), -1), axis=1)
    return bits.view(np.uint64)[:, 0].copy()


def _ones(bounds: np.ndarray) -> np.ndarray:
    """Whether a place (up to the last bound) lies in a run, bool (runs, places)."""
    places = np.arange(bounds[-1])
    return (bounds[:-1, None] <= places) & (places < bounds[1:, None])


def _keys(digest: np.ndarray) -> np.ndarray:
    """Each digest as one value that can be sorted and compared."""
    return np.ascontiguousarray(digest).view([("a", np.uint64), ("b", np.uint64)]).ravel()


def group_of_each(digest: np.ndarray) -> np.ndarray:
    """For each row, the number (int64) of its group of identical rows."""
    return np.unique(_keys(digest), return_inverse=True)[1].astype(np.int64)


def first_of_each(digest: np.ndarray) -> np.ndarray:
    """For each row, the index (int64) of the first row that has the same digest."""
    if len(digest) == 0:
        return np.zeros(0, np.int64)
    _, first, group = np.unique(_keys(digest), return_index=True, return_inverse=True)
    return first[group].astype(np.int64)


def redundant_count(digest: np.ndarray) -> int:
    """Number of rows that repeat an earlier one."""
    return int((first_of_each(digest) != np.arange(len(digest))).sum())


def count_duplicates(table: FaceTable) -> Duplicates:
    """Count what repeats in a table of faces."""
    if len(table) == 0:
        return Duplicates(0, 0, 0, 0, 0)
    group = group_of_each(table.digest)
    distinct = int(group.max()) + 1
    return Duplicates(
        distinct=distinct,
        redundant=len(table) - distinct,
        conflicting=_groups_with_several(group, table.emotion),
        spanning=_groups_with_several(group, table.usage),
        similar=_similar_count(table),
    )


def _groups_with_several(group: np.ndarray, code: np.ndarray) -> int:
    """Number of groups whose rows have more than one known code."""
    known = code != UNKNOWN
    pairs = np.unique(np.stack([group[known], code[known].astype(np.int64)], axis=1), axis=0)
    return int((np.bincount(pairs[:, 0]) > 1).sum()) if len(pairs) else 0


def _similar_count(table: FaceTable) -> int:
    """Number of distinct images, none of them blank, that have the hash of an earlier one."""
    firsts = np.unique(first_of_each(table.digest))
    hashes = table.look[firsts][~table.blank[firsts] & (table.look[firsts] != 0)]
    return len(hashes) - len(np.unique(hashes))
