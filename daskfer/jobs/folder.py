"""A job's files in its run folder: the request, an attempt a file, logs, and the wish to stop.

::

    RUN/job/requests/0001.json         what is to be computed, and who asked for it; another file
                                       when it is submitted again, and the last one counts
    RUN/job/attempts/0001-<hex>.json   how the first attempt goes; its process writes it again and
                                       again while it lives
    RUN/job/logs/0001-<hex>.txt        what it printed
    RUN/job/stop.json                  somebody wants it to stop
"""

from __future__ import annotations

import getpass
import json
import socket
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from daskfer import storage
from daskfer.errors import JobError
from daskfer.tree import Tree

FOLDER = "job"
FORMAT = 1

ENDED = ("succeeded", "failed", "stopped")
"""States that last until the job is submitted again."""

STATES = ("queued", "running", *ENDED, "lost")
"""States of an attempt. It is `lost` when the worker or the scheduler went away under it."""

SUBMITTED_AGAIN = "the job was submitted again"
"""Why an attempt is `lost` that belongs to an earlier submission than the last."""


@dataclass(frozen=True)
class Request:
    """What a job computes.

    Attributes
    ----------
    id : str
        Eight hexadecimal digits.
    run : str
        Its run folder, whose recipe.yaml says what is computed.
    inputs : list of str
        As workers see them.
    store : str
    range_bytes : int
        Bytes of a CSV file that a task scans.
    scheduler : str
        Address of the scheduler that it was last submitted to.
    submitted : str
        When that was: ISO time.
    user, host : str
        Who asked for it, and on which machine.
    submission : int
        How often it was submitted.
    """

    id: str
    run: str
    inputs: list[str]
    store: str
    range_bytes: int
    scheduler: str
    submitted: str
    user: str
    host: str
    submission: int = 1

    @property
    def key(self) -> str:
        """What the scheduler calls it: another name for each submission."""
        return f"job-{self.id}-{self.submission}"


@dataclass(frozen=True)
class Attempt:
    """One process's try at a job.

    Attributes
    ----------
    name : str
        Its number and some letters that tell it from another of the same number.
    submission : int
        The one of the job's submissions that it serves.
    state : str
        One of `STATES`.
    worker, host, pid : str, str, int
        The worker that it was given to, that one's machine, and the process that drives the job.
    started, updated, ended : str
        ISO times of that machine's clock; `ended` is empty before.
    beat : int
        Grows whenever the process writes this: whose does not, has no process any more.
    stage, done, rows : str, int, int or None
        The stage at work, how many of its rows are done, and of how many.
    error : str
        Why it failed, in one line; the log has the traceback.
    """

    name: str
    submission: int = 1
    state: str = "queued"
    worker: str = ""
    host: str = ""
    pid: int = 0
    started: str = ""
    updated: str = ""
    ended: str = ""
    beat: int = 0
    stage: str = ""
    done: int = 0
    rows: int | None = None
    error: str = ""

    @property
    def number(self) -> int:
        """The how-manieth try it is, from 1."""
        return int(self.name.partition("-")[0])

    def again(self, **changes: Any) -> Attempt:
        """The attempt a moment later: written down now, with these changes."""
        return replace(self, beat=self.beat + 1, updated=now(), **changes)


