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


Known = Callable[[Sequence[Request]], Sequence[bool | None]]
"""Of each job whether its scheduler has its task; None where that cannot be asked."""


def statuses(
    folders: Sequence[JobFolder],
    known: Known = lambda requests: [None] * len(requests),
    wait: Callable[[float], None] = time.sleep,
) -> list[Status]:
    """How these jobs go.

    An attempt that has been silent for long is looked at again after some seconds, once for all
    jobs: clocks of two machines may differ, but only a living process's beats go on. Schedulers are
    asked once, too: to find that one is gone takes seconds.

    Parameters
    ----------
    folders : sequence of JobFolder
    known : callable
        Called once, with the requests of all jobs that show no sign of life, if there are any.
    wait : callable
        Called with the seconds between the two looks.
    """
    first = [(folder.request(), _last(folder)) for folder in folders]
    silent = [_is_silent(attempt) for _, attempt in first]
    if any(silent):
        wait(AGAIN_SECONDS)
    found: list[Status | None] = []
    latest = []
    for folder, (request, attempt), doubtful in zip(folders, first, silent, strict=True):
        latest.append(_last(folder) if doubtful else attempt)
        alive = not doubtful or latest[-1] != attempt
        found.append(_by_the_folder(folder, request, latest[-1], alive))
    open_ones = [number for number, status in enumerate(found) if status is None]
    answers = known([first[number][0] for number in open_ones]) if open_ones else []
    asked = dict(zip(open_ones, answers, strict=True))
    return [
        _by_the_scheduler(folders[number], first[number][0], latest[number], asked[number])
        if status is None
        else status
        for number, status in enumerate(found)
    ]


def _last(folder: JobFolder) -> Attempt | None:
    # A worker that was out of reach may begin at an earlier submission late.
    return max(
        folder.attempts(), key=lambda attempt: (attempt.submission, attempt.name), default=None
    )


def _is_silent(attempt: Attempt | None) -> bool:
    return (
        attempt is not None
        and attempt.state in ("queued", "running")
        and _age(attempt.updated) > STALE_SECONDS
    )


def _by_the_folder(
    folder: JobFolder, request: Request, attempt: Attempt | None, alive: bool
) -> Status | None:
    """How a job goes, where its folder tells; None where its scheduler has to be asked."""
    if attempt is None or _before(attempt, request):
        # It was submitted (again), and no worker has taken it yet.
        fresh = _age(request.submitted) < STALE_SECONDS
        return Status(request, "queued", None) if fresh else None
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
    return None


def _by_the_scheduler(
    folder: JobFolder, request: Request, attempt: Attempt | None, known: bool | None
) -> Status:
    """How a job goes that shows no sign of life, by whether its scheduler has its task."""
    if attempt is None or _before(attempt, request):
        if known:
            return Status(request, "queued", None, "no worker is free for it yet")
        if folder.is_to_stop():
            return Status(request, "stopped", None)
        return _interrupted(request, None, known)
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
