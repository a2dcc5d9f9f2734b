"""What a person at a terminal sees: a line for each stage, and the figures at the end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TextIO

UNITS = {"name": "clusters", "sweep": "scores", "folds": "scores"}
"""What stages count that do not count rows."""


LOG_SECONDS = 10
"""How often a log tells how far a stage is."""


class Progress:
    """Times stages, and shows them on a terminal.

    Parameters
    ----------
    stream : text file
        Where lines go; one that is no terminal gets none.

    Attributes
    ----------
    seconds : dict
        Wall seconds of each stage that has ended.
    taken_over : list of str
        Stages whose result was in the store already.
    name, done, rows : str, int, int or None
        The stage at work, how many of its rows are done, and of how many, where that is known.
    on_end : callable
        Called with the name of each stage that has ended.
    """

    stopping = False
    """Set for all of them when the process has been asked to stop."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._shown = self._stream.isatty()
        self.seconds: dict[str, float] = {}
        self.taken_over: list[str] = []
        self.name = ""
        self.done = 0
        self.rows: int | None = None
        self.on_end: Callable[[str], None] = lambda stage: None
        self._start = 0.0

    @contextmanager
    def stage(self, name: str, rows: int | None = None) -> Iterator[None]:
        """Time a stage; its line is kept when it ends, also when it fails."""
        self._stop_if_asked()
        self.name, self.rows, self.done = name, rows, 0
        self._start = time.monotonic()
        self._show()
        try:
            yield
            self.seconds[name] = time.monotonic() - self._start
            self.on_end(name)
        finally:
            self._show(end="\n")

    def advance(self, rows: int) -> None:
        """Count rows that are done and show their number."""
        self._stop_if_asked()
        if rows:
            self.done += rows
            self._show()

    def reused(self) -> None:
        """Note that the stage's result was in the store."""
        self.taken_over.append(self.name)

    def _stop_if_asked(self) -> None:
        if self.stopping:
            raise KeyboardInterrupt

    def say(self, text: str) -> None:
        """A line for the person at the terminal."""
        if self._shown:
            self._stream.write(text + "\n")
            self._stream.flush()

    def warn(self, text: str) -> None:
        """A line that must be seen, also where there is no terminal."""
        self._stream.write(f"warning: {text}\n")
        self._stream.flush()

    def _show(self, end: str = "") -> None:
        if self._shown:
            # The cursor goes back, and what an earlier and longer line left is erased.
            self._stream.write(f"\r{self._line(end)}\x1b[K{end}")
            self._stream.flush()

    def _line(self, end: str) -> str:
        """What is said of the stage at work, or of one that has come to its `end`."""
        seconds = time.monotonic() - self._start
        total = self.rows if self.rows is not None else self.done
        running = not end and self.rows is not None and 0 < self.done < self.rows
        rows = f"{self.done:,}/{total:,}" if running else f"{total:,}"
        unit = UNITS.get(self.name, "rows")
        line = f"{self.name:<10} {rows:>15} {unit:<8} {seconds:6.1f} s"
        if self.name in self.taken_over:
            line += "  (from the store)"
        return line


class Log(Progress):
    """Writes a line when a stage begins and ends, and every ten seconds between, with the time."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__(stream)
        self._last = 0.0

    def say(self, text: str) -> None:
        """A line of the log."""
        self._stream.write(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}  {text}\n")
        self._stream.flush()

    def warn(self, text: str) -> None:
        """A line of the log, marked as a warning."""
        self.say(f"warning: {text}")

    def _show(self, end: str = "") -> None:
        begins = not end and self.done == 0
        if begins or end or time.monotonic() - self._last > LOG_SECONDS:
            self._last = time.monotonic()
            self.say(f"{self.name} begins" if begins else self._line(end))


class JsonLines(Progress):
    """Writes a line of JSON when a stage begins and ends, for a program that shows its own."""

    def say(self, text: str) -> None:
        """Nothing: what is told between is for people."""

    def _show(self, end: str = "") -> None:
        if not end and self.done:
            return
        rows, done = self.rows, self.done
        if end and self.name in self.seconds:
            # What comes from the store is done as well, though nobody counted it.
            done = done if rows is None else rows
            rows = done
        seconds = round(time.monotonic() - self._start, 3) if end else 0.0
        line = {"stage": self.name, "rows": rows, "done": done, "seconds": seconds}
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()


def local_time(when: str) -> str:
    """An ISO time as a person here reads it."""
    return f"{datetime.fromisoformat(when).astimezone():%Y-%m-%d %H:%M}"


def summary(metrics: dict[str, Any], folder: str) -> str:
    """The figures that matter, each beside its chance, and where the rest is."""
    rows, cluster = metrics["rows"], metrics["cluster"]
    model = metrics["classifier"] or {}
    lines = [
        f"{rows['read']:,} rows read, {rows['fitted']:,} fitted, {rows['test']:,} tested"
        + _set_aside(rows),
        "",
        f"{'':<42}{'found':>8}{'chance':>9}",
    ]
    silhouette, model_chance = cluster["silhouette"], model.get("chance_accuracy")
    figures = [
        ("silhouette (chance: structureless data)", silhouette, cluster["silhouette_null"]),
        (
            "clusters matched to emotions one to one",
            cluster["hungarian_accuracy"],
            cluster["hungarian_chance"],
        ),
        (
            "clusters named by their majority",
            cluster["majority_accuracy"],
            cluster["chance_accuracy"],
        ),
        ("mutual information (NMI)", cluster["nmi"], cluster["nmi_chance"]),
        ("second model, accuracy on test rows", model.get("test_accuracy"), model_chance),
        (
            "second model, balanced accuracy",
            model.get("test_balanced_accuracy"),
            model.get("balanced_chance_accuracy"),
        ),
    ]
    for name, value, chance in figures:
        if value is not None:
            lines.append(f"{name:<42}{value:>8.3f}" + ("" if chance is None else f"{chance:>9.3f}"))
    lines.append("")
    if metrics["verdict"]:
        lines.append(metrics["verdict"])
    elif cluster["nmi"] is None:
        lines.append(
            "The input has no emotion labels, so nothing here says how good the names are."
        )
    lines += [f"Note: {note}" for note in metrics["notes"]]
    lines.append(f"Results: {folder} (open report.html there)")
    if metrics["naming"]["how"] == "page" and metrics["classifier"] is None:
        lines.append(f"The clusters wait for their names: daskfer name {folder}")
    return "\n".join(lines)


def _set_aside(rows: dict[str, int]) -> str:
    bad = rows["quarantined"]
    return f"; {bad:,} bad ones set aside in quarantine.csv" if bad else ""
