"""Sweep: the figures of every cell, each part of them kept in the store by itself.

The folder of a part is named after all that it depends on but the cell; a cell is a file in it.
So a sweep that was killed goes on with what is missing, and one over other ranges finds the
cells that both share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from daskfer import balance, storage
from daskfer.balance import Selection
from daskfer.engine import Engine, Handle
from daskfer.errors import RecipeError
from daskfer.evaluate.folds import fold_rows
from daskfer.ingest.sources import Source
from daskfer.randomness import drawn_part
from daskfer.recipe import (
    Cluster,
    KMeansClusters,
    NoReduction,
    Parts,
    Recipe,
    Reduce,
    Represent,
    Svd,
    recipe_from_dict,
)
from daskfer.represent import FeatureRows, feature_count
from daskfer.stages.context import Context, Methods, Watch
from daskfer.stages.ingest import array_fingerprint, ingest
from daskfer.stages.parts import DEFAULT_RANGE
from daskfer.stages.represent import Represented, represent
from daskfer.store import StageFolder, Store, read_mark
from daskfer.sweep import choices
from daskfer.sweep.choices import Cell
from daskfer.sweep.reducing import reduce_fold, reduce_rows, rung
from daskfer.sweep.results import Result, result_of
from daskfer.sweep.scoring import (
    Part,
    Settings,
    covariance_root,
    score_fit,
    score_folds,
    score_noise,
)
from daskfer.sweep.statement import Judged, Statement, judge, state

PARTS = ("folds", "noise", "fit")
"""What a cell's figures are made from, the longest work first."""


@dataclass(frozen=True)
class Plan:
    """What to compare, and how thoroughly.

    Attributes
    ----------
    represents : tuple of str
        Names of representations; none for the recipe's own.
    components, clusters : tuple of int
        Ascending.
    folds : int
        Of the cross-validation, 0 for none.
    noise : bool
        Whether to score structureless noise too, and stability.
    rows : int
        Most rows to work on.
    best_only : bool
        Whether only the cell with the highest silhouette is cross-validated.
    """

    represents: tuple[str, ...]
    components: tuple[int, ...]
    clusters: tuple[int, ...]
    folds: int
    noise: bool
    rows: int
    best_only: bool = False


@dataclass(frozen=True)
class Sweep:
    """All cells' figures beside the rule, what they support, and notes for a person."""

    judged: list[Judged]
    statement: Statement
    fitted: int
    scored: int
    labels_used: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    @property
    def results(self) -> list[Result]:
        """The figures of all cells."""
        return [one.result for one in self.judged]


@dataclass(frozen=True)
class _View:
    """Cells that share a reduction, its number of components, and where their parts are kept."""

    cells: list[Cell]
    wanted: int | None
    features: FeatureRows
    folders: dict[str, StageFolder]


def sweep_sources(
    recipe: Recipe,
    sources: list[Source],
    store: Store,
    engine: Engine,
    watch: Watch,
    plan: Plan,
    range_bytes: int = DEFAULT_RANGE,
) -> Sweep:
    """Sweep over the faces of these sources, in a store, on an engine (see `sweep`)."""
    # Cells fit what they need by themselves, on rows that fit in memory.
    methods = Methods({}, {}, lambda search, features, labels: None)
    return sweep(Context(recipe, store, engine, methods, watch), sources, plan, range_bytes)


def sweep(
    context: Context, sources: list[Source], plan: Plan, range_bytes: int = DEFAULT_RANGE
) -> Sweep:
    """Read the sources, and score every cell on the rows that a run would fit.

    Raises
    ------
    DaskferError
        When the input is no set of faces, or has too few rows or features for a cell.
    """
    recipe = context.recipe
    if isinstance(recipe.reduce, Parts):
        raise RecipeError(
            "sweep compares numbers of components, which reduce.method=parts has for each part: "
            "use --set reduce.method=pca (components of the blendshapes), or another recipe"
        )
    representations = represent_sections(recipe, plan.represents)
    columns = None if isinstance(recipe.reduce, NoReduction) else plan.components
    cells = choices.cells(tuple(representations), columns, plan.clusters)
    faces = ingest(context, sources, range_bytes)
    with context.watch.stage("balance", len(faces.table)):
        selection = balance.select(faces.table, recipe)
        counts = {
            name: feature_count(faces.side, method) for name, method in representations.items()
        }
        check = partial(choices.check_rows, columns, plan.clusters, plan.folds, features=counts)
        check(rows=min(len(selection.fit), plan.rows))
    represented = {}
    for name, method in representations.items():
        here = replace(context, recipe=replace(recipe, represent=method))
        represented[name] = represent(here, faces, selection)
    # The same rows for all of them: those that each can cluster, as a run would fit them.
    balanced = len(selection.fit)
    for one in represented.values():
        selection = one.among(selection)
    positions = drawn_part(selection.fit, plan.rows, recipe.seed, "sweep-sample")
    check(rows=len(positions))
    first = replace(plan, folds=0) if plan.best_only else plan
    score = partial(_scored, context, positions, represented)
    results = score(cells, first, "sweep")
    if plan.best_only and plan.folds:
        best = max(results, key=lambda one: one.silhouette or 0.0).cell
        (validated,) = score([best], plan, "folds")
        results = [validated if one.cell == best else one for one in results]
    judged = judge(results)
    return Sweep(
        judged,
        state(judged),
        len(selection.fit),
        len(positions),
        selection.labels_used,
        (*faces.notes, *selection.notes, *_notes(recipe, selection, positions, plan, balanced)),
    )


