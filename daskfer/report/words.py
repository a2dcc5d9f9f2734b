"""Figures as words: how the report writes numbers, and what it says where there is none."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from daskfer import storage
from daskfer.faces import EMOTIONS, UNKNOWN

MISSING = "not known"
UNNAMED = "unnamed"


def look_up(metrics: Any, *keys: str) -> Any:
    """The value under these keys, or None where one of them is missing, null or NaN."""
    for key in keys:
        if not isinstance(metrics, dict):
            return None
        metrics = metrics.get(key)
    if isinstance(metrics, float) and not math.isfinite(metrics):
        return None
    return metrics


def classes_of(metrics: Any) -> tuple[str, ...]:
    """What the labels of a run may be, from its metrics.json."""
    return tuple(look_up(metrics, "classes") or EMOTIONS)


def count(value: float | None) -> str:
    """A whole number with commas."""
    return MISSING if value is None else f"{int(value):,}"


def percent(value: float | None) -> str:
    """A share (0-1) in per cent, to one digit."""
    return MISSING if value is None else f"{value:.1%}"


def score(value: float | None) -> str:
    """A score to three digits, with a true minus sign."""
    return MISSING if value is None else f"{value:.3f}".replace("-", "−")


def seconds(value: float | None) -> str:
    """A duration: seconds, and minutes or hours where it is long."""
    if value is None:
        return MISSING
    if value < 0.095:
        return "under 0.1 s"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(value: float | None) -> str:
    """Bytes in the decimal unit that suits them."""
    if value is None:
        return MISSING
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= factor:
            return f"{value / factor:.1f} {unit}"
    return f"{value:.0f} B"


def emotion_name(code: int, categories: tuple[str, ...] = EMOTIONS) -> str:
    """Name of a code; UNKNOWN is a cluster that has none."""
    return UNNAMED if code == UNKNOWN else categories[code]


def file_name(path: str) -> str:
    """The last part of a path or URL.

    A report is passed around: folders name people, and the query of a signed URL is a key.
    """
    inner = urlsplit(path).path if storage.is_url(path) else path.replace("\\", "/")
    return PurePosixPath(inner).name or "input"


def listed(names: Iterable[str], word: str = "and") -> str:
    """Names as a phrase: a, b and c."""
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last


def plural(number: int, noun: str) -> str:
    """A number and its noun: 1 face, 2 faces."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
