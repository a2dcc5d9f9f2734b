"""Names that a YAML file states of clusters: ``cluster: name``, or a run's own names.yaml."""

from __future__ import annotations

import difflib
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from daskfer.errors import InputError, RecipeError, one_line
from daskfer.faces import EMOTIONS, SYNONYMS, UNKNOWN
from daskfer.recipe.categories import MOST_CATEGORIES, checked_names, code_of, fault_of

MIXED = "mixed"
"""What leaves a cluster out, as on the naming page, unless that is a name to choose from."""


@dataclass(frozen=True)
class Stated:
    """What a file says.

    Attributes
    ----------
    code : dict of int to int
        The code of each cluster that the file speaks of; UNKNOWN of those it leaves out.
    categories : tuple of str
        What the codes stand for.
    """

    code: dict[int, int]
    categories: tuple[str, ...]

    def emotion(self, k: int) -> np.ndarray:
        """The codes of all clusters, int8 (k,)."""
        found = np.full(k, UNKNOWN, np.int8)
        found[list(self.code)] = list(self.code.values())
        return found

    def names(self) -> dict[str, str | None]:
        """The names by cluster, as the log of answers has them; None of those left out."""
        return {
            str(number): None if code == UNKNOWN else self.categories[code]
            for number, code in self.code.items()
        }


def read_names(
    path: str, k: int, categories: tuple[str, ...] = EMOTIONS, any_name: bool = False
) -> Stated:
    """Read a file ``cluster: name`` (or a run's names.yaml).

    Clusters that are missing, empty or null are not spoken of; ``mixed`` leaves one out. Other
    words for emotions (anger, surprised, …) stand for these.

    Parameters
    ----------
    path : str
    k : int
        Number of clusters.
    categories : tuple of str
        What codes stand for, to begin with; those that a run's names.yaml lists come behind.
    any_name : bool
        Whether a name that is none of these becomes a category too, or is an error.

    Raises
    ------
    InputError
        For a cluster that does not exist or is there twice, or a name that is not known.
    """
    content = _content_of(path)
    if isinstance(content.get("clusters"), dict):
        if content.get("categories") is not None:
            try:
                listed = checked_names("categories", content["categories"])
            except RecipeError as error:
                raise InputError(f"{path}: {error}") from error
            categories = _joined(path, categories, listed)
        content = content["clusters"]
    codes: dict[int, int] = {}
    for number, name in content.items():
        if isinstance(name, dict):
            name = name.get("emotion")
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < k:
            raise InputError(f"{path}: cluster {number!r}: expected a number from 0 to {k - 1}")
        if name is None:
            continue
        if fault := fault_of(name):
            raise InputError(f"{path}: emotion {name!r} of cluster {number}: {fault}")
        known = spelt(name, categories)
        if known is None:
            codes[number] = UNKNOWN
            continue
        if code_of(known, categories) == UNKNOWN:
            if not any_name:
                raise InputError(
                    f"{path}: emotion {name!r} of cluster {number}: expected one of "
                    f"{', '.join(categories)}, or {MIXED}; names of your own are told by "
                    f"--set name.categories=[...]"
                )
            categories = _joined(path, categories, (known,))
        codes[number] = code_of(known, categories)
    return Stated(codes, categories)


def spelt(name: str, categories: tuple[str, ...]) -> str | None:
    """A name as categories spell it, or as it is; None for what leaves a cluster out.

    Another word for an emotion is that emotion, where it is among the categories.
    """
    name = name.strip()
    code = code_of(name, categories)
    word = name.casefold()
    for emotion, words in SYNONYMS.items() if code == UNKNOWN else ():
        if word in words:
            code = code_of(emotion, categories)
    if code != UNKNOWN:
        return categories[code]
    return None if word == MIXED else name


def told_new(new: tuple[str, ...], known: tuple[str, ...]) -> str:
    """Names that are new, in words, each with one that it may be a slip of."""
    found = []
    for name in new:
        close = difflib.get_close_matches(name.casefold(), known, 1, 0.75)
        found.append(f"{name} (did you mean {close[0]}?)" if close else name)
    return ", ".join(found)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Plain values alone, by libyaml where it is there, and no key twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                where = f"{key!r} is there twice, in line {key_node.start_mark.line + 1} again"
                raise yaml.YAMLError(where)
            seen.add(key if isinstance(key, Hashable) else None)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def load_yaml(data: bytes | str) -> Any:
    """What YAML says, as plain values.

    Raises
    ------
    yaml.YAMLError
        Where it is none, or a key is in it twice: one of the two would be lost.
    """
    return yaml.load(data, Loader=_Loader)


def _content_of(path: str) -> dict[Any, Any]:
    """What a YAML file of names holds."""
    if not Path(path).is_file():
        raise InputError(
            f"name.file={path}: no such file; expected YAML with lines cluster: emotion"
        )
    try:
        content = load_yaml(Path(path).read_bytes())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {one_line(error)}: expected YAML, each key once") from error
    if content is None:
        raise InputError(f"{path} is empty: expected lines cluster: emotion")
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected lines cluster: emotion, got {str(content)[:80]!r}")
    return content


def _joined(path: str, categories: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Categories, and behind them those of the names that they do not have."""
    new = tuple(name for name in names if code_of(name, categories) == UNKNOWN)
    if len(categories) + len(new) > MOST_CATEGORIES:
        raise InputError(f"{path}: more than {MOST_CATEGORIES} names in all: expected fewer")
    return (*categories, *new)