def _scored(
    context: Context,
    positions: np.ndarray,
    represented: dict[str, Represented],
    cells: list[Cell],
    plan: Plan,
    stage: str,
) -> list[Result]:
    """The figures of these cells, from the store or computed."""
    views = []
    for name, one in represented.items():
        if mine := [cell for cell in cells if cell.represent == name]:
            views += _views(context, one, positions, mine, plan)
    with context.watch.stage(stage, len(cells) * len(_parts(plan))):
        return _results(context, views, cells, positions, plan)


def represent_sections(recipe: Recipe, names: tuple[str, ...]) -> dict[str, Represent]:
    """The recipe's section for each representation by its name; the recipe's own keeps its keys.

    Raises
    ------
    RecipeError
        For a name that is no representation.
    """
    own = recipe.represent
    if not names:
        return {own.method: own}
    return {
        name: own
        if name == own.method
        else recipe_from_dict({"represent": {"method": name}}).represent
        for name in names
    }


def _views(
    context: Context,
    represented: Represented,
    positions: np.ndarray,
    cells: list[Cell],
    plan: Plan,
) -> list[_View]:
    """The cells of one representation by the reduction that they take a part of."""
    recipe = context.recipe
    settings = {
        "fit": (),
        "noise": (recipe.evaluate.null_draws, recipe.evaluate.stability_draws),
        "folds": (plan.folds,),
    }
    views = []
    for wanted in dict.fromkeys(rung(cell.components) for cell in cells):
        ingredients = (
            represented.key,
            array_fingerprint(positions),
            reduction_kind(recipe.reduce),
            wanted,
            _clusterer_key(recipe.cluster),
            recipe.seed,
        )
        folders = {
            part: context.store.stage("sweep", part, *ingredients, *settings[part])
            for part in _parts(plan)
        }
        mine = [cell for cell in cells if rung(cell.components) == wanted]
        views.append(_View(mine, wanted, represented.features, folders))
    return views


def reduction_kind(method: Reduce) -> list[Any]:
    """What of a reduction its first components depend on, beside their number."""
    if isinstance(method, NoReduction):
        return ["none"]
    return ["svd" if isinstance(method, Svd) else "pca", getattr(method, "whiten", False)]


def _clusterer_key(method: Cluster) -> dict[str, Any]:
    """What of the clusterer its clusters depend on, beside their number.

    KMeans is the same whoever fits it, and on all the rows that are scored.
    """
    key = asdict(method)
    left_out = {"clusters"}
    if isinstance(method, KMeansClusters):
        left_out |= {"method", "sample_rows"}
    return {name: value for name, value in key.items() if name not in left_out}


def _parts(plan: Plan) -> list[str]:
    left_out = {"folds": not plan.folds, "noise": not plan.noise, "fit": False}
    return [part for part in PARTS if not left_out[part]]


