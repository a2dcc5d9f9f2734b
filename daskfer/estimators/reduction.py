"""Principal components of features, exact, from sums over blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted

from daskfer.engine import InProcess
from daskfer.estimators.rows import BLOCK_ROWS, Rows, by_rows, checked, valued
from daskfer.recipe import Pca
from daskfer.reduce import fit_pca

KINDS = [np.float32, np.float64]
"""What rows are computed in: as they are, and in the first where they are of neither kind.

Float32, as a run has it, differs in its last digit by where a row lies among others on some
processors; float64 is there for those to whom that matters.
"""


class BlockPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Exact principal components by sums over blocks of rows; see `daskfer.reduce`.

    Parameters
    ----------
    n_components : int or "auto"
        With ``auto``, parallel analysis says how many.
    whiten : bool
        Whether components are divided by their standard deviations.
    block_rows : int
        Rows whose sums are taken together; on it depend the last digits.

    Attributes
    ----------
    components_ : float64 array (c, d)
        Divided by the standard deviations where whitened.
    mean_ : float64 array (d,)
    explained_variance_, explained_variance_ratio_ : float64 arrays (c,)
    reducer_ : daskfer.reduce.Reducer
    """

    def __init__(
        self,
        n_components: Any = 20,
        whiten: bool = True,
        block_rows: int = BLOCK_ROWS,
    ) -> None:
        self.n_components = n_components
        self.whiten = whiten
        self.block_rows = block_rows

    def fit(self, X: Any, y: Any = None) -> BlockPCA:
        """Find the components of rows (n, d).

        Raises
        ------
        ValueError
            When there are fewer rows or columns than so many components need.
        """
        rows = Rows(checked(self, X, KINDS, reset=True, least=2))
        method = valued(lambda: Pca(components=self.n_components, whiten=self.whiten))
        _check_components(self.n_components, len(rows), rows.dimensions)
        self.reducer_ = fit_pca(InProcess(), rows, rows.pieces(self.block_rows), method)
        self.components_, self.mean_ = self.reducer_.axes, self.reducer_.mean
        self.explained_variance_ = self.reducer_.explained_variance
        total = self.reducer_.total_variance
        self.explained_variance_ratio_ = self.explained_variance_ / (total if total > 0 else 1.0)
        self._n_features_out = self.reducer_.components
        return self

    def transform(self, X: Any) -> Any:
        """Components (n, c) of rows (n, d): float64 of float64, as in a run, float32, of others."""
        check_is_fitted(self)
        X = checked(self, X, KINDS)
        exact = X.dtype == np.float64
        function = self._exactly if exact else self.reducer_.transform
        return by_rows(X, function, self.reducer_.components, X.dtype)

    def _exactly(self, rows: np.ndarray) -> np.ndarray:
        """Components of float64 rows, in float64."""
        return np.asarray((rows - self.mean_) @ self.components_.T)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _check_components(count: Any, rows: int, dimensions: int) -> None:
    """As `daskfer.reduce.check_components` does, in the words of scikit-learn's users."""
    most = min(rows - 1, dimensions)
    if count != "auto" and count > most:
        raise ValueError(
            f"n_components={count}: {rows:,} rows of {dimensions:,} features have at most {most:,}"
        )
