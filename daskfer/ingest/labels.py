"""The words that files and folders use for emotions and splits."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

from daskfer.faces import EMOTIONS, SYNONYMS, UNKNOWN, USAGES

SPLIT_WORDS = {
    "Training": ("train",),
    "PublicTest": ("validation", "valid", "val", "dev"),
    "PrivateTest": ("test", "testing"),
}
"""Other words for the splits; `daskfer` fits on the first, chooses on the second, tests on the
third."""

_MISSING = {b"": UNKNOWN, b"nan": UNKNOWN}
_USAGES = _MISSING | {
    word.encode(): code
    for code, name in enumerate(USAGES)
    for word in (name, name.lower(), *SPLIT_WORDS[name])
}


class Reader(NamedTuple):
    """What gives the codes of a column's texts, and says why a text has none."""

    code_of: Callable[[bytes], int | None]
    explain: Callable[[bytes], str]


def readers(classes: tuple[str, ...]) -> tuple[Reader, Reader]:
    """What reads classes and splits; where there are no classes, all labels are passed over."""
    if not classes:
        passed = Reader(lambda text: UNKNOWN, shown)
        return passed, passed
    return (
        Reader(partial(class_code, classes=classes), partial(explain_class, classes=classes)),
        Reader(usage_code, explain_usage),
    )


def class_code(text: bytes, classes: tuple[str, ...] = EMOTIONS) -> int | None:
    """The code of a class's number or word in any case, UNKNOWN for none, None for others.

    A whole number may end in ``.0``, as pandas writes a column in which some labels are missing.
    A class that has a number for its name is meant by that, and not the class in that place.
    """
    words = _words(classes)
    code = words.get(text)
    return code if code is not None else words.get(_folded(text))


@lru_cache(maxsize=16)
def _words(classes: tuple[str, ...]) -> dict[bytes, int]:
    """What labels may say, in the case of `_folded`, and their codes."""
    numbers = {
        word.encode(): code for code in range(len(classes)) for word in (str(code), f"{code}.0")
    }
    return _MISSING | numbers | _names(classes)


@lru_cache(maxsize=16)
def _names(classes: tuple[str, ...]) -> dict[bytes, int]:
    """Names of the classes, and other words for those that are emotions."""
    names = {_folded(name.encode()): code for code, name in enumerate(classes)}
    others = {
        word.encode(): code
        for code, name in enumerate(classes)
        for word in SYNONYMS.get(name.casefold(), ())
    }
    return others | names


def _folded(text: bytes) -> bytes:
    return text.decode(errors="replace").strip().casefold().encode()


def usage_code(text: bytes) -> int | None:
    """The code of a split's word in any case, UNKNOWN for none, None for others."""
    code = _USAGES.get(text)
    return code if code is not None else _USAGES.get(re.sub(rb"[\s_-]", b"", text).lower())


def explain_class(text: bytes, classes: tuple[str, ...] = EMOTIONS) -> str:
    """Say that a text is no class."""
    return (
        f"unknown emotion: {shown(text)}, expected 0–{len(classes) - 1} or one of "
        f"{', '.join(classes)}; other classes by --set ingest.classes=[...]"
    )


def explain_usage(text: bytes) -> str:
    """Say that a text is no split."""
    return f"unknown Usage: {shown(text)}, expected one of {', '.join(USAGES)}"


def folder_labels(folders: list[str], classes: tuple[str, ...] = EMOTIONS) -> tuple[int, int]:
    """Class and split that the names of folders say, from the outermost in; UNKNOWN for none.

    Words count, numbers do not: a folder called 3 may be a person's.
    """
    emotion = usage = UNKNOWN
    for folder in folders:
        name = folder.encode(errors="replace").strip()
        if name in _MISSING:
            continue
        if (found := _names(classes).get(_folded(name))) is not None:
            emotion = found
        elif (found := usage_code(name)) not in (None, UNKNOWN):
            usage = found
    return emotion, usage


def is_split(folder: str) -> bool:
    """Whether the name of a folder is that of a split."""
    return usage_code(folder.encode(errors="replace")) not in (None, UNKNOWN)


def shown(text: bytes) -> str:
    """The beginning of a text, quoted, for an error message."""
    return repr(text[:24].decode(errors="replace"))
