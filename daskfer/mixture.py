"""Gaussian mixtures with full covariances: what is fitted, and how it assigns rows.

How they are fitted is in `daskfer.em`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from daskfer.errors import RecipeError
from daskfer.recipe import Cluster, Gmm

MOST_COLUMNS = 256
"""Most columns of a mixture: each of its covariances has as many numbers as their square."""

ASSIGNED_ROWS = 4096
"""Rows that are assigned at a time, so that few distances are held however many rows there are."""


@dataclass(frozen=True)
class Membership:
    """Component (int32) of each row, how sure that is, and how far the row is from its mean.

    Attributes
    ----------
    cluster : int32 array (n,)
        The component with the largest posterior probability; the first of equals.
    confidence : float32 array (n,)
        That probability.
    nearest : float64 array (n,)
        Squared Mahalanobis distance to that component's mean.
    log_density : float64 array (n,)
        Of the whole mixture.
    """

    cluster: np.ndarray
    confidence: np.ndarray
    nearest: np.ndarray
    log_density: np.ndarray


@dataclass(frozen=True)
class Mixture:
    """A fitted mixture of Gaussians.

    Attributes
    ----------
    weights : float64 array (k,)
    means : float64 array (k, c)
    covariances : float64 array (k, c, c)
    iterations : int
    log_likelihood : float
        Mean over the fitted rows.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    iterations: int = 0
    log_likelihood: float = float("nan")

    kind = "gmm"

    @property
    def centers(self) -> np.ndarray:
        """The components' means."""
        return self.means

    def assign(self, points: np.ndarray) -> Membership:
        """The likeliest component of each of these points (n, c)."""
        factors = cholesky(self.covariances)
        constants = log_weights(self.weights) - half_log_determinants(factors)
        constants -= 0.5 * points.shape[1] * np.log(2 * np.pi)
        found = Membership(
            np.empty(len(points), np.int32),
            np.empty(len(points), np.float32),
            np.empty(len(points)),
            np.empty(len(points)),
        )
        for low in range(0, len(points), ASSIGNED_ROWS):
            here = slice(low, low + ASSIGNED_ROWS)
            distances = self._distances(points[here], factors)
            log = constants[:, None] - 0.5 * distances
            cluster, rows = log.argmax(axis=0), np.arange(log.shape[1])
            top = log[cluster, rows]
            total = np.exp(log - top).sum(axis=0)
            found.cluster[here] = cluster
            found.confidence[here] = 1 / total
            found.nearest[here] = distances[cluster, rows]
            found.log_density[here] = top + np.log(total)
        return found

    def _distances(self, points: np.ndarray, factors: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distances (k, n), by the covariances' Cholesky factors.

        Each is solved for about its own mean, which loses fewest digits: this is done once, where
        the E-step is done many times.
        """
        from scipy.linalg import solve_triangular

        distances = np.empty((len(factors), len(points)))
        for number, factor in enumerate(factors):
            away = points.T - self.means[number][:, None]
            solved = solve_triangular(factor, away, lower=True, check_finite=False)
            distances[number] = (solved**2).sum(axis=0)
        return distances

    def in_order(self, order: np.ndarray) -> Mixture:
        """The same mixture with its components in this order."""
        return replace(
            self,
            weights=self.weights[order],
            means=self.means[order],
            covariances=self.covariances[order],
        )

    def bic(self, rows: int) -> float:
        """Bayesian information criterion (G. Schwarz, 1978) of the mixture for its fitted rows.

        −2 log L + p log n, with p = (k − 1) + kc + kc(c + 1)/2 free parameters; the lower the
        better, and equal to that of scikit-learn's `GaussianMixture`.
        """
        k, columns = self.means.shape
        parameters = k - 1 + k * columns + k * columns * (columns + 1) // 2
        return float(-2 * rows * self.log_likelihood + parameters * np.log(rows))

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, by names, for a file."""
        return {
            "weights": self.weights,
            "means": self.means,
            "covariances": self.covariances,
            "log_likelihood": np.array(self.log_likelihood),
        }


def cholesky(covariances: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError as error:
        raise RecipeError(
            "a component of the mixture has a singular covariance: expected a larger "
            "cluster.regularization"
        ) from error


def half_log_determinants(factors: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1))


def log_weights(weights: np.ndarray) -> np.ndarray:
    # A component without any weight gets hardly any posterior, and no infinite logarithm.
    return np.asarray(np.log(np.maximum(weights, np.finfo(np.float64).tiny)))


def check_columns(method: Cluster, columns: int) -> None:
    """Refuse rows of more columns than covariances can be had of, before any work on them."""
    if isinstance(method, Gmm) and columns > MOST_COLUMNS:
        raise RecipeError(
            f"cluster.method=gmm: rows of {columns:,} columns have covariances of "
            f"{columns**2:,} numbers; expected at most {MOST_COLUMNS} columns (reduce.components)"
        )
