"""Reduction: principal components from second moments that are summed over blocks.

The moments of a group of blocks are taken about the mean of its first block and merged pairwise
(T. Chan, G. Golub and R. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
variances", 1979), so a large mean costs no digits. One eigen-decomposition of the covariance
then gives the exact components, whatever the blocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain

import numpy as np

from daskfer import components, storage
from daskfer.blocks import cut, groups
from daskfer.engine import Engine
from daskfer.errors import RecipeError
from daskfer.randomness import generator
from daskfer.recipe import NoReduction, Parts, Pca, Reduce, Rule
from daskfer.represent import FeatureRows

LANCZOS_SHARE = 16
"""Components are found one after another when they are at most this share of the features."""


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

    @property
    def components(self) -> int:
        """Number of components."""
        return len(self.axes)

    @property
    def explained_share(self) -> float | None:
        """Share of the variance that the components explain; None where there is none."""
        if self.total_variance <= 0:
            return None
        return float(self.explained_variance.sum() / self.total_variance)

    def block(self, features: FeatureRows, number: int) -> np.ndarray:
        """Components, float32 (n, c), of one block of faces."""
        return self.transform(features.block(number))

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, by names, for a file."""
        return {
            "mean": self.mean,
            "axes": self.axes,
            "explained_variance": self.explained_variance,
            "total_variance": np.array(self.total_variance),
        }

    def save(self, path: str) -> None:
        """Write the map as .npz."""
        storage.write_arrays(path, **self.arrays())

    @classmethod
    def load(cls, path: str) -> Reducer:
        """Read what `save` wrote."""
        return cls.from_arrays(storage.read_arrays(path))

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Reducer:
        """The map of which these are the arrays."""
        return cls(
            arrays["mean"],
            arrays["axes"],
            arrays["explained_variance"],
            float(arrays["total_variance"]),
        )


def moments(features: np.ndarray) -> Moments:
    """Moments of one block (n, d): products in the block's precision, sums in float64."""
    return moments_of([features])


def moments_of(blocks: Iterable[np.ndarray]) -> Moments:
    """Moments of some blocks (n, d) together, which are held one at a time.

    What is subtracted from all of them before products are taken is the mean of the first,
    rounded to the blocks' precision; what is left of the mean is taken off the sums exactly.
    """
    remaining = iter(blocks)
    first = next(remaining)
    columns = first.shape[1]
    shift = first.mean(axis=0, dtype=np.float64).astype(first.dtype)
    count, sums, scatter = 0, np.zeros(columns), np.zeros((columns, columns))
    product = np.empty((columns, columns), first.dtype)
    for features in chain([first], remaining):
        centred = features - shift
        # A product of a matrix and its own transpose: half the work of one of any two.
        scatter += np.matmul(centred.T, centred, out=product)
        sums += centred.sum(axis=0, dtype=np.float64)
        count += len(features)
    rest = sums / count
    _add_outer(scatter, rest, -count)
    return Moments(count, shift + rest, scatter)


def _add_outer(matrix: np.ndarray, vector: np.ndarray, factor: float) -> None:
    """Add ``factor`` times the outer product of a vector with itself, in place."""
    from scipy.linalg.blas import dger

    # By columns, as BLAS has it: of a symmetric matrix the same, and no copy of it.
    dger(factor, vector, vector, a=matrix.T, overwrite_a=True)


def merge_moments(left: Moments, right: Moments) -> Moments:
    """Moments of two sets of rows together (Chan, Golub and LeVeque 1979, eq. 2.1)."""
    count = left.count + right.count
    step = right.mean - left.mean
    mean = left.mean + step * (right.count / count)
    scatter = left.scatter + right.scatter
    _add_outer(scatter, step, left.count * right.count / count)
    return Moments(count, mean, scatter)


