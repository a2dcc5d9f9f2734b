"""Clusters of reduced rows: KMeans, and mixtures of Gaussians."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClusterMixin,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from daskfer.cluster import check_clusters, fit_kmeans, largest_first, starting_centers
from daskfer.clusterers import Clusterer
from daskfer.em import fit_mixture, starting_mixture
from daskfer.engine import InProcess
from daskfer.estimators.rows import BLOCK_ROWS, Rows, by_rows, checked, valued
from daskfer.mixture import check_columns
from daskfer.recipe import Gmm, KMeansClusters


class _BlockClusterer(ClusterMixin, BaseEstimator):
    """What the clusterers share: cluster 0 is the largest, as in a run."""

    def fit(self, X: Any, y: Any = None) -> Any:
        """Find clusters of rows (n, c).

        Raises
        ------
        ValueError
            When there are more clusters than rows, or a parameter is out of its range.
        """
        rows = Rows(checked(self, X, np.float32, reset=True, least=2))
        method = valued(self._method)
        if method.clusters > len(rows):
            raise ValueError(f"{method.clusters} clusters of n_samples={len(rows)}: expected fewer")
        valued(lambda: check_clusters(method, len(rows)))
        valued(lambda: check_columns(method, rows.dimensions))
        found = valued(lambda: self._fitted(rows, method))
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
        return by_rows(checked(self, X, np.float32), function, None, kind)

    def _seed(self) -> int:
        """The recipe's seed: the number that was given, or one that is drawn."""
        if isinstance(self.random_state, int | np.integer):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _method(self) -> Any:
        raise NotImplementedError

    def _fitted(self, rows: Rows, method: Any) -> Clusterer:
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
