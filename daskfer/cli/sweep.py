"""``daskfer sweep``: which number of components and clusters the evidence supports, if any."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from daskfer.ahead import importing
from daskfer.cli import options
from daskfer.cli.session import place_of, prepare_process, session

DEFAULT_ROWS = 4_096

LATER = ("sklearn.model_selection", "sklearn.decomposition", "daskfer.sweep.kernel")
"""Modules that take long to import, which is done while workers start."""


def sweep(
    inputs: options.Inputs,
    components: Annotated[
        str,
        typer.Option(metavar="RANGE", help="Numbers of components: a:b, a:b:step, or 2,3,5."),
    ] = "2:5",
    clusters: Annotated[
        str, typer.Option(metavar="RANGE", help="Numbers of clusters, written likewise.")
    ] = "5:15",
    represent: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="Representations, such as pixels,hog; by default the recipe's."
        ),
    ] = None,
    recipe: options.RecipeName = "hog",
    changes: options.Changes = None,
    max_bad: options.MaxBad = None,
    folds: Annotated[
        int, typer.Option(help="Folds of the silhouette's cross-validation; 0 leaves it out.")
    ] = 10,
    best_only: Annotated[
        bool,
        typer.Option(
            "--cv-best/--cv-all",
            help="Cross-validate the highest silhouette only, as the original did, or all.",
        ),
    ] = False,
    noise: Annotated[
        bool,
        typer.Option(
            "--noise/--no-noise",
            help="Score structureless noise and stability too; without, nothing is supported.",
        ),
    ] = True,
    rows: Annotated[
        int,
        typer.Option(
            min=8, help="Most fitted rows to score, drawn by seed; time grows with their square."
        ),
    ] = DEFAULT_ROWS,
    out: Annotated[
        str | None, typer.Option(help="Folder of the results; by default one under runs/.")
    ] = None,
    scheduler: options.Scheduler = None,
    cluster: options.ClusterFile = None,
    workers: options.Workers = None,
    processes: options.Processes = None,
    ship_code: options.ShipCode = False,
    store: options.StoreFolder = None,
    csv_block: options.CsvBlock = options.DEFAULT_RANGE_MB,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print sweep.json instead of a table.")
    ] = False,
) -> None:
    """Score every choice of components and clusters, and say which one the evidence supports.

    Each silhouette stands beside that of structureless noise, its stability and its
    cross-validation. No label is read for any of it. What was scored stays in the store: a sweep
    that was killed goes on, and one over other ranges takes over what both share.
    """
    from daskfer.errors import RecipeError
    from daskfer.recipe import load_recipe
    from daskfer.sweep.choices import names, whole_numbers

    prepare_process()
    place = place_of(scheduler, cluster, workers, processes, ship_code)
    resolved = load_recipe(recipe, options.recipe_changes(changes, max_bad))
    if folds < 0 or folds == 1:
        raise RecipeError(f"--folds {folds}: expected 0 (none) or 2 and more")
    chosen = (
        () if represent is None else names("--represent", represent),
        whole_numbers("--components", components, 1),
        whole_numbers("--clusters", clusters, 2),
    )
    from daskfer.cli.console import Progress
    from daskfer.ingest.finding import find_sources
    from daskfer.ingest.sources import notes_of
    from daskfer.report import sweep_folder

    sources = find_sources(inputs)
    path = out or sweep_folder.default_folder(recipe, resolved, sources)
    sweep_folder.check_folder(path, resolved, sources)
    progress = Progress()
    for note in notes_of(sources):
        progress.say(note)
    # The face model runs on one thread of a process at a time.
    measures = "expression" in (resolved.represent.method, *chosen[0])
    with (
        importing(LATER) as ahead,
        session(lambda: place(measures), store, progress, sources, resolved) as here,
    ):
        from daskfer.report.sweep import as_dict, table
        from daskfer.stages.sweep import Plan, sweep_sources
        from daskfer.versions import versions

        ahead.wait()
        plan = Plan(*chosen, folds=folds, noise=noise, rows=rows, best_only=best_only)
        found = sweep_sources(
            resolved, sources, here.store, here.engine, progress, plan, csv_block << 20
        )
        with progress.stage("report", len(found.judged)):
            more = {
                "seconds": {name: round(value, 3) for name, value in progress.seconds.items()},
                "reused": progress.taken_over,
                "versions": versions(),
            }
            content = as_dict(found, plan, resolved, sweep_folder.inputs_of(sources), more)
            sweep_folder.write(path, found, resolved, content)
    typer.echo(json.dumps(content, indent=2) if as_json else table(found, path))
