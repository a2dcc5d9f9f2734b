"""The store: what every stage leaves, under a name made from what went into it.

A stage's folder is ``STORE/<stage>/<key>``, where the key is a fingerprint of the recipe's part,
the seed, the keys or contents of what came before and the format's version. ``stage.json`` is
written last, when all other files are on the disk, so a folder that has it is complete; one that
lacks it, or where it cannot be read, is continued. Its time says when the folder was last used
(behind a URL, when it was made).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daskfer import storage

FORMAT = 3
"""Version of what stages write; a change of it starts afresh beside what is there."""

ENVIRONMENT_VARIABLE = "DASKFER_STORE"

STAGES = ("uploads", "ingest", "represent", "reduce", "cluster", "classify", "evaluate", "sweep")
"""What keeps results here, in data order: copies of inputs, and the stages; no other folder of a
store is cleared."""

JOBS = "jobs"
"""The folder of a store that says which jobs there are."""

USE_SECONDS = 3600
"""How exact the time of the last use is; younger times are left as they are."""


@dataclass(frozen=True)
class StageFolder:
    """Where one stage, with one key, keeps its results."""

    path: str

    def file(self, *names: str) -> str:
        """Path of a file in this folder."""
        return storage.join(self.path, *names)

    def block(self, number: int, part: str) -> str:
        """Path of a part of one block."""
        return self.file(f"{number:06d}.{part}")

    def summary(self) -> Any:
        """What the finished stage said of itself, or None when it has not finished.

        To ask for it is to use the stage, and the time of the file says so.
        """
        path = self.file("stage.json")
        found = read_mark(path)
        if found is not None:
            _note_use(path)
        return found

    def finish(self, summary: Any) -> Any:
        """Mark the stage as finished with a summary of plain values, and return it.

        Blocks are written without waiting for the disk; here all of them are waited for at once,
        so that the mark never outlives what it speaks of.
        """
        if not storage.is_url(self.path) and os.path.isdir(self.path):
            names = [entry.path for entry in os.scandir(self.path) if entry.is_file()]
            storage.sync_files(name for name in names if not name.endswith(".part"))
        storage.write_json(self.file("stage.json"), summary)
        return storage.read_json(self.file("stage.json"))


@dataclass(frozen=True)
class Store:
    """The folder, local or by fsspec URL, that holds the results of all stages."""

    root: str

    def stage(self, name: str, *parts: Any) -> StageFolder:
        """The folder of a stage for these ingredients."""
        return StageFolder(storage.join(self.root, name, fingerprint(FORMAT, name, *parts)))


def read_mark(path: str) -> dict[str, Any] | None:
    """What a file says that marks something as finished; None where it is not there or damaged.

    One that a disk has lost the content of says nothing, so what it marked is made again.
    """
    if not storage.exists(path):
        return None
    try:
        found = storage.read_json(path)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _note_use(path: str) -> None:
    if storage.is_url(path):
        return
    # Somebody else's store, or one on a disk that may only be read, serves all the same.
    with suppress(OSError):
        if time.time() - os.stat(path).st_mtime > USE_SECONDS:
            os.utime(path)


def fingerprint(*parts: Any) -> str:
    """A short name for plain values: 16 hexadecimal digits of a BLAKE2b hash of their JSON."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def default_root() -> str:
    """$DASKFER_STORE, or a folder in the user's cache."""
    if root := os.environ.get(ENVIRONMENT_VARIABLE):
        return root
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return str(Path(cache) / "daskfer")


def absolute(root: str) -> str:
    """The same place, however a worker's own folder is called; a URL stays as it is."""
    return root if storage.is_url(root) else os.path.abspath(os.path.expanduser(root))
