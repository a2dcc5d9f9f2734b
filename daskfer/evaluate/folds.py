"""Cross-validation of the silhouette: reducer and clusters fitted again without each fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daskfer.blocks import BlockFiles
from daskfer.clusterers import fit_points
from daskfer.errors import RecipeError
from daskfer.evaluate.silhouette import silhouette
from daskfer.randomness import generator
from daskfer.recipe import Cluster, NoReduction, Reduce, Svd
from daskfer.represent import FeatureRows


@dataclass(frozen=True)
class FoldScore:
    """Mean silhouette of the rows that a fold's model was fitted on, and of those held out."""

    fitted: float
    held_out: float


def fold_rows(rows: int, folds: int, seed: int) -> list[np.ndarray]:
    """Numbers 0 to rows - 1, shuffled by seed and dealt into folds of (nearly) equal size."""
    shuffled = generator(seed, "folds").permutation(rows)
    return [np.sort(shuffled[number::folds]) for number in range(folds)]


def fewest_fitted(rows: int, folds: int) -> int:
    """Rows that the smallest fit has: all but those of the largest fold."""
    return rows - -(-rows // folds)


def check_folds(rows: int, folds: int, clusters: int, components: int) -> None:
    """Refuse folds that are too small to be scored or reduced, before any work.

    Raises
    ------
    RecipeError
    """
    if folds == 0:
        return
    least = clusters * 2
    if rows // folds < least:
        most = rows // least
        raise RecipeError(
            f"evaluate.folds={folds}: {rows:,} fitted rows make folds of fewer than {least} rows; "
            f"expected at most {most if most >= 2 else 0} folds"
        )
    if components >= fewest_fitted(rows, folds):
        raise RecipeError(
            f"evaluate.folds={folds}: without a fold, {fewest_fitted(rows, folds):,} rows are "
            f"fitted, too few for reduce.components={components}: expected fewer components"
        )


def score_fold(
    held_out: np.ndarray,
    number: int,
    features: FeatureRows | BlockFiles,
    positions: np.ndarray,
    reduce: Reduce,
    method: Cluster,
    seed: int,
) -> FoldScore:
    """Fit on all positions but `held_out` (indices into them), and score both parts.

    The reducer of a fold is scikit-learn's exact one, of the same kind as the recipe's.
    """
    values = features.rows(positions)
    inside = np.ones(len(positions), bool)
    inside[held_out] = False
    fitted, other = _reduced(values[inside], values[~inside], reduce, seed)
    model = fit_points(fitted, method, seed, f"fold-{number}")
    return FoldScore(
        silhouette(fitted, model.assign(fitted).cluster, method.clusters),
        silhouette(other, model.assign(other).cluster, method.clusters),
    )


def _reduced(
    fitted: np.ndarray, other: np.ndarray, reduce: Reduce, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.decomposition import PCA, TruncatedSVD

    if isinstance(reduce, NoReduction):
        return fitted, other
    if reduce.components == "auto":
        raise ValueError("components='auto': expected the number that the run chose")
    few = reduce.components < min(fitted.shape) // 10
    if isinstance(reduce, Svd):
        model = TruncatedSVD(reduce.components, algorithm="arpack", random_state=seed)
    else:
        solver = "arpack" if few else "full"
        model = PCA(reduce.components, whiten=reduce.whiten, svd_solver=solver, random_state=seed)
    return model.fit_transform(fitted), model.transform(other)
