"""``daskfer report``: report.html written again, graphs as files, or two runs side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daskfer.cli import options
from daskfer.cli.finished import computed_again, finished, recipe_of
from daskfer.cli.session import place_of, prepare_process

if TYPE_CHECKING:
    from daskfer.naming import Given
    from daskfer.recipe import Recipe
    from daskfer.report.sweep_file import Swept
    from daskfer.run_folder import RunFolder

TOLERANCE = 1e-6
"""By how much a figure may differ that another kind of processor computed."""


def report(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN [OTHER]", help="Folders of one or two finished runs."),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Where the page goes; by default report.html of the run's folder."
        ),
    ] = None,
    graphs: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Write each graph as PNG and SVG, too (one run)."),
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Folder of a sweep of the same faces, which the run's reports show from now on "
            "(one run).",
        ),
    ] = None,
    scheduler: options.Scheduler = None,
    cluster: options.ClusterFile = None,
    workers: options.Workers = None,
    processes: options.Processes = None,
    ship_code: options.ShipCode = False,
    store: options.StoreFolder = None,
) -> None:
    """Write the report of a finished run again, or one of two runs side by side (with --out).

    Of one run, what was computed is taken from the store; figures are those of metrics.json. Of
    two, their folders are enough.
    """
    from daskfer.errors import RunFolderError

    prepare_process()
    if out is not None and not out.lower().endswith((".html", ".htm")):
        # Whatever is called otherwise may be somebody's faces.
        raise RunFolderError(f"--out {out}: expected a name that ends in .html")
    if len(runs) > 2:
        raise RunFolderError(f"{len(runs)} runs were given: expected one, or two to compare")
    if len(runs) == 2:
        _compare(runs, out, graphs, sweep)
        return
    place = place_of(scheduler, cluster, workers, processes, ship_code)
    _again(runs[0], out, graphs, sweep, place, store)


def _compare(runs: list[str], out: str | None, graphs: str | None, sweep: str | None) -> None:
    from daskfer.errors import RunFolderError
    from daskfer.report.compare import write_comparison

    if out is None or graphs is not None:
        raise RunFolderError(
            "two runs side by side need --out FILE, and have no graphs: leave --graphs out"
        )
    if sweep is not None:
        raise RunFolderError(
            f"--sweep {sweep}: two runs side by side show no sweep: expected one run, or no --sweep"
        )
    for run in runs:
        finished(run)
    write_comparison(out, *runs)
    typer.echo(f"Report: {out}")


def _again(
    run: str,
    out: str | None,
    graphs: str | None,
    sweep: str | None,
    place: Any,
    store: str | None,
) -> None:
    owner = finished(run)
    from daskfer import storage
    from daskfer.cli.console import Progress
    from daskfer.names_file import given_names
    from daskfer.report import write_report
    from daskfer.run_folder import RunFolder

    folder = RunFolder(run)
    metrics = folder.metrics() or {}
    given = given_names(folder)
    _check_names(run, metrics, given)
    recipe = _recipe(run, metrics)
    swept, data = _swept(folder, recipe, sweep)
    progress = Progress()
    with computed_again(run, owner, recipe, given, place, store, progress) as (result, _):
        _check_figures(run, result.figures, metrics)
        with progress.stage("report", len(result.faces.table)):
            path = out or folder.file("report.html")
            if data is not None:
                storage.write_whole(folder.file("sweep.json"), data)
            written = write_report(path, result, metrics, folder.simulation(), graphs, swept)
    typer.echo(f"Report: {path}")
    if isinstance(swept, str):
        typer.echo(f"Sweep: left out, {swept}")
    if written:
        typer.echo(f"Graphs: {len(written)} files in {graphs}")


def _swept(
    folder: RunFolder, recipe: Recipe, sweep: str | None
) -> tuple[Swept | str | None, bytes | None]:
    """The sweep to show, and its file where it is to be brought to the run; before any work."""
    if sweep is None:
        return folder.sweep(recipe), None
    from daskfer.report.run_sweep import bring

    return bring(sweep, folder, recipe)


def _recipe(run: str, metrics: dict[str, Any]) -> Recipe:
    """The recipe of the run's figures: daskfer train may have trained another second model."""
    from daskfer.recipe import load_recipe

    changes = metrics.get("changes")
    return recipe_of(run, changes) if changes else load_recipe(f"{run}/recipe.yaml")


def _check_names(run: str, metrics: dict[str, Any], given: Given | None) -> None:
    """Refuse, before any work, a run whose names are not those of its figures."""
    if given is None:
        return
    there, here = metrics["naming"], {"how": given.how, "looks": given.looks}
    if there != here:
        raise _changed(run, f"its clusters were named by {there['how']} with {there['looks']} "
                            f"looks then, by {here['how']} with {here['looks']} now")  # fmt: skip


def _check_figures(run: str, found: dict[str, Any], metrics: dict[str, Any]) -> None:
    """Refuse a page whose faces and names would not be those of the figures beside them."""
    for section in ("rows", "cluster", "classifier", "naming"):
        there = difference(metrics.get(section), found[section], section)
        if there:
            raise _changed(run, there)


def difference(there: Any, here: Any, name: str) -> str | None:
    """The first figure that differs, in words; what one of the two lacks is not compared."""
    if isinstance(there, dict) and isinstance(here, dict):
        found = (difference(there[key], here[key], f"{name}.{key}") for key in there if key in here)
        return next((one for one in found if one), None)
    numbers = isinstance(there, int | float) and isinstance(here, int | float)
    if there == here or (numbers and math.isclose(there, here, rel_tol=TOLERANCE)):
        return None
    return f"{name} was {there}, and is {here} now"


def _changed(run: str, what: str) -> Exception:
    from daskfer.errors import RunFolderError

    return RunFolderError(
        f"{run} has changed since its figures were made ({what}): daskfer train {run} makes both "
        "figures and report anew"
    )
