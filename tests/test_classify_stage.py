"""The stage that trains the second model: on which rows, and what it says of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from alone import context_of

from daskfer import storage
from daskfer.balance import Selection
from daskfer.blocks import BlockFiles, starts_of
from daskfer.classify import LEAST_OF_A_NAME, Scores
from daskfer.errors import RecipeError
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.naming import Names
from daskfer.recipe import Classify, Recipe
from daskfer.stages.classify import Trained, train
from daskfer.stages.context import Methods
from daskfer.store import StageFolder

SIZES = [120, 60, 20, 100]


def trained(
    folder: Path,
    emotion: list[int],
    sizes: list[int] = SIZES,
    categories: tuple[str, ...] = EMOTIONS,
    **keys: Any,
) -> Trained:
    """The second model of clusters far apart, of these sizes and with these names."""
    cluster = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    rows = len(cluster)
    centers = np.arange(len(sizes) * 2).reshape(-1, 2) * 10.0
    values = centers[cluster] + np.random.default_rng(0).normal(size=(rows, 2))
    files = BlockFiles(StageFolder(str(folder / "points")), "p.npy", starts_of([rows]))
    storage.write_array(files.path(0), values.astype(np.float32))
    named = np.array(emotion, np.int8)
    recipe = Recipe(classify=Classify(model="logistic", **keys))
    context = replace(
        context_of(recipe, str(folder)),
        methods=Methods({}, {}, lambda search, points, labels: search.fit(points, labels)),
    )
    nothing = np.zeros(0, np.int64)
    found = train(
        context,
        SimpleNamespace(emotion=np.minimum(named, 6)[cluster]),  # type: ignore[arg-type]
        Selection(np.arange(rows), nothing, nothing),
        SimpleNamespace(),  # type: ignore[arg-type]
        SimpleNamespace(points=files),  # type: ignore[arg-type]
        SimpleNamespace(cluster=cluster, key="clusters"),  # type: ignore[arg-type]
        Names(named, "page", 1, np.array(sizes), np.ones(len(sizes)), categories=categories),
    )
    assert found is not None
    return found


def test_by_default_on_all_named_rows(tmp_path: Path) -> None:
    found = trained(tmp_path, [3, 4, UNKNOWN, 6])
    assert (found.rows, found.notes) == (280, ())


def test_on_as_many_of_each_as_the_smallest_named_cluster_has(tmp_path: Path) -> None:
    found = trained(tmp_path, [3, 4, UNKNOWN, 6], balance="cluster")
    # The unnamed cluster, though the smallest, does not count.
    assert (found.rows, found.notes) == (180, ())
    assert found.train.accuracy == pytest.approx(280 / 280)


def test_a_small_cluster_that_costs_most_rows_is_said_also_by_the_store(tmp_path: Path) -> None:
    for _ in range(2):
        found = trained(tmp_path, [3, 4, 5, 6], balance="cluster")
        assert found.rows == 80
        assert found.notes == (
            "the smallest cluster has 20 rows, so the second model was trained on 80 of 300 named "
            "rows (--set classify.per_cluster=N takes up to N of each cluster)",
        )


def test_up_to_a_number_of_each(tmp_path: Path) -> None:
    found = trained(tmp_path, [3, 4, 5, 6], balance="cluster", per_cluster=50)
    assert (found.rows, found.notes) == (170, ())


def test_a_cluster_of_two_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cluster 1 has 2 of the fitted rows"):
        trained(tmp_path, [3, 4], [40, 2], balance="cluster")


def test_on_a_drawn_part_of_many_rows_with_no_name_left_out(tmp_path: Path) -> None:
    found = trained(tmp_path, [3, 4, 5, 6], sizes=[400, 300, 4, 200], train_rows=50)
    assert 50 <= found.rows <= 50 + 4 * LEAST_OF_A_NAME
    assert found.notes == (
        f"the second model was trained on {found.rows} of 904 rows, drawn by seed "
        "(--set classify.train_rows=N takes more)",
    )
    assert found.train.accuracy == 1


def test_names_that_are_no_emotions_are_learnt_and_not_scored_by_labels(tmp_path: Path) -> None:
    categories = (*EMOTIONS, "calm", "tense")
    found = trained(tmp_path, [7, 8, UNKNOWN, 3], categories=categories)
    assert sorted(set(found.emotion.tolist())) == [3, 7, 8]
    assert found.train == found.test == Scores(None, None, None, None)
    # Emotions alone are scored, whatever else might have been said.
    assert trained(tmp_path, [4, 5, UNKNOWN, 3], categories=categories).train.accuracy is not None


def test_a_single_name_of_ones_own_is_told_and_not_taken_for_another(tmp_path: Path) -> None:
    for name in ("calm", "tense"):
        found = trained(tmp_path, [7, 7, 7, UNKNOWN], categories=(*EMOTIONS, name))
        assert found.classifier.description == f"constant: every cluster is named {name}"
