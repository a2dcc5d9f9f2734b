"""What can be known to fail before anything is computed."""

from __future__ import annotations

from daskfer.balance import Selection
from daskfer.cluster import check_clusters
from daskfer.errors import RecipeError
from daskfer.evaluate.folds import check_folds
from daskfer.evaluate.silhouette import scored_count
from daskfer.faces import FaceTable
from daskfer.mixture import check_columns
from daskfer.naming import check_labels
from daskfer.recipe import Expression, NameByFacs, NoReduction, Parts, Pca, Recipe, Reduce
from daskfer.reduce import check_components
from daskfer.represent import feature_count, widest

USUAL_SIDE = 48
"""Side in pixels of faces that nothing is known of yet: FER2013's."""


def check_feasible(
    recipe: Recipe, table: FaceTable, selection: Selection, side: int, memory: int | None
) -> None:
    """Refuse a run whose later stages cannot work with these rows.

    Parameters
    ----------
    recipe : Recipe
    table : FaceTable
    selection : Selection
    side : int
        Side of the faces in pixels.
    memory : int or None
        Bytes that the smallest worker may use, where that is known.

    Raises
    ------
    DaskferError
        When faces are too small for the representation, there are more components or clusters
        than rows, labels are needed and missing, or what one task must hold at once is more than
        a worker may use.
    """
    rows, features = len(selection.fit), feature_count(side, recipe.represent)
    check_components(recipe.reduce, rows, features)
    check_clusters(recipe.cluster, rows)
    check_parts(recipe)
    reduced = not isinstance(recipe.reduce, NoReduction)
    check_columns(recipe.cluster, _stated(recipe.reduce) if reduced else features)
    check_labels(recipe.name, table.emotion[selection.fit])
    folded = scored_count(rows, recipe.evaluate.silhouette_rows)
    check_folds(folded, recipe.evaluate.folds, recipe.cluster.clusters, _stated(recipe.reduce))
    if memory is not None:
        check_memory(recipe, rows, side, memory)


def check_parts(recipe: Recipe) -> None:
    """Refuse to reduce parts of what has none, and action units of what does not tell them.

    Raises
    ------
    RecipeError
    """
    if isinstance(recipe.reduce, Parts) and not isinstance(recipe.represent, Expression):
        raise RecipeError(
            f"reduce.method=parts needs represent.method=expression, but the recipe has "
            f"{recipe.represent.method}: use --set reduce.method=pca, or --recipe expression"
        )
    if isinstance(recipe.name, NameByFacs) and not isinstance(recipe.represent, Expression):
        raise RecipeError(
            "name.how=facs needs action units, which represent.method=expression tells, but the "
            f"recipe has {recipe.represent.method}: use --recipe expression, or another name.how"
        )


def check_memory(recipe: Recipe, rows: int, side: int, memory: int) -> None:
    """Refuse matrices that one task must hold and no worker's memory can.

    Only what is certain counts: the matrices themselves, not Python, libraries and other tasks
    beside them. So a run that passes may still be short of memory, but none is refused wrongly.

    Raises
    ------
    RecipeError
    """
    features = feature_count(side, recipe.represent)
    faces = f"{features:,} features of {side}×{side} pixels"
    if isinstance(recipe.reduce, Pca | Parts):
        needed = covariance_bytes(widest(side, recipe.represent))
        if needed > memory:
            raise RecipeError(
                f"reduce.method={recipe.reduce.method}: the covariance of {faces} needs "
                f"{_gigabytes(needed)} in one task, and the smallest worker may use "
                f"{_gigabytes(memory)}: use --set represent.method=hog or a smaller "
                "--set ingest.size, or give workers more memory"
            )
    if recipe.evaluate.folds:
        rows = scored_count(rows, recipe.evaluate.silhouette_rows)
        needed = fold_bytes(rows, features, recipe)
        if needed > memory:
            raise RecipeError(
                f"evaluate.folds={recipe.evaluate.folds}: a fold holds {rows:,} rows of {faces} "
                f"and needs {_gigabytes(needed)}, and the smallest worker may use "
                f"{_gigabytes(memory)}: use --set evaluate.folds=0, fit fewer rows "
                "(balance.per_class), or give workers more memory"
            )


def check_memory_before(recipe: Recipe, memory: int) -> None:
    """Refuse what needs more memory than workers have, when no row has been read yet.

    Raises
    ------
    RecipeError
    """
    size = recipe.ingest.size
    check_memory(recipe, 0, USUAL_SIDE if size == "auto" else size, memory)


def covariance_bytes(features: int) -> int:
    """The least that fitting `daskfer.reduce.fit_pca` holds at once in one task, in bytes.

    Float64 matrices of features × features: two groups' sums of squares and the third that they
    are merged into; the sums, the covariance and the eigen-decomposition's copy of it.
    """
    return 3 * 8 * features**2


def fold_bytes(rows: int, features: int, recipe: Recipe) -> int:
    """The least that one fold of `daskfer.evaluate.folds` holds at once, in bytes.

    All fitted rows in float32 and, cut into the fold and the rest, once more; a fold that reduces
    also centres a copy of the rest.
    """
    rest = 0 if isinstance(recipe.reduce, NoReduction) else rows - rows // recipe.evaluate.folds
    return 4 * features * (2 * rows + rest)


def _stated(method: Reduce) -> int:
    """The number of components that the recipe states; 0 where it states none, or many parts'."""
    if isinstance(method, Parts):
        return 0
    components = getattr(method, "components", 0)
    return components if isinstance(components, int) else 0


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"
