"""Rows in blocks of a fixed number: where they lie, and how any of them are read back."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from daskfer import storage
from daskfer.errors import one_line
from daskfer.store import StageFolder


@dataclass(frozen=True)
class BlockFiles:
    """Arrays of rows, one .npy a block, addressed by position over all blocks.

    Attributes
    ----------
    folder : StageFolder
        Where the files are.
    part : str
        The ending of their names.
    starts : tuple of int
        Position of each block's first row, and at last the number of rows.
    names : tuple of str, optional
        What the blocks' files are called before the part, where that is not their number.
    """

    folder: StageFolder
    part: str
    starts: tuple[int, ...]
    names: tuple[str, ...] | None = None

    @property
    def count(self) -> int:
        """Number of blocks."""
        return len(self.starts) - 1

    @property
    def sizes(self) -> list[int]:
        """Rows in each block."""
        return [self.starts[i + 1] - self.starts[i] for i in range(self.count)]

    def path(self, number: int) -> str:
        """The file of a block."""
        if self.names is not None:
            return self.folder.file(f"{self.names[number]}.{self.part}")
        return self.folder.block(number, self.part)

    def block(self, number: int) -> np.ndarray:
        """All rows of one block.

        Raises
        ------
        StorageError
            When its file is damaged.
        """
        return self._read(number)

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """The rows at these positions (int64, in any order), in their order.

        Only the blocks that hold one of them are opened, and of a local one only the pages
        that are needed are read.
        """
        starts = np.asarray(self.starts)
        owner = np.searchsorted(starts, positions, side="right") - 1
        found: np.ndarray | None = None
        for number in np.unique(owner):
            here = owner == number
            block = self._read(int(number), mapped=True)
            if found is None:
                found = np.empty((len(positions), *block.shape[1:]), block.dtype)
            found[here] = block[positions[here] - starts[number]]
        if found is None:
            raise ValueError("no positions: expected at least one")
        return found

    def _read(self, number: int, *, mapped: bool = False) -> np.ndarray:
        path = self.path(number)
        try:
            return storage.read_array(path, mapped=mapped)
        except ValueError as error:
            stage, _, key = self.folder.path.rpartition("/")
            root = stage.rpartition("/")[0]
            clear = shlex.join(["daskfer", "cache", "clear", "--store", root, "--key", key])
            raise storage.StorageError(
                f"{path} is damaged ({one_line(error)}): {clear} takes it out of the store, and "
                "the same command then computes it again"
            ) from error


@dataclass(frozen=True)
class StoredRows:
    """Rows of the store, indexed as an array's would be: whoever indexes them reads them.

    To send them is to send their positions, so scikit-learn's searches can hand them to workers.
    """

    files: BlockFiles
    positions: np.ndarray

    @property
    def shape(self) -> tuple[int]:
        """Number of rows; how wide they are is only known where they are read."""
        return (len(self.positions),)

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, key: Any) -> np.ndarray:
        chosen = key[0] if isinstance(key, tuple) else key
        return self.files.rows(self.positions[chosen])


def cut(positions: np.ndarray, block_rows: int) -> list[np.ndarray]:
    """Cut positions into consecutive pieces of `block_rows`; the last may be shorter."""
    return [positions[i : i + block_rows] for i in range(0, len(positions), block_rows)]


def groups(pieces: list[np.ndarray]) -> list[np.ndarray]:
    """Consecutive pieces joined into groups, for work that goes over all rows again and again.

    Each pass costs a task a group, so there are fewer groups than pieces: all up to 8, then one
    more for every 16, and never more than 1,024. Their number depends on that of the pieces
    alone, not on who computes.
    """
    count = min(len(pieces), 8 + len(pieces) // 16, 1024)
    bounds = [number * len(pieces) // count for number in range(count + 1)]
    return [np.concatenate(pieces[low:high]) for low, high in pairwise(bounds)]


def starts_of(sizes: list[int]) -> tuple[int, ...]:
    """The positions at which blocks of these sizes start, and their sum."""
    return (0, *np.cumsum(sizes, dtype=np.int64).tolist())


def is_lazy(array: Any) -> bool:
    """Whether this is a Dask array, which is computed later and elsewhere.

    Dask is not imported to see it: who has such an array has imported it. Arrays of other
    libraries that know Dask, xarray's say, are none.
    """
    module = sys.modules.get("dask.array")
    return module is not None and isinstance(array, module.Array)
