"""Imports that take seconds, made in the background while something else is waited for."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def importing(modules: Iterable[str]) -> Iterator[None]:
    """Import these modules in a thread; it has ended when this does."""
    thread = threading.Thread(target=_import, args=(list(modules),), name="import-ahead")
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
