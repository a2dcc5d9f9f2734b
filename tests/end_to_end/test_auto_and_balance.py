"""Whole runs whose recipe leaves numbers to the data: components, and rows of each cluster."""

from __future__ import annotations

import numpy as np
import pytest
from alone import Silent

from daskfer.dask.connect import Where, connected
from daskfer.dask.engine import DaskEngine
from daskfer.errors import RecipeError
from daskfer.ingest.finding import find_sources
from daskfer.pipeline import run
from daskfer.recipe import load_recipe
from daskfer.store import Store

SMALL = ["block_rows=256", "classify.model=logistic", "cluster.restarts=2",
         "evaluate.stability_draws=2", "evaluate.null_draws=1"]  # fmt: skip


@pytest.fixture(scope="module")
def client():
    with connected(Where(workers=2)) as client:
        yield client


class Small(DaskEngine):
    """An engine whose workers have little memory."""

    def memory(self):
        return 2_000_000


@pytest.fixture(scope="module")
def compute(client, faces_csv, tmp_path_factory):
    store = Store(str(tmp_path_factory.mktemp("store")))
    sources = find_sources([str(faces_csv)])

    def compute(*changes, engine=DaskEngine):
        recipe = load_recipe("hog", [*SMALL, *changes])
        return run(recipe, sources, store, engine(client), Silent())

    return compute


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["parallel-analysis", "gavish-donoho"])
def test_the_rule_and_what_it_chose_are_written_down(rule, compute):
    result = compute("reduce.components=auto", f"reduce.rule={rule}", "evaluate.folds=2")
    found = result.figures["reduce"]
    assert found["rule"] == rule
    # 512 features, of a few parameters that the faces are drawn from.
    assert 2 <= found["components"] < 256
    assert len(result.reduced.reducer.axes) == found["components"]
    stated = compute(f"reduce.components={found['components']}", "evaluate.folds=2")
    assert np.array_equal(stated.reduced.reducer.axes, result.reduced.reducer.axes)
    assert stated.figures["reduce"] == found | {"rule": None}
    # The folds are reduced to that many too.
    assert stated.figures["cluster"] == result.figures["cluster"]


@pytest.mark.slow
def test_the_second_model_is_trained_on_equally_many_of_each_cluster(compute):
    everything = compute()
    sizes = np.bincount(everything.clusters.cluster[everything.selection.fit])
    assert everything.figures["classifier"]["rows"] == sizes.sum()
    least = compute("classify.balance=cluster").figures
    assert least["classifier"]["rows"] == sizes.min() * len(sizes)
    few = compute("classify.balance=cluster", "classify.per_cluster=20").figures
    assert few["classifier"]["rows"] == 20 * len(sizes)
    assert few["labels_used"] == everything.figures["labels_used"]
    assert few["cluster"] == everything.figures["cluster"]
    assert few["classifier"]["test_accuracy"] > 0.6


@pytest.mark.slow
def test_little_memory_is_found_out_before_the_work(compute):
    with pytest.raises(RecipeError, match=r"512 features of 48×48 pixels needs 6\.3 MB in one tas"):
        compute(engine=Small)
