"""``daskfer train``: the second model, trained again on the names that clusters have now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from daskfer.cli import options
from daskfer.cli.finished import computed_again, finished, recipe_of
from daskfer.cli.run import metrics_of, show
from daskfer.cli.session import place_of, prepare_process

if TYPE_CHECKING:
    from daskfer.naming import Given
    from daskfer.recipe import Recipe


def train(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="classify.KEY=VALUE",
            help="Change a key of the second model, for this time; repeatable.",
        ),
    ] = None,
    scheduler: options.Scheduler = None,
    cluster: options.ClusterFile = None,
    workers: options.Workers = None,
    processes: options.Processes = None,
    ship_code: options.ShipCode = False,
    store: options.StoreFolder = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print metrics.json instead of a table.")
    ] = False,
    progress_json: Annotated[bool, typer.Option("--progress-json", hidden=True)] = False,
) -> None:
    """Train the second model on the names that a run's clusters have now.

    What was computed before stays in the store and is taken from there. The run folder then holds
    the new names, labels, model, report and figures; its recipe.yaml stays that of the run, and
    what --set changes is noted in metrics.json. Stopped or killed, it leaves the old results or
    the new ones, and can simply be run again. Names that are given meanwhile stay.
    """
    # recipe.yaml is what run.json signs, and what daskfer run compares: it says whose folder this
    # is. So a change of the second model counts for one training and is told by its results.
    prepare_process()
    owner = finished(run)
    recipe = recipe_of(run, changes or [])
    from daskfer.cli.console import JsonLines, Progress
    from daskfer.names_file import given_names
    from daskfer.run_folder import RunFolder

    folder = RunFolder(run)
    given = given_names(folder)
    _check_names(run, recipe, given)
    place = place_of(scheduler, cluster, workers, processes, ship_code)
    progress = JsonLines() if progress_json else Progress()
    with computed_again(run, owner, recipe, given, place, store, progress) as (result, here):
        trained = result.trained
        if trained is None:
            raise _nameless(run)
        metrics = metrics_of(result, progress, here)
        if changes:
            # So that what is made of the run later is made with the same second model.
            metrics["changes"] = list(changes)
            metrics["notes"] = [*metrics["notes"], _changed(changes)]
        with progress.stage("report", len(result.faces.table)):
            folder.write(result, metrics, owner["identity"])
    now = given_names(folder)
    if (now and now.answers) != (given and given.answers):
        progress.say(f"names were given meanwhile: daskfer train {run} learns them")
    show(metrics, run, as_json)


def _check_names(run: str, recipe: Recipe, given: Given | None) -> None:
    """Refuse clusters of which none has a name, before any work."""
    from daskfer.faces import UNKNOWN
    from daskfer.recipe import NameByPage, NoNames

    if given is None:
        named = not isinstance(recipe.name, NoNames | NameByPage)
    else:
        named = bool((given.emotion != UNKNOWN).any())
    if not named:
        raise _nameless(run)


def _nameless(run: str) -> Exception:
    from daskfer.errors import RunFolderError

    return RunFolderError(
        f"no cluster of {run} has a name to learn: name some first (daskfer name {run})"
    )


def _changed(changes: list[str]) -> str:
    return f"the second model was trained with {', '.join(changes)}, unlike recipe.yaml"
