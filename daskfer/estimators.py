"""The stages as scikit-learn estimators, to be put into pipelines and searches of one's own.

Each is a thin class over the functions that a run uses, and gives what a run gives: the same
blocks, the same order of sums, the same random numbers. Rows may be a NumPy array, or a Dask array
whose chunks of rows have known sizes. What is lazy stays lazy in `transform` and `predict`. `fit`
computes a Dask array by whichever of Dask's schedulers is in use, for components a few blocks at a
time, and does its own sums in this process; `daskfer run` is for sums on workers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from daskfer import normalize
from daskfer.blocks import cut
from daskfer.cluster import check_clusters, fit_kmeans, largest_first, starting_centers
from daskfer.clusterers import Clusterer
from daskfer.em import fit_mixture, starting_mixture
from daskfer.engine import InProcess
from daskfer.errors import RecipeError
from daskfer.faces import side_of
from daskfer.mixture import check_columns
from daskfer.recipe import Gmm, Hog, KMeansClusters, Pca
from daskfer.reduce import check_components, fit_pca

BLOCK_ROWS = 2048
"""Rows whose sums are taken together, as in a recipe's `block_rows`."""


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
        _checked(self, X, [np.float32, np.uint8], reset=True)
        return self

    def transform(self, X: Any) -> Any:
        """Normalized faces, float32 (n, d), of grey values (n, d)."""
        check_is_fitted(self)
        X = _checked(self, X, [np.float32, np.uint8])
        return _by_rows(X, lambda rows: normalize.normalize(rows, self.method), X.shape[1])

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
        self._n_features_out = _valued(lambda: feature_count(side, self._hog()))
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
            rows = _grey(images).reshape(len(images), -1)
            return represent(rows, side, self.method, method)

        return _by_rows(X if _is_lazy(X) else np.asarray(X), hog, self._n_features_out)

    def _hog(self) -> Hog:
        return _valued(
            lambda: Hog(
                cell=self.cell, orientations=self.orientations, block=self.block,
                margin=self.margin, mirror=self.mirror,
            )
        )  # fmt: skip

    def _side(self, X: Any) -> int:
        shape = X.shape if _is_lazy(X) else np.shape(X)
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
        rows = _Rows(_checked(self, X, np.float32, reset=True, least=2))
        method = _valued(lambda: Pca(components=self.n_components, whiten=self.whiten))
        _valued(lambda: check_components(method, len(rows), rows.dimensions))
        self.reducer_ = fit_pca(InProcess(), rows, rows.pieces(self.block_rows), method)
        self.components_, self.mean_ = self.reducer_.axes, self.reducer_.mean
        self.explained_variance_ = self.reducer_.explained_variance
        total = self.reducer_.total_variance
        self.explained_variance_ratio_ = self.explained_variance_ / (total if total > 0 else 1.0)
        self._n_features_out = self.reducer_.components
        return self

    def transform(self, X: Any) -> Any:
        """Components, float32 (n, c), of rows (n, d)."""
        check_is_fitted(self)
        X = _checked(self, X, np.float32)
        return _by_rows(X, self.reducer_.transform, self.reducer_.components)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class _BlockClusterer(ClusterMixin, BaseEstimator):
    """What the clusterers share: cluster 0 is the largest, as in a run."""

    def fit(self, X: Any, y: Any = None) -> Any:
        """Find clusters of rows (n, c).

        Raises
        ------
        ValueError
            When there are more clusters than rows, or a parameter is out of its range.
        """
        rows = _Rows(_checked(self, X, np.float32, reset=True, least=2))
        method = _valued(self._method)
        if method.clusters > len(rows):
            raise ValueError(f"{method.clusters} clusters of n_samples={len(rows)}: expected fewer")
        _valued(lambda: check_clusters(method, len(rows)))
        _valued(lambda: check_columns(method, rows.dimensions))
        found = _valued(lambda: self._fitted(rows, method))
        order = largest_first(np.bincount(found.assign(rows.all()).cluster,
                                          minlength=method.clusters))  # fmt: skip
        self.model_ = found.in_order(order)
        self.n_iter_ = found.iterations
        self.labels_ = self.model_.assign(rows.all()).cluster
        return self

    def predict(self, X: Any) -> Any:
        """The cluster, int32 (n,), of each of these rows (n, c)."""
        return self._assigned(X, lambda rows: self.model_.assign(rows).cluster, np.int32)

    def confidence(self, X: Any) -> Any:
        """How sure that is, float32 (n,), 0–1, as in labels.parquet."""
        return self._assigned(X, lambda rows: self.model_.assign(rows).confidence, np.float32)

    def _assigned(self, X: Any, function: Callable[[np.ndarray], np.ndarray], kind: Any) -> Any:
        check_is_fitted(self)
        return _by_rows(_checked(self, X, np.float32), function, None, kind)

    def _seed(self) -> int:
        """The recipe's seed: the number that was given, or one that is drawn."""
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _method(self) -> Any:
        raise NotImplementedError

    def _fitted(self, rows: _Rows, method: Any) -> Clusterer:
        raise NotImplementedError


