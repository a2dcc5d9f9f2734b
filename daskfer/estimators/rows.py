"""What estimators take: NumPy or Dask arrays of faces, as rows by blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from daskfer.blocks import cut, is_lazy
from daskfer.errors import RecipeError

BLOCK_ROWS = 2048
"""Rows whose sums are taken together, as in a recipe's `block_rows`."""


@dataclass(frozen=True)
class Rows:
    """Rows of an array in the place of blocks in files, read as they are asked for."""

    array: Any

    def __len__(self) -> int:
        return int(self.array.shape[0])

    @property
    def dimensions(self) -> int:
        return int(self.array.shape[1])

    @property
    def positions(self) -> np.ndarray:
        return np.arange(len(self))

    def pieces(self, block_rows: int) -> list[np.ndarray]:
        """The positions, a block each."""
        return cut(self.positions, block_rows)

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """Rows, float32 (m, d), at these positions."""
        if not is_lazy(self.array):
            return np.asarray(self.array[positions])
        low, high = int(positions[0]), int(positions[-1]) + 1
        # A slice reads the chunks that it lies in; positions one by one would make a task each.
        consecutive = high - low == len(positions)
        found = self.array[low:high] if consecutive else self.array[positions]
        return finite(np.asarray(found.compute()))

    def block(self, number: int) -> np.ndarray:
        """All rows, which are one block."""
        return self.all()

    def all(self) -> np.ndarray:
        """All rows."""
        return self.rows(self.positions)


def checked(estimator: Any, X: Any, dtype: Any, reset: bool = False, least: int = 1) -> Any:
    """Rows (n, d) of a type that is wanted, or a Dask array of such.

    Raises
    ------
    ValueError
        When they are not rows of finite numbers, or of other columns than were fitted.
    """
    if not is_lazy(X):
        return validate_data(estimator, X, reset=reset, dtype=dtype, ensure_min_samples=least)
    if X.ndim != 2:
        raise ValueError(f"a Dask array of {X.ndim} dimensions: expected rows, so 2")
    if any(np.isnan(size) for size in X.chunks[0]):
        raise ValueError("a Dask array of unknown chunk sizes: call compute_chunk_sizes() on it")
    if X.shape[0] < least:
        raise ValueError(f"n_samples={X.shape[0]}: expected {least} or more")
    if reset:
        estimator.n_features_in_ = X.shape[1]
    elif X.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"X has {X.shape[1]} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input"
        )
    wanted = dtype if isinstance(dtype, list) else [dtype]
    return X if X.dtype in wanted else X.astype(wanted[0])


def finite(rows: np.ndarray) -> np.ndarray:
    return np.asarray(check_array(rows, dtype=None, ensure_min_samples=0))


def by_rows(
    X: Any,
    function: Callable[[np.ndarray], np.ndarray],
    columns: int | None,
    kind: Any = np.float32,
) -> Any:
    """A function of rows, at once, or of a Dask array chunk by chunk when that is computed."""
    if not is_lazy(X):
        return function(X)
    whole = X.rechunk(dict.fromkeys(range(1, X.ndim), -1))
    gone = list(range(1, X.ndim))
    if columns is None:
        return whole.map_blocks(function, drop_axis=gone, dtype=kind, meta=np.empty(0, kind))
    return whole.map_blocks(
        function, drop_axis=gone, new_axis=1, chunks=(X.chunks[0], (columns,)), dtype=kind,
        meta=np.empty((0, columns), kind),
    )  # fmt: skip


def grey(images: np.ndarray) -> np.ndarray:
    """Images as uint8.

    Raises
    ------
    ValueError
        When they have other values than whole numbers from 0 to 255.
    """
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images
    found = finite(images.reshape(len(images), -1)).reshape(images.shape)
    grey = found.clip(0, 255).astype(np.uint8)
    if (grey != found).any():
        raise ValueError("images with other values than whole numbers: expected grey, 0 to 255")
    return grey


def valued(function: Callable[[], Any]) -> Any:
    """What a function of the recipe's gives; its errors as scikit-learn's users know them."""
    try:
        return function()
    except RecipeError as error:
        raise ValueError(str(error)) from error
