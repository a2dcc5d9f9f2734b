"""The engine that computes blocks on Dask workers."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

import dask
from distributed import Client, Future, as_completed, get_worker
from distributed.protocol import pickle

from daskfer.aligned import aligned
from daskfer.dask.memory import smallest_limit
from daskfer.engine import Handle, batched, fold_pairs, watched

INLINE_BYTES = 16_384
"""Most bytes of shared arguments that go with each task, rather than once to each worker."""


class DaskEngine:
    """Computes functions of blocks on the workers of a client.

    Parameters
    ----------
    client : distributed.Client
    on_rows : callable
        Called with a number of rows whenever a block that `gather` waits for is done.

    Attributes
    ----------
    tasks : Counter
        How many tasks were submitted under each stage's name.
    """

    def __init__(self, client: Client, on_rows: Callable[[int], None] = lambda rows: None) -> None:
        self.client = client
        self.on_rows = on_rows
        self.tasks: Counter[str] = Counter()

    def map(
        self, stage: str, function: Callable[..., Any], *columns: Iterable[Any], shared: Any = ()
    ) -> list[Handle]:
        """Submit a task for each tuple of items; the dashboard shows it under the stage's name."""
        # A key is never used twice: results are kept by the store, not by the scheduler.
        token = uuid.uuid4().hex
        rows = list(zip(*columns, strict=True))
        if not rows:
            return []
        self.tasks[stage] += len(rows)
        if _is_large(shared):
            self.tasks[stage] += 1
            packed = self.client.submit(_same, shared, key=f"{stage}-shared-{token}")
        else:
            packed = shared
        # One message for all tasks, rather than one for each.
        return list(
            self.client.map(
                _apply,
                [function] * len(rows),
                [packed] * len(rows),
                *map(list, zip(*rows, strict=True)),
                key=[(f"{stage}-{token}", number) for number in range(len(rows))],
            )
        )

    def total(
        self,
        stage: str,
        function: Callable[..., Any],
        *columns: Iterable[Any],
        combine: Callable[[Any, Any], Any],
        shared: Any = (),
        at_once: int = 32,
    ) -> Handle:
        """Map and fold in one graph, so that the scheduler combines parts as they come.

        Graphs that are sent one after the other are computed in that order: all parts would be
        there, and in memory, before the first two are combined.
        """
        token = uuid.uuid4().hex
        packed = dask.delayed(shared, name=f"{stage}-shared-{token}", traverse=False)
        apply = dask.delayed(_apply, name=f"{stage}-apply-{token}", pure=False, traverse=False)
        level = [
            apply(function, packed, *items, dask_key_name=(f"{stage}-{token}", number))
            for number, items in enumerate(zip(*columns, strict=True))
        ]
        together = dask.delayed(_fold, name=f"{stage}-fold-{token}", pure=False, traverse=False)
        self.tasks[stage] += len(level)
        numbers = count()
        while len(level) > 1:
            batches = batched(level, at_once)
            self.tasks[stage] += sum(len(some) > 1 for some in batches)
            level = [
                together(combine, *some, dask_key_name=(f"{stage}-sum-{token}", next(numbers)))
                if len(some) > 1
                else some[0]
                for some in batches
            ]
        return self.client.compute(level[0], optimize_graph=False)

    def gather(self, handles: Sequence[Handle], rows: Sequence[int] | None = None) -> list[Any]:
        """Wait for the values, in order; the first failure ends the waiting and the rest."""
        futures = list(handles)
        weights = dict(zip(futures, rows, strict=True)) if rows is not None else {}
        try:
            for future in as_completed(futures):
                if future.status == "error":
                    future.result()
                self.on_rows(weights.get(future, 0))
            return list(map(aligned, self.client.gather(futures)))
        except BaseException:
            self.client.cancel(futures)
            raise

    def memory(self) -> int | None:
        """The smallest memory limit among the workers, in bytes; None where none has a limit."""
        return smallest_limit(self.client)


def _apply(function: Callable[..., Any], shared: Any, *items: Any) -> Any:
    worker = get_worker()
    tasks, key = worker.state.tasks, worker.get_current_task()

    def wanted() -> bool:
        # Dask cannot end a thread: it marks the task, and drops what comes of it.
        task = tasks.get(key)
        return task is not None and task.state != "cancelled"

    with watched(wanted):
        return function(*aligned(items), *aligned(shared))


def _fold(combine: Callable[[Any, Any], Any], *parts: Any) -> Any:
    return fold_pairs(aligned(parts), combine)


def _is_large(shared: Any) -> bool:
    """Whether arguments are worth sending once; results that are still to come never are."""
    if any(isinstance(item, Future | list) for item in shared):
        return False
    return len(pickle.dumps(shared)) > INLINE_BYTES


def _same(value: Any) -> Any:
    return value
