"""``daskfer simulate-naming``: how accurate labels get with how many looks at clusters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daskfer.cli import options
from daskfer.cli.session import place_of, place_to_measure, prepare_process, session

if TYPE_CHECKING:
    from daskfer.ingest.sources import Source

DEFAULT_LOOKS = "0,7,20,50,100,200,500"


def simulate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    looks: Annotated[
        str,
        typer.Option(
            metavar="NUMBERS",
            help="Numbers of looks, which are those of clusters; 0 is naming without a person.",
        ),
    ] = DEFAULT_LOOKS,
    seeds: Annotated[
        int, typer.Option(min=1, help="Seeds to repeat all with, from the recipe's on.")
    ] = 3,
    faces: Annotated[int, typer.Option(help="Faces that a look sees.")] = 24,
    error: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the looks that are answered wrongly.")
    ] = 0.0,
    mixed: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="Least share of a majority; a cluster with less is answered mixed and not named.",
        ),
    ] = 0.0,
    on: Annotated[
        str,
        typer.Option(
            metavar="ROWS", help="Rows to score on: test, or validation while still choosing."
        ),
    ] = "test",
    ceiling: Annotated[
        bool, typer.Option(help="Train on all true labels too, to see what could be reached.")
    ] = True,
    changes: options.Changes = None,
    scheduler: options.Scheduler = None,
    cluster: options.ClusterFile = None,
    workers: options.Workers = None,
    processes: options.Processes = None,
    ship_code: options.ShipCode = False,
    store: options.StoreFolder = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print simulate.json instead of a table.")
    ] = False,
) -> None:
    """Simulate a person who names clusters: how accurate do labels get with how many looks?

    A look is at the faces nearest to the centre of one cluster, and its answer is the majority of
    their true labels. Beside it stand as many labels of random faces, all labels, and chance. What
    is fitted stays in the store: a simulation that was killed goes on.
    """
    from daskfer.recipe import load_recipe
    from daskfer.simulate import Person
    from daskfer.sweep.choices import whole_numbers

    prepare_process()
    owner = _finished(run)
    recipe = load_recipe(f"{run}/recipe.yaml", changes or [])
    place = place_of(scheduler, cluster, workers, processes, ship_code)
    numbers = whole_numbers("--looks", looks, 0)
    from daskfer.cli.console import Progress
    from daskfer.stages.simulate import Plan, check_plan

    plan = Plan(numbers, seeds, Person(faces, error, mixed), on, ceiling)
    check_plan(recipe, plan)
    sources = _sources(run, owner)
    progress = Progress()
    where = place_to_measure(place, recipe, sources, store, progress)
    with session(where, store, progress, sources, recipe) as here:
        from daskfer.pipeline import METHODS
        from daskfer.report import simulation as report
        from daskfer.stages.simulate import simulate_sources
        from daskfer.versions import versions

        found = simulate_sources(recipe, sources, here.store, here.engine, progress, METHODS, plan)
        with progress.stage("report", found.scored):
            content = report.as_dict(found, plan, recipe, owner["inputs"], {"versions": versions()})
            report.write(run, found, plan, content)
    typer.echo(json.dumps(content, indent=2) if as_json else report.table(found, plan, run))


def _finished(run: str) -> dict[str, Any]:
    """What run.json says of a finished run.

    Raises
    ------
    RunFolderError
        When the folder is no run's, or its run has not finished.
    """
    from daskfer import storage
    from daskfer.errors import RunFolderError
    from daskfer.run_folder import OWNER, RunFolder

    if storage.is_url(run):
        raise RunFolderError(f"{run} is a URL: expected a run's folder on this machine (copy it)")
    folder = RunFolder(run)
    for name in (OWNER, "recipe.yaml"):
        if not storage.exists(folder.file(name)):
            raise RunFolderError(
                f"{run} has no {name}: expected the folder of a run, such as daskfer run makes"
            )
    if folder.metrics() is None:
        raise RunFolderError(
            f"{run} has not finished: the same command daskfer run goes on with it"
        )
    owner: dict[str, Any] = storage.read_json(folder.file(OWNER))
    return owner


def _sources(run: str, owner: dict[str, Any]) -> list[Source]:
    """The inputs of a run, as they were when it read them.

    Raises
    ------
    InputError
        When one of them is not there any more, or has changed.
    """
    from daskfer.errors import InputError
    from daskfer.ingest.finding import find_sources

    # An archive with several tables is a source for each.
    paths = list(dict.fromkeys(str(source["path"]) for source in owner["inputs"]))
    way_out = "bring it back as it was, or make a new run with daskfer run"
    try:
        sources = find_sources(paths)
    except InputError as error:
        raise InputError(f"an input of {run} cannot be read again: {error} ({way_out})") from error
    now = {source.name: source.key() for source in sources}
    if list(now.values()) != owner["inputs"]:
        theirs = {f"{one['path']}:{one['member']}" if one["member"] else one["path"]: one
                  for one in owner["inputs"]}  # fmt: skip
        changed = [name for name in theirs if now.get(name) != theirs[name]] or list(now)
        raise InputError(f"{changed[0]} has changed since {run} read it: {way_out}")
    return sources
