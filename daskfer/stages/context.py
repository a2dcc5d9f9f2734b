"""What every stage of one run shares."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from daskfer.clusterers import Clusterer
from daskfer.engine import Engine
from daskfer.recipe import Recipe
from daskfer.reduce import Reducer
from daskfer.store import Store

FitReducer = Callable[..., Reducer]
FitClusters = Callable[..., Clusterer]


class Watch(Protocol):
    """Sees stages begin, advance and end."""

    def stage(self, name: str, rows: int | None = None) -> AbstractContextManager[Any]:
        """Time a stage of so many rows."""

    def advance(self, rows: int) -> None:
        """Count rows that are done."""

    def reused(self) -> None:
        """Note that the stage's result was in the store."""


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
