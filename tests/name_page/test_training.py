"""Training from the page: what is told of its process."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest

from daskfer.name_page.training import Training


def ended(training: Training) -> dict[str, Any]:
    """Its state when it is not at work any more."""
    for _ in range(600):
        if training.status()["state"] != "running":
            return training.status()
        time.sleep(0.05)
    raise AssertionError(training.status())


def of_code(code: str) -> Training:
    """A training whose process runs this instead."""
    training = Training([])
    training._command = [sys.executable, "-c", code]
    return training


def test_a_process_that_cannot_start_may_be_tried_again():
    training = of_code("print('{}')")
    command, training._command = training._command, ["/nowhere/python"]
    with pytest.raises(OSError, match="No such file"):
        training.start()
    assert training.status() == {"state": "none"}
    training._command = command
    assert training.start()
    assert ended(training)["state"] == "done"


def test_a_message_in_any_bytes_is_told():
    code = r"import os; os.write(2, b'error: \xff is no face\n'); os._exit(1)"
    training = of_code(code)
    training.start()
    assert ended(training) == {"state": "failed", "why": "\ufffd is no face"}
