"""Look: what is in the store of a finished run, for a person to look at; nothing is computed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from daskfer import balance
from daskfer.balance import Selection
from daskfer.engine import InProcess
from daskfer.errors import DaskferError
from daskfer.ingest.sources import Source
from daskfer.recipe import Expression, NameByFacs, NoNames, Recipe
from daskfer.stages.cluster import Clusters, cluster
from daskfer.stages.context import Context, Methods
from daskfer.stages.ingest import Faces, ingest
from daskfer.stages.name import read_units
from daskfer.stages.reduce import Reduced, reduce
from daskfer.stages.represent import Represented, represent
from daskfer.store import StageFolder, Store

if TYPE_CHECKING:
    from daskfer.facs import Reader
    from daskfer.represent.expression.features import PartFiles


class NotStoredError(DaskferError):
    """A stage's result is not in the store (any more)."""


@dataclass(frozen=True)
class Found:
    """The faces of a run, which of them are fitted, and their clusters."""

    faces: Faces
    selection: Selection
    represented: Represented
    reduced: Reduced
    clusters: Clusters


@dataclass(frozen=True)
class _OnlyStored(Context):
    """A context whose stages must all be in the store."""

    def turn(self, *folders: StageFolder) -> AbstractContextManager[bool]:
        for folder in folders:
            if folder.summary() is None:
                raise NotStoredError(f"{folder.path} is not there")
        return nullcontext(False)


class _Silent:
    """A watch that nobody looks at."""

    def stage(self, name: str, rows: int | None = None) -> AbstractContextManager[Any]:
        return nullcontext()

    def advance(self, rows: int) -> None:
        pass

    def reused(self) -> None:
        pass

    def say(self, text: str) -> None:
        pass


def collect_stored(recipe: Recipe, sources: list[Source], store: Store) -> Found:
    """What the store has of a run, without workers.

    Raises
    ------
    NotStoredError
        When a stage's result is missing.
    """
    methods = Methods({}, {}, _no_search)
    return collect(_OnlyStored(recipe, store, InProcess(), methods, _Silent()), sources)


def _no_search(*arguments: Any) -> Any:
    raise AssertionError("nothing is searched for a person who looks")


def collect(context: Context, sources: list[Source]) -> Found:
    """All stages up to the clusters, from the store or computed again."""
    unnamed = replace(context, recipe=replace(context.recipe, name=NoNames()))
    faces = ingest(unnamed, sources)
    selection = balance.select(faces.table, unnamed.recipe)
    represented = represent(unnamed, faces, selection)
    selection = represented.among(selection)
    reduced = reduce(unnamed, represented, selection.fit)
    clusters = cluster(unnamed, reduced, selection.fit, represented.placed)
    return Found(faces, selection, represented, reduced, clusters)


def units_of(found: Found, recipe: Recipe) -> tuple[PartFiles, Reader, float] | None:
    """What tells action units of any faces, and the margin from which an emotion is told.

    None where the recipe does not measure them.
    """
    if not isinstance(recipe.represent, Expression):
        return None
    margin = recipe.name.margin if isinstance(recipe.name, NameByFacs) else NameByFacs().margin
    return (*read_units(found.represented, found.selection.fit, recipe.seed), margin)
