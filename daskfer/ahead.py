"""Imports that take seconds, made in the background while something else is waited for."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

HALF_SEEN = "dask.array"
"""A module that scikit-learn looks into, for any array, as soon as any thread has begun to import
it, and that skops (which imports all of scikit-learn) and dask-ml import."""


class Ahead:
    """Imports that are being made.

    Two threads that import what imports each other (as scikit-learn's parts do) may each see half
    of it, so others wait before they import any of these.
    """

    def __init__(self, modules: list[str]) -> None:
        self._thread = threading.Thread(target=_import, args=(modules,), name="import-ahead")
        self._thread.daemon = True
        self._thread.start()

    def wait(self) -> None:
        """Wait until all of it is imported."""
        self._thread.join()


@contextmanager
def importing(modules: Iterable[str]) -> Iterator[Ahead]:
    """Import these modules in a thread; it has ended when this does.

    What others must not see half imported, though they import nothing, is imported before.
    """
    wanted = list(modules)
    if any(module.partition(".")[0] in ("skops", "dask", "dask_ml") for module in wanted):
        _import([HALF_SEEN])
    ahead = Ahead(wanted)
    try:
        yield ahead
    finally:
        # An interpreter must not end while a library is being imported.
        ahead.wait()


def _import(modules: list[str]) -> None:
    for module in modules:
        # What cannot be imported is said by the stage that needs it.
        with suppress(ImportError):
            importlib.import_module(module)
