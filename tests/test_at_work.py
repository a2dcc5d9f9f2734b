"""Who is at work on the results of a run folder."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import fsspec
import pytest

from daskfer import turns
from daskfer.at_work import WORK, forget, others, working

WORKING = """
import sys, time
from daskfer.at_work import working
with working(sys.argv[1], sys.argv[2]):
    print("at work", flush=True)
    time.sleep(600)
"""


def marks(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{WORK}*"))


def mark_of(folder: Path) -> dict[str, Any]:
    (path,) = marks(folder)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "DEAD_SECONDS", 0.5)
    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.05)


def test_one_at_work_is_seen_by_others_and_not_by_the_same_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with working(str(folder), "one"):
        assert [one.partition(" on ")[0] for one in others(str(folder), "other")] == [
            f"pid {mark_of(folder)['pid']}"
        ]
        assert list(others(str(folder), "one")) == []
    assert list(folder.iterdir()) == []
    assert list(others(str(folder), "other")) == []
    assert list(others(str(tmp_path / "nowhere"), "other")) == []


def test_a_killed_one_counts_no_more(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKING, str(tmp_path), "one"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        assert len(list(others(str(tmp_path), "other"))) == 1
        process.kill()
        process.wait(timeout=30)
    assert len(marks(tmp_path)) == 1
    assert list(others(str(tmp_path), "other")) == []
    forget(str(tmp_path))
    assert marks(tmp_path) == []


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("beats", [True, False])
def test_one_on_another_machine_lives_as_long_as_it_beats(beats: bool, tmp_path: Path) -> None:
    with working(str(tmp_path), "one"):
        mark = mark_of(tmp_path) | {"host": "elsewhere"}
    path, over = tmp_path / f"{WORK}0.json", threading.Event()
    path.write_text(json.dumps(mark))

    def beat() -> None:
        while not over.wait(0.05):
            mark["beats"] += 1
            new = tmp_path / "new"
            new.write_text(json.dumps(mark))
            new.replace(path)

    beating = threading.Thread(target=beat)
    if beats:
        beating.start()
    try:
        found = list(others(str(tmp_path), "other"))
    finally:
        over.set()
        if beats:
            beating.join()
    assert found == ([f"pid {mark['pid']} on host elsewhere"] if beats else [])


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"identity": null}'])
def test_a_mark_that_says_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / f"{WORK}0.json").write_bytes(content)
    assert list(others(str(tmp_path), "other")) == []


def test_behind_a_url() -> None:
    folder = "memory://at-work-test/run"
    with working(folder, "one"):
        assert len(list(others(folder, "other"))) == 1
    assert list(others(folder, "other")) == []
    assert fsspec.filesystem("memory").find("/at-work-test") == []


def test_it_beats_and_a_deleted_folder_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "BEAT_SECONDS", 0.02)
    folder = tmp_path / "run"
    with working(str(folder), "one"):
        while mark_of(folder)["beats"] < 3:
            pass
        marks(folder)[0].rename(tmp_path / "aside")
        folder.rename(tmp_path / "gone")
    assert not folder.exists()
