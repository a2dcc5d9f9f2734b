"""The engine that computes blocks on Dask workers."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from distributed import Client, Future, as_completed

from daskfer.engine import Handle, fold_pairs


class DaskEngine:
    """Computes functions of blocks on the workers of a client.

    Parameters
    ----------
    client : distributed.Client
    on_rows : callable
        Called with a number of rows whenever a block that `gather` waits for is done.
    """

    def __init__(self, client: Client, on_rows: Callable[[int], None] = lambda rows: None) -> None:
        self.client = client
        self.on_rows = on_rows

    def map(
        self, stage: str, function: Callable[..., Any], *columns: Iterable[Any], shared: Any = ()
    ) -> list[Handle]:
        """Submit a task for each tuple of items; the dashboard shows it under the stage's name."""
        # A key is never used twice: results are kept by the store, not by the scheduler.
        token = uuid.uuid4().hex
        return [
            self.client.submit(function, *items, *shared, key=(f"{stage}-{token}", number))
            for number, items in enumerate(zip(*columns, strict=True))
        ]

    def fold(
        self, stage: str, combine: Callable[[Any, Any], Any], handles: Sequence[Handle]
    ) -> Handle:
        """Combine neighbours pairwise in a fixed tree, on the workers."""
        token = uuid.uuid4().hex
        numbers = iter(range(len(handles)))

        def submit(left: Handle, right: Handle) -> Future:
            key = (f"{stage}-sum-{token}", next(numbers))
            return self.client.submit(combine, left, right, key=key)

        return fold_pairs(handles, submit)

    def gather(self, handles: Sequence[Handle], rows: Sequence[int] | None = None) -> list[Any]:
        """Wait for the values, in order; the first failure ends the waiting and the rest."""
        futures = list(handles)
        weights = dict(zip(futures, rows, strict=True)) if rows is not None else {}
        try:
            for future in as_completed(futures):
                if future.status == "error":
                    future.result()
                self.on_rows(weights.get(future, 0))
            return list(self.client.gather(futures))
        except BaseException:
            self.client.cancel(futures)
            raise
