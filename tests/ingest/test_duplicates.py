"""Duplicates by hash."""

from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daskfer.ingest.duplicates import digests, first_of_each, redundant_count


def test_digest_is_blake2b_of_the_pixels() -> None:
    pixels = np.array([[1, 2, 3, 4], [0, 0, 0, 0]], np.uint8)
    found = digests(pixels)
    assert found.shape == (2, 2)
    assert found.dtype == np.uint64
    assert found[0].tobytes() == hashlib.blake2b(bytes([1, 2, 3, 4]), digest_size=16).digest()
    assert found[1].tobytes() == hashlib.blake2b(bytes(4), digest_size=16).digest()


def test_digests_of_rows_that_are_not_contiguous() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    assert (digests(pixels[:, ::2]) == digests(pixels[:, ::2].copy())).all()


def test_no_rows() -> None:
    none = digests(np.zeros((0, 4), np.uint8))
    assert none.shape == (0, 2)
    assert first_of_each(none).tolist() == []
    assert redundant_count(none) == 0


def test_first_of_each_by_hand() -> None:
    digest = np.array([[5, 1], [4, 1], [5, 1], [5, 2], [4, 1], [5, 1]], np.uint64)
    assert first_of_each(digest).tolist() == [0, 1, 0, 3, 1, 0]
    assert redundant_count(digest) == 3


@given(st.lists(st.integers(0, 5), max_size=40))
def test_first_of_each_is_the_first_index_of_the_value(values: list[int]) -> None:
    digest = digests(np.array(values, np.uint8).reshape(-1, 1))
    assert first_of_each(digest).tolist() == [values.index(value) for value in values]
    assert redundant_count(digest) == len(values) - len(set(values))
