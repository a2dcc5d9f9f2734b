"""Who is at work on the results of a run folder, so that no other run takes it over meanwhile.

A run keeps ``RUN/.work-<uuid>.json`` beating while it computes. It writes that first, and looks
for those of others after: whichever of two comes first, one of them sees the other. A file that a
killed process left counts no more.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from daskfer import storage, turns
from daskfer.leases import machine, since_boot
from daskfer.tree import Tree

WORK = ".work-"


@contextmanager
def working(folder: str, identity: str) -> Iterator[None]:
    """Say again and again that a run of this identity is at work in a folder, which is made."""
    name = f"{WORK}{uuid.uuid4().hex}.json"
    path = storage.join(folder, name)
    over, beats = threading.Event(), iter(range(1 << 62))

    def write() -> None:
        storage.write_whole(path, _content(identity, next(beats)), sync=False)

    def beat() -> None:
        while not over.wait(turns.BEAT_SECONDS):
            # A folder that was deleted must not come back with this alone.
            if not storage.is_url(folder) and not os.path.isdir(folder):
                return
            with suppress(Exception):
                write()

    write()
    beating = threading.Thread(target=beat, name="at-work", daemon=True)
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join()
        # Whatever storage says must not hide what the run did.
        with suppress(Exception):
            Tree.at(folder).remove(name)


def others(folder: str, identity: str) -> Iterator[str]:
    """Living runs of other identities that are at work in a folder, in words.

    A file of another machine's that does not change for `turns.DEAD_SECONDS` is a dead one's.
    """
    seen = {name: _read(folder, name) for name in _names(folder)}
    seen = {
        name: mark
        for name, mark in seen.items()
        if mark.get("identity") not in (None, identity) and not turns.is_dead(mark)
    }
    deadline = time.monotonic() + turns.DEAD_SECONDS
    while seen:
        for name, mark in list(seen.items()):
            now = _read(folder, name)
            if not now:
                del seen[name]
            elif turns.is_here(now) or now != mark:
                yield f"pid {now.get('pid')} on host {now.get('host')}"
                del seen[name]
        if time.monotonic() > deadline:
            return
        if seen:
            time.sleep(turns.LOOK_SECONDS)


def forget(folder: str) -> None:
    """Delete what killed processes left; who lives says again that it does."""
    with suppress(Exception):
        for name in _names(folder):
            Tree.at(folder).remove(name)


def _names(folder: str) -> list[str]:
    if not storage.is_url(folder):
        if not os.path.isdir(folder):
            return []
        found = os.listdir(folder)
    else:
        found = list(Tree.at(folder).entries())
    return sorted(name for name in found if name.startswith(WORK))


def _read(folder: str, name: str) -> dict[str, Any]:
    try:
        found = storage.read_json(storage.join(folder, name))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _content(identity: str, beats: int) -> bytes:
    host, namespace = machine()
    mark = {
        "identity": identity,
        "beats": beats,
        "host": host,
        "namespace": namespace,
        "pid": os.getpid(),
        "since_boot": since_boot(os.getpid()),
    }
    return json.dumps(mark).encode()
