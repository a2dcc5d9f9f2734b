"""``daskfer train``: the second model, trained again on the names that clusters have now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daskfer.cli import options
from daskfer.cli.finished import finished, sources_of
from daskfer.cli.run import metrics_of, show
from daskfer.cli.session import place_of, place_to_measure, prepare_process, session

if TYPE_CHECKING:
    from daskfer.naming import Given
    from daskfer.recipe import Recipe
    from daskfer.run_folder import RunFolder


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
    what --set changes is noted in metrics.json. Stopped or killed, it can simply be run again.
    """
    # recipe.yaml is what run.json signs, and what daskfer run compares: it says whose folder this
    # is. So a change of the second model counts for one training and is told by its results.
    prepare_process()
    owner = finished(run)
    recipe = _recipe_of(run, changes or [])
    from daskfer import storage
    from daskfer.cli.console import JsonLines, Progress
    from daskfer.names_file import given_names
    from daskfer.run_folder import RunFolder

    folder = RunFolder(run)
    given = given_names(folder)
    _check_names(run, recipe, given)
    place = place_of(scheduler, cluster, workers, processes, ship_code)
    sources = sources_of(run, owner)
    progress = JsonLines() if progress_json else Progress()
    where = place_to_measure(place, recipe, sources, store, progress)
    with session(where, store, progress, sources, recipe) as here:
        from daskfer.pipeline import run as run_pipeline

        result = run_pipeline(
            _with_names_as_read(recipe, folder), sources, here.store, here.engine, progress,
            given=given,
        )  # fmt: skip
        trained = result.trained
        if trained is None:
            raise _nameless(run)
        result = replace(result, recipe=recipe)
        metrics = metrics_of(result, progress, here)
        if changes:
            metrics["notes"] = [*metrics["notes"], _changed(changes)]
        with progress.stage("report", len(result.faces.table)):
            folder.write(result, metrics)
            # Those of another second model, which model.json does not name any more.
            named = storage.read_json(folder.file("model/model.json"))["sha256"]
            for left in ("face.npz", "classifier.npz"):
                if left not in named:
                    Path(run, "model", left).unlink(missing_ok=True)
    show(metrics, run, as_json)


def _recipe_of(run: str, changes: list[str]) -> Recipe:
    """The recipe of a run, with another second model.

    Raises
    ------
    RecipeError
        Where a change is of another stage, or there is no second model to train.
    """
    from daskfer.errors import RecipeError
    from daskfer.recipe import load_recipe

    for change in changes:
        if not change.strip().startswith("classify."):
            raise RecipeError(
                f"--set {change}: train changes nothing but the second model; expected "
                "classify.key=value (another recipe is another run: daskfer run)"
            )
    recipe = load_recipe(f"{run}/recipe.yaml", changes)
    if recipe.classify.model == "none":
        raise RecipeError(
            "classify.model=none: there is no second model to train; use --set classify.model=auto"
        )
    return recipe


def _with_names_as_read(recipe: Recipe, folder: RunFolder) -> Recipe:
    """The recipe, whose file of names is taken as the run read it.

    The user's may have been changed, or be gone, since.
    """
    import yaml

    from daskfer import storage
    from daskfer.recipe import NameByFile

    path = folder.file("names.yaml")
    if not isinstance(recipe.name, NameByFile):
        return recipe
    if yaml.safe_load(storage.read_bytes(path)).get("how") != "file":
        return recipe
    return replace(recipe, name=replace(recipe.name, file=path))


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
