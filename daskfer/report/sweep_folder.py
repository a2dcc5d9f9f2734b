"""The folder of a sweep: sweep.csv, sweep.json, heatmap.png, recipe.yaml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from daskfer import storage
from daskfer.errors import RunFolderError
from daskfer.ingest.sources import Source
from daskfer.recipe import Recipe
from daskfer.report import grid
from daskfer.report.sweep import as_csv, caption
from daskfer.run_folder import default_path
from daskfer.stages.sweep import Sweep

MARK = "sweep.json"
"""Says that a folder is a sweep's; written last."""


def default_folder(recipe_name: str, recipe: Recipe, sources: list[Source]) -> str:
    """Where a sweep goes that was not told: beside the runs of the same recipe and inputs."""
    return default_path(f"{Path(recipe_name).stem}-sweep", recipe, sources)


def check_folder(path: str, recipe: Recipe, sources: list[Source]) -> None:
    """Refuse a folder that holds something else than a sweep of this recipe and these inputs.

    One over other ranges is written over: its cells are in the store.

    Raises
    ------
    RunFolderError
    """
    if path.startswith("memory:"):
        raise RunFolderError(
            f"--out {path} would vanish with this process: expected a folder or a URL"
        )
    # A run's folder may hold a sweep's file, too.
    if storage.exists(storage.join(path, "run.json")):
        raise RunFolderError(f"{path} is a run's folder: choose another --out, or leave it out")
    mark = storage.join(path, MARK)
    if storage.exists(mark):
        theirs = storage.read_json(mark)
        mine = {"inputs": inputs_of(sources), "recipe": recipe.as_dict()}
        for key, value in mine.items():
            if theirs.get(key) != value:
                what = "other inputs" if key == "inputs" else "another recipe"
                raise RunFolderError(
                    f"{path} holds a sweep of {what}: choose another --out, or leave it out"
                )
        return
    if storage.is_url(path) or not os.path.exists(path):
        return
    if not os.path.isdir(path):
        raise RunFolderError(f"--out {path} is a file: expected a folder")
    ours = {"heatmap.png", "sweep.csv", "recipe.yaml"}
    found = sorted(name for name in os.listdir(path) if name not in ours and ".part" not in name)
    if found:
        raise RunFolderError(
            f"{path} holds {found[0]} and is no sweep's folder: choose another --out"
        )


def inputs_of(sources: list[Source]) -> list[Any]:
    """What sweep.json says of the inputs, as it is read back."""
    return [source.key() for source in sources]


def write(path: str, sweep: Sweep, recipe: Recipe, content: dict[str, Any]) -> None:
    """Write all files, sweep.json last."""
    inputs = ", ".join(Path(str(source["path"])).name for source in content["inputs"][:3])
    title = f"{inputs}: {sweep.scored:,} rows by components and clusters"
    picture = grid.heatmap(sweep.judged, sweep.statement.choice, title, caption(sweep))
    storage.write_text(storage.join(path, "recipe.yaml"), recipe.as_yaml())
    storage.write_text(storage.join(path, "sweep.csv"), as_csv(sweep))
    storage.write_whole(storage.join(path, "heatmap.png"), picture)
    storage.write_json(storage.join(path, MARK), content)
