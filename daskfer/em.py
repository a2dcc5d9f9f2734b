"""Fitting Gaussian mixtures with full covariances, by the EM algorithm over blocks.

A. Dempster, N. Laird and D. Rubin, "Maximum likelihood from incomplete data via the EM
algorithm", 1977. Each iteration is one pass: the E-step of a group of rows returns sums that are
sufficient for the M-step, and these are added in a fixed tree. Starts are made as scikit-learn
makes them, from KMeans, by several restarts side by side on a sample; the likeliest one goes on
over all rows.

Three choices differ from scikit-learn's `GaussianMixture`, to which the results are otherwise
equal:

- The regularization is a share of each column's variance rather than a number of the data's
  units, so that the clusters do not depend on the scale of a column. A column that is constant
  to the precision of float32, beside its mean or the widest column, counts as having variance 1.
- A component that loses all its rows keeps its mean and covariance, as KMeans keeps a centre.
  Every iteration then still raises the likelihood, which a component put elsewhere would not.
- The E-step takes products of columns once for all components: log densities are linear in
  (1, x, xxᵀ), and so are the sums of the M-step. Both steps are one matrix product then, of half
  the arithmetic. That is sound because rows are standardised first: with n rows no value is
  beyond √n, so that rounding moves a log density by no more than about n·10⁻¹⁶ / regularization,
  and of ordinary rows, which lie within ten deviations, by far less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from daskfer.blocks import BlockFiles, groups
from daskfer.cluster import assign, kmeans_on_sample, load_points
from daskfer.engine import Engine
from daskfer.mixture import Mixture, cholesky, half_log_determinants, log_weights
from daskfer.randomness import drawn_part, random_state
from daskfer.recipe import Gmm
from daskfer.reduce import Moments, merge_moments, moments

WORKING_SET = 1 << 16
"""Numbers of float64 that an E-step works on at a time, so that they stay in the cache."""

LOST = 1e-10
"""A component with fewer rows than that, all responsibilities together, has lost its rows."""


@dataclass(frozen=True)
class Standard:
    """The columns' means and standard deviations, float64 (c,), by which rows are standardised."""

    shift: np.ndarray
    scale: np.ndarray

    def rows(self, points: np.ndarray) -> np.ndarray:
        """Standardised rows, float64, of points (n, c)."""
        return (points - self.shift) / self.scale


@dataclass(frozen=True)
class Sums:
    """What an M-step needs of some rows: see `expect`."""

    sums: np.ndarray
    log_likelihood: float


def products_count(columns: int) -> int:
    """How many products a row of so many columns has."""
    return 1 + columns + columns * (columns + 1) // 2


def products(columns: np.ndarray, out: np.ndarray) -> np.ndarray:
    """1, the columns (c, n), and their products two by two, each a row of `out` (p, n)."""
    count = len(columns)
    out[0] = 1
    out[1 : count + 1] = columns
    row = count + 1
    for first in range(count):
        np.multiply(columns[first], columns[first:], out=out[row : row + count - first])
        row += count - first
    return out


def expect(points: np.ndarray, standard: Standard, terms: np.ndarray) -> Sums:
    """The E-step of some rows.

    Parameters
    ----------
    points : array (n, c)
    standard : Standard
    terms : float64 array (k, p)
        What a row's products are multiplied by to give its log densities: see `log_terms`.

    Returns
    -------
    Sums
        Of the rows' products (k, p), weighted by each component's responsibility for the row;
        and the log-likelihood of the standardised rows.
    """
    sums, log_likelihood = np.zeros(terms.shape), 0.0
    for part in _products_of(points, standard, len(terms)):
        share = terms @ part
        top = share.max(axis=0)
        share -= top
        np.exp(share, out=share)
        total = share.sum(axis=0)
        share /= total
        log_likelihood += float((top + np.log(total)).sum())
        sums += share @ part.T
    return Sums(sums, log_likelihood)


