"""The second model, trained from the page by a process of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

KEPT_LINES = 20
"""Last lines that a failed process printed, kept to say why."""


class Training:
    """``daskfer train RUN`` as a child process, one at a time.

    Parameters
    ----------
    arguments : sequence of str
        Of the command, after ``daskfer train``.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._command = [
            sys.executable, "-m", "daskfer", "train", *arguments, "--json", "--progress-json",
        ]  # fmt: skip
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {"state": "none"}
        self._lines: list[str] = []

    def start(self) -> bool:
        """Start it, unless it is at work; whether it was started."""
        with self._lock:
            if self._state["state"] == "running":
                return False
            # Before it is said to be at work: there may be no memory for it.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
            self._state = {"state": "running", "stage": "starting", "done": []}
            self._lines = []
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        return True

    def _listen(self, process: subprocess.Popen[str]) -> None:
        output, errors = process.stdout, process.stderr
        assert output is not None
        assert errors is not None
        printed: list[str] = []
        # Both at once: a process whose other pipe is full would wait for ever.
        reader = threading.Thread(target=lambda: printed.append(output.read()), daemon=True)
        reader.start()
        for line in errors:
            self._hear(line.strip())
        reader.join()
        status = process.wait()
        output.close()
        errors.close()
        with self._lock:
            self._state = self._end(status, "".join(printed))

    def _hear(self, line: str) -> None:
        with contextlib.suppress(ValueError):
            told = json.loads(line)
            if isinstance(told, dict) and "stage" in told:
                with self._lock:
                    self._state = {**self._state, "stage": told["stage"]}
                return
        if line:
            self._lines = [*self._lines, line][-KEPT_LINES:]

    def _end(self, status: int, printed: str) -> dict[str, Any]:
        if status != 0:
            why = self._lines[-1] if self._lines else f"it ended with status {status}"
            return {"state": "failed", "why": why.removeprefix("error: ")}
        with contextlib.suppress(ValueError):
            metrics = json.loads(printed)
            found = metrics.get("classifier") or {}
            keys = ("model", "rows", "test_accuracy", "chance_accuracy",
                    "test_balanced_accuracy", "balanced_chance_accuracy",
                    "pseudo_label_accuracy")  # fmt: skip
            return {
                "state": "done",
                "figures": {key: found.get(key) for key in keys},
                "naming": metrics.get("naming"),
                "notes": metrics.get("notes") or [],
            }
        return {"state": "failed", "why": "its output was not understood"}

    def status(self) -> dict[str, Any]:
        """What it does, or how it ended."""
        with self._lock:
            return dict(self._state)

    def stop(self) -> None:
        """End it, if it is at work; what it has computed stays in the store."""
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
