"""What stages tell a person, and that they stop when asked."""

from __future__ import annotations

import io

import pytest

from daskfer.cli.console import Progress


def test_a_wish_to_stop_that_was_dropped_on_the_way_ends_the_next_stage_or_block(monkeypatch):
    progress = Progress(io.StringIO())
    with progress.stage("ingest"):
        progress.advance(3)
        monkeypatch.setattr(Progress, "stopping", True)
        with pytest.raises(KeyboardInterrupt):
            progress.advance(1)
    with pytest.raises(KeyboardInterrupt), progress.stage("represent"):
        pytest.fail("the stage was begun")
    assert list(progress.seconds) == ["ingest"]
