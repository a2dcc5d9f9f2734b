"""How a command ends when it is asked to stop at an awkward moment."""

from __future__ import annotations

import subprocess
import sys

DROPPED = """
import os, signal
from daskfer.cli import app
from daskfer.cli.console import Progress

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

def command(arguments, standalone_mode):
    Finalized()
    with Progress(None).stage("represent"):
        print("the stage was begun")

app.app = command
app.main([])
"""


def _run(script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_wish_to_stop_that_a_finalizer_drops_shows_no_traceback():
    ended = _run(DROPPED)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "stopped\n")


def test_other_errors_of_finalizers_are_shown():
    broken = "class Broken:\n    def __del__(self):\n        1 / 0\n\n"
    script = DROPPED.replace("def command", broken + "def command")
    ended = _run(script.replace("    Finalized()\n", "    Finalized()\n    Broken()\n"))
    assert "ZeroDivisionError" in ended.stderr
    assert ended.returncode == 130


FULL = """
from daskfer import storage
from daskfer.cli import app

def command(arguments, standalone_mode):
    def fsync(number):
        raise OSError(28, "No space left on device")
    storage.os.fsync = fsync
    storage.write_whole("out/metrics.json", b"{}")

app.app = command
app.main([])
"""


def test_a_full_disk_says_which_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = _run(FULL)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "error: No space left on device: out/metrics.json (free some space, or name folders on "
        "another disk by --out and --store)\n"
    )
    assert not list((tmp_path / "out").iterdir())
