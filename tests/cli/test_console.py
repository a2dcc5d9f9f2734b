"""What stages tell a person, and that they stop when asked."""

from __future__ import annotations

import io
import json

import pytest

from daskfer.cli.console import JsonLines, Progress


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


def test_lines_for_a_program_tell_when_stages_begin_and_end():
    stream = io.StringIO()
    progress = JsonLines(stream)
    progress.say("for people")
    with progress.stage("ingest"):
        progress.advance(3)
        progress.advance(4)
    with progress.stage("reduce", 7):
        progress.reused()

    def failing():
        with progress.stage("cluster", 7):
            progress.advance(2)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        failing()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert all(line.pop("seconds") >= 0 for line in lines)
    assert lines == [
        {"stage": "ingest", "rows": None, "done": 0},
        {"stage": "ingest", "rows": 7, "done": 7},
        {"stage": "reduce", "rows": 7, "done": 0},
        {"stage": "reduce", "rows": 7, "done": 7},
        {"stage": "cluster", "rows": 7, "done": 0},
        {"stage": "cluster", "rows": 7, "done": 2},
    ]
