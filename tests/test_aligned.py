"""Arrays that arrived at odd addresses compute what they would elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from daskfer.aligned import aligned
from daskfer.cluster import Centers, assign


def odd(array: np.ndarray, start: int = 1) -> np.ndarray:
    """A copy that begins at an odd byte, as in the middle of a message."""
    memory = np.empty(array.nbytes + 32, np.uint8)
    first = -memory.ctypes.data % 16 + start
    found = memory[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    found[...] = array
    return found


@dataclass(frozen=True)
class Inner:
    values: np.ndarray
    name: str


@dataclass(frozen=True)
class Outer:
    inner: Inner
    parts: tuple[np.ndarray, ...]


@pytest.mark.parametrize("start", [1, 2, 4])
def test_arrays_are_aligned_wherever_they_are(start):
    values = np.arange(6.0).reshape(2, 3)
    given = (odd(values, start), [odd(values, start)], {"a": odd(values, start)}, "text", None)
    found = aligned(given)
    assert all(array.flags.aligned for array in (found[0], found[1][0], found[2]["a"]))
    assert all(np.array_equal(array, values) for array in (found[0], found[1][0], found[2]["a"]))
    assert found[3:] == ("text", None)
    outer = aligned(Outer(Inner(odd(values, start), "x"), (odd(values, start), values)))
    assert outer.inner.values.flags.aligned
    assert outer.parts[0].flags.aligned
    assert outer.parts[1] is values


def test_what_is_aligned_stays_as_it_is():
    values = np.arange(3.0)
    for given in (values, (values, 1), [values], Inner(values, "x"), Inner, "x"):
        assert aligned(given) is given


def test_clusters_of_sent_centres_are_the_same_to_the_last_bit():
    random = np.random.default_rng(0)
    points = random.normal(size=(64, 54)).astype(np.float32)
    centers = random.normal(size=(8, 54))
    here = assign(points, centers)
    sent = aligned(Centers(odd(centers), 3))
    assert np.array_equal(sent.assign(points).nearest, here.nearest)
