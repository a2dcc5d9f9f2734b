"""The whole job: the stages in order, in one store, on one cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from daskfer import balance
from daskfer.ahead import Ahead, importing
from daskfer.balance import Selection
from daskfer.cluster import fit_kmeans
from daskfer.dask import ml
from daskfer.em import fit_mixture
from daskfer.engine import Engine
from daskfer.foresight import check_feasible
from daskfer.ingest.sources import Source
from daskfer.naming import Given, Names
from daskfer.parts import fit_parts, wishes_of
from daskfer.recipe import Recipe
from daskfer.reduce import fit_pca, identity
from daskfer.represent import FeatureRows
from daskfer.stages.classify import Trained, train
from daskfer.stages.cluster import Clusters, cluster, refined
from daskfer.stages.context import Context, Methods, Watch
from daskfer.stages.evaluate import Evaluation, evaluate, figures
from daskfer.stages.ingest import Faces, ingest, read_faces
from daskfer.stages.name import give_names, name
from daskfer.stages.parts import DEFAULT_RANGE
from daskfer.stages.reduce import Reduced, reduce
from daskfer.stages.represent import represent
from daskfer.store import Store

METHODS = Methods(
    reducers={
        "incremental-pca": lambda engine, *rest: ml.fit_incremental_pca(*rest),
        "svd": lambda engine, *rest: ml.fit_truncated_svd(*rest),
        "pca": lambda engine, features, pieces, method, seed: fit_pca(
            engine, features, pieces, method
        ),
        "parts": lambda engine, features, pieces, method, seed: fit_parts(
            engine, features, pieces, wishes_of(method), method
        ),
        "none": lambda engine, features, *rest: identity(features.dimensions),
    },
    clusterers={
        "dask-ml-kmeans": lambda engine, *rest: ml.fit_kmeans(*rest),
        "kmeans": fit_kmeans,
        "gmm": fit_mixture,
    },
    search=ml.search_parameters,
)
"""Who fits what; those that do not take the engine run on the current Dask client."""


BY_DASK_ML = ("incremental-pca", "svd")
"""Methods of reducing whose fits are dask-ml's."""


@dataclass(frozen=True)
class Result:
    """All that a run found, from which its folder is written."""

    recipe: Recipe
    faces: Faces
    selection: Selection
    features: FeatureRows
    reduced: Reduced
    clusters: Clusters
    names: Names
    trained: Trained | None
    evaluation: Evaluation
    figures: dict[str, Any]


def modules_of(recipe: Recipe) -> list[str]:
    """Modules that take long to import and that the stages after ingest need."""
    modules = ["scipy.sparse.linalg", "daskfer.evaluate.distances"]
    if "dask-ml" in recipe.cluster.method or recipe.reduce.method in BY_DASK_ML:
        modules += ["dask.array", "dask_ml.decomposition", "dask_ml.cluster"]
    if recipe.classify.model != "none":
        modules += ["sklearn.linear_model", "sklearn.model_selection", "skops.io"]
    return [*modules, "sklearn.metrics"]


def read(
    recipe: Recipe, sources: list[Source], store: Store, engine: Engine, watch: Watch
) -> Faces:
    """Read the sources and no more, however many of their rows are bad."""
    return read_faces(Context(recipe, store, engine, METHODS, watch), sources)


def run(
    recipe: Recipe,
    sources: list[Source],
    store: Store,
    engine: Engine,
    watch: Watch,
    range_bytes: int = DEFAULT_RANGE,
    given: Given | None = None,
) -> Result:
    """Run all stages; those whose result is in the store are taken from there.

    Where names are `given`, the clusters are divided as they say and have these names instead of
    those of the recipe; the scores of the clusters are still of those that were fitted.
    """
    context = Context(recipe, store, engine, METHODS, watch)
    faces = ingest(context, sources, range_bytes)
    with watch.stage("balance", len(faces.table)):
        selection = balance.select(faces.table, recipe)
        check_feasible(recipe, faces.table, selection, faces.side, engine.memory())
    # While files are read, imports would fight with the workers for the interpreter; the products
    # of matrices that follow leave it free.
    with importing(modules_of(recipe)) as ahead:
        return _after_balance(context, faces, selection, ahead, given)


def _after_balance(
    context: Context, faces: Faces, selection: Selection, ahead: Ahead, given: Given | None
) -> Result:
    recipe, engine = context.recipe, context.engine
    represented = represent(context, faces, selection)
    selection = represented.among(selection)
    check_feasible(recipe, faces.table, selection, faces.side, engine.memory())
    if recipe.reduce.method in BY_DASK_ML:
        ahead.wait()
    reduced = reduce(context, represented, selection.fit)
    ahead.wait()
    fitted = clusters = cluster(context, reduced, selection.fit, represented.placed)
    if given is None:
        names = name(context, faces.table, selection, represented, clusters)
    else:
        clusters = refined(reduced, fitted, given.splits)
        names = give_names(context, faces.table, selection, clusters, given)
    trained = train(context, faces.table, selection, represented, reduced, clusters, names)
    found = evaluate(context, faces.table, selection, represented.features, reduced, fitted)
    numbers = figures(context, faces, selection, reduced, clusters, names, trained, found)
    return Result(
        recipe, faces, selection, represented.features, reduced, clusters, names, trained, found,
        numbers,
    )  # fmt: skip
