"""Which choices a sweep compares: ranges of whole numbers, and the cells that they span."""

from __future__ import annotations

import re
from dataclasses import dataclass

from daskfer.errors import RecipeError

MOST_VALUES = 1_000
"""Most values that one option may name; more are a slip of the finger rather than a wish."""

MOST_CELLS = 10_000

_ITEM = re.compile(r"\s*(\d+)\s*(?::\s*(\d+)\s*(?::\s*(\d+)\s*)?)?")


@dataclass(frozen=True)
class Cell:
    """One choice; `components` is None where the recipe does not reduce."""

    represent: str
    components: int | None
    clusters: int

    def __str__(self) -> str:
        parts = [self.represent, words(self.components, "component"), f"{self.clusters} clusters"]
        return ", ".join(part for part in parts if part)


def words(number: int | None, noun: str) -> str:
    """A number and its noun, or nothing without a number."""
    if number is None:
        return ""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def whole_numbers(option: str, text: str, least: int) -> tuple[int, ...]:
    """The numbers, ascending and each once, that ``a:b``, ``a:b:step`` or ``a,b,c`` stand for.

    Parameters
    ----------
    option : str
        What a person typed it for, for messages.
    text : str
        Ranges include their ends; items of a list may be ranges.
    least : int
        The smallest number that makes sense.

    Raises
    ------
    RecipeError
    """
    found: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if match is None or len(item) > 40:
            raise RecipeError(
                f"{option} {text}: {item[:40]!r} is no whole number or range: expected a:b, "
                "a:b:step or a list, such as 2:5, 5:15:2 or 2,3,5"
            )
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        step = 1 if match[3] is None else int(match[3])
        if first < least:
            raise RecipeError(f"{option} {text}: expected {least} or more, got {first}")
        if step < 1:
            raise RecipeError(f"{option} {text}: the step is 0: expected 1 or more")
        if last < first:
            raise RecipeError(
                f"{option} {text}: {item.strip()} is empty: expected the smaller number first, "
                f"{last}:{first}"
            )
        if (last - first) // step >= MOST_VALUES:
            raise RecipeError(
                f"{option} {text}: {(last - first) // step + 1:,} values: expected at most "
                f"{MOST_VALUES:,}; {first}:{last}:{(last - first) // 20} has about twenty"
            )
        found.update(range(first, last + 1, step))
    return tuple(sorted(found))


def names(option: str, text: str) -> tuple[str, ...]:
    """The names, each once and in their order, of a list such as ``pixels,hog``."""
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if "" in found:
        raise RecipeError(f"{option} {text!r}: a name is missing: expected a list like pixels,hog")
    return found


def cells(
    represents: tuple[str, ...], components: tuple[int, ...] | None, clusters: tuple[int, ...]
) -> list[Cell]:
    """All cells in the order of the table: by representation, components, clusters."""
    columns: tuple[int | None, ...] = (None,) if components is None else components
    count = len(represents) * len(columns) * len(clusters)
    if count > MOST_CELLS:
        raise RecipeError(
            f"{count:,} cells to score: expected at most {MOST_CELLS:,}; a step thins a range "
            "out, such as --clusters 5:100:5"
        )
    return [
        Cell(represent, column, number)
        for represent in represents
        for column in columns
        for number in clusters
    ]


def check_rows(
    components: tuple[int, ...] | None,
    clusters: tuple[int, ...],
    folds: int,
    rows: int,
    features: dict[str, int],
) -> None:
    """Refuse what so many rows, of so many features by representation, cannot give.

    Raises
    ------
    RecipeError
    """
    if folds and rows // folds < 2:
        raise RecipeError(
            f"--folds {folds}: {rows:,} scored rows make folds of fewer than 2: expected at most "
            f"{rows // 2}, or 0 for none"
        )
    # Each fold is held out once, and each half is clustered.
    fitted = rows - (-(-rows // folds) if folds else 0)
    if clusters[-1] > rows // 2:
        raise RecipeError(
            f"--clusters {clusters[-1]}: {rows:,} rows are scored, and each half of them is "
            f"clustered: expected at most {rows // 2}"
        )
    for represent, count in features.items():
        most = min(fitted - 1, count)
        if components is not None and components[-1] > most:
            of = f"{fitted:,} rows" if most < count else f"representation {represent}"
            raise RecipeError(
                f"--components {components[-1]}: {of} of {count:,} features have at most "
                f"{most:,}: expected {most:,} or fewer"
            )
