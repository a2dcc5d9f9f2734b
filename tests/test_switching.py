"""Several files replaced together, and what killed processes leave."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from kills import killed_after

from daskfer import storage
from daskfer.switching import alone, is_unsettled, replacing, settle

FILES = ("a.txt", "model/b.txt", "last.json")


def rewrite(folder: Path, text: str) -> None:
    with replacing(str(folder), "last.json", tidy=True) as place:
        for name in FILES:
            storage.write_text(os.path.join(place, name), text)


def content(folder: Path) -> set[str]:
    return {(folder / name).read_text() for name in FILES}


def test_all_of_them_are_old_or_new_whenever_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for steps in range(40):
        folder = tmp_path / str(steps)
        folder.mkdir()
        rewrite(folder, "old")
        ended = killed_after(
            steps, ("replace", "rename", "mkdir"), monkeypatch, partial(rewrite, folder, "new")
        )
        if len(content(folder)) > 1:
            assert is_unsettled(str(folder))
        last = (folder / "last.json").read_text()
        settle(str(folder), "last.json")
        assert len(content(folder)) == 1, steps
        # Whoever saw the last file saw the others.
        assert last == "old" or content(folder) == {"new"}
        seen += content(folder)
        rewrite(folder, "newer")
        assert content(folder) == {"newer"}
        assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "last.json", "model"]
        if ended:
            break
    assert ended
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == {"old", "new"}


def test_an_error_replaces_nothing(tmp_path: Path) -> None:
    rewrite(tmp_path, "old")

    def fail() -> None:
        with replacing(str(tmp_path), "last.json", tidy=True) as place:
            storage.write_text(os.path.join(place, "a.txt"), "new")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert content(tmp_path) == {"old"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "last.json", "model"]


def test_nothing_waits_where_nobody_was_killed(tmp_path: Path) -> None:
    assert not is_unsettled(str(tmp_path / "nowhere"))
    rewrite(tmp_path, "old")
    assert not is_unsettled(str(tmp_path))
    settle(str(tmp_path), "last.json")
    assert content(tmp_path) == {"old"}


def test_what_others_write_without_locks_is_left_alone(tmp_path: Path) -> None:
    rewrite(tmp_path, "old")
    with replacing(str(tmp_path), "last.json", tidy=True) as one:
        storage.write_text(os.path.join(one, "a.txt"), "one")
        with replacing(str(tmp_path), "last.json", tidy=False) as other:
            storage.write_text(os.path.join(other, "a.txt"), "other")
        assert (tmp_path / "a.txt").read_text() == "other"
    assert (tmp_path / "a.txt").read_text() == "one"


ALONE = """
import sys
from daskfer.switching import alone
with alone(sys.argv[1]) as locked:
    print(locked, flush=True)
    sys.stdin.readline()
"""


def test_others_wait_but_not_for_a_killed_one(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    command = [sys.executable, "-c", ALONE, str(tmp_path)]
    number = os.open(tmp_path, os.O_RDONLY)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "True\n"
        with pytest.raises(BlockingIOError):
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        first.kill()
    os.close(number)
    with alone(str(tmp_path)) as locked:
        assert locked


def test_where_there_are_no_locks_nobody_waits(tmp_path: Path) -> None:
    with alone(str(tmp_path / "no folder")) as locked:
        assert not locked
