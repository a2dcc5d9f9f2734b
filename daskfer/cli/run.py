"""``daskfer run``: the whole job on given files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daskfer.errors import RecipeError

if TYPE_CHECKING:
    from daskfer.dask.connect import Where
    from daskfer.recipe import Recipe

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
DEFAULT_RECIPE = "hog"
DEFAULT_RANGE_MB = 8


def run(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="CSV files of faces, globs or fsspec URLs."),
    ],
    recipe: Annotated[
        str, typer.Option(help="Shipped recipe (hog, seed) or a recipe file.")
    ] = DEFAULT_RECIPE,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="STAGE.KEY=VALUE", help="Change a key of the recipe; repeatable."
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Run folder; by default one under runs/ named after the run.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address of a running Dask scheduler.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="YAML file that says which Dask cluster to start."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers to start; by default one a core.")
    ] = None,
    processes: Annotated[
        bool,
        typer.Option(
            "--processes/--threads", help="Local workers as processes, or as threads of this one."
        ),
    ] = False,
    store: Annotated[
        str | None,
        typer.Option(help="Where stages keep their results; $DASKFER_STORE, or the user's cache."),
    ] = None,
    csv_block: Annotated[
        int, typer.Option(min=1, metavar="MB", help="Megabytes of a CSV file that a task scans.")
    ] = DEFAULT_RANGE_MB,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print metrics.json instead of a table.")
    ] = False,
) -> None:
    """Cluster faces, name the clusters, train a classifier, and say how good all of it is.

    A finished run is not computed again; one that was stopped or killed goes on from its last
    finished stage.
    """
    from daskfer.recipe import load_recipe

    prepare_process()
    if scheduler is not None and cluster is not None:
        raise RecipeError("--scheduler and --cluster exclude each other: give one of them")
    resolved = load_recipe(recipe, changes or [])
    metrics, folder = run_job(
        inputs,
        recipe,
        resolved,
        out,
        store,
        lambda: _where(scheduler, cluster, workers, processes),
        csv_block << 20,
    )
    show(metrics, folder, as_json)


def prepare_process() -> None:
    """Settings that must be there before anything heavy is imported, here and in workers.

    Numerical libraries keep to one thread, because each worker has a core of its own; and Dask's
    log is for --debug only, because what a user can mend is said in one line.
    """
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"
    if not os.environ.get("DASKFER_DEBUG"):
        os.environ["DASK_LOGGING__DISTRIBUTED"] = "critical"


def _where(
    scheduler: str | None, cluster: str | None, workers: int | None, processes: bool
) -> Where:
    from daskfer.dask.connect import Where

    return Where(scheduler, cluster, workers, processes)


def run_job(
    inputs: list[str],
    recipe_name: str,
    recipe: Recipe,
    out: str | None,
    store: str | None,
    where: Callable[[], Where],
    range_bytes: int,
) -> tuple[dict[str, Any], str]:
    """Run the pipeline for a run folder, unless it has finished; its metrics and its path."""
    from contextlib import ExitStack

    from daskfer.cli.console import Progress
    from daskfer.ingest.sources import find_sources
    from daskfer.run_folder import RunFolder, default_path
    from daskfer.store import Store, absolute, default_root

    sources = find_sources(inputs)
    path = out or default_path(recipe_name, recipe, sources)
    folder = RunFolder(path)
    folder.claim(recipe, sources)
    progress = Progress()
    metrics = folder.metrics()
    if metrics is not None:
        progress.say(f"{path} is finished; nothing to compute")
        return metrics, path
    progress.say("starting workers")
    from daskfer.dask.connect import (
        check_reach,
        connected,
        dashboard_link,
        peak_memory,
        scheduler_errors,
    )
    from daskfer.dask.engine import DaskEngine
    from daskfer.pipeline import import_ahead
    from daskfer.pipeline import run as run_pipeline
    from daskfer.versions import versions

    place = where()
    root = absolute(store or default_root())
    check_reach(root, place)
    imports = import_ahead()
    # Joined at the end: an interpreter must not end while a library is being imported.
    with ExitStack() as stack:
        stack.callback(imports.join)
        stack.enter_context(scheduler_errors(place))
        client = stack.enter_context(connected(place))
        progress.say(f"dashboard: {dashboard_link(client)}")
        engine = DaskEngine(client, progress.advance)
        result = run_pipeline(recipe, sources, Store(root), engine, progress, range_bytes)
        metrics = {
            **result.figures,
            "seconds": {name: round(value, 3) for name, value in progress.seconds.items()},
            "reused": progress.taken_over,
            "peak_memory_bytes": peak_memory(client),
            "versions": versions(),
        }
        with progress.stage("report", len(result.faces.table)):
            folder.write(result, metrics)
    return metrics, path


def show(metrics: dict[str, Any], folder: str, as_json: bool) -> None:
    """Print the figures as a table, or metrics.json as it is."""
    from daskfer.cli.console import summary

    typer.echo(json.dumps(metrics, indent=2) if as_json else summary(metrics, folder))
