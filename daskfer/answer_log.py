"""The log of answers: a file that only grows, each line on the disk before the next answer.

``RUN/naming/log.jsonl`` has a line for each answer, written and synced before the next cluster is
shown. Several processes may append: each reads what the others wrote first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daskfer.answers import AnswerError, Answers, GoneError, Told
from daskfer.faces import EMOTIONS

LOG = "naming/log.jsonl"


class Log:
    """The file of answers of one run folder, and what follows from it.

    Parameters
    ----------
    run : str
        The run's folder.
    identity : str
        What run.json calls the run: a log of another one is refused.
    clusters : int
    told : Told, optional
        What the run named its clusters by itself; kept in a log that begins now.
    classes : tuple of str
        What true labels of the run may be, and names are by default.
    """

    def __init__(
        self,
        run: str,
        identity: str,
        clusters: int,
        told: Told | None = None,
        classes: tuple[str, ...] = EMOTIONS,
    ) -> None:
        self.path = Path(run) / LOG
        self.identity, self.clusters, self.told, self.classes = identity, clusters, told, classes
        self.entries: list[dict[str, Any]] = []
        self.answers = Answers(clusters, told, classes)
        self._read = 0
        self.refresh()

    @property
    def begun(self) -> bool:
        """Whether there is a log at all."""
        return bool(self.entries)

    def refresh(self) -> bool:
        """Read what was appended since; whether there was anything.

        Raises
        ------
        AnswerError
            When it is not the log that was read before, or was changed.
        """
        size = self.path.stat().st_size if self.path.exists() else 0
        if size < self._read:
            # To go on would lose all answers from now on, or those before.
            raise AnswerError(
                f"{self.path} is gone or shorter than it was: put it back, or start again"
            )
        if size == self._read:
            return False
        with self.path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        # A line without its end is one that a killed process left, or that is being written.
        whole = data[: data.rfind(b"\n") + 1]
        found = list(_entries(whole))
        for entry in found:
            if entry["do"] == "begin" and entry.get("identity") != self.identity:
                raise AnswerError(
                    f"{self.path} has the answers of another run: move it away to name this one"
                )
        try:
            self._rebuild(found)
        except AnswerError as error:
            self.answers = self.replayed(self.entries)
            raise AnswerError(
                f"{self.path} was changed or damaged: {error}; take that line out, or move the "
                "file away"
            ) from None
        self.entries += found
        self._read += len(whole)
        return bool(found)

    def replayed(self, entries: list[dict[str, Any]]) -> Answers:
        """What follows from some entries of this log."""
        return Answers.replay(entries, self.clusters, self.classes)

    def _rebuild(self, found: list[dict[str, Any]]) -> None:
        if any(entry["do"] in ("undo", "begin") for entry in found):
            self.answers = self.replayed([*self.entries, *found])
            return
        for entry in found:
            self.answers.follow(entry)

    def append(self, entry: dict[str, Any], seen: int | None = None) -> None:
        """Check an answer beside all that is in the log, and write it to the disk.

        Parameters
        ----------
        entry : dict
        seen : int, optional
            How many entries there were when the answer was given; of an undo, which speaks of the
            last one, it must still be true.

        Raises
        ------
        AnswerError
            When it does not fit or the disk does not take it; nothing is written then.
        """
        # Before there is a file, and again when nobody else can write.
        self.answers.check(entry)
        try:
            with self._locked() as file:
                self._append(file, entry, seen)
        except OSError as error:
            raise AnswerError(f"{self.path}: {error.strerror or error}") from error
        self.refresh()

    def _append(self, file: Any, entry: dict[str, Any], seen: int | None) -> None:
        self.refresh()
        if file.seek(0, os.SEEK_END) > self._read:
            # A line that a killed process began ends here. If it is whole, it counts.
            self._write(file, b"\n")
            self.refresh()
        if entry["do"] == "undo" and seen is not None and seen != len(self.entries):
            raise GoneError("somebody answered meanwhile: look before you undo")
        self.answers.check(entry)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        lines = [] if self.entries else [self._begin(now)]
        lines.append({"n": len(self.entries) + len(lines), "at": now, **entry})
        self._write(file, b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def _write(self, file: Any, data: bytes) -> None:
        """Put all of it onto the disk, or nothing."""
        end = file.seek(0, os.SEEK_END)
        try:
            while data:
                data = data[file.write(data) :]
            os.fsync(file.fileno())
        except OSError:
            # What was told to have failed must not count later.
            with suppress(OSError):
                os.ftruncate(file.fileno(), end)
            raise

    def _begin(self, now: str) -> dict[str, Any]:
        told = self.told
        return {
            "n": 0,
            "at": now,
            "do": "begin",
            "identity": self.identity,
            "clusters": self.clusters,
            "told": None
            if told is None
            else {"how": told.how, "emotion": list(told.emotion), "score": list(told.score)},
        }

    @contextmanager
    def _locked(self) -> Iterator[Any]:
        # Without parents: a run's folder that was deleted must not come back with answers alone.
        self.path.parent.mkdir(exist_ok=True)
        # Without a buffer, which would try again when it is closed.
        with self.path.open("ab+", buffering=0) as file:
            try:
                import fcntl
            except ImportError:  # Windows has none: there, one process at a time
                yield file
                return
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _entries(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and "do" in entry and isinstance(entry.get("n"), int):
            yield entry
