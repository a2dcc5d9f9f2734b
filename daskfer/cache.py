"""What a store holds, and how it is cleared beside runs that are at work on it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from daskfer import storage
from daskfer.errors import CacheError
from daskfer.leases import LEASES, check_unused, drop_dead_leases, leased
from daskfer.store import JOBS, STAGES
from daskfer.tree import Tree

SHOWN_SOURCES = 10
"""How many source files of a folder are named; a folder of images may have a million."""

_KEY = re.compile("[0-9a-f]{16}")
_PART = re.compile("[0-9]{6}[.]json")


@dataclass(frozen=True)
class Folder:
    """What one stage left under one key.

    Attributes
    ----------
    stage, key : str
    of : str
        What it is of, for a person: the source files, or a count.
    sources : tuple of str
        The first ten files that an ingest read; of other stages, none.
    files, bytes : int
    used : datetime or None
        When it was last used, to the hour; behind a URL, when it was made. Of an unfinished one,
        when a file was last written. None where the file system does not tell.
    complete : bool
        Whether its stage has finished.
    """

    stage: str
    key: str
    of: str
    sources: tuple[str, ...]
    files: int
    bytes: int
    used: datetime | None
    complete: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "used": self.used.isoformat() if self.used else None}


@dataclass(frozen=True)
class Contents:
    """A store's folders, the last used first, and how many things in it are not the store's."""

    root: str
    folders: tuple[Folder, ...]
    others: int


def look(root: str) -> Contents:
    """List a store; it is changed in nothing, and no stage counts as used by it.

    Raises
    ------
    CacheError
        When it is a file, or a URL that cannot be opened.
    """
    tree = Tree.at(root)
    if tree.filesystem.isfile(tree.root):
        raise CacheError(f"--store {root} is a file: expected a folder")
    folders, others = [], 0
    for name, info in tree.entries().items():
        if name in (LEASES, JOBS):
            continue
        if name not in STAGES or info["type"] != "directory":
            others += 1
            continue
        for key, inner in tree.entries(name).items():
            if not _KEY.fullmatch(key) or inner["type"] != "directory":
                others += 1
            elif folder := _look_at(tree, root, name, key):
                folders.append(folder)
    never = datetime.min.replace(tzinfo=UTC)
    folders.sort(key=lambda folder: (folder.stage, folder.key))
    folders.sort(key=lambda folder: folder.used or never, reverse=True)
    return Contents(root, tuple(folders), others)


def _look_at(tree: Tree, root: str, stage: str, key: str) -> Folder | None:
    """One folder of a stage, or None where it has vanished."""
    files = tree.files(stage, key)
    summary = _content(root, stage, key, "stage.json") if "stage.json" in files else None
    if not files and key not in tree.entries(stage):
        return None
    names = files if summary is None else ["stage.json"]
    times = [found for name in names if (found := tree.modified(stage, key, name))]
    content = summary if isinstance(summary, dict) else {}
    sources = content.get("sources") or []
    if not sources and content and "sources.json" in files:
        sources = _content(root, stage, key, "sources.json") or []
    return Folder(
        stage=stage,
        key=key,
        of=_of(content, sources),
        sources=tuple(sources[:SHOWN_SOURCES]),
        files=len(files),
        bytes=sum(info["size"] or 0 for info in files.values()),
        used=max(times, default=None),
        complete=isinstance(summary, dict),
    )


def _content(*path: str) -> Any:
    """A file of JSON, or None where it has vanished, or was cut short and says nothing."""
    with suppress(FileNotFoundError, ValueError):
        return storage.read_json(storage.join(*path))
    return None


def _of(summary: dict[str, Any], sources: list[str]) -> str:
    """What a stage's folder is of, from what the stage said of itself."""
    if sources:
        more = len(sources) - 1
        return f"{sources[0]} and {more:,} more" if more else str(sources[0])
    if "rows" in summary:
        return f"{summary['rows']:,} rows"
    return f"{summary['k']} clusters" if "k" in summary else str(summary.get("description") or "")


def select(
    contents: Contents,
    *,
    stage: str | None = None,
    keys: Sequence[str] = (),
    older_than: float | None = None,
    unfinished: bool = False,
    now: datetime | None = None,
) -> list[Folder]:
    """The folders that all of the given conditions name; without conditions, all folders.

    Parameters
    ----------
    contents : Contents
    stage : str, optional
    keys : sequence of str
    older_than : float, optional
        Days since the last use. A folder whose last use is unknown is not older.
    unfinished : bool
        Only those whose stage has not finished.
    now : datetime, optional

    Raises
    ------
    CacheError
        When there is no such stage, or no folder with one of the keys.
    """
    if stage is not None and stage not in STAGES:
        raise CacheError(f"--stage {stage}: expected one of {', '.join(STAGES)}")
    found = [folder for folder in contents.folders if stage in (None, folder.stage)]
    known = {folder.key for folder in found}
    for key in keys:
        if key not in known:
            where = f"stage {stage} in {contents.root}" if stage else contents.root
            raise CacheError(f"--key {key}: {where} has no such folder (daskfer cache lists them)")
    now = now or datetime.now(UTC)
    return [
        folder
        for folder in found
        if (not keys or folder.key in keys)
        and not (unfinished and folder.complete)
        and (older_than is None or _days(folder, now) > older_than)
    ]


def _days(folder: Folder, now: datetime) -> float:
    return (now - folder.used) / timedelta(days=1) if folder.used else 0.0


def clear(root: str, folders: Sequence[Folder], *, force: bool = False) -> list[Folder]:
    """Delete folders of a store, and return those that were deleted.

    A folder that is not as it was listed is left alone: it was used meanwhile, or somebody else
    deletes it. `force` deletes it too, and beside living runs.

    Raises
    ------
    CacheError
        When a run is at work on the store.
    """
    tree = Tree.at(root)
    with leased(root, "clear"):
        if not force:
            check_unused(root)
        drop_dead_leases(root)
        cleared = []
        for folder in folders:
            if force or _look_at(tree, root, folder.stage, folder.key) == folder:
                _remove(tree, folder)
                cleared.append(folder)
        for stage in {folder.stage for folder in cleared}:
            tree.remove_if_empty(stage)
    return cleared


def _remove(tree: Tree, folder: Folder) -> None:
    """Delete a folder so that what a failure leaves is an unfinished one that a run can go on with.

    What says that other files are whole goes before them: stage.json, then NNNNNN.json of parts,
    then .npz of blocks.
    """

    def rank(name: str) -> tuple[bool, bool, bool]:
        return name != "stage.json", not _PART.fullmatch(name), not name.endswith(".npz")

    for name in sorted(tree.files(folder.stage, folder.key), key=rank):
        tree.remove(folder.stage, folder.key, name)
    tree.remove_if_empty(folder.stage, folder.key)
