"""Plugins that daskfer has on a scheduler's workers, which end with who registered them.

A plugin stays on a scheduler until somebody removes it, and a client that was killed cannot. So the
name of each says whose it is, ``daskfer/WHAT/CLIENT/JOB``, and whoever connects next removes those
whose client is gone, unless they are there for a job that goes on without it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from distributed import Client


def name_of(what: str, client: Client, job: str = "") -> str:
    """The name of a client's plugin; of one that stays until a job of this key has ended."""
    return "/".join(("daskfer", what, client.id, job))


@contextmanager
def cleared(client: Client) -> Iterator[None]:
    """Remove plugins that others have left, and at the end those that this client has."""
    client.run_on_scheduler(_clearing(), "")
    try:
        yield
    finally:
        # The scheduler may be gone, and then there is nothing to remove.
        with suppress(OSError, TimeoutError, RuntimeError):
            if client.status == "running":
                client.run_on_scheduler(_clearing(), client.id)


def _clearing() -> Callable[..., Coroutine[Any, Any, None]]:
    """A function, sent by value, that removes plugins of clients that are gone, or are leaving."""

    async def clear(leaving: str, dask_scheduler: Any = None) -> None:
        for name in list(dask_scheduler.worker_plugins):
            parts = name.split("/")
            if len(parts) != 4 or parts[0] != "daskfer":
                continue
            client, task = parts[2], dask_scheduler.tasks.get(parts[3])
            is_there = client in dask_scheduler.clients and client != leaving
            # Somebody else may have removed it while we waited for workers.
            if is_there or (task and task.who_wants) or name not in dask_scheduler.worker_plugins:
                continue
            # A worker may go away meanwhile, and takes the plugin along.
            with suppress(Exception):
                await dask_scheduler.unregister_worker_plugin(None, name)

    return clear
