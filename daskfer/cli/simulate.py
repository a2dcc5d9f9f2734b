"""``daskfer simulate-naming``: how accurate labels get with how many looks at clusters."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from daskfer.cli import options
from daskfer.cli.finished import finished, sources_of
from daskfer.cli.session import place_of, place_to_measure, prepare_process, session

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
    owner = finished(run)
    recipe = load_recipe(f"{run}/recipe.yaml", changes or [])
    place = place_of(scheduler, cluster, workers, processes, ship_code)
    numbers = whole_numbers("--looks", looks, 0)
    from daskfer.cli.console import Progress
    from daskfer.stages.simulate import Plan, check_plan

    plan = Plan(numbers, seeds, Person(faces, error, mixed), on, ceiling)
    check_plan(recipe, plan)
    sources = sources_of(run, owner)
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
