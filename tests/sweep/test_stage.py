"""The whole sweep in this process: what it supports, and what it takes over from the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alone import context_of
from planted import write_planted

from daskfer.errors import RecipeError
from daskfer.ingest.finding import find_sources
from daskfer.recipe import load_recipe
from daskfer.stages import sweep as stage
from daskfer.stages.represent import represent
from daskfer.stages.sweep import Plan, Sweep, represent_sections, sweep
from daskfer.sweep.choices import Cell

CHANGES = [
    "represent.method=pixels",
    "reduce.whiten=false",
    "cluster.restarts=5",
    "split.method=none",
]
PLAN = Plan((), (2, 3), (2, 3, 4, 5, 6), folds=4, noise=True, rows=4096)


def compute(csv: Path, store: Path, plan: Plan = PLAN, *changes: str) -> Sweep:
    recipe = load_recipe("hog", [*CHANGES, *changes])
    return sweep(context_of(recipe, str(store)), find_sources([str(csv)]), plan)


def written(store: Path) -> dict[Path, int]:
    """When each cell's part was written."""
    return {path: path.stat().st_mtime_ns for path in store.glob("sweep/*/[0-9a]*-*.json")}


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_planted(tmp_path_factory.mktemp("four") / "faces.csv", 4)


def test_planted_kinds_are_supported(four: Path, tmp_path: Path) -> None:
    found = compute(four, tmp_path)
    assert found.statement.choice is not None
    assert found.statement.choice.clusters == 4
    assert found.statement.text.startswith("The evidence supports pixels, 3 components, 4 clusters")
    assert (found.scored, found.labels_used) == (320, ())
    assert [one.cell for one in found.results][:6] == [
        *(Cell("pixels", 2, k) for k in range(2, 7)), Cell("pixels", 3, 2),
    ]  # fmt: skip


def test_noise_supports_nothing(tmp_path: Path) -> None:
    csv = write_planted(tmp_path / "noise.csv", 0, 500)
    for seed in (42, 1):
        found = compute(csv, tmp_path / "store", PLAN, f"seed={seed}")
        assert found.statement.choice is None, found.statement.text
        assert found.statement.text.startswith("The evidence supports none of these choices")


def test_deleted_cells_alone_are_computed_again(four: Path, tmp_path: Path) -> None:
    first = compute(four, tmp_path)
    before = written(tmp_path)
    assert len(before) == 2 * 5 * 3
    lost = sorted(before)[::7]
    for path in lost:
        path.unlink()
    again = compute(four, tmp_path)
    assert again == first
    after = written(tmp_path)
    assert after.keys() == before.keys()
    assert {path for path in before if after[path] != before[path]} == set(lost)


def test_other_ranges_take_over_what_both_share(four: Path, tmp_path: Path) -> None:
    small = compute(four, tmp_path, replace(PLAN, components=(3,), clusters=(4, 5)))
    before = written(tmp_path)
    # Beyond sixteen components another reduction is made, for those cells alone.
    wide = compute(four, tmp_path, replace(PLAN, components=(2, 3, 20), clusters=(4, 5, 8)))
    after = written(tmp_path)
    assert {path: after[path] for path in before} == before
    assert len(after) == 9 * 3
    both = {one.cell: one for one in wide.results}
    assert [both[one.cell] for one in small.results] == small.results
    fresh = compute(four, tmp_path / "fresh", replace(PLAN, components=(3,), clusters=(4, 5)))
    assert fresh.results == small.results


def test_another_seed_or_other_folds_are_other_cells(four: Path, tmp_path: Path) -> None:
    plan = replace(PLAN, components=(2,), clusters=(4,))
    compute(four, tmp_path, plan)
    compute(four, tmp_path, replace(plan, folds=0))
    assert len(written(tmp_path)) == 3
    compute(four, tmp_path, replace(plan, folds=5))
    assert len(written(tmp_path)) == 4
    compute(four, tmp_path, plan, "seed=1")
    assert len(written(tmp_path)) == 7


def test_what_is_left_out_is_none(four: Path, tmp_path: Path) -> None:
    plan = replace(PLAN, components=(2,), clusters=(3, 4), folds=0, noise=False)
    found = compute(four, tmp_path, plan)
    assert found.statement.choice is None
    assert "not known" in found.statement.text
    assert all(one.null is None and one.cv_mean is None for one in found.results)
    assert any("left out" in note for note in found.notes)


def test_the_highest_silhouette_alone_is_cross_validated(four: Path, tmp_path: Path) -> None:
    found = compute(four, tmp_path, replace(PLAN, best_only=True))
    best = max(found.results, key=lambda one: one.silhouette or 0)
    assert [one.cell for one in found.results if one.cv_mean is not None] == [best.cell]
    everything = compute(four, tmp_path)
    assert best in everything.results
    assert found.statement.choice == everything.statement.choice


def test_a_sample_of_many_rows_is_said(four: Path, tmp_path: Path) -> None:
    found = compute(four, tmp_path, replace(PLAN, components=(2,), clusters=(4,), rows=100))
    assert (found.fitted, found.scored) == (320, 100)
    assert found.results[0].rows == 100
    assert any(note.startswith("100 of the 320 fitted rows are scored") for note in found.notes)


def test_faces_that_a_run_cannot_place_are_not_scored(
    four: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def some_placed(*arguments: Any) -> Any:
        found = represent(*arguments)
        return replace(found, placed=np.arange(len(found.placed)) % 4 > 0)

    monkeypatch.setattr(stage, "represent", some_placed)
    found = compute(four, tmp_path, replace(PLAN, components=(2,), clusters=(4,)))
    assert (found.fitted, found.scored) == (240, 240)
    assert found.results[0].rows == 240
    assert "80 faces have no landmarks to speak of, and are left out" in found.notes


def test_several_representations_and_none_reduced(four: Path, tmp_path: Path) -> None:
    plan = replace(PLAN, represents=("pixels", "hog"), clusters=(3, 4), folds=2)
    recipe = load_recipe(
        "hog",
        ["represent.cell=3", "represent.margin=0", "reduce.method=none", "split.method=none"],
    )
    found = sweep(context_of(recipe, str(tmp_path)), find_sources([str(four)]), plan)
    assert [one.cell for one in found.results] == [
        Cell(name, None, k) for name in ("pixels", "hog") for k in (3, 4)
    ]
    assert found.results[1].silhouette is not None
    assert found.statement.choice == Cell("pixels", None, 4)
    assert any("there are no components to choose" in note for note in found.notes)


def test_infeasible_cells_are_refused_before_the_work(four: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="--clusters 200: 320 rows"):
        compute(four, tmp_path, replace(PLAN, clusters=(4, 200)))
    with pytest.raises(RecipeError, match="--components 101: representation pixels of 100"):
        compute(four, tmp_path, replace(PLAN, components=(2, 101)))
    assert not (tmp_path / "sweep").exists()


def test_sections_of_representations() -> None:
    recipe = load_recipe("hog", ["represent.cell=6"])
    found = represent_sections(recipe, ("pixels", "hog"))
    assert list(found) == ["pixels", "hog"]
    assert found["hog"] is recipe.represent
    assert list(represent_sections(recipe, ())) == ["hog"]
    with pytest.raises(RecipeError, match="'wavelets': expected one of pixels, hog"):
        represent_sections(recipe, ("wavelets",))
