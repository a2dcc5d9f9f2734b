"""The beating of a job's process: it writes down how the job goes, and sees that it should end."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from daskfer.jobs.folder import SUBMITTED_AGAIN, Attempt, JobFolder

LOOK_SECONDS = 0.5
"""How often the wish to stop is looked for, and progress written where there is some."""

BEAT_SECONDS = 5
"""How long nothing is written when nothing changes."""

GRACE_SECONDS = 2.5
"""How long a process may take to stop politely."""


class Heart:
    """Beats in a thread while the job's process lives.

    Parameters
    ----------
    folder : JobFolder
    attempt : Attempt
        The one that this process drives.
    progress : callable
        Tells the stage at work, how many of its rows are done, and of how many.
    """

    def __init__(
        self,
        folder: JobFolder,
        attempt: Attempt,
        progress: Callable[[], tuple[str, int, int | None]],
    ) -> None:
        self._folder, self._progress = folder, progress
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._written = time.monotonic()
        self._told_to_end = 0.0
        self.attempt = attempt.again(state="running", pid=os.getpid())
        self.stopped, self.reason = False, ""
        folder.write(self.attempt)
        self._thread = threading.Thread(target=self._beat, name="heart", daemon=True)
        self._thread.start()
        threading.Thread(target=self._watch_parent, name="parent", daemon=True).start()

    def outcome(self) -> tuple[str, str]:
        """How the attempt ends that was interrupted: its state, and why."""
        if self.stopped:
            return "stopped", ""
        return "lost", self.reason or "its process was told to end"

    def end(self, state: str, error: str = "") -> None:
        """Write down how the attempt ended; the last that is written of it."""
        self._over.set()
        with self._lock:
            if self.attempt.ended:
                return
            stage, done, rows = self._progress()
            last = self.attempt.again(state=state, error=error, stage=stage, done=done, rows=rows)
            self.attempt = last.again(ended=last.updated)
            self._folder.write(self.attempt)

    def _beat(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            # Storage that cannot be reached for a while is no reason to end.
            with suppress(Exception):
                self._look()
            with suppress(Exception):
                self._write()
            if self._told_to_end and time.monotonic() - self._told_to_end > GRACE_SECONDS:
                self._leave(*self.outcome())

    def _look(self) -> None:
        if self._told_to_end:
            return
        if self._folder.is_to_stop():
            self.stopped = True
        elif not self._folder.is_last(self.attempt.name):
            # The scheduler took this worker for dead, and gave the job to another; or somebody else
            # did, and has submitted it again.
            again = self._folder.request().submission > self.attempt.submission
            self.reason = SUBMITTED_AGAIN if again else "another worker has taken the job over"
        else:
            return
        self._told_to_end = time.monotonic()
        os.kill(os.getpid(), signal.SIGTERM)

    def _write(self) -> None:
        stage, done, rows = self._progress()
        now = self.attempt
        same = (stage, done, rows) == (now.stage, now.done, now.rows)
        if same and time.monotonic() - self._written < BEAT_SECONDS:
            return
        with self._lock:
            if not self._over.is_set():
                self.attempt = self.attempt.again(stage=stage, done=done, rows=rows)
                self._folder.write(self.attempt)
                self._written = time.monotonic()

    def _watch_parent(self) -> None:
        """The worker that started this process holds the other end of its standard input."""
        with suppress(OSError, ValueError):
            while os.read(sys.stdin.fileno(), 1024):
                pass
        self._leave("lost", "its worker ended")

    def _leave(self, state: str, error: str) -> None:
        # Whatever the main thread is at: what counts lies on storage, each file whole or absent.
        writer = threading.Thread(target=self.end, args=(state, error), daemon=True)
        writer.start()
        writer.join(GRACE_SECONDS)
        os._exit(130)
