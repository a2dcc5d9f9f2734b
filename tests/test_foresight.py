"""What is refused before anything is computed, with the numbers and the way out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daskfer.balance import Selection
from daskfer.errors import InputError, RecipeError
from daskfer.faces import UNKNOWN, FaceTable
from daskfer.foresight import check_feasible, covariance_bytes, fold_bytes
from daskfer.recipe import (
    Evaluate,
    Hog,
    IncrementalPca,
    KMeansClusters,
    NoReduction,
    Pca,
    Pixels,
    Recipe,
    Svd,
)


def check(rows: int = 100, side: int = 48, memory: int | None = None, **sections: Any) -> None:
    """Check a recipe of these sections for so many fitted rows."""
    emotion = sections.pop("emotion", 3)
    table = FaceTable(
        row=np.arange(rows),
        source=np.zeros(rows, np.int32),
        emotion=np.full(rows, emotion, np.int8),
        usage=np.full(rows, UNKNOWN, np.int8),
        digest=np.zeros((rows, 2), np.uint64),
        blank=np.zeros(rows, bool),
        look=np.zeros(rows, np.uint64),
    )
    nothing = np.zeros(0, np.int64)
    selection = Selection(np.arange(rows), nothing, nothing)
    check_feasible(Recipe(**sections), table, selection, side, memory)


def test_what_fits_is_let_through() -> None:
    check()
    check(memory=10**9)
    check(reduce=Pca(components="auto"), evaluate=Evaluate(folds=5))


@pytest.mark.parametrize("method", [Pca, IncrementalPca, Svd])
def test_more_components_than_rows(method: Any) -> None:
    message = r"components=100: 100 fitted rows of 512 features have at most 99: --set reduce\.comp"
    with pytest.raises(RecipeError, match=message):
        check(reduce=method(components=100))


def test_more_components_than_features() -> None:
    with pytest.raises(RecipeError, match="components=17: 100 fitted rows of 16 features have at "):
        check(side=4, represent=Pixels(), reduce=Pca(components=17))
    check(side=4, represent=Pixels(), reduce=Pca(components=16))


def test_one_row_has_no_components_to_choose_from() -> None:
    with pytest.raises(RecipeError, match="components=auto: 1 fitted rows of 512 features have"):
        check(rows=1, reduce=Pca(components="auto"))


def test_more_clusters_than_rows() -> None:
    with pytest.raises(RecipeError, match=r"cluster\.clusters=101: only 100 rows are fitted"):
        check(cluster=KMeansClusters(clusters=101))


def test_faces_too_small_for_the_representation() -> None:
    with pytest.raises(RecipeError, match="faces of 20×20 pixels less a margin of 4"):
        check(side=20, represent=Hog())


def test_names_that_need_labels() -> None:
    with pytest.raises(InputError, match=r"name\.how=dominant needs emotion labels"):
        check(emotion=UNKNOWN)


def test_folds_too_small_to_be_scored_or_reduced() -> None:
    with pytest.raises(RecipeError, match=r"folds=10: 100 fitted .* fewer than 14 rows; .* most 7"):
        check(evaluate=Evaluate(folds=10))
    message = r"folds=2: without a fold, 50 rows are fitted, too few for reduce\.components=60"
    with pytest.raises(RecipeError, match=message):
        check(reduce=Pca(components=60), evaluate=Evaluate(folds=2))


def test_the_covariance_by_hand() -> None:
    # Three matrices of 2,304 × 2,304 float64.
    assert covariance_bytes(2304) == 3 * 8 * 2304 * 2304 == 127_401_984


def test_a_covariance_that_no_worker_can_hold() -> None:
    sections = {"represent": Pixels(), "block_rows": 64}
    check(memory=127_401_984, **sections)
    message = (
        r"^reduce\.method=pca: the covariance of 2,304 features of 48×48 pixels needs 0\.1 GB in "
        r"one task, and the smallest worker may use 60\.0 MB: use --set represent\.method=hog or a "
        r"smaller --set ingest\.size, or give workers more memory$"
    )
    with pytest.raises(RecipeError, match=message):
        check(memory=60_000_000, **sections)
    check(memory=60_000_000, block_rows=64)
    check(memory=60_000_000, **sections, reduce=IncrementalPca())


def test_folds_by_hand() -> None:
    folds = {"evaluate": Evaluate(folds=5)}
    # Float32: all of 100 rows, the same once more in two parts, and 80 of them centred.
    assert fold_bytes(100, 512, Recipe(**folds)) == 4 * 512 * (100 + 100 + 80)
    assert fold_bytes(100, 512, Recipe(reduce=NoReduction(), **folds)) == 4 * 512 * 200


def test_a_fold_that_no_worker_can_hold() -> None:
    folds = {"evaluate": Evaluate(folds=5), "reduce": IncrementalPca()}
    check(memory=573_440, **folds)
    message = (
        r"^evaluate\.folds=5: a fold holds 100 rows of 512 features of 48×48 pixels and needs "
        r"0\.6 MB, and the smallest worker may use 0\.4 MB: use --set evaluate\.folds=0, "
    )
    with pytest.raises(RecipeError, match=message):
        check(memory=400_000, **folds)
    check(memory=400_000, reduce=IncrementalPca())
