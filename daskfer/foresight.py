"""What can be known to fail before anything is computed."""

from __future__ import annotations

from daskfer.balance import Selection
from daskfer.cluster import check_clusters
from daskfer.faces import FaceTable
from daskfer.naming import check_labels
from daskfer.recipe import Recipe
from daskfer.reduce import check_components


def check_feasible(recipe: Recipe, table: FaceTable, selection: Selection) -> None:
    """Refuse a run whose later stages cannot work with these rows.

    Raises
    ------
    DaskferError
        When there are more components or clusters than rows, or labels are needed and missing.
    """
    rows = len(selection.fit)
    check_components(recipe.reduce, rows)
    check_clusters(recipe.cluster, rows)
    check_labels(recipe.name, table.emotion[selection.fit])
