"""The engine on workers does what the one in process does."""

from __future__ import annotations

import operator
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from distributed.system import MEMORY_LIMIT
from processes import wait_until

from daskfer.blocks import BlockFiles
from daskfer.dask import memory
from daskfer.dask.connect import Where, connected
from daskfer.dask.engine import DaskEngine
from daskfer.dask.memory import PeakMemory
from daskfer.engine import Abandoned, InProcess, check_wanted, fold_pairs
from daskfer.errors import InputError, SchedulerError
from daskfer.store import StageFolder


def join(left: str, right: str) -> str:
    return f"({left}{right})"


def letter(number: int, shift: int) -> str:
    # The first ones take longest: results come in another order than they are asked for.
    time.sleep(0.02 * max(0, 3 - number))
    return chr(ord("a") + number + shift)


def at(number: int, shared: np.ndarray) -> int:
    return int(shared[number])


def name_of(number: int, files: BlockFiles) -> str:
    return files.names[number]


def refuse(number: int) -> int:
    if number == 2:
        raise InputError("number 2: expected any other")
    return number


@pytest.fixture(scope="module")
def client():
    with connected(Where(workers=2)) as client:
        yield client


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 37])
def test_same_order_and_same_tree_as_in_process(client, count):
    results = []
    for engine in (DaskEngine(client), InProcess()):
        handles = engine.map("test", letter, range(count), shared=(1,))
        values = engine.gather(handles)
        totals = [
            engine.total("test", letter, range(count), combine=join, shared=(1,), at_once=some)
            for some in (2, 4, 32)
        ]
        results.append((values, engine.gather(totals)))
    assert results[0] == results[1]
    assert results[0][1] == [fold_pairs(results[0][0], join)] * 3


def test_tasks_are_counted_by_stage(client):
    engine = DaskEngine(client)
    engine.map("a", letter, range(3), shared=(0,))
    engine.total("b", letter, range(70), combine=join, shared=(0,))
    engine.total("c", letter, range(5), combine=join, shared=(0,), at_once=2)
    assert dict(engine.tasks) == {"a": 3, "b": 70 + 3 + 1, "c": 5 + 4}


def test_handles_are_items_of_further_work(client):
    engine = DaskEngine(client)
    letters = engine.map("test", letter, range(3), shared=(0,))
    assert engine.gather(engine.map("test", join, letters, "xyz")) == ["(ax)", "(by)", "(cz)"]
    (found,) = engine.gather([engine.total("test", join, letters, combine=join, shared=("-",))])
    assert found == "(((a-)(b-))(c-))"


def test_what_all_tasks_share_may_be_large(client):
    shared = np.arange(50_000)
    engine = DaskEngine(client)
    held = engine.map("test", at, [3, 5], shared=(shared,))
    assert engine.gather(held) == [3, 5]
    # Also within a dataclass, whose size Dask does not see.
    names = BlockFiles(StageFolder("x"), "npy", (0,), tuple(map(str, range(9_000))))
    assert engine.gather(engine.map("test", name_of, [3, 8_999], shared=(names,))) == ["3", "8999"]
    assert engine.tasks["test"] == 2 * (2 + 1)
    assert engine.gather(engine.map("test", at, [0], shared=(np.arange(2),))) == [0]
    assert engine.tasks["test"] == 2 * (2 + 1) + 1
    (found,) = engine.gather(
        [engine.total("test", at, [3, 5, 7], combine=operator.add, shared=(shared,))]
    )
    assert found == 15


def test_errors_in_a_total_reach_the_caller(client):
    engine = DaskEngine(client)
    with pytest.raises(InputError, match="number 2"):
        engine.gather([engine.total("test", refuse, range(5), combine=operator.add)])


def test_nothing_to_do_is_nothing_done(client):
    assert DaskEngine(client).map("test", letter, [], shared=(0,)) == []


def test_rows_are_counted(client):
    seen = []
    engine = DaskEngine(client, seen.append)
    engine.gather(engine.map("test", letter, range(3), shared=(0,)), rows=[5, 6, 7])
    assert sorted(seen) == [5, 6, 7]


def test_errors_of_blocks_reach_the_caller(client):
    engine = DaskEngine(client)
    with pytest.raises(InputError, match="number 2"):
        engine.gather(engine.map("test", refuse, range(5)))


def test_tasks_carry_the_stages_name(client):
    engine = DaskEngine(client)
    (future,) = engine.map("represent", letter, [0], shared=(0,))
    assert future.key[0].startswith("represent-")


def told(workers):
    """An engine whose scheduler tells of these workers."""
    return DaskEngine(SimpleNamespace(scheduler_info=lambda n_workers: {"workers": workers}))


def test_the_smallest_worker_sets_the_limit_of_memory():
    limits = {"tcp://a": 8 * 2**30, "tcp://b": 2**30, "tcp://c": 0, "tcp://d": None}
    workers = {address: {"memory_limit": limit} for address, limit in limits.items()}
    assert told(workers).memory() == 2**30
    assert told({"tcp://c": workers["tcp://c"]}).memory() is None
    assert told({}).memory() is None


def test_worker_threads_share_this_machines_memory(client):
    assert DaskEngine(client).memory() == MEMORY_LIMIT


@pytest.mark.slow
def test_worker_processes_have_a_limit_each():
    with connected(Where(workers=2, processes=True)) as client:
        assert 0 < DaskEngine(client).memory() <= MEMORY_LIMIT / 2 + 1


def test_peak_memory_of_a_stage_is_its_own(client):
    _hold(300 * 2**20)
    peaks = PeakMemory(client)
    peaks.note("before")
    client.submit(_hold, 300 * 2**20).result()
    peaks.note("large")
    peaks.note("small")
    assert peaks.stages["large"] > peaks.stages["before"] + 100 * 2**20
    assert peaks.stages["small"] < peaks.stages["large"] - 100 * 2**20
    assert peaks.largest() >= peaks.stages["large"]


def _hold(size: int) -> int:
    # Each of its pages is written to.
    return len(b"x" * size)


def _until_abandoned(seen: str) -> None:
    Path(seen, "begun").touch()
    try:
        for _ in range(3000):
            check_wanted()
            time.sleep(0.01)
    except Abandoned:
        Path(seen, "abandoned").touch()
        raise


def test_a_block_ends_that_nobody_waits_for(client, tmp_path):
    (task,) = DaskEngine(client).map("represent", _until_abandoned, [str(tmp_path)])
    wait_until((tmp_path / "begun").exists, "the block's begin")
    client.cancel([task])
    wait_until((tmp_path / "abandoned").exists, "its end")


def test_without_workers_every_block_is_wanted():
    check_wanted()
    assert InProcess().map("represent", lambda item: check_wanted(), [1]) == [None]


def test_workers_with_too_little_memory_are_refused():
    limits = {"tcp://w1": {"memory_limit": 2 << 30}, "tcp://w2": {"memory_limit": 100 << 20}}
    workers = SimpleNamespace(scheduler_info=lambda n_workers: {"workers": limits})
    with pytest.raises(SchedulerError, match=r"may use 100 MiB of memory: expected 300 at least"):
        memory.checked_limit(workers)
    limits["tcp://w2"]["memory_limit"] = 1 << 30
    assert memory.checked_limit(workers) == 1 << 30
    limits["tcp://w2"]["memory_limit"] = limits["tcp://w1"]["memory_limit"] = 0
    assert memory.checked_limit(workers) is None
