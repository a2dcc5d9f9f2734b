"""Copying a job's results to a local folder."""

from __future__ import annotations

import os

from daskfer import storage
from daskfer.errors import JobError
from daskfer.jobs.folder import FOLDER, JobFolder
from daskfer.tree import Tree


def fetch(folder: JobFolder, target: str) -> list[str]:
    """Copy the files of a run folder, each whole, and metrics.json last; their names.

    The job's own files (its request, attempts and logs) stay where they are.

    Raises
    ------
    JobError
        When the target is a file, the run folder itself, or holds something else.
    """
    tree, target = Tree.at(folder.run), os.path.abspath(os.path.expanduser(target))
    if not storage.is_url(folder.run) and os.path.realpath(target) == os.path.realpath(folder.run):
        raise JobError(f"{target} is the run folder itself: its results are there already")
    if os.path.exists(target) and (not os.path.isdir(target) or _is_other(target, folder)):
        raise JobError(f"--to {target} holds something else: expected a new folder")
    names = sorted(_files(tree), key=lambda name: (name == "metrics.json", name))
    for name in names:
        data = storage.read_bytes(storage.join(folder.run, name))
        storage.write_whole(storage.join(target, name), data)
    return names


def _is_other(target: str, folder: JobFolder) -> bool:
    """Whether a folder that is there holds anything but an earlier copy of this one."""
    if not os.listdir(target):
        return False
    owner = os.path.join(target, "run.json")
    theirs = storage.join(folder.run, "run.json")
    return not os.path.isfile(owner) or storage.read_bytes(owner) != storage.read_bytes(theirs)


def _files(tree: Tree, *folders: str) -> list[str]:
    found = []
    for name, info in tree.entries(*folders).items():
        if name.startswith("."):
            # What a process that is at work there leaves when it is killed.
            continue
        if info["type"] != "directory":
            found.append("/".join([*folders, name]))
        elif [*folders, name] != [FOLDER]:
            found += _files(tree, *folders, name)
    return found