class BlockKMeans(_BlockClusterer):
    """KMeans by sums over blocks of rows; see `daskfer.cluster`.

    Parameters
    ----------
    n_clusters : int
    n_init : int
        Restarts on a sample; the best of them goes on over all rows.
    random_state : int, RandomState or None
        A number is a recipe's `seed`.
    sample_rows, max_iter, tol, block_rows
        As the recipe's keys cluster.sample_rows, max_iterations, tolerance, and block_rows.

    Attributes
    ----------
    cluster_centers_ : float64 array (k, c)
    labels_ : int32 array (n,)
    n_iter_ : int
    model_ : daskfer.cluster.Centers
    """

    def __init__(
        self,
        n_clusters: int = 7,
        n_init: int = 10,
        random_state: Any = 42,
        sample_rows: int = 32_768,
        max_iter: int = 300,
        tol: float = 1e-4,
        block_rows: int = BLOCK_ROWS,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_init = n_init
        self.random_state = random_state
        self.sample_rows = sample_rows
        self.max_iter = max_iter
        self.tol = tol
        self.block_rows = block_rows

    def _method(self) -> KMeansClusters:
        return KMeansClusters(
            clusters=self.n_clusters, restarts=self.n_init, sample_rows=self.sample_rows,
            max_iterations=self.max_iter, tolerance=self.tol,
        )  # fmt: skip

    def _fitted(self, rows: Any, method: KMeansClusters) -> Clusterer:
        start = starting_centers(InProcess(), rows, rows.positions, method, self._seed())
        return fit_kmeans(InProcess(), rows, rows.pieces(self.block_rows), method, start)

    @property
    def cluster_centers_(self) -> np.ndarray:
        """The centres, float64 (k, c)."""
        check_is_fitted(self)
        return self.model_.centers


class FaceGaussianMixture(_BlockClusterer):
    """A mixture of Gaussians with full covariances, by EM over blocks; see `daskfer.em`.

    Parameters
    ----------
    n_components : int
    n_init : int
        Restarts on a sample; the likeliest of them goes on over all rows.
    random_state : int, RandomState or None
        A number is a recipe's `seed`.
    regularization : float
        Added to the covariances' diagonals, as a share of each column's variance.
    sample_rows, max_iter, tol, block_rows
        As the recipe's keys cluster.sample_rows, max_iterations, tolerance, and block_rows.

    Attributes
    ----------
    weights_, means_, covariances_ : float64 arrays (k,), (k, c), (k, c, c)
    labels_ : int32 array (n,)
    n_iter_ : int
    bic_ : float
        Of the fitted rows.
    model_ : daskfer.mixture.Mixture
    """

    def __init__(
        self,
        n_components: int = 7,
        n_init: int = 5,
        random_state: Any = 42,
        regularization: float = 1e-6,
        sample_rows: int = 32_768,
        max_iter: int = 300,
        tol: float = 1e-3,
        block_rows: int = BLOCK_ROWS,
    ) -> None:
        self.n_components = n_components
        self.n_init = n_init
        self.random_state = random_state
        self.regularization = regularization
        self.sample_rows = sample_rows
        self.max_iter = max_iter
        self.tol = tol
        self.block_rows = block_rows

    def fit(self, X: Any, y: Any = None) -> Any:
        """Find the mixture of rows (n, c); see `BlockKMeans.fit`."""
        super().fit(X)
        self.weights_, self.means_ = self.model_.weights, self.model_.means
        self.covariances_ = self.model_.covariances
        self.bic_ = self.model_.bic(len(self.labels_))
        return self

    def score_samples(self, X: Any) -> Any:
        """Log density, float64 (n,), of each of these rows (n, c)."""
        return self._assigned(X, lambda rows: self.model_.assign(rows).log_density, np.float64)

    def _method(self) -> Gmm:
        return Gmm(
            clusters=self.n_components, restarts=self.n_init, sample_rows=self.sample_rows,
            max_iterations=self.max_iter, tolerance=self.tol, regularization=self.regularization,
        )  # fmt: skip

    def _fitted(self, rows: Any, method: Gmm) -> Clusterer:
        start = starting_mixture(InProcess(), rows, rows.positions, method, self._seed())
        return fit_mixture(InProcess(), rows, rows.pieces(self.block_rows), method, start)


@dataclass(frozen=True)
class _Rows:
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
        if not _is_lazy(self.array):
            return np.asarray(self.array[positions])
        low, high = int(positions[0]), int(positions[-1]) + 1
        # A slice reads the chunks that it lies in; positions one by one would make a task each.
        consecutive = high - low == len(positions)
        found = self.array[low:high] if consecutive else self.array[positions]
        return _finite(np.asarray(found.compute()))

    def block(self, number: int) -> np.ndarray:
        """All rows, which are one block."""
        return self.all()

    def all(self) -> np.ndarray:
        """All rows."""
        return self.rows(self.positions)


def _is_lazy(X: Any) -> bool:
    """Whether this is a Dask array; Dask is not imported to see it."""
    return hasattr(X, "map_blocks") and hasattr(X, "__dask_graph__")


def _checked(estimator: Any, X: Any, dtype: Any, reset: bool = False, least: int = 1) -> Any:
    """Rows (n, d) of a type that is wanted, or a Dask array of such.

    Raises
    ------
    ValueError
        When they are not rows of finite numbers, or of other columns than were fitted.
    """
    if not _is_lazy(X):
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


def _finite(rows: np.ndarray) -> np.ndarray:
    return np.asarray(check_array(rows, dtype=None, ensure_min_samples=0))


def _by_rows(
    X: Any,
    function: Callable[[np.ndarray], np.ndarray],
    columns: int | None,
    kind: Any = np.float32,
) -> Any:
    """A function of rows, at once, or of a Dask array chunk by chunk when that is computed."""
    if not _is_lazy(X):
        return function(X)
    whole = X.rechunk(dict.fromkeys(range(1, X.ndim), -1))
    gone = list(range(1, X.ndim))
    if columns is None:
        return whole.map_blocks(function, drop_axis=gone, dtype=kind, meta=np.empty(0, kind))
    return whole.map_blocks(
        function, drop_axis=gone, new_axis=1, chunks=(X.chunks[0], (columns,)), dtype=kind,
        meta=np.empty((0, columns), kind),
    )  # fmt: skip


def _grey(images: np.ndarray) -> np.ndarray:
    """Images as uint8.

    Raises
    ------
    ValueError
        When they have other values than whole numbers from 0 to 255.
    """
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images
    found = _finite(images.reshape(len(images), -1)).reshape(images.shape)
    grey = found.clip(0, 255).astype(np.uint8)
    if (grey != found).any():
        raise ValueError("images with other values than whole numbers: expected grey, 0 to 255")
    return grey


def _valued(function: Callable[[], Any]) -> Any:
    """What a function of the recipe's gives; its errors as scikit-learn's users know them."""
    try:
        return function()
    except RecipeError as error:
        raise ValueError(str(error)) from error
