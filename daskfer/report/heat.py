"""Tables of counts whose cells are coloured by their share of the row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.report.words import count, percent


@dataclass(frozen=True)
class HeatCell:
    """A count, its share of the row in per cent (or a dash), and how it is marked.

    `strength` of the colour is the share beside the largest one in the table; `largest` marks
    the row's largest count and `own` the column that a row should have it in.
    """

    strength: float
    percent: str
    count: str
    largest: bool
    own: bool


@dataclass(frozen=True)
class HeatRow:
    """A row of cells under its name and a detail; `summary` marks the row of all."""

    name: str
    detail: str
    cells: tuple[HeatCell, ...]
    total: str
    summary: bool


@dataclass(frozen=True)
class Counts:
    """What a row is made from: counts, int (c,), and the column of its own class, if any.

    A name that is no class has no column.
    """

    name: str
    counts: np.ndarray
    own: int = UNKNOWN
    detail: str = ""


def heat_rows(lines: list[Counts], overall: np.ndarray) -> tuple[HeatRow, ...]:
    """Rows of a table, and a last one of `overall`, int (c,), the counts of all."""
    lines = [*lines, Counts("all", overall)]
    shares = [line.counts / max(int(line.counts.sum()), 1) for line in lines]
    most = max(float(share.max()) for share in shares) or 1.0
    return tuple(
        _row(line, share, most, number == len(lines) - 1)
        for number, (line, share) in enumerate(zip(lines, shares, strict=True))
    )


def _row(line: Counts, shares: np.ndarray, most: float, summary: bool) -> HeatRow:
    total = int(line.counts.sum())
    cells = tuple(
        HeatCell(
            round(share / most, 4),
            percent(share).rstrip("%") if total else "–",
            count(number),
            # All of equal ones; in an empty row none is.
            bool(total and number == line.counts.max()),
            column == line.own,
        )
        for column, (share, number) in enumerate(
            zip(shares.tolist(), line.counts.tolist(), strict=True)
        )
    )
    return HeatRow(line.name, line.detail, cells, count(total), summary)


def confusion_rows(
    confusion: list[list[int]], classes: tuple[str, ...] = EMOTIONS
) -> tuple[HeatRow, ...]:
    """Rows of a confusion matrix: true classes in rows, predicted ones in columns."""
    table = np.asarray(confusion, np.int64)
    lines = [Counts(name, table[code], own=code) for code, name in enumerate(classes)]
    return heat_rows(lines, table.sum(axis=0))
