"""A job's log: what is kept of one that gets long, and what of it somebody has not seen yet."""

from __future__ import annotations

import re

FIRST_BYTES, LAST_BYTES = 250_000, 750_000
"""What is kept of a log that gets longer."""

_LEFT_OUT = "\n… {} bytes left out …\n"
_MARK = re.compile(_LEFT_OUT.replace("{}", "([0-9]+)").encode())


def shortened(text: bytes) -> bytes:
    """The log without its middle, where it says how many bytes it lacks of what was printed."""
    left_out, rest = _after_the_first(text)
    left_out += max(0, len(rest) - LAST_BYTES)
    if not left_out:
        return text
    return text[:FIRST_BYTES] + _LEFT_OUT.format(left_out).encode() + rest[-LAST_BYTES:]


def unseen(text: bytes, seen: int) -> tuple[bytes, int]:
    """What a log has beyond the first bytes that were printed, and how many were printed by now.

    The log may have been shortened since: what counts is what was printed, not what is kept.
    """
    left_out, rest = _after_the_first(text)
    printed = len(text[:FIRST_BYTES]) + left_out + len(rest)
    if not left_out or seen < FIRST_BYTES:
        return text[seen:], printed
    missing = printed - seen
    if missing <= len(rest):
        return rest[len(rest) - max(0, missing) :], printed
    return text[FIRST_BYTES:], printed


def _after_the_first(text: bytes) -> tuple[int, bytes]:
    """How many bytes are left out after the first ones, and what comes then."""
    mark = _MARK.match(text, FIRST_BYTES)
    return (int(mark[1]), text[mark.end() :]) if mark else (0, text[FIRST_BYTES:])
