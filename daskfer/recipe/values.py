"""Values of a recipe's keys: are they of the type that the key has?"""

from __future__ import annotations

import difflib
from typing import Any, Literal, get_args, get_origin

from daskfer.errors import RecipeError
from daskfer.recipe.categories import checked_names


def check(condition: bool, message: str) -> None:
    """Raise a `RecipeError` with this message unless the condition holds."""
    if not condition:
        raise RecipeError(message)


def checked(key: str, value: Any, kind: Any) -> Any:
    """The value if it is of the kind, with whole floats and numbers in text brought over."""
    if kind == tuple[str, ...] | None:
        return None if value is None else checked_names(key, value)
    options = get_args(kind) if get_origin(kind) is not Literal else ()
    if get_origin(kind) is Literal:
        if value is None and "none" in get_args(kind):
            return "none"
        if value not in get_args(kind):
            expected = ", ".join(map(str, get_args(kind)))
            raise RecipeError(f"{key}={value!r}: expected one of {expected}")
        return value
    if options:
        for option in options:
            try:
                return checked(key, value, option)
            except RecipeError:
                continue
        names = " or ".join(_kind_name(option) for option in options)
        raise RecipeError(f"{key}={value!r}: expected {names}")
    if kind in (int, float) and isinstance(value, str):
        value = _number_in(value)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind is type(None) and value is None:
        return None
    if kind is int and isinstance(value, bool):
        raise RecipeError(f"{key}={value!r}: expected a whole number")
    if isinstance(value, kind):
        return value
    raise RecipeError(f"{key}={value!r}: expected {_kind_name(kind)}")


def _number_in(text: str) -> float | str:
    """The number that a text states (YAML takes ``1e-4`` for a text), or the text."""
    try:
        return float(text)
    except ValueError:
        return text


def _kind_name(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return names.get(kind, "null")


def suggest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{hint}; expected one of {', '.join(known)}"