@dataclass(frozen=True)
class JobFolder:
    """The files of the job in a run folder, local or by fsspec URL."""

    run: str

    def file(self, *names: str) -> str:
        """Path of one of its files."""
        return storage.join(self.run, FOLDER, *names)

    def exists(self) -> bool:
        """Whether the run folder has a job."""
        return storage.exists(self._request_file(1))

    def _submissions(self) -> list[int]:
        """The numbers of its submissions."""
        names = [name.removesuffix(".json") for name in Tree.at(self.file()).entries("requests")]
        return [int(name) for name in names if name.isdecimal()]

    def _request_file(self, submission: int) -> str:
        return self.file("requests", f"{submission:04d}.json")

    def request(self) -> Request:
        """What was asked for last.

        Raises
        ------
        JobError
            When there is no job here, or one of a later version.
        """
        path = self._request_file(max(self._submissions(), default=1))
        try:
            content = storage.read_json(path)
            if content.pop("format") != FORMAT:
                raise ValueError
            return _of(Request, content)
        except FileNotFoundError:
            raise JobError(
                f"{self.run} has no job: expected a run folder that daskfer submit made, or a "
                "job's id (daskfer jobs list shows them)"
            ) from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise JobError(
                f"{path} is no request of a job as this version writes it: use the version of "
                "daskfer that submitted it"
            ) from error

    def write_request(self, request: Request) -> bool:
        """Write down what is asked for, and forget an earlier wish to stop.

        False when somebody else has asked for the submission of this number: of several that do so
        at the same time, one succeeds.
        """
        content = json.dumps({"format": FORMAT, **asdict(request)}, indent=2, ensure_ascii=False)
        path = self._request_file(request.submission)
        if not storage.write_new(path, (content + "\n").encode(errors="backslashreplace")):
            return False
        # After that: whoever comes too late must not forget a wish that is the other one's.
        Tree.at(self.file()).remove("stop.json")
        return True

    def is_superseded(self, key: str) -> bool:
        """Whether the task of this key is of an earlier submission than the last, or of another."""
        return self.request().key != key

    def attempts(self) -> list[Attempt]:
        """All attempts, the last one last."""
        found = []
        for name in sorted(Tree.at(self.file()).entries("attempts")):
            # It may vanish with its folder, and what is no attempt is none of ours.
            with suppress(FileNotFoundError, ValueError, TypeError, AttributeError):
                if name.endswith(".json"):
                    found.append(_of(Attempt, storage.read_json(self.file("attempts", name))))
        return found

    def begin(self, worker: str, submission: int | None = None) -> Attempt:
        """Begin another attempt on a worker, at the last submission unless another is named."""
        numbers = [attempt.number for attempt in self.attempts()]
        attempt = Attempt(
            name=f"{max(numbers, default=0) + 1:04d}-{uuid.uuid4().hex[:8]}",
            submission=self.request().submission if submission is None else submission,
            worker=worker,
            host=socket.gethostname(),
            started=now(),
            updated=now(),
        )
        self.write(attempt)
        return attempt

    def write(self, attempt: Attempt) -> None:
        """Write down how an attempt goes."""
        storage.write_json(self.file("attempts", f"{attempt.name}.json"), asdict(attempt))

    def attempt(self, name: str) -> Attempt:
        """The attempt of this name."""
        return _of(Attempt, storage.read_json(self.file("attempts", f"{name}.json")))

    def is_last(self, name: str) -> bool:
        """Whether no later attempt than this has begun."""
        names = [entry for entry in Tree.at(self.file()).entries("attempts") if ".json" in entry]
        return max(names, default="") <= f"{name}.json"

    def write_log(self, name: str, text: bytes) -> None:
        """Write all that an attempt has printed."""
        storage.write_whole(self.file("logs", f"{name}.txt"), text)

    def logs(self) -> list[tuple[str, bytes]]:
        """What each attempt has printed, by its name and in their order."""
        found = []
        for name in sorted(Tree.at(self.file()).entries("logs")):
            with suppress(FileNotFoundError):
                if name.endswith(".txt"):
                    text = storage.read_bytes(self.file("logs", name))
                    found.append((name.removesuffix(".txt"), text))
        return found

    def ask_to_stop(self) -> None:
        """Write down that somebody wants the job to stop."""
        wish = {"when": now(), "user": _user(), "host": socket.gethostname()}
        storage.write_json(self.file("stop.json"), wish)

    def is_to_stop(self) -> bool:
        """Whether somebody wants the job to stop."""
        return storage.exists(self.file("stop.json"))


def new_request(
    run: str, inputs: list[str], store: str, range_bytes: int, scheduler: str
) -> Request:
    """A request that this user makes now."""
    return Request(
        id=uuid.uuid4().hex[:8],
        run=run,
        inputs=inputs,
        store=store,
        range_bytes=range_bytes,
        scheduler=scheduler,
        submitted=now(),
        user=_user(),
        host=socket.gethostname(),
    )


def asked_again(earlier: Request, request: Request) -> Request:
    """A request for what was asked for earlier: the same job, submitted once more."""
    return replace(
        request,
        id=earlier.id,
        submission=earlier.submission + 1,
        submitted=now(),
        user=_user(),
        host=socket.gethostname(),
    )


def now() -> str:
    """The time of this machine's clock, with its zone."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container may run as a number that has no name.
        return "unknown"


def _of(kind: Any, content: dict[str, Any]) -> Any:
    """A record of plain values; keys that a later version has added are left out."""
    known = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in content.items() if name in known})