def _results(
    context: Context, views: list[_View], cells: list[Cell], positions: np.ndarray, plan: Plan
) -> list[Result]:
    """Compute the parts that are missing, all at once, and join them with those in the store."""
    found: dict[tuple[Cell, str], Part] = {}
    missing: dict[tuple[Cell, str], Handle] = {}
    for view in views:
        stored = {part: _stored(view.folders[part], view.cells) for part in view.folders}
        found |= {(cell, part): value for part in stored for cell, value in stored[part].items()}
        needed = {
            part: [cell for cell in view.cells if cell not in stored[part]] for part in view.folders
        }
        if any(needed.values()):
            missing |= _start(context, view, needed, positions, plan)
    context.watch.advance(len(found))
    if not missing:
        context.watch.reused()
    values = context.engine.gather(list(missing.values()), rows=[1] * len(missing))
    found |= dict(zip(missing, values, strict=True))
    for view in views:
        for folder in view.folders.values():
            if folder.summary() is None:
                folder.finish({"rows": len(positions)})
    return [
        result_of(cell, found[cell, "fit"], found.get((cell, "noise")), found.get((cell, "folds")))
        for cell in cells
    ]


def _stored(folder: StageFolder, cells: list[Cell]) -> dict[Cell, Part]:
    """The cells that are there already."""
    found = {cell: read_mark(_path(folder, cell)) for cell in cells}
    return {cell: part for cell, part in found.items() if part is not None}


def _path(folder: StageFolder, cell: Cell) -> str:
    components = "all" if cell.components is None else f"{cell.components:04d}"
    return folder.file(f"{components}-{cell.clusters:04d}.json")


def _start(
    context: Context,
    view: _View,
    needed: dict[str, list[Cell]],
    positions: np.ndarray,
    plan: Plan,
) -> dict[tuple[Cell, str], Handle]:
    """Start a task for each part of each cell, after the reductions that they share."""
    recipe, engine = context.recipe, context.engine
    reduction = (recipe.reduce, view.wanted, recipe.seed)
    settings = Settings(
        recipe.cluster,
        recipe.seed,
        recipe.evaluate.null_draws,
        recipe.evaluate.stability_draws,
    )
    (values,) = engine.map("sweep-rows", load_rows, [positions], shared=(view.features,))
    handles: dict[tuple[Cell, str], Handle] = {}

    def start(part: str, score: Callable[..., Part], *before: Handle) -> None:
        todo = needed.get(part, [])
        tasks = engine.map(
            f"sweep-{part}",
            score_and_keep,
            todo,
            [_path(view.folders[part], cell) for cell in todo],
            shared=(score, settings, *before),
        )
        handles.update({(cell, part): task for cell, task in zip(todo, tasks, strict=True)})

    if needed.get("folds"):
        held_out = fold_rows(len(positions), plan.folds, recipe.seed)
        folds = engine.map(
            "sweep-fold", reduce_fold, [values] * plan.folds, held_out, shared=reduction
        )
        start("folds", score_folds, folds)
    if needed.get("noise") or needed.get("fit"):
        (whole,) = engine.map("sweep-reduce", reduce_rows, [values], shared=reduction)
        if needed.get("noise"):
            # Of few components it costs nothing; of a whole representation, seconds.
            root = None
            if view.wanted is None:
                (root,) = engine.map("sweep-noise", whole_root, [whole])
            start("noise", score_noise, whole, root)
        if needed.get("fit"):
            start("fit", score_fit, whole)
    return handles


def load_rows(positions: np.ndarray, features: FeatureRows) -> np.ndarray:
    """Features, float32 (n, d), of the faces at these positions."""
    return features.rows(positions)


def whole_root(reduced: Any) -> np.ndarray:
    """The root of the covariance of rows that nothing was taken from."""
    return covariance_root(reduced.points)


def score_and_keep(
    cell: Cell, path: str, score: Callable[..., Part], settings: Settings, *before: Any
) -> Part:
    """One part of a cell's figures, written to the store."""
    part = score(*before, cell, settings)
    storage.write_json(path, part)
    return part


def _notes(
    recipe: Recipe, selection: Selection, positions: np.ndarray, plan: Plan, balanced: int
) -> list[str]:
    """What a reader of the table would otherwise take for something else."""
    notes = []
    if lost := balanced - len(selection.fit):
        notes.append(f"{lost:,} faces have no landmarks to speak of, and are left out")
    if len(positions) < len(selection.fit):
        notes.append(
            f"{len(positions):,} of the {len(selection.fit):,} fitted rows are scored, drawn by "
            "seed (--rows takes more; time grows with their square)"
        )
    if isinstance(recipe.reduce, NoReduction):
        notes.append("reduce.method=none: there are no components to choose, only clusters")
    elif recipe.reduce.method == "incremental-pca":
        notes.append(
            "components are exact principal components, which dask-ml's incremental PCA of this "
            "recipe approaches"
        )
    if not plan.noise:
        notes.append("noise and stability were left out, so no choice is supported or not")
    return notes
