"""What every stage of one run shares."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from daskfer.clusterers import Clusterer
from daskfer.engine import Engine
from daskfer.parts import AnyReducer
from daskfer.recipe import Recipe
from daskfer.store import StageFolder, Store
from daskfer.turns import turn

FitReducer = Callable[..., AnyReducer]
FitClusters = Callable[..., Clusterer]


class Watch(Protocol):
    """Sees stages begin, advance and end."""

    def stage(self, name: str, rows: int | None = None) -> AbstractContextManager[Any]:
        """Time a stage of so many rows."""

    def advance(self, rows: int) -> None:
        """Count rows that are done."""

    def reused(self) -> None:
        """Note that the stage's result was in the store."""

    def say(self, text: str) -> None:
        """Tell the person at the terminal."""


@dataclass(frozen=True)
class Methods:
    """Who fits what: functions by the recipe's names, some of them dask-ml's."""

    reducers: dict[str, FitReducer]
    clusterers: dict[str, FitClusters]
    search: Callable[[Any, np.ndarray, np.ndarray], Any]


@dataclass(frozen=True)
class Context:
    """The recipe, where results go, who computes, and who watches."""

    recipe: Recipe
    store: Store
    engine: Engine
    methods: Methods
    watch: Watch

    def turn(self, *folders: StageFolder) -> AbstractContextManager[bool]:
        """Whether these results are ours to compute; other runs that lack them wait meanwhile."""
        return turn(self.store.root, folders, lambda: self.watch.advance(0))
