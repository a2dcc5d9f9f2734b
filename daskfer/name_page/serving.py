"""The page of one run from its beginning to the end: what it needs is put together here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import numpy as np

from daskfer.answers import Log
from daskfer.name_page.desk import Desk
from daskfer.name_page.gallery import Gallery
from daskfer.name_page.hints import Hints
from daskfer.name_page.server import Page, listen
from daskfer.name_page.training import Training
from daskfer.names_file import write_names
from daskfer.recipe import Recipe
from daskfer.run_folder import RunFolder
from daskfer.stages.look import Found, units_of

WRITE_SECONDS = 0.3
"""How long after an answer names.yaml is written; the log has it at once."""


def gallery_of(found: Found, recipe: Recipe) -> Gallery:
    """The fitted faces of a run, by clusters."""
    told = units_of(found, recipe)
    table, clusters = found.faces.table, found.clusters
    return Gallery(
        found.faces.pixels,
        found.reduced.points,
        found.faces.side,
        found.selection.fit,
        clusters.cluster,
        clusters.nearest,
        clusters.confidence,
        table.digest,
        table.row,
        clusters.centers,
        None if told is None else Hints(*told),
    )


def sizes_of(gallery: Gallery) -> np.ndarray:
    """Fitted faces, int64 (k,), of each cluster."""
    return np.array([gallery.size_of(number) for number in range(gallery.clusters)], np.int64)


class Names:
    """names.yaml, written some time after answers were given, and at the end."""

    def __init__(self, folder: RunFolder, log: Log, gallery: Gallery) -> None:
        self.folder, self.log, self.gallery = folder, log, gallery
        self._waiting: asyncio.TimerHandle | None = None
        self._written = -1

    def changed(self) -> None:
        """Note that there was an answer."""
        if self._waiting is None:
            loop = asyncio.get_running_loop()
            self._waiting = loop.call_later(WRITE_SECONDS, self.write)

    def write(self) -> None:
        """Write the file, if anything is new."""
        self._waiting = None
        if self.log.begun and self._written != len(self.log.entries):
            self._written = len(self.log.entries)
            self.gallery.follow(self.log.answers.splits)
            write_names(self.folder, self.log, sizes_of(self.gallery))


async def serve(
    folder: RunFolder,
    desk: Desk,
    training: Training,
    host: str,
    port: int,
    ready: Callable[[str], None],
) -> None:
    """Serve the page until the task is cancelled.

    Parameters
    ----------
    folder : RunFolder
    desk : Desk
    training : Training
    host : str
    port : int
        0 for any that is free.
    ready : callable
        Called with the page's address.
    """

    def report() -> bytes | None:
        from daskfer import storage

        path = folder.file("report.html")
        return storage.read_bytes(path) if storage.exists(path) else None

    names = Names(folder, desk.log, desk.gallery)
    page = Page(desk, training, report, names.changed)
    server, address = listen(page, host, port)
    try:
        names.write()
        # While the browser starts, what it will ask for first is drawn.
        for entry in desk.state()["next"]:
            page.drawer.submit(desk.picture, entry["key"])
        ready(address)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    finally:
        server.stop()
        names.write()
        page.drawer.shutdown(cancel_futures=True)
        training.stop()
