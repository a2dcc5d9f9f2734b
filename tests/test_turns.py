"""Of several that lack a result, one computes it, and nobody waits for the dead."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from daskfer import storage, turns
from daskfer.leases import machine, since_boot
from daskfer.store import Store
from daskfer.turns import turn

HOLDER = """
import sys, time
from daskfer.store import StageFolder
from daskfer.turns import turn

with turn(sys.argv[1], (StageFolder(sys.argv[2]),)) as mine:
    print(mine, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path))


@pytest.fixture
def folder(store):
    return store.stage("represent", "something")


def marks(store):
    return sorted(path.name for path in Path(store.root, "leases").glob("*.turn"))


def test_mine_and_then_there(store, folder):
    with turn(store.root, (folder,)) as mine:
        assert mine
        assert marks(store) == [f"represent-{folder.path.rpartition('/')[2]}.turn"]
        folder.finish({"rows": 1})
    assert marks(store) == []
    with turn(store.root, (folder,)) as mine:
        assert not mine
        assert marks(store) == [], "nothing to wait for, nothing to write"


def test_a_failure_ends_the_turn(store, folder):
    with pytest.raises(ZeroDivisionError), turn(store.root, (folder,)):
        1 / 0  # noqa: B018
    assert marks(store) == []


def test_all_of_several_results_must_be_there(store, folder):
    other = store.stage("represent", "other")
    folder.finish({})
    with turn(store.root, (folder, other)) as mine:
        assert mine


def test_of_many_at_once_one_computes(store, folder, monkeypatch):
    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.01)
    begun, computed, waited = threading.Barrier(8), [], threading.Semaphore(0)

    def work():
        begun.wait()
        with turn(store.root, (folder,), waited.release) as mine:
            if mine:
                computed.append(1)
                # All the others have looked and found that it is not theirs.
                for _ in range(7):
                    assert waited.acquire(timeout=30)
                folder.finish({})

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert computed == [1]
    assert marks(store) == []


def test_one_waits_for_the_other_s_result(store, folder, monkeypatch):
    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.01)
    with turn(store.root, (folder,)) as mine:
        assert mine
        seen = []
        paused = threading.Event()

        def wait():
            with turn(store.root, (folder,), paused.set) as theirs:
                seen.append(theirs)

        thread = threading.Thread(target=wait)
        thread.start()
        assert paused.wait(30), "the other did not wait"
        assert seen == []
        folder.finish({})
        thread.join(30)
    assert seen == [False]


def test_waiting_can_be_ended(store, folder, monkeypatch):
    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.01)

    def stop():
        raise KeyboardInterrupt

    with turn(store.root, (folder,)), pytest.raises(KeyboardInterrupt):  # noqa: SIM117
        with turn(store.root, (folder,), stop):
            pass


def test_a_killed_process_s_turn_is_over_at_once(store, folder, monkeypatch):
    # Not by its silence: that would take a day.
    monkeypatch.setattr(turns, "DEAD_SECONDS", 86_400)
    command = [sys.executable, "-c", HOLDER, store.root, folder.path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "True\n"
            assert marks(store)
        finally:
            process.kill()
        process.wait()
    with turn(store.root, (folder,)) as mine:
        assert mine
    assert marks(store) == []


def left_by(store, folder, **changes):
    host, namespace = machine()
    mark = {
        "token": "x", "beats": 1, "host": host, "namespace": namespace, "pid": os.getpid(),
        "since_boot": since_boot(os.getpid()), **changes,
    }  # fmt: skip
    name = f"represent-{folder.path.rpartition('/')[2]}.turn"
    storage.write_json(storage.join(store.root, "leases", name), mark)


def test_a_silent_one_on_another_machine_is_given_up(store, folder, monkeypatch):
    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(turns, "DEAD_SECONDS", 0.2)
    left_by(store, folder, host="elsewhere", pid=1)
    waited = []
    with turn(store.root, (folder,), lambda: waited.append(1)) as mine:
        assert mine
        assert waited


def test_one_that_lives_on_another_machine_is_waited_for(store, folder, monkeypatch):
    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(turns, "DEAD_SECONDS", 2.0)
    left_by(store, folder, host="elsewhere", pid=1)
    beats = [1]

    def beat():
        beats[0] += 1
        left_by(store, folder, host="elsewhere", pid=1, beats=beats[0])
        if beats[0] == 20:
            folder.finish({})

    with turn(store.root, (folder,), beat) as mine:
        assert not mine
    assert beats[0] == 20


def test_a_mark_that_says_nothing_is_waited_for_and_given_up(store, folder, monkeypatch):
    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(turns, "DEAD_SECONDS", 0.1)
    left_by(store, folder, host=None, pid=None, since_boot=None)
    with turn(store.root, (folder,)) as mine:
        assert mine
