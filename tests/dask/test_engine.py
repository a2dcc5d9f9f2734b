"""The engine on workers does what the one in process does."""

from __future__ import annotations

import time

import pytest

from daskfer.dask.connect import Where, connected, dashboard_link, peak_memory
from daskfer.dask.engine import DaskEngine
from daskfer.engine import InProcess
from daskfer.errors import InputError


def join(left: str, right: str) -> str:
    return f"({left}{right})"


def letter(number: int, shift: int) -> str:
    # The first ones take longest: results come in another order than they are asked for.
    time.sleep(0.02 * max(0, 3 - number))
    return chr(ord("a") + number + shift)


def refuse(number: int) -> int:
    if number == 2:
        raise InputError("number 2: expected any other")
    return number


@pytest.fixture(scope="module")
def client():
    with connected(Where(workers=2)) as client:
        yield client


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_same_order_and_same_tree_as_in_process(client, count):
    results = []
    for engine in (DaskEngine(client), InProcess()):
        handles = engine.map("test", letter, range(count), shared=(1,))
        values = engine.gather(handles)
        results.append((values, engine.gather([engine.fold("test", join, handles)])))
    assert results[0] == results[1]


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


def test_dashboard_and_memory(client):
    assert dashboard_link(client).startswith("http://127.0.0.1:")
    assert peak_memory(client) > 10 * 2**20
