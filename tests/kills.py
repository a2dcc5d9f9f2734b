"""A writer that is killed between two of its steps, whichever they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from daskfer import switching


class Killed(BaseException):
    """What ends a process between two of its steps, as a kill would."""


def killed_after(
    steps: int, of: Sequence[str], monkeypatch: pytest.MonkeyPatch, write: Callable[[], None]
) -> bool:
    """Let something write until it has called functions of `os` so often; whether it ended.

    `of` are the names of the functions that count, the next call of which ends it.
    """
    left = steps

    def stepping(do: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return do(*arguments, **options)

        return step

    with monkeypatch.context() as patched:
        for name in of:
            patched.setattr(os, name, stepping(getattr(os, name)))
        # A killed process tidies nothing up.
        patched.setattr(switching.shutil, "rmtree", lambda *_, **__: None)
        try:
            write()
        except Killed:
            return False
    return True
