"""A stage by itself: in this process, in a store, watched by nobody."""

from __future__ import annotations

from contextlib import nullcontext

from daskfer.engine import InProcess
from daskfer.recipe import Recipe
from daskfer.stages.context import Context, Methods
from daskfer.store import Store


class Silent:
    """A watch that only counts what was reused."""

    def __init__(self) -> None:
        self.reuses = 0

    def stage(self, name: str, rows: int | None = None) -> nullcontext[None]:
        return nullcontext()

    def advance(self, rows: int) -> None:
        pass

    def reused(self) -> None:
        self.reuses += 1

    def say(self, text: str) -> None:
        pass


def context_of(recipe: Recipe, root: str) -> Context:
    """A context for stages that fit nothing."""
    methods = Methods({}, {}, lambda search, features, labels: None)
    return Context(recipe, Store(root), InProcess(), methods, Silent())
