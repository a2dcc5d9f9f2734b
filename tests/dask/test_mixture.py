"""A mixture fitted on workers is the one fitted in process, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from distributed import Client
from threadpoolctl import threadpool_limits

from daskfer import storage
from daskfer.blocks import BlockFiles, cut, starts_of
from daskfer.dask.connect import Where, connected
from daskfer.dask.engine import DaskEngine
from daskfer.em import fit_mixture, starting_mixture
from daskfer.engine import InProcess
from daskfer.mixture import Mixture
from daskfer.recipe import Gmm
from daskfer.store import StageFolder

ROWS = 3000
METHOD = Gmm(clusters=5, restarts=3, sample_rows=1000, tolerance=1e-5)


class CountingEngine(DaskEngine):
    """Counts how often it is waited for."""

    waits = 0

    def gather(self, handles, rows=None):
        self.waits += 1
        return super().gather(handles, rows)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    random = np.random.default_rng(0)
    points = random.normal(size=(ROWS, 8)) @ random.normal(size=(8, 8))
    points[:, 0] += 3 * random.integers(0, 3, ROWS)
    found = BlockFiles(
        StageFolder(str(tmp_path_factory.mktemp("points"))), "points.npy", starts_of([2000, 1000])
    )
    for number in range(found.count):
        a, b = found.starts[number : number + 2]
        storage.write_array(found.path(number), points[a:b].astype(np.float32))
    return found


def fitted(engine, files) -> Mixture:
    fit = np.arange(ROWS)
    start = starting_mixture(engine, files, fit, METHOD, 42)
    return fit_mixture(engine, files, cut(fit, 128), METHOD, start)


@pytest.mark.parametrize(
    "where", [Where(workers=1), Where(workers=3), Where(workers=2, processes=True)]
)
def test_same_bits_on_workers(where, files, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with threadpool_limits(1):
        alone = fitted(InProcess(), files)
    with threadpool_limits(1), connected(where) as client:
        assert isinstance(client, Client)
        engine = CountingEngine(client)
        found = fitted(engine, files)
    assert found.iterations == alone.iterations > 3
    for key, array in alone.arrays().items():
        assert np.array_equal(found.arrays()[key], array), key
    # One for the restarts, one for the moments, one an iteration, one for the last likelihood.
    assert engine.waits == found.iterations + 3
