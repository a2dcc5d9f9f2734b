"""The page of one run from its beginning to the end: what it needs is put together here."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress

from daskfer import storage
from daskfer.answer_log import LOG
from daskfer.errors import DaskferError
from daskfer.name_page.desk import Desk
from daskfer.name_page.gallery import Gallery
from daskfer.name_page.hints import Hints
from daskfer.name_page.server import Page, listen
from daskfer.name_page.training import Training
from daskfer.names_file import NAMES, write_given, written_from
from daskfer.recipe import Recipe
from daskfer.run_folder import RunFolder
from daskfer.stages.look import Found, units_of

IDLE_SECONDS = 0.7
"""How long nobody must have answered until names.yaml is written; the log has answers at once."""

LATEST_SECONDS = 10.0
"""How long it may be put off while answers come."""


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


class Names:
    """names.yaml, written some time after answers were given, and at the end."""

    def __init__(self, folder: RunFolder, desk: Desk) -> None:
        self.folder, self.desk = folder, desk
        self.writer: Executor | None = None
        self._waiting: asyncio.TimerHandle | None = None
        self._since = 0.0
        self._written = -1
        self._data = b""
        self._warned = ""

    def changed(self) -> None:
        """Note that there was an answer."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._waiting is None:
            self._since = now
        else:
            self._waiting.cancel()
        when = min(now + IDLE_SECONDS, self._since + LATEST_SECONDS)
        self._waiting = loop.call_at(when, self._start)

    def _start(self) -> None:
        self._waiting = None
        if self.writer is not None:
            # Beside the answers: to write hundreds of clusters as YAML takes a while.
            self.writer.submit(self.write_or_warn)

    def write_or_warn(self) -> None:
        """Write the file, or tell the terminal, once, why that fails; answers have their log."""
        try:
            self.write()
            self._warned = ""
        except (DaskferError, OSError) as error:
            if str(error) != self._warned:
                self._warned = str(error)
                print(
                    f"warning: names.yaml is not written: {error} (every answer is in {LOG})",
                    file=sys.stderr,
                    flush=True,
                )

    def write(self) -> None:
        """Write the file, if anything is new; what somebody wrote into it meanwhile is kept."""
        path = self.folder.file(NAMES)
        now = storage.read_bytes(path) if storage.exists(path) else b""
        if self._data and now != self._data:
            self.desk.take_over(self.folder)
            # A training may have put the names of its beginning there.
            self._written = written_from(self.folder)
        entries, given, sizes = self.desk.given()
        if entries and self._written != entries:
            self._data = write_given(self.folder, given, sizes)
            self._written = entries


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
        path = folder.file("report.html")
        return storage.read_bytes(path) if storage.exists(path) else None

    names = Names(folder, desk)
    page = Page(desk, training, report, names.changed)
    # Not the thread that draws: a picture would wait for hundreds of clusters to be written.
    names.writer = ThreadPoolExecutor(1, "names")
    server, address = listen(page, host, port)
    try:
        names.write_or_warn()
        # While the browser starts, what it will ask for first is drawn, and what the first split
        # would load is loaded.
        first = desk.state()["next"]
        for entry in first:
            page.drawer.submit(desk.picture, entry["key"])
        for entry in first[:1]:
            page.drawer.submit(desk.gallery.halves, desk.log.answers.group(entry["key"]))
        # What is loaded by now stays: looking through it for garbage would cost answers 30 ms.
        gc.freeze()
        ready(address)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    finally:
        server.stop()
        training.stop()
        page.drawer.shutdown(cancel_futures=True)
        names.writer.shutdown(cancel_futures=True)
        names.write_or_warn()
