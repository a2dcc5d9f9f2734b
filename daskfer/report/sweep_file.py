"""sweep.json read back, and checked down to every figure.

What the figures support is found in them again, by the rule; no text of the file is shown.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from daskfer.errors import RecipeError, RunFolderError, one_line
from daskfer.recipe import Recipe, recipe_from_dict
from daskfer.report.sweep import FORMAT
from daskfer.stages.sweep import represent_sections
from daskfer.sweep.choices import MOST_CELLS
from daskfer.sweep.results import Result
from daskfer.sweep.statement import Judged, Statement, judge, state

MOST_BYTES = 32 << 20
"""No sweep.json is larger: `MOST_CELLS` cells of it take a third."""

LEAST_WHOLE = {"components": 1, "clusters": 2, "rows": 1, "null_draws": 0}
"""Whole numbers of a cell, and the least that each may be."""

UP_TO_ONE = {"silhouette", "null", "stability", "null_stability", "cv_mean", "held_out_mean"}
SPREADS = {"null_spread", "cv_std", "held_out_std"}

MOST = 1e300
"""No other figure is larger; what JSON writes as 1e999 is none."""

MOST_DIGITS = 20
"""Of a whole number; sizes of inputs have as many at most."""

_AGAIN = "daskfer sweep writes it again, from the store"


@dataclass(frozen=True)
class Swept:
    """A sweep as its folder tells it.

    Attributes
    ----------
    judged : list of Judged
        All cells, in the order of the table.
    fitted, scored : int
        Rows.
    recipe : Recipe
    inputs : list
        Of each source what tells it from others, as plain values.
    """

    judged: list[Judged]
    statement: Statement
    fitted: int
    scored: int
    recipe: Recipe
    inputs: list[Any]

    @property
    def represents(self) -> tuple[str, ...]:
        """The representations that were swept."""
        return tuple(dict.fromkeys(one.result.represent for one in self.judged))


def parse(path: str, data: bytes) -> Swept:
    """The content of a sweep.json.

    Raises
    ------
    RunFolderError
        When it is none, is newer than this daskfer knows, or anything in it is not as it must be.
    """
    if len(data) > MOST_BYTES:
        raise RunFolderError(f"{path} is no sweep's: expected at most {MOST_BYTES:,} bytes")
    try:
        content = json.loads(data, parse_constant=_no_number, parse_int=_short)
    except (ValueError, RecursionError) as error:
        raise RunFolderError(f"{path} is no sweep's JSON: {one_line(error)} ({_AGAIN})") from error
    _check_format(path, content)
    try:
        return _swept(content)
    except (_Fault, RecipeError) as error:
        raise RunFolderError(
            f"{path} is damaged: {harmless(one_line(error))} ({_AGAIN})"
        ) from error


class _Fault(Exception):
    """What is wrong in a sweep.json, and what was expected."""


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _short(digits: str) -> int:
    # Longer ones are no float any more, and nothing that is counted here.
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits, expected at most {MOST_DIGITS}")
    return int(digits)


def _check_format(path: str, content: Any) -> None:
    if not isinstance(content, dict):
        raise RunFolderError(f"{path} is no sweep's: expected keys and values ({_AGAIN})")
    # The first sweeps did not say.
    found = content.get("format", FORMAT)
    if not _is_whole(found, 1):
        raise RunFolderError(f"{path} has format {quoted(found)}: expected {FORMAT} ({_AGAIN})")
    if found > FORMAT:
        raise RunFolderError(
            f"{path} has format {quoted(found)} and this daskfer reads up to {FORMAT}: use a "
            "newer one"
        )


def _swept(content: dict[str, Any]) -> Swept:
    recipe = recipe_from_dict(_of_kind(content, "recipe", dict, "a recipe's sections"))
    rows = _of_kind(content, "rows", dict, "fitted and scored")
    cells = _of_kind(content, "cells", list, "a list")
    if not 0 < len(cells) <= MOST_CELLS:
        raise _Fault(f"{len(cells):,} cells: expected 1 to {MOST_CELLS:,}")
    results = [_result(cell, f"cells[{number}]") for number, cell in enumerate(cells)]
    _check_grid(results)
    # Raises for a name that is no representation.
    represent_sections(recipe, tuple(dict.fromkeys(one.represent for one in results)))
    judged = judge(results)
    statement = state(judged)
    choice = None if statement.choice is None else dataclasses.asdict(statement.choice)
    if _of_kind(content, "choice", dict | None, "a cell or null") != choice:
        raise _Fault("its choice is not what its figures support by the rule of this daskfer")
    return Swept(
        judged,
        statement,
        _whole(rows, "fitted", "rows", 1),
        _whole(rows, "scored", "rows", 1),
        recipe,
        _of_kind(content, "inputs", list, "a list"),
    )


def _check_grid(results: list[Result]) -> None:
    """Refuse anything but each pair of components and clusters once, for each representation."""
    cells = {one.cell for one in results}
    represents = {cell.represent for cell in cells}
    components = {cell.components for cell in cells}
    clusters = {cell.clusters for cell in cells}
    full = len(represents) * len(components) * len(clusters)
    if not len(results) == len(cells) == full or (None in components and len(components) > 1):
        raise _Fault(
            f"{len(results):,} cells: expected each of {len(represents)} representations, "
            f"{len(components)} numbers of components and {len(clusters)} of clusters once"
        )


def _result(cell: Any, place: str) -> Result:
    """The figures of a cell; what else stands there is left alone."""
    if not isinstance(cell, dict):
        raise _Fault(f"{place} is {quoted(cell)}: expected a cell's figures")
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Result):
        name = field.name
        if name == "represent":
            values[name] = _of_kind(cell, name, str, "a name", place)
        elif name == "components" and cell.get(name, 0) is None:
            values[name] = None
        elif name in LEAST_WHOLE:
            values[name] = _whole(cell, name, place, LEAST_WHOLE[name])
        else:
            values[name] = _figure(cell, name, place)
    return Result(**values)


def _figure(cell: dict[str, Any], name: str, place: str) -> float | None:
    value = _of_kind(cell, name, int | float | None, "a number or null", place)
    if value is None:
        return None
    low, high = -MOST, MOST
    if name in UP_TO_ONE:
        # Sums of many rounded numbers end a little beside it.
        low, high = -1 - 1e-6, 1 + 1e-6
    elif name in SPREADS:
        low, high = 0.0, 2.0
    if isinstance(value, bool) or not low <= value <= high:
        limits = f" from {low:.0f} to {high:.0f}" if high < MOST else ""
        raise _Fault(f"{place}.{name} is {quoted(value)}: expected a number{limits}, or null")
    return float(value)


def _whole(values: dict[str, Any], name: str, place: str, least: int) -> int:
    value = _of_kind(values, name, int, "a whole number", place)
    if not _is_whole(value, least):
        raise _Fault(f"{place}.{name} is {quoted(value)}: expected a whole number from {least}")
    return int(value)


def _is_whole(value: Any, least: int) -> bool:
    # Beyond 2**53 JSON's numbers are no whole ones elsewhere, and no count is.
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**53


def _of_kind(values: dict[str, Any], name: str, kind: Any, words: str, place: str = "") -> Any:
    name_there = f"{place}.{name}" if place else name
    if name not in values:
        raise _Fault(f"{name_there} is missing: expected {words}")
    if not isinstance(values[name], kind):
        raise _Fault(f"{name_there} is {quoted(values[name])}: expected {words}")
    return values[name]


def harmless(text: str) -> str:
    """Text of the file without anything that a terminal would act on, or could not write."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def quoted(value: Any) -> str:
    """A value of the file, short and harmless."""
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
