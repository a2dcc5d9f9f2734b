"""Cross-validation of the silhouette: reducer and clusters fitted again without each fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daskfer.cluster import assign, best_of
from daskfer.evaluate.internal import silhouette
from daskfer.randomness import generator
from daskfer.recipe import NoReduction, Reduce, Svd
from daskfer.represent import Features


@dataclass(frozen=True)
class FoldScore:
    """Mean silhouette of the rows that a fold's model was fitted on, and of those held out."""

    fitted: float
    held_out: float


def fold_rows(rows: int, folds: int, seed: int) -> list[np.ndarray]:
    """Numbers 0 to rows - 1, shuffled by seed and dealt into folds of (nearly) equal size."""
    shuffled = generator(seed, "folds").permutation(rows)
    return [np.sort(shuffled[number::folds]) for number in range(folds)]


def score_fold(
    held_out: np.ndarray,
    number: int,
    features: Features,
    positions: np.ndarray,
    reduce: Reduce,
    clusters: int,
    restarts: int,
    seed: int,
) -> FoldScore:
    """Fit on all positions but `held_out` (indices into them), and score both parts.

    The reducer of a fold is scikit-learn's exact one, of the same kind as the recipe's.
    """
    values = features.rows(positions)
    inside = np.ones(len(positions), bool)
    inside[held_out] = False
    fitted, other = _reduced(values[inside], values[~inside], reduce, seed)
    centers = best_of(fitted, clusters, restarts, seed, f"fold-{number}")
    return FoldScore(
        silhouette(fitted, assign(fitted, centers).cluster, clusters),
        silhouette(other, assign(other, centers).cluster, clusters),
    )


def _reduced(
    fitted: np.ndarray, other: np.ndarray, reduce: Reduce, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.decomposition import PCA, TruncatedSVD

    if isinstance(reduce, NoReduction):
        return fitted, other
    few = reduce.components < min(fitted.shape) // 10
    if isinstance(reduce, Svd):
        model = TruncatedSVD(reduce.components, algorithm="arpack", random_state=seed)
    else:
        solver = "arpack" if few else "full"
        model = PCA(reduce.components, whiten=reduce.whiten, svd_solver=solver, random_state=seed)
    return model.fit_transform(fitted), model.transform(other)
