"""Sweeps that never ran, as sweep.json tells them."""

from __future__ import annotations

from typing import Any

import numpy as np

from daskfer import storage
from daskfer.recipe import Recipe, load_recipe
from daskfer.report.sweep import as_dict
from daskfer.run_folder import RunFolder
from daskfer.stages.sweep import Plan, Sweep
from daskfer.sweep.results import Result
from daskfer.sweep.statement import judge, state

INPUTS = [{"path": "/home/ada/faces.csv", "bytes": 7, "version": "1", "form": "csv", "member": ""}]
PLAN = Plan((), (2, 5, 20), (6, 7, 8), folds=3, noise=True, rows=90)


def result(represent: str, components: int | None, clusters: int, **figures: Any) -> Result:
    """A cell, whose figures differ from those of any other; without `figures` it is no better than
    noise."""
    value = 0.001 * clusters + 0.01 * (components or 0) + 0.0001 * len(represent)
    known = {
        "represent": represent, "components": components, "clusters": clusters, "rows": 90,
        "explained_variance": 0.5, "silhouette": 0.3 + value, "null": 0.35, "null_spread": 0.1,
        "null_draws": 3, "stability": 0.4 + value, "null_stability": 0.5, "cv_mean": 0.3,
        "cv_std": 0.01, "held_out_mean": 0.2, "held_out_std": 0.01, "davies_bouldin": 1.0,
        "calinski_harabasz": 10.0, "inertia": 5.0,
    }  # fmt: skip
    return Result(**{**known, **figures})


SUPPORTED = {"silhouette": 0.9, "stability": 0.95}


def cells(
    represents: tuple[str, ...] = ("hog", "pixels"),
    components: tuple[int | None, ...] = (2, 5, 20),
    clusters: tuple[int, ...] = (6, 7, 8),
    better: dict[tuple[str, int | None, int], dict[str, Any]] | None = None,
    noise: bool = True,
) -> list[Result]:
    """All cells of these ranges, some of them `better` than noise, or all without noise."""
    without = {} if noise else dict.fromkeys(
        ("null", "null_spread", "stability", "null_stability")
    )  # fmt: skip
    return [
        result(name, column, number, **((better or {}).get((name, column, number), {}) | without))
        for name in represents
        for column in components
        for number in clusters
    ]


def content_of(results: list[Result], recipe: Recipe | None = None) -> dict[str, Any]:
    """What `daskfer sweep` writes of them."""
    judged = judge(results)
    sweep = Sweep(judged, state(judged), 120, 90, (), ())
    return as_dict(sweep, PLAN, recipe or load_recipe("hog"), INPUTS, {})


def write_sweep(folder: Any, content: dict[str, Any]) -> str:
    """A folder with this sweep.json."""
    storage.write_json(f"{folder}/sweep.json", content)
    return str(folder)


def write_run(folder: Any, recipe: Recipe | None = None) -> RunFolder:
    """A folder of a run of `INPUTS`, so far as a sweep is set beside it."""
    storage.write_json(f"{folder}/run.json", {"identity": "", "inputs": INPUTS})
    storage.write_text(f"{folder}/recipe.yaml", (recipe or load_recipe("hog")).as_yaml())
    return RunFolder(str(folder))


def values(results: list[Result], represent: str) -> np.ndarray:
    """The silhouettes of a representation, by components and clusters."""
    mine = [one for one in results if one.represent == represent]
    return np.array([one.silhouette for one in mine], float).reshape(
        len({one.components for one in mine}), -1
    )