def _products_of(points: np.ndarray, standard: Standard, k: int) -> Iterator[np.ndarray]:
    """The products of slices of rows, small enough that they stay in the processor's cache."""
    count = products_count(points.shape[1])
    step = max(32, WORKING_SET // (count + k))
    out = np.empty((count, min(step, len(points))))
    for low in range(0, len(points), step):
        columns = np.ascontiguousarray(standard.rows(points[low : low + step]).T)
        yield products(columns, out[:, : columns.shape[1]])


def merge(left: Sums, right: Sums) -> Sums:
    """Sums over two sets of rows together."""
    return Sums(left.sums + right.sums, left.log_likelihood + right.log_likelihood)


def maximize(sums: np.ndarray, before: Mixture, regularization: float) -> Mixture:
    """The M-step: the mixture (of standardised rows) whose sums (k, p) these are.

    A component without rows keeps its mean and covariance of before.
    """
    k, columns = before.means.shape
    counts = sums[:, 0]
    kept = counts < LOST
    per_row = sums / np.where(kept, 1.0, counts)[:, None]
    means = per_row[:, 1 : columns + 1]
    covariances = np.empty((k, columns, columns))
    upper = np.triu_indices(columns)
    covariances[:, upper[0], upper[1]] = per_row[:, columns + 1 :]
    covariances[:, upper[1], upper[0]] = per_row[:, columns + 1 :]
    covariances -= means[:, :, None] * means[:, None, :]
    covariances += regularization * np.eye(columns)
    return Mixture(
        counts / counts.sum(),
        np.where(kept[:, None], before.means, means),
        np.where(kept[:, None, None], before.covariances, covariances),
    )


def log_terms(of: Mixture) -> np.ndarray:
    """What products of a row are multiplied by to give its weighted log densities, (k, p)."""
    k, columns = of.means.shape
    factors = cholesky(of.covariances)
    inverse = np.linalg.inv(factors)
    precisions = inverse.transpose(0, 2, 1) @ inverse
    linear = np.einsum("kab,kb->ka", precisions, of.means)
    terms = np.empty((k, products_count(columns)))
    terms[:, 0] = log_weights(of.weights) - half_log_determinants(factors)
    terms[:, 0] -= 0.5 * (columns * np.log(2 * np.pi) + (linear * of.means).sum(axis=1))
    terms[:, 1 : columns + 1] = linear
    first, second = np.triu_indices(columns)
    # A product of two columns stands for two entries of the quadratic form, a square for one.
    twice = np.where(first == second, 0.5, 1.0)
    terms[:, columns + 1 :] = -twice * precisions[:, first, second]
    return terms


def standard_of(found: Moments) -> Standard:
    """How rows with these moments are standardised."""
    variance = np.diagonal(found.scatter) / found.count
    # Less than float32 can tell at such values is noise of rounding, and no spread.
    least = (float(np.finfo(np.float32).eps) * found.mean) ** 2
    least += np.finfo(np.float32).eps ** 2 * variance.max(initial=0.0)
    return Standard(found.mean, np.sqrt(np.where(variance > least, variance, 1.0)))


def _standardised(of: Mixture, standard: Standard) -> Mixture:
    scale = standard.scale
    return replace(
        of,
        means=standard.rows(of.means),
        covariances=of.covariances / (scale[:, None] * scale[None, :]),
    )


def _restored(of: Mixture, standard: Standard) -> Mixture:
    """The mixture of rows in their own units, with the likelihood for them too."""
    scale = standard.scale
    return replace(
        of,
        means=of.means * scale + standard.shift,
        covariances=of.covariances * (scale[:, None] * scale[None, :]),
        log_likelihood=of.log_likelihood - float(np.log(scale).sum()),
    )


def iterate(
    expected: Callable[[np.ndarray], Sums], rows: int, start: Mixture, method: Gmm
) -> Mixture:
    """EM from a start, where `expected` computes the sums of all rows for given terms.

    The iterations end when the mean log-likelihood of a row rises by less than
    `method.tolerance`, as in scikit-learn. One more pass gives the likelihood of the result.
    """
    mixture, previous, iteration = start, -np.inf, 0
    while iteration < method.max_iterations:
        iteration += 1
        found = expected(log_terms(mixture))
        mixture = maximize(found.sums, mixture, method.regularization)
        gain, previous = found.log_likelihood / rows - previous, found.log_likelihood / rows
        if abs(gain) < method.tolerance:
            break
    last = expected(log_terms(mixture)).log_likelihood / rows
    return replace(mixture, iterations=iteration, log_likelihood=last)


def fit_points(points: np.ndarray, method: Gmm, state: int) -> Mixture:
    """One restart: EM over these points, all in memory, from the clusters of one KMeans run."""
    _, centers = kmeans_on_sample(points, method.clusters, state)
    standard = standard_of(moments(points.astype(np.float64)))
    start = _start(points, standard, centers, method)

    def expected(terms: np.ndarray) -> Sums:
        return expect(points, standard, terms)

    return _restored(iterate(expected, len(points), start, method), standard)


def _start(points: np.ndarray, standard: Standard, centers: np.ndarray, method: Gmm) -> Mixture:
    """The mixture whose responsibilities are the clusters around these centres."""
    k, columns = centers.shape
    cluster = assign(points, centers).cluster
    sums = np.zeros((k, products_count(columns)))
    low = 0
    for part in _products_of(points, standard, k):
        here = cluster[low : low + part.shape[1]]
        sums += (np.arange(k)[:, None] == here).astype(np.float64) @ part.T
        low += part.shape[1]
    # Centres that KMeans put twice at one place have no rows: they take the spread of all.
    empty = Mixture(np.full(k, 1 / k), standard.rows(centers), np.tile(np.eye(columns), (k, 1, 1)))
    return maximize(sums, empty, method.regularization)


def best_mixture(points: np.ndarray, method: Gmm, seed: int, stage: str) -> Mixture:
    """The likeliest of the method's restarts on these points."""
    found = [
        fit_points(points, method, random_state(seed, stage, number))
        for number in range(method.restarts)
    ]
    return max(found, key=lambda mixture: mixture.log_likelihood)


def starting_mixture(
    engine: Engine, points: BlockFiles, fit: np.ndarray, method: Gmm, seed: int
) -> Mixture:
    """The likeliest of the method's restarts on a sample of the fitted rows.

    All fitted rows are the sample when they are no more than `method.sample_rows`.
    """
    sample = drawn_part(fit, method.sample_rows, seed, "cluster-sample")
    states = [random_state(seed, "cluster-restart", number) for number in range(method.restarts)]
    found: list[Mixture] = engine.gather(
        engine.map("cluster", _restart, states, shared=(sample, points, method))
    )
    return max(found, key=lambda mixture: mixture.log_likelihood)


def _restart(state: int, sample: np.ndarray, points: BlockFiles, method: Gmm) -> Mixture:
    return fit_points(points.rows(sample), method, state)


def fit_mixture(
    engine: Engine, points: BlockFiles, pieces: list[np.ndarray], method: Gmm, start: Mixture
) -> Mixture:
    """EM from a given mixture over the rows at the positions in `pieces`, groups of them a task."""
    blocks = engine.map("cluster", load_points, groups(pieces), shared=(points,))
    found = engine.total("cluster", _moments, blocks, combine=merge_moments)
    standard = standard_of(engine.gather([found])[0])

    def expected(terms: np.ndarray) -> Sums:
        total = engine.total("cluster", expect, blocks, combine=merge, shared=(standard, terms))
        found: Sums = engine.gather([total])[0]
        return found

    rows = sum(len(piece) for piece in pieces)
    return _restored(iterate(expected, rows, _standardised(start, standard), method), standard)


def _moments(points: np.ndarray) -> Moments:
    return moments(points.astype(np.float64))
