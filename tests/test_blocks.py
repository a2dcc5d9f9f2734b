"""Rows in blocks: the same rows back, whatever the blocks."""

from __future__ import annotations

from pathlib import Path

import dask.array as da
import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daskfer import storage
from daskfer.blocks import BlockFiles, cut, groups, is_lazy, starts_of
from daskfer.predictor import to_pixels
from daskfer.store import StageFolder


def write_blocks(root: str, values: np.ndarray, sizes: list[int]) -> BlockFiles:
    files = BlockFiles(StageFolder(root), "x.npy", starts_of(sizes))
    for number, size in enumerate(sizes):
        start = files.starts[number]
        storage.write_array(files.path(number), values[start : start + size])
    return files


def test_starts_and_cut_by_hand() -> None:
    assert starts_of([3, 0, 2]) == (0, 3, 3, 5)
    assert starts_of([]) == (0,)
    assert [piece.tolist() for piece in cut(np.array([4, 5, 9, 11, 12]), 2)] == [
        [4, 5],
        [9, 11],
        [12],
    ]
    assert cut(np.zeros(0, np.int64), 2) == []


def test_rows_by_hand(tmp_path: Path) -> None:
    values = np.arange(10, dtype=np.uint8).reshape(5, 2)
    files = write_blocks(str(tmp_path), values, [3, 0, 2])
    assert (files.count, files.sizes) == (3, [3, 0, 2])
    assert Path(files.path(2)).name == "000002.x.npy"
    assert files.block(1).shape == (0, 2)
    found = files.rows(np.array([4, 0, 3, 0]))
    assert found.dtype == np.uint8
    assert found.tolist() == [[8, 9], [0, 1], [6, 7], [0, 1]]


def test_only_the_blocks_with_wanted_rows_are_opened(tmp_path: Path) -> None:
    files = write_blocks(str(tmp_path), np.arange(6.0), [2, 2, 2])
    Path(files.path(1)).unlink()
    assert files.rows(np.array([5, 0])).tolist() == [5.0, 0.0]
    with pytest.raises(FileNotFoundError):
        files.rows(np.array([2]))


def test_no_positions_are_refused(tmp_path: Path) -> None:
    files = write_blocks(str(tmp_path), np.arange(6.0), [6])
    with pytest.raises(ValueError, match="at least one"):
        files.rows(np.zeros(0, np.int64))


def test_behind_a_url() -> None:
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    try:
        files = write_blocks("memory://blocks-test", values, [4, 2])
        assert (files.rows(np.array([5, 1])) == values[[5, 1]]).all()
        assert (files.block(0) == values[:4]).all()
    finally:
        fsspec.filesystem("memory").rm("/blocks-test", recursive=True)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=6).filter(sum), st.data())
def test_rows_are_those_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    values = np.arange(sum(sizes) * 3, dtype=np.int32).reshape(-1, 3)
    files = write_blocks(str(tmp_path_factory.getbasetemp() / "blocks"), values, sizes)
    positions = data.draw(st.lists(st.integers(0, sum(sizes) - 1), min_size=1, max_size=12))
    assert (files.rows(np.array(positions)) == values[positions]).all()
    whole = [files.block(number) for number in range(files.count)]
    assert (np.concatenate(whole) == values).all()


@given(st.integers(0, 50), st.integers(1, 9))
def test_pieces_join_to_the_whole(count: int, block_rows: int) -> None:
    pieces = cut(np.arange(count), block_rows)
    assert [int(value) for piece in pieces for value in piece] == list(range(count))
    assert all(len(piece) == block_rows for piece in pieces[:-1])


@pytest.mark.parametrize(
    ("pieces", "expected"), [(1, 1), (8, 8), (9, 8), (16, 9), (175, 18), (489, 38), (48_829, 1024)]
)
def test_groups_are_few_and_keep_the_order(pieces, expected):
    found = groups([np.array([number]) for number in range(pieces)])
    assert len(found) == expected
    assert np.concatenate(found).tolist() == list(range(pieces))
    sizes = [len(group) for group in found]
    assert max(sizes) - min(sizes) <= 1


class Labelled:
    """An array in memory that can also be cut into blocks, as xarray's."""

    chunks = None

    def __dask_graph__(self) -> None:
        return None

    def map_blocks(self, function: object) -> None:
        raise AssertionError("it is no Dask array")

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return np.zeros((2, 4), np.uint8)


def test_dask_arrays_alone_are_lazy() -> None:
    assert is_lazy(da.zeros((2, 4)))
    assert not is_lazy(np.zeros((2, 4)))
    assert not is_lazy([[1, 2]])
    assert not is_lazy(Labelled())
    assert to_pixels(Labelled(), 2).tolist() == [[0] * 4] * 2


@pytest.mark.parametrize("kept", [0, 60, -8])
def test_a_damaged_block_says_what_to_do(kept: int, tmp_path: Path) -> None:
    root = tmp_path / "a store"
    files = write_blocks(str(root / "reduce" / "abc"), np.arange(6.0), [3, 3])
    path = Path(files.path(1))
    path.write_bytes(path.read_bytes()[:kept])
    for read in (lambda: files.block(1), lambda: files.rows(np.array([4]))):
        with pytest.raises(storage.StorageError) as caught:
            read()
        assert str(caught.value).startswith(f"{path} is damaged (")
        assert f"daskfer cache clear --store '{root}' --key abc takes it" in str(caught.value)
