"""Which jobs there are: a file for each in the store, and finding one by its id or run folder."""

from __future__ import annotations

from contextlib import suppress

from daskfer import storage
from daskfer.errors import JobError
from daskfer.jobs.folder import JobFolder, Request
from daskfer.store import JOBS
from daskfer.tree import Tree


def enter(request: Request) -> None:
    """Note in its store where a job is."""
    entry = {"id": request.id, "run": request.run, "submitted": request.submitted}
    storage.write_json(storage.join(request.store, JOBS, f"{request.id}.json"), entry)


def listed(store: str) -> list[JobFolder]:
    """The folders of all jobs that a store knows and that are still there, the last one last."""
    entries = []
    for name in Tree.at(store).entries(JOBS):
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            entry = storage.read_json(storage.join(store, JOBS, name))
            entries.append((str(entry["submitted"]), str(entry["id"]), str(entry["run"])))
    found = []
    for _, id_of, run in sorted(entries):
        folder = JobFolder(run)
        # Its run folder may have been deleted, or given to another job since.
        with suppress(JobError):
            if folder.request().id == id_of:
                found.append(folder)
    return found


def find(store: str, name: str) -> JobFolder:
    """A job by its id, the beginning of one, or its run folder.

    Raises
    ------
    JobError
        When there is none, or several ids begin so.
    """
    if JobFolder(name).exists():
        return JobFolder(name)
    found = [folder for folder in listed(store) if folder.request().id.startswith(name)]
    if not found:
        raise JobError(
            f"no job {name} in the store {store}: expected an id that daskfer jobs list shows, or "
            "a run folder (another store is given by --store)"
        )
    if len(found) > 1:
        ids = ", ".join(folder.request().id for folder in found[:3])
        raise JobError(
            f"{name} is the beginning of {len(found)} jobs' ids ({ids}): give more of it"
        )
    return found[0]