def principal_components(of: Moments, components: int, whiten: bool) -> Reducer:
    """The leading components of rows with these moments.

    The sign of a component is chosen so that its largest entry is positive.
    """
    freedom = max(of.count - 1, 1)
    covariance = of.scatter / freedom
    total = float(np.trace(covariance))
    variances, axes = _leading(covariance, components)
    return oriented(of.mean, axes, np.maximum(variances, 0), total, whiten)


def _leading(covariance: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues (count,), descending, and their vectors as rows (count, d).

    A few of many are found by Lanczos' method as ARPACK has it, to rounding and in less
    time; its starting vector and its restarts are given, so it finds the same each time.
    """
    from scipy.linalg import eigh
    from scipy.sparse.linalg import ArpackError, eigsh

    features = len(covariance)
    if count <= features // LANCZOS_SHARE:
        random = generator(0, "eigenvectors")
        start = random.normal(size=features)
        with suppress(ArpackError):
            values, vectors = eigsh(covariance, count, v0=start, rng=random)
            if _is_exact(covariance, values, vectors):
                return values[::-1], vectors[:, ::-1].T
    values, vectors = eigh(
        covariance,
        subset_by_index=(features - count, features - 1),
        overwrite_a=True,
        check_finite=False,
    )
    return values[::-1], vectors[:, ::-1].T


def _is_exact(covariance: np.ndarray, values: np.ndarray, vectors: np.ndarray) -> bool:
    """Whether these are eigenvectors to rounding, and at right angles."""
    rounding = 1e-12 * max(float(np.abs(values).max()), np.finfo(np.float64).tiny)
    wrong = covariance @ vectors - vectors * values
    right = vectors.T @ vectors - np.eye(len(values))
    return float(np.abs(wrong).max()) <= rounding and float(np.abs(right).max()) <= 1e-12


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


def check_components(method: Reduce, rows: int, features: int) -> None:
    """Refuse more components than the rows or the features can have, before any work."""
    if isinstance(method, NoReduction | Parts):
        return
    most = min(rows - 1, features)
    least = 1 if method.components == "auto" else method.components
    if least > most:
        way = (
            f"--set reduce.components={most} or fewer, or more faces" if most else "use more faces"
        )
        raise RecipeError(
            f"reduce.components={method.components}: {rows:,} fitted rows of {features:,} features "
            f"have at most {most:,}: {way}"
        )


def fit_pca(
    engine: Engine, features: FeatureRows, pieces: list[np.ndarray], method: Pca
) -> Reducer:
    """Exact principal components of the rows at the positions in `pieces`, a block each."""
    total = engine.total(
        "reduce",
        group_moments,
        groups(pieces),
        combine=merge_moments,
        shared=(features, len(pieces[0])),
        at_once=2,
    )
    fitted = engine.map("reduce", chosen_components, [total], shared=(method,))
    return engine.gather(fitted)[0]


def chosen_components(of: Moments, method: Pca) -> Reducer:
    """As many of the leading components as the recipe says, or as its rule finds."""
    count = method.components
    if count == "auto":
        count = count_components(of, method.rule)
    return principal_components(of, count, method.whiten)


def count_components(of: Moments, rule: Rule) -> int:
    """How many components the rule keeps of rows with these moments."""
    from scipy.linalg import eigh

    covariance = of.scatter / max(of.count - 1, 1)
    variances = np.diag(covariance).copy()
    eigenvalues = eigh(covariance, eigvals_only=True, overwrite_a=True, check_finite=False)
    return components.choose(eigenvalues, variances, of.count, rule)


def group_moments(positions: np.ndarray, features: FeatureRows, block_rows: int) -> Moments:
    """Moments of the rows at these positions, of which `block_rows` are held at a time."""
    return moments_of(features.rows(piece) for piece in cut(positions, block_rows))


def identity(features: int) -> Reducer:
    """The map that changes nothing, for recipes that do not reduce."""
    return Reducer(np.zeros(features), np.eye(features), np.ones(features), float(features))
