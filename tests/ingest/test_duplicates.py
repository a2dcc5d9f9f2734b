"""Duplicates by hash."""

from __future__ import annotations

import hashlib
import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daskfer.faces import UNKNOWN, FaceTable
from daskfer.ingest.duplicates import (
    Duplicates,
    count_duplicates,
    difference_hashes,
    digests,
    first_of_each,
    redundant_count,
)


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


# Perceptual hashes.


def test_the_difference_hash_by_hand() -> None:
    # Nine columns, eight rows: each cell is a pixel. Brighter to the right is a one.
    rising = np.tile(np.arange(9, dtype=np.uint8), (8, 1))
    rising = np.pad(rising, ((0, 1), (0, 0)), mode="edge")
    found = difference_hashes(
        np.stack([rising, rising[:, ::-1], np.full((9, 9), 7)]).reshape(3, 81)
    )
    assert found.dtype == np.uint64
    assert [hex(value) for value in found.tolist()] == [hex(2**64 - 1), "0x0", "0x0"]


def test_brightness_contrast_and_noise_leave_the_hash_but_another_face_does_not() -> None:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 120, (6, 9, 9)).astype(np.float64)
    faces = np.kron(coarse, np.ones((6, 6)))[:, :48, :48]
    changed = faces * 1.5 + 20 + random.uniform(-0.4, 0.4, faces.shape)
    one = difference_hashes(faces.astype(np.uint8).reshape(6, -1))
    other = difference_hashes(changed.round().astype(np.uint8).reshape(6, -1))
    differing = [(int(a) ^ int(b)).bit_count() for a, b in zip(one, other, strict=True)]
    assert max(differing) <= 2
    strangers = [(int(one[0]) ^ int(value)).bit_count() for value in one[1:]]
    assert min(strangers) >= 15


@pytest.mark.parametrize("side", [9, 10, 47, 48, 49, 64])
def test_the_hash_of_any_size_is_that_of_its_cells(side: int) -> None:
    face = np.random.default_rng(side).integers(0, 256, (side, side))
    rows = [row * side // 8 for row in range(9)]
    columns = [column * side // 9 for column in range(10)]
    bits = ""
    for row in range(8):
        means = [
            Fraction(int(cell.sum()), cell.shape[1])
            for column in range(9)
            for cell in [face[rows[row] : rows[row + 1], columns[column] : columns[column + 1]]]
        ]
        bits += "".join(str(int(left < right)) for left, right in itertools.pairwise(means))
    (found,) = difference_hashes(face.astype(np.uint8).reshape(1, -1))
    assert found.tobytes() == int(bits, 2).to_bytes(8, "big")


def test_small_and_no_faces_have_no_hash() -> None:
    assert difference_hashes(np.ones((2, 64), np.uint8)).tolist() == [0, 0]
    assert difference_hashes(np.ones((0, 2304), np.uint8)).tolist() == []


# Counting.


def table_of(images: list[int], emotion: list[int], usage: list[int], look: list[int]) -> FaceTable:
    n = len(images)
    digest = np.array(images, np.uint64)
    return FaceTable(
        row=np.arange(n),
        source=np.zeros(n, np.int32),
        emotion=np.array(emotion, np.int8),
        usage=np.array(usage, np.int8),
        digest=np.stack([digest, digest * 7], axis=1),
        blank=np.array(images) == 0,
        look=np.array(look, np.uint64),
    )


def test_counts_by_hand() -> None:
    table = table_of(
        images=[5, 6, 5, 7, 7, 5, 8, 0, 9],
        emotion=[1, 2, 1, 3, 4, UNKNOWN, 3, 3, 3],
        usage=[0, 0, 2, 0, 0, 0, 1, 0, UNKNOWN],
        look=[50, 60, 50, 70, 70, 50, 60, 60, 60],
    )
    # 5 stands in two splits, 7 has two labels, 8 and 9 look like 6; the blank 0 counts for none.
    assert count_duplicates(table) == Duplicates(
        distinct=6, redundant=3, conflicting=1, spanning=1, similar=2
    )


def test_an_empty_table_and_one_without_labels() -> None:
    assert count_duplicates(table_of([], [], [], [])) == Duplicates(0, 0, 0, 0, 0)
    table = table_of([1, 1], [UNKNOWN] * 2, [UNKNOWN] * 2, [0, 0])
    assert count_duplicates(table) == Duplicates(1, 1, 0, 0, 0)
