"""What the stages ask of whoever computes their blocks, and the simplest one who does.

Stages are plain functions on blocks. They never see a client or a future: they hand functions
and items to an engine and get handles back, in the order of the items. `daskfer.dask.engine`
has the one that runs on workers; `InProcess` computes at once and serves tests.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

Handle = Any
"""A value, or a promise of one, that `map` accepts as an item and `gather` turns into values."""


class Abandoned(Exception):
    """Nobody waits for a block's result any more; who computes it may end at once."""


_WATCHED = threading.local()


@contextmanager
def watched(wanted: Callable[[], bool]) -> Iterator[None]:
    """Have `check_wanted` ask this, in the thread that computes a block."""
    _WATCHED.wanted = wanted
    try:
        yield
    finally:
        del _WATCHED.wanted


def check_wanted() -> None:
    """End a block that takes long when its run was stopped; called now and then in its loop.

    Raises
    ------
    Abandoned
    """
    wanted = getattr(_WATCHED, "wanted", None)
    if wanted is not None and not wanted():
        raise Abandoned


class Engine(Protocol):
    """Computes functions of blocks."""

    def map(
        self, stage: str, function: Callable[..., Any], *columns: Iterable[Any], shared: Any = ()
    ) -> list[Handle]:
        """Start `function(*items, *shared)` for each tuple of items; handles in their order."""

    def total(
        self,
        stage: str,
        function: Callable[..., Any],
        *columns: Iterable[Any],
        combine: Callable[[Any, Any], Any],
        shared: Any = (),
        at_once: int = 32,
    ) -> Handle:
        """`function` of each tuple of items, and these combined pairwise in a fixed tree.

        So sums round the same everywhere, and parts are let go once they are combined. A task
        combines up to `at_once` parts (a power of two, so that the tree stays the same); large
        parts are better combined two at a time, because it holds all of its own.
        """

    def gather(self, handles: Sequence[Handle], rows: Sequence[int] | None = None) -> list[Any]:
        """Wait for the values, in order; `rows` of each are reported as progress."""

    def memory(self) -> int | None:
        """Bytes that one block's work may take at most; None where that is not known."""


class InProcess:
    """Computes each block at once, in the calling thread."""

    def map(
        self, stage: str, function: Callable[..., Any], *columns: Iterable[Any], shared: Any = ()
    ) -> list[Handle]:
        """Compute `function(*items, *shared)` for each tuple of items."""
        return [function(*items, *shared) for items in zip(*columns, strict=True)]

    def total(
        self,
        stage: str,
        function: Callable[..., Any],
        *columns: Iterable[Any],
        combine: Callable[[Any, Any], Any],
        shared: Any = (),
        at_once: int = 32,
    ) -> Handle:
        """Compute each block and combine neighbours pairwise."""
        parts = (function(*items, *shared) for items in zip(*columns, strict=True))
        return fold_stream(parts, combine)

    def gather(self, handles: Sequence[Handle], rows: Sequence[int] | None = None) -> list[Any]:
        """The values are there already."""
        return list(handles)

    def memory(self) -> int | None:
        """No limit is known."""
        return None


def fold_pairs(items: Sequence[Any], combine: Callable[[Any, Any], Any]) -> Any:
    """Combine (0, 1), (2, 3), … and then the results likewise; an odd last one moves up.

    The tree depends on the number of items alone, so floating-point sums are the same whoever
    computes them and in whatever order they finish.
    """
    if not items:
        raise ValueError("nothing to combine: expected at least one item")
    level = list(items)
    while len(level) > 1:
        pairs = [combine(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]


def fold_stream(items: Iterable[Any], combine: Callable[[Any, Any], Any]) -> Any:
    """What `fold_pairs` gives, while the items come: few of them are held at a time."""
    waiting: list[tuple[int, Any]] = []
    for item in items:
        level, value = 0, item
        while waiting and waiting[-1][0] == level:
            value = combine(waiting.pop()[1], value)
            level += 1
        waiting.append((level, value))
    if not waiting:
        raise ValueError("nothing to combine: expected at least one item")
    value = waiting.pop()[1]
    while waiting:
        value = combine(waiting.pop()[1], value)
    return value


def batched(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Consecutive items in batches of `size`; the last may be shorter."""
    return [items[low : low + size] for low in range(0, len(items), size)]
