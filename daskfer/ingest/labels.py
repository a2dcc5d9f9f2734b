"""The words that files and folders use for emotions and splits."""

from __future__ import annotations

import re

from daskfer.faces import EMOTIONS, UNKNOWN, USAGES

SYNONYMS = {
    "angry": ("anger",),
    "disgust": ("disgusted",),
    "fear": ("fearful", "afraid", "scared"),
    "happy": ("happiness", "joy"),
    "sad": ("sadness",),
    "surprise": ("surprised",),
    "neutral": (),
}
"""Other words for the emotions."""

SPLIT_WORDS = {
    "Training": ("train",),
    "PublicTest": ("validation", "valid", "val", "dev"),
    "PrivateTest": ("test", "testing"),
}
"""Other words for the splits; `daskfer` fits on the first, chooses on the second, tests on the
third."""

_MISSING = {b"": UNKNOWN, b"nan": UNKNOWN}
_EMOTIONS = _MISSING | {
    word.encode(): code
    for code, name in enumerate(EMOTIONS)
    for word in (name, *SYNONYMS[name], str(code), f"{code}.0")
}
_USAGES = _MISSING | {
    word.encode(): code
    for code, name in enumerate(USAGES)
    for word in (name, name.lower(), *SPLIT_WORDS[name])
}


def emotion_code(text: bytes) -> int | None:
    """The code of an emotion's number or word in any case, UNKNOWN for none, None for others.

    A whole number may end in ``.0``, as pandas writes a column in which some labels are missing.
    """
    code = _EMOTIONS.get(text)
    return code if code is not None else _EMOTIONS.get(text.strip().lower())


def usage_code(text: bytes) -> int | None:
    """The code of a split's word in any case, UNKNOWN for none, None for others."""
    code = _USAGES.get(text)
    return code if code is not None else _USAGES.get(re.sub(rb"[\s_-]", b"", text).lower())


def explain_emotion(text: bytes) -> str:
    """Say that a text is no emotion."""
    return f"unknown emotion: {shown(text)}, expected 0–6 or one of {', '.join(EMOTIONS)}"


def explain_usage(text: bytes) -> str:
    """Say that a text is no split."""
    return f"unknown Usage: {shown(text)}, expected one of {', '.join(USAGES)}"


def folder_labels(folders: list[str]) -> tuple[int, int]:
    """Emotion and split that the names of folders say, from the outermost in; UNKNOWN for none.

    Words count, numbers do not: a folder called 3 may be a person's.
    """
    emotion = usage = UNKNOWN
    for folder in folders:
        name = folder.encode(errors="replace").strip()
        if emotion_code(name) == UNKNOWN or usage_code(name) == UNKNOWN:
            continue
        if name.isalpha() and (found := emotion_code(name)) is not None:
            emotion = found
        elif (found := usage_code(name)) is not None:
            usage = found
    return emotion, usage


def is_split(folder: str) -> bool:
    """Whether the name of a folder is that of a split."""
    return usage_code(folder.encode(errors="replace")) not in (None, UNKNOWN)


def shown(text: bytes) -> str:
    """The beginning of a text, quoted, for an error message."""
    return repr(text[:24].decode(errors="replace"))
