"""How a job goes, as far as its folder tells."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from daskfer import storage
from daskfer.jobs.folder import ENDED, Attempt, JobFolder, Request
from daskfer.jobs.heart import BEAT_SECONDS

STALE_SECONDS = 20
"""How long an attempt may be silent before its process is looked for."""

AGAIN_SECONDS = BEAT_SECONDS + 2
"""How long is waited for another beat of a silent one, whose clock may only differ from ours."""


@dataclass(frozen=True)
class Status:
    """How a job goes.

    Attributes
    ----------
    request : Request
    state : str
        queued, running, succeeded, failed, stopped, or interrupted: it has no process any more,
        and did not end.
    attempt : Attempt or None
        The last one, if any has begun.
    note : str
        What a person should know, or do.
    """

    request: Request
    state: str
    attempt: Attempt | None
    note: str = ""

    @property
    def ended(self) -> bool:
        """Whether nobody works at it any more."""
        return self.state in (*ENDED, "interrupted")

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        attempt = self.attempt
        return {
            "id": self.request.id,
            "state": self.state,
            "run": self.request.run,
            "scheduler": self.request.scheduler,
            "submitted": self.request.submitted,
            "user": self.request.user,
            "attempts": 0 if attempt is None else attempt.number,
            "worker": None if attempt is None else attempt.worker,
            "host": None if attempt is None else attempt.host,
            "pid": None if attempt is None else attempt.pid,
            "stage": None if attempt is None else attempt.stage or None,
            "done": None if attempt is None else attempt.done,
            "rows": None if attempt is None else attempt.rows,
            "started": None if attempt is None else attempt.started,
            "updated": None if attempt is None else attempt.updated,
            "ended": None if attempt is None else attempt.ended or None,
            "error": None if attempt is None else attempt.error or None,
            "note": self.note or None,
        }


Knows = Callable[[Request], bool | None]
"""Whether a scheduler has the job's task; None where it cannot be asked."""


def statuses(
    folders: Sequence[JobFolder],
    knows: Knows = lambda request: None,
    wait: Callable[[float], None] = time.sleep,
) -> list[Status]:
    """How these jobs go.

    An attempt that has been silent for long is looked at again after some seconds, once for all
    jobs: clocks of two machines may differ, but only a living process's beats go on.

    Parameters
    ----------
    folders : sequence of JobFolder
    knows : callable
        Asked of jobs that show no sign of life.
    wait : callable
        Called with the seconds between the two looks.
    """
    first = [(folder.request(), _last(folder)) for folder in folders]
    silent = [_is_silent(attempt) for _, attempt in first]
    if any(silent):
        wait(AGAIN_SECONDS)
    found = []
    for folder, (request, attempt), doubtful in zip(folders, first, silent, strict=True):
        latest = _last(folder) if doubtful else attempt
        alive = not doubtful or latest != attempt
        found.append(_status(folder, request, latest, alive, knows))
    return found


def _last(folder: JobFolder) -> Attempt | None:
    return max(folder.attempts(), key=lambda attempt: attempt.name, default=None)


def _is_silent(attempt: Attempt | None) -> bool:
    return (
        attempt is not None
        and attempt.state in ("queued", "running")
        and _age(attempt.updated) > STALE_SECONDS
    )


def _status(
    folder: JobFolder, request: Request, attempt: Attempt | None, alive: bool, knows: Knows
) -> Status:
    fresh = _age(request.submitted) < STALE_SECONDS
    if attempt is None or _before(attempt, request):
        # It was submitted (again), and no worker has taken it yet.
        if fresh or (known := knows(request)):
            return Status(request, "queued", None, "" if fresh else "no worker is free for it yet")
        if folder.is_to_stop():
            return Status(request, "stopped", None)
        return _interrupted(request, None, known)
    if attempt.state in ENDED:
        return Status(request, attempt.state, attempt)
    if attempt.state == "lost":
        if _age(attempt.updated) < STALE_SECONDS:
            note = f"{attempt.error or 'its worker went away'}; waiting for another worker"
            return Status(request, "running", attempt, note)
    elif alive:
        note = "told to stop" if folder.is_to_stop() else ""
        return Status(request, attempt.state, attempt, note)
    if storage.exists(storage.join(request.run, "metrics.json")):
        # Killed between its last file and saying so.
        return Status(request, "succeeded", attempt)
    if folder.is_to_stop():
        return Status(request, "stopped", attempt)
    known = knows(request)
    if known:
        return Status(request, "queued", attempt, "its worker went away; no other is free yet")
    return _interrupted(request, attempt, known)


def _interrupted(request: Request, attempt: Attempt | None, known: bool | None) -> Status:
    lost = f"the scheduler at {request.scheduler}" + (
        " does not answer" if known is None else " does not know it any more"
    )
    return Status(
        request,
        "interrupted",
        attempt,
        f"{lost}; daskfer submit --resume {request.id} goes on from the last finished block",
    )


def _before(attempt: Attempt, request: Request) -> bool:
    """Whether an attempt belongs to an earlier submission than the last."""
    return attempt.submission < request.submission


def _age(time_of: str) -> float:
    """Seconds since an ISO time, by this machine's clock."""
    return (datetime.now(UTC) - datetime.fromisoformat(time_of)).total_seconds()
