"""Faces as images: their grey values, and histograms of oriented gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import (
    BaseEstimator,
    OneToOneFeatureMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted

from daskfer import normalize
from daskfer.blocks import is_lazy
from daskfer.estimators.rows import by_rows, checked, grey, valued
from daskfer.faces import side_of
from daskfer.recipe import Hog


class FaceNormalizer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Grey values of each face brought to a common range; see `daskfer.normalize`.

    Parameters
    ----------
    method : {"minmax", "zscore", "unit"}
        ``minmax`` maps each face's range to 0–1, ``zscore`` its mean and standard deviation to 0
        and 1, ``unit`` 0–255 to 0–1.
    """

    def __init__(self, method: str = "minmax") -> None:
        self.method = method

    def fit(self, X: Any, y: Any = None) -> FaceNormalizer:
        """Learn how many pixels there are, and nothing else."""
        if self.method not in ("minmax", "zscore", "unit"):
            raise ValueError(f"method={self.method!r}: expected minmax, zscore or unit")
        checked(self, X, [np.float32, np.uint8], reset=True)
        return self

    def transform(self, X: Any) -> Any:
        """Normalized faces, float32 (n, d), of grey values (n, d)."""
        check_is_fitted(self)
        X = checked(self, X, [np.float32, np.uint8])
        return by_rows(X, lambda rows: normalize.normalize(rows, self.method), X.shape[1])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class HogTransformer(TransformerMixin, BaseEstimator):
    """Histograms of oriented gradients of square grey images; see `daskfer.represent.hog`.

    Parameters
    ----------
    cell, orientations, block, margin : int
        Pixels a side of a cell, directions, cells a side of a block, and pixels of the border that
        are left out.
    mirror : bool
        Whether to take the mean with the mirror image's.
    method : {"minmax", "zscore", "unit"}
        How grey values are normalized before.
    """

    def __init__(
        self,
        cell: int = 8,
        orientations: int = 8,
        block: int = 2,
        margin: int = 4,
        mirror: bool = True,
        method: str = "minmax",
    ) -> None:
        self.cell = cell
        self.orientations = orientations
        self.block = block
        self.margin = margin
        self.mirror = mirror
        self.method = method

    def fit(self, X: Any, y: Any = None) -> HogTransformer:
        """Learn the size of the images, and nothing else.

        Raises
        ------
        ValueError
            When they are not square, or too small for the parameters.
        """
        from daskfer.represent import feature_count

        side = self._side(X)
        self._n_features_out = valued(lambda: feature_count(side, self._hog()))
        self.side_, self.n_features_in_ = side, side * side
        return self

    def transform(self, X: Any) -> Any:
        """HOG, float32 (n, d), of whole grey values 0–255, (n, side, side) or (n, side²)."""
        from daskfer.represent import represent

        check_is_fitted(self)
        if (side := self._side(X)) != self.side_:
            raise ValueError(f"images of {side}×{side} pixels: fitted to {self.side_}×{self.side_}")
        method = self._hog()

        def hog(images: np.ndarray) -> np.ndarray:
            rows = grey(images).reshape(len(images), -1)
            return represent(rows, side, self.method, method)

        return by_rows(X if is_lazy(X) else np.asarray(X), hog, self._n_features_out)

    def _hog(self) -> Hog:
        return valued(
            lambda: Hog(
                cell=self.cell, orientations=self.orientations, block=self.block,
                margin=self.margin, mirror=self.mirror,
            )
        )  # fmt: skip

    def _side(self, X: Any) -> int:
        shape = X.shape if is_lazy(X) else np.shape(X)
        side = side_of(int(np.prod(shape[1:]))) if len(shape) in (2, 3) else None
        if side is None or (len(shape) == 3 and shape[1] != shape[2]):
            raise ValueError(
                f"images of shape {tuple(shape)}: expected (n, side, side), or (n, side²)"
            )
        return side

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the features: hogtransformer0, …"""
        check_is_fitted(self)
        return np.array([f"hogtransformer{n}" for n in range(self._n_features_out)], object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags
