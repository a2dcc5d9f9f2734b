"""Names that faces and clusters may have: a set's classes, and a user's own behind them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from daskfer.errors import RecipeError
from daskfer.faces import EMOTIONS, UNKNOWN

LONGEST_NAME = 60
FEWEST_NAMES = 2
MOST_NAMES = 100
"""Names that a list may have."""

MOST_CATEGORIES = 120
"""Classes and names of one's own together: their codes are int8."""


def fault_of(name: Any) -> str:
    """What is wrong with a name, in words; empty where nothing is."""
    if isinstance(name, list | dict):
        return "it is a list or a table; expected one name"
    if not isinstance(name, str):
        # YAML's own words for true, false and null are names that people give.
        return f"YAML takes it for {_kind(name)}; write it in quotes, such as 'yes' or '3'"
    if not name.strip():
        return "it is empty"
    if len(name) > LONGEST_NAME:
        return f"it has {len(name)} characters; expected at most {LONGEST_NAME}"
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name):
        return "it holds a control character or the end of a line"
    return ""


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", type(None): "no value"}
    return kinds.get(type(value), f"a {type(value).__name__}")


def checked_names(key: str, names: Any) -> tuple[str, ...]:
    """A list of names without blanks around them.

    Raises
    ------
    RecipeError
        Where it is no list of 2 to 100 different names; upper and lower case are the same.
    """
    if not isinstance(names, list | tuple):
        raise RecipeError(f"{key}={names!r}: expected a list of names, such as [calm, tense]")
    for name in names:
        if fault := fault_of(name):
            raise RecipeError(f"{key}: the name {name!r}: {fault}")
    found = tuple(name.strip() for name in names)
    if not FEWEST_NAMES <= len(found) <= MOST_NAMES:
        raise RecipeError(
            f"{key} lists {len(found)}: expected {FEWEST_NAMES} to {MOST_NAMES} names"
        )
    seen: set[str] = set()
    for name in found:
        if name.casefold() in seen:
            raise RecipeError(f"{key}: the name {name!r} is there twice; expected different names")
        seen.add(name.casefold())
    return found


def categories_of(
    names: Iterable[str] | None, classes: tuple[str, ...] = EMOTIONS
) -> tuple[str, ...]:
    """What codes stand for: a set's classes first, and behind them the names that are none."""
    found = {name.casefold(): name for name in classes}
    for name in names or ():
        found.setdefault(name.casefold(), name)
    return tuple(found.values())


def code_of(name: str, categories: tuple[str, ...]) -> int:
    """The code of a name in any case, or UNKNOWN."""
    wanted = name.strip().casefold()
    for code, known in enumerate(categories):
        if known.casefold() == wanted:
            return code
    return UNKNOWN
