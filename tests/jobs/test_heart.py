"""A job's process, as a real one: it beats, and ends when it should."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from processes import is_alive, wait_until

from daskfer.jobs.folder import JobFolder, asked_again, new_request

PROCESS = """
import sys, time
from daskfer.jobs.folder import JobFolder
from daskfer.jobs.heart import Heart

folder = JobFolder(sys.argv[1])
rows = [0]
heart = Heart(folder, folder.attempt(sys.argv[2]), lambda: ("ingest", rows[0], 99))
try:
    while True:
        rows[0] += 1
        time.sleep(0.05)
except KeyboardInterrupt:
    heart.end(*heart.outcome())
"""
POLITE = "import signal\nsignal.signal(signal.SIGTERM, signal.default_int_handler)\n"
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


@pytest.fixture
def folder(tmp_path):
    folder = JobFolder(str(tmp_path))
    folder.write_request(new_request(folder.run, ["faces.csv"], "store", 1, "tcp://127.0.0.1:1"))
    return folder


@pytest.fixture
def start(folder):
    begun = []

    def start(before: str) -> tuple[subprocess.Popen[bytes], str]:
        attempt = folder.begin("tcp://w")
        process = subprocess.Popen(
            [sys.executable, "-c", before + PROCESS, folder.run, attempt.name],
            stdin=subprocess.PIPE,
        )
        begun.append(process)
        wait_until(lambda: folder.attempt(attempt.name).done > 0, "its first beat")
        return process, attempt.name

    yield start
    for process in begun:
        process.kill()
        process.wait()
        process.stdin.close()


def test_it_tells_how_far_it_is(folder, start):
    process, name = start(POLITE)
    before = folder.attempt(name)
    assert (before.state, before.pid, before.stage, before.rows) == (
        "running", process.pid, "ingest", 99,
    )  # fmt: skip
    wait_until(lambda: folder.attempt(name).done > before.done, "progress")
    assert folder.attempt(name).beat > before.beat


def test_it_stops_when_somebody_wants_it_to(folder, start):
    process, name = start(POLITE)
    folder.ask_to_stop()
    assert process.wait(timeout=30) == 0
    found = folder.attempt(name)
    assert (found.state, found.error, bool(found.ended)) == ("stopped", "", True)


def test_it_stops_also_when_its_work_does_not_listen(folder, start):
    process, name = start(DEAF)
    folder.ask_to_stop()
    assert process.wait(timeout=30) == 130
    assert folder.attempt(name).state == "stopped"


def test_it_gives_way_to_a_later_attempt(folder, start):
    process, name = start(DEAF)
    folder.begin("tcp://other")
    assert process.wait(timeout=30) == 130
    found = folder.attempt(name)
    assert (found.state, found.error) == ("lost", "another worker has taken the job over")


def test_it_gives_way_to_a_later_submission(folder, start):
    process, name = start(DEAF)
    folder.write_request(asked_again(folder.request(), folder.request()))
    folder.begin("tcp://other")
    assert process.wait(timeout=30) == 130
    found = folder.attempt(name)
    assert (found.state, found.error) == ("lost", "the job was submitted again")


def test_it_ends_with_the_process_that_started_it(folder, start):
    process, name = start(DEAF)
    process.stdin.close()
    assert process.wait(timeout=30) == 130
    found = folder.attempt(name)
    assert (found.state, found.error) == ("lost", "its worker ended")


def test_it_goes_on_while_storage_is_out_of_reach(folder, start):
    process, name = start(POLITE)
    place = Path(folder.file("attempts"))
    place.rename(place.with_name("hidden"))
    place.write_text("a file, where a folder was")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1.5)
    place.unlink()
    place.with_name("hidden").rename(place)
    before = folder.attempt(name).beat
    wait_until(lambda: folder.attempt(name).beat > before, "another beat")
    assert is_alive(process.pid)
