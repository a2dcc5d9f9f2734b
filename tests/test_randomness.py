"""Random numbers: published outputs, and what a sample by hashes promises."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daskfer.randomness import generator, random_state, row_hashes, splitmix64


def test_splitmix64_gives_its_published_outputs() -> None:
    # The first outputs for these starts, as Java's SplittableRandom and Rosetta Code print them.
    assert splitmix64(1234567, np.arange(5)).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert splitmix64(0, np.arange(2)).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


def test_hashes_are_of_the_row_alone_and_leave_their_argument() -> None:
    rows = np.array([7, 3, 10**12, 3])
    found = row_hashes(42, "balance", rows)
    assert found.dtype == np.uint64
    assert found[1] == found[3] == row_hashes(42, "balance", np.array([3]))[0]
    assert rows.tolist() == [7, 3, 10**12, 3]
    assert found[0] != row_hashes(43, "balance", rows)[0]
    assert found[0] != row_hashes(42, "classify", rows)[0]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**62))
def test_no_two_rows_have_the_same_hash(start: int, first: int) -> None:
    assert len(np.unique(splitmix64(start, first + np.arange(500)))) == 500


def test_bits_of_neighbouring_rows_are_fair() -> None:
    bits = np.unpackbits(row_hashes(1, "balance", np.arange(20_000)).view(np.uint8)).reshape(-1, 64)
    # Each bit of 20,000 is one half within five standard errors.
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(20_000)


def test_draws_depend_on_seed_stage_and_number() -> None:
    drawn = {
        random_state(seed, stage, number)
        for seed in (1, 2)
        for stage in ("a", "b")
        for number in (0, 1)
    }
    assert len(drawn) == 8
    assert generator(1, "a", 1).integers(2**31) == random_state(1, "a", 1)
