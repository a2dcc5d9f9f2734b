"""Imports that take seconds, made in the background while something else is waited for."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

HALF_SEEN = "dask.array"
"""A module that scikit-learn looks into, for any array, as soon as any thread has begun to import
it, and that skops (which imports all of scikit-learn) and dask-ml import."""


@contextmanager
def importing(modules: Iterable[str]) -> Iterator[None]:
    """Import these modules in a thread; it has ended when this does.

    What others must not see half imported is imported before this begins.
    """
    wanted = list(modules)
    if any(module.partition(".")[0] in ("skops", "dask", "dask_ml") for module in wanted):
        _import([HALF_SEEN])
    thread = threading.Thread(target=_import, args=(wanted,), name="import-ahead")
    thread.daemon = True
    thread.start()
    try:
        yield
    finally:
        # An interpreter must not end while a library is being imported.
        thread.join()


def _import(modules: list[str]) -> None:
    for module in modules:
        # What cannot be imported is said by the stage that needs it.
        with suppress(ImportError):
            importlib.import_module(module)
