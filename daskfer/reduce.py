"""Reduction: principal components from second moments that are summed over blocks.

The moments of a block are taken about the block's own mean and merged pairwise (T. Chan,
G. Golub and R. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
variances", 1979), so a large mean costs no digits. One eigen-decomposition of the covariance
then gives the exact components, whatever the blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daskfer import storage
from daskfer.engine import Engine
from daskfer.errors import RecipeError
from daskfer.recipe import NoReduction, Pca, Reduce
from daskfer.represent import Features


@dataclass(frozen=True)
class Moments:
    """Number of rows, their mean (d,) and the sum of squares about it (d, d), float64."""

    count: int
    mean: np.ndarray
    scatter: np.ndarray


@dataclass(frozen=True)
class Reducer:
    """A linear map of features to components, ``(features - mean) @ axes.T``.

    Attributes
    ----------
    mean : float64 array (d,)
    axes : float64 array (c, d)
        Rows are the components, divided by their standard deviations where whitened.
    explained_variance : float64 array (c,)
        Variance along each component (second moment, where nothing was centred).
    total_variance : float
        Variance of all features together.
    """

    mean: np.ndarray
    axes: np.ndarray
    explained_variance: np.ndarray
    total_variance: float

    def transform(self, features: np.ndarray) -> np.ndarray:
        """Components, float32 (n, c), of features (n, d)."""
        mean = self.mean.astype(np.float32)
        # The part of the mean that float32 drops is taken off after the product.
        rest = (self.mean - mean) @ self.axes.T
        components = (features - mean) @ self.axes.T.astype(np.float32) - rest.astype(np.float32)
        return components.astype(np.float32, copy=False)

    def save(self, path: str) -> None:
        """Write the map as .npz."""
        storage.write_arrays(
            path,
            mean=self.mean,
            axes=self.axes,
            explained_variance=self.explained_variance,
            total_variance=np.array(self.total_variance),
        )

    @classmethod
    def load(cls, path: str) -> Reducer:
        """Read what `save` wrote."""
        arrays = storage.read_arrays(path)
        return cls(
            arrays["mean"],
            arrays["axes"],
            arrays["explained_variance"],
            float(arrays["total_variance"]),
        )


def moments(features: np.ndarray) -> Moments:
    """Moments of one block (n, d): products in the block's precision, sums in float64."""
    mean = features.mean(axis=0, dtype=np.float64)
    centred = features - mean.astype(features.dtype)
    scatter = (centred.T @ centred).astype(np.float64)
    # The mean that was taken off is rounded to the block's precision; what is left of it is
    # taken off the sums exactly.
    rest = centred.mean(axis=0, dtype=np.float64)
    scatter -= len(features) * np.outer(rest, rest)
    return Moments(len(features), mean.astype(features.dtype) + rest, scatter)


def merge_moments(left: Moments, right: Moments) -> Moments:
    """Moments of two sets of rows together (Chan, Golub and LeVeque 1979, eq. 2.1)."""
    count = left.count + right.count
    step = right.mean - left.mean
    mean = left.mean + step * (right.count / count)
    scatter = left.scatter + right.scatter
    scatter += np.outer(step, step) * (left.count * right.count / count)
    return Moments(count, mean, scatter)


def principal_components(of: Moments, components: int, whiten: bool) -> Reducer:
    """The leading components of rows with these moments.

    The sign of a component is chosen so that its largest entry is positive.
    """
    from scipy.linalg import eigh

    features = len(of.mean)
    variances, vectors = eigh(
        of.scatter / max(of.count - 1, 1),
        subset_by_index=(features - components, features - 1),
        overwrite_a=True,
        check_finite=False,
    )
    variances = np.maximum(variances[::-1], 0)
    total = float(np.trace(of.scatter) / max(of.count - 1, 1))
    return oriented(of.mean, vectors[:, ::-1].T, variances, total, whiten)


def oriented(
    mean: np.ndarray, axes: np.ndarray, variances: np.ndarray, total: float, whiten: bool
) -> Reducer:
    """A reducer with a fixed sign for each axis, whitened if asked.

    A direction without variance keeps its scale when whitened, rather than being divided by 0.
    """
    largest = np.abs(axes).argmax(axis=1)
    signs = np.where(axes[np.arange(len(axes)), largest] < 0, -1.0, 1.0)
    axes = axes * signs[:, None]
    if whiten:
        deviations = np.sqrt(variances)
        least = np.finfo(np.float32).eps * max(float(deviations.max()), 1e-30)
        axes = axes / np.where(deviations > least, deviations, 1.0)[:, None]
    return Reducer(
        np.asarray(mean, np.float64), np.asarray(axes, np.float64), np.asarray(variances), total
    )


def check_components(method: Reduce, rows: int, features: int | None = None) -> None:
    """Refuse more components than the rows, or the features if known, can have, before any work."""
    if isinstance(method, NoReduction):
        return
    most = rows - 1 if features is None else min(rows - 1, features)
    if method.components > most:
        of = "" if features is None else f" of {features:,} features"
        way = (
            f"--set reduce.components={most} or fewer, or more faces" if most else "use more faces"
        )
        raise RecipeError(
            f"reduce.components={method.components}: {rows:,} fitted rows{of} have at most "
            f"{most:,}: {way}"
        )


def fit_pca(engine: Engine, features: Features, pieces: list[np.ndarray], method: Pca) -> Reducer:
    """Exact principal components of the rows at the positions in `pieces`, a block each."""
    # The parts have no name here, so that each is let go once it is in its sum: one of them is
    # as large as the covariance.
    total = engine.fold(
        "reduce", merge_moments, engine.map("reduce", _piece_moments, pieces, shared=(features,))
    )
    fitted = engine.map(
        "reduce", principal_components, [total], shared=(method.components, method.whiten)
    )
    return engine.gather(fitted)[0]


def _piece_moments(positions: np.ndarray, features: Features) -> Moments:
    return moments(features.rows(positions))


def identity(features: int) -> Reducer:
    """The map that changes nothing, for recipes that do not reduce."""
    return Reducer(np.zeros(features), np.eye(features), np.ones(features), float(features))
