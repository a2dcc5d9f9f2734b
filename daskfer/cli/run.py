"""``daskfer run``: the whole job on given files."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daskfer.cli import options
from daskfer.cli.session import place_of, place_to_measure, prepare_process, session, uploaded

if TYPE_CHECKING:
    from daskfer.cli.console import Progress
    from daskfer.cli.session import Session
    from daskfer.dask.connect import Where
    from daskfer.pipeline import Result
    from daskfer.recipe import Recipe


def run(
    inputs: options.Inputs,
    recipe: options.RecipeName = options.DEFAULT_RECIPE,
    changes: options.Changes = None,
    max_bad: options.MaxBad = None,
    out: Annotated[
        str | None, typer.Option(help="Run folder; by default one under runs/ named after the run.")
    ] = None,
    scheduler: options.Scheduler = None,
    cluster: options.ClusterFile = None,
    workers: options.Workers = None,
    processes: options.Processes = None,
    ship_code: options.ShipCode = False,
    upload: options.Upload = False,
    store: options.StoreFolder = None,
    csv_block: options.CsvBlock = options.DEFAULT_RANGE_MB,
    performance_report: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write Dask's page of what workers did when: tasks, transfers."
        ),
    ] = None,
    mlflow: options.Mlflow = None,
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
    resolved = load_recipe(recipe, options.recipe_changes(changes, max_bad))
    place = place_of(scheduler, cluster, workers, processes, ship_code)
    if upload:
        inputs = uploaded(inputs, store)
    if mlflow is not None:
        from daskfer.tracking import check_tracking

        check_tracking(mlflow)
    metrics, folder = run_job(
        inputs, recipe, resolved, out, store, place, csv_block << 20,
        performance_report=performance_report,
    )  # fmt: skip
    if mlflow is not None:
        from daskfer.run_folder import RunFolder
        from daskfer.tracking import log_run

        log_run(mlflow, RunFolder(folder), resolved, metrics)
    show(metrics, folder, as_json)


def run_job(
    inputs: list[str],
    recipe_name: str,
    recipe: Recipe,
    out: str | None,
    store: str | None,
    where: Callable[..., Where],
    range_bytes: int,
    progress: Progress | None = None,
    performance_report: str | None = None,
) -> tuple[dict[str, Any], str]:
    """Run the pipeline for a run folder, unless it has finished; its metrics and its path."""
    from daskfer.cli.console import Progress
    from daskfer.ingest.finding import find_sources
    from daskfer.ingest.quarantine import TooManyBad
    from daskfer.ingest.sources import notes_of
    from daskfer.run_folder import RunFolder, default_path

    sources = find_sources(inputs)
    path = out or default_path(recipe_name, recipe, sources)
    folder = RunFolder(path)
    folder.check(recipe, sources)
    progress = progress or Progress()
    metrics = folder.metrics()
    if metrics is not None:
        progress.say(f"{path} is finished; nothing to compute")
        return metrics, path
    with ExitStack() as stack:
        identity = stack.enter_context(folder.at_work(recipe, sources))
        for note in notes_of(sources):
            progress.say(note)
        place = place_to_measure(where, recipe, sources, store, progress)
        here = stack.enter_context(
            session(place, store, progress, sources, recipe, performance_report)
        )
        from daskfer.pipeline import run as run_pipeline

        try:
            result = run_pipeline(recipe, sources, here.store, here.engine, progress, range_bytes)
        except TooManyBad as error:
            raise folder.refuse(error) from None
        metrics = metrics_of(result, progress, here)
        with progress.stage("report", len(result.faces.table)):
            if (theirs := folder.metrics()) is not None:
                # The same run was computed twice at once, and its clusters may have names since.
                return theirs, path
            folder.write(result, metrics, identity)
    return metrics, path


def metrics_of(result: Result, progress: Progress, here: Session) -> dict[str, Any]:
    """What metrics.json holds: the figures, and what it took to get them."""
    from daskfer.versions import versions

    return {
        **result.figures,
        "seconds": {name: round(value, 3) for name, value in progress.seconds.items()},
        "reused": progress.taken_over,
        "tasks": dict(here.engine.tasks),
        "peak_memory_bytes": here.memory.largest(),
        "peak_memory": dict(here.memory.stages),
        "versions": versions(),
    }


def show(metrics: dict[str, Any], folder: str, as_json: bool) -> None:
    """Print the figures as a table, or metrics.json as it is."""
    from daskfer.cli.console import summary

    typer.echo(json.dumps(metrics, indent=2) if as_json else summary(metrics, folder))
