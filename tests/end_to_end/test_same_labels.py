"""The same recipe and seed give the same labels, bit for bit, wherever they are computed."""

from __future__ import annotations

import io
from contextlib import contextmanager, nullcontext

import numpy as np
import pyarrow.parquet as pq
import pytest
from processes import scheduler_with_workers

from daskfer.dask.connect import Where, connected
from daskfer.dask.engine import DaskEngine
from daskfer.ingest.finding import find_sources
from daskfer.pipeline import run
from daskfer.recipe import load_recipe
from daskfer.run_folder import labels_parquet
from daskfer.store import Store

RECIPES = {
    "seed": ["balance.per_class=120", "block_rows=300", "evaluate.folds=2", "classify.model=none"],
    "svd": [
        "balance.per_class=120",
        "block_rows=300",
        "reduce.method=svd",
        "evaluate.folds=0",
        "classify.model=none",
    ],
    "hog": ["block_rows=256"],
    "gmm": [
        "block_rows=256",
        "cluster.method=gmm",
        "cluster.restarts=3",
        "cluster.sample_rows=500",
        "reduce.components=6",
        "evaluate.stability_draws=2",
        "evaluate.null_draws=1",
        "classify.model=none",
    ],
}

PLACES = {
    "1 thread": (Where(workers=1), 8),
    "2 threads, ranges of 1 MB": (Where(workers=2), 1),
    "4 threads, ranges of 64 MB": (Where(workers=4), 64),
    "2 processes": (Where(workers=2, processes=True), 1),
    "remote scheduler": (None, 8),
}


class Silent:
    """A watch that shows nothing."""

    def stage(self, name, rows=None):
        return nullcontext()

    def advance(self, rows):
        pass

    def reused(self):
        pass

    def say(self, text):
        pass


@contextmanager
def client_at(place, folder):
    if place is not None:
        with connected(place) as client:
            yield client
        return
    with scheduler_with_workers(2, folder) as address, connected(Where(address)) as client:
        client.wait_for_workers(2, timeout=60)
        yield client


def compute(csv, recipe, client, store, megabytes):
    result = run(
        load_recipe("seed" if recipe in ("seed", "svd") else "hog", RECIPES[recipe]),
        find_sources([str(csv)]),
        Store(str(store)),
        DaskEngine(client),
        Silent(),
        megabytes << 20,
    )
    table = pq.read_table(io.BytesIO(labels_parquet(result))).to_pydict()
    return table, result


@pytest.fixture(scope="module")
def reference(faces_csv, tmp_path_factory):
    """What one worker thread finds."""
    found = {}
    with connected(Where(workers=1)) as client:
        for recipe in RECIPES:
            store = tmp_path_factory.mktemp("reference")
            found[recipe] = compute(faces_csv, recipe, client, store, 8)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("place", list(PLACES)[1:])
def test_labels_and_centres_do_not_depend_on_the_place(place, faces_csv, reference, tmp_path):
    where, megabytes = PLACES[place]
    with client_at(where, tmp_path) as client:
        for recipe, (labels, result) in reference.items():
            again, other = compute(faces_csv, recipe, client, tmp_path / recipe, megabytes)
            assert again["cluster"] == labels["cluster"], recipe
            assert again == labels, recipe
            assert np.array_equal(other.clusters.centers, result.clusters.centers), recipe
            assert other.figures == result.figures, recipe


@pytest.mark.slow
def test_the_reference_is_not_trivial(reference):
    """The comparison above would pass for runs that find nothing."""
    labels, result = reference["hog"]
    assert set(labels["cluster"]) == set(range(7))
    assert result.evaluation.agreement.hungarian_accuracy > 0.9
    assert set(labels["role"]) == {"fit", "validation", "test"}


@pytest.mark.slow
def test_another_seed_gives_other_labels(faces_csv, reference, tmp_path):
    """The seed reaches the clusters: were it ignored, equality above would show nothing."""
    recipe = load_recipe("seed", [*RECIPES["seed"], "seed=7"])
    with connected(Where(workers=2)) as client:
        result = run(
            recipe,
            find_sources([str(faces_csv)]),
            Store(str(tmp_path)),
            DaskEngine(client),
            Silent(),
        )
    assert not np.array_equal(result.clusters.centers, reference["seed"][1].clusters.centers)
