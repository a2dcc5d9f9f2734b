"""Taking turns at a stage: of several runs that lack the same result, one computes it.

The one at work keeps ``STORE/leases/<stage>-<key>.turn`` beating; the others wait for its result.
It is a courtesy and no lock: should two compute at once, both write the same files, each whole.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from daskfer import storage
from daskfer.leases import LEASES, TURN, is_running, machine, since_boot
from daskfer.store import StageFolder
from daskfer.tree import Tree

BEAT_SECONDS = 3.0
"""How often the one at work says that it lives."""

DEAD_SECONDS = 15.0
"""How long one on another machine may be silent before its turn is over."""

LOOK_SECONDS = 0.5
"""How often those that wait look for the result."""


@contextmanager
def turn(
    root: str, folders: tuple[StageFolder, ...], pause: Callable[[], None] = lambda: None
) -> Iterator[bool]:
    """Whether these results are this process's to compute; false when they are there.

    Parameters
    ----------
    root : str
        The store.
    folders : tuple of StageFolder
        What is computed in one turn.
    pause : callable
        Called again and again while another's turn is waited for; it may raise to end that.
    """
    if _finished(folders):
        yield False
        return
    place = _Place(root, "-".join(folders[0].path.rsplit("/", 2)[-2:]) + TURN)
    if not place.take(lambda: _finished(folders), pause):
        yield False
        return
    over = threading.Event()
    beating = threading.Thread(target=place.beat, args=(over,), name="turn", daemon=True)
    beating.start()
    try:
        # Another may have ended its turn between our looks.
        yield not _finished(folders)
    finally:
        over.set()
        beating.join()
        place.leave()


def _finished(folders: tuple[StageFolder, ...]) -> bool:
    return all(folder.summary() is not None for folder in folders)


@dataclass
class _Place:
    """Whose turn it is, in a file."""

    root: str
    name: str
    token: str = ""
    beats: int = 0

    def __post_init__(self) -> None:
        self.token = uuid.uuid4().hex
        self.path = storage.join(self.root, LEASES, self.name)

    def take(self, finished: Callable[[], bool], pause: Callable[[], None]) -> bool:
        """Wait for the turn; false when the result is there first."""
        seen: Any = None
        since = time.monotonic()
        # A store that may only be read serves what is there, and fails where that is not enough.
        with suppress(OSError):
            while not self._begin():
                other = self._read()
                if other != seen:
                    seen, since = other, time.monotonic()
                dead = other is not None and is_dead(other)
                if dead or time.monotonic() - since > DEAD_SECONDS:
                    self._write()
                    return True
                pause()
                time.sleep(LOOK_SECONDS)
                if finished():
                    return False
        return True

    def _begin(self) -> bool:
        """Write that it is our turn, unless it is another's already.

        On a disk of two that begin at the same time only one does; an object store knows no such
        thing.
        """
        if storage.exists(self.path):
            return False
        if storage.is_url(self.path):
            self._write()
            return True
        # Nobody needs it after a power cut, so it does not wait for the disk.
        return storage.write_new(self.path, self._content(), sync=False)

    def beat(self, over: threading.Event) -> None:
        """Say again and again that we live."""
        while not over.wait(BEAT_SECONDS):
            with suppress(Exception):
                self._write()

    def leave(self) -> None:
        """Let another have its turn; whatever storage says must not hide what the stage did."""
        with suppress(Exception):
            if (self._read() or {}).get("token") == self.token:
                Tree.at(self.root).remove(LEASES, self.name)

    def _read(self) -> dict[str, Any] | None:
        try:
            found = storage.read_json(self.path)
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _write(self) -> None:
        storage.write_whole(self.path, self._content(), sync=False)

    def _content(self) -> bytes:
        self.beats += 1
        host, namespace = machine()
        mark = {
            "token": self.token,
            "beats": self.beats,
            "host": host,
            "namespace": namespace,
            "pid": os.getpid(),
            "since_boot": since_boot(os.getpid()),
        }
        return json.dumps(mark).encode()


def is_here(other: dict[str, Any]) -> bool:
    """Whether a mark is of a process on this machine, for which we can look."""
    return [other.get("host"), other.get("namespace")] == list(machine())


def is_dead(other: dict[str, Any]) -> bool:
    """Whether it was a process of this machine's that is gone."""
    if not is_here(other):
        return False
    return not is_running(int(other.get("pid", 0)), float(other.get("since_boot") or 0))
