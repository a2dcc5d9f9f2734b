"""``daskfer submit``: the same run as a job, which the scheduler's workers drive themselves."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from daskfer.cli import options
from daskfer.cli.session import examine, place_of, prepare_process, root_of, uploaded
from daskfer.errors import JobError, Stopped

if TYPE_CHECKING:
    from daskfer.cli.console import Progress
    from daskfer.dask.connect import Where
    from daskfer.ingest.sources import Source
    from daskfer.jobs.folder import JobFolder, Request
    from daskfer.jobs.status import Status
    from daskfer.recipe import Recipe

WAIT_SECONDS = 1.0
"""How often a job is looked at that is waited for."""


def submit(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="Files or folders of faces, as for run; none with --resume.",
            show_default=False,
        ),
    ] = None,
    recipe: options.RecipeName = options.DEFAULT_RECIPE,
    changes: options.Changes = None,
    max_bad: options.MaxBad = None,
    out: Annotated[
        str | None, typer.Option(help="Run folder; by default one under runs/ named after the run.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="JOB", help="Go on with a job that was interrupted or stopped, or has failed."
        ),
    ] = None,
    scheduler: options.Scheduler = None,
    cluster: options.ClusterFile = None,
    ship_code: options.ShipCode = False,
    upload: options.Upload = False,
    store: options.StoreFolder = None,
    csv_block: options.CsvBlock = options.DEFAULT_RANGE_MB,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until the job has ended; its end is the status.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the job as JSON instead of its id.")
    ] = False,
) -> None:
    """Have a run driven by a scheduler's workers, and return at once with the job's id.

    The job goes on when this machine is switched off, and on another worker when its own dies. Its
    state, log and results are in the run folder, which workers must see, as the inputs and the
    store. What is submitted again while it runs is the same job.
    """
    from daskfer.cli.console import Progress

    prepare_process()
    progress = Progress()
    place = place_of(scheduler, cluster, None, None, ship_code)
    if resume is not None:
        if inputs:
            raise JobError(f"--resume {resume} goes on with what it has: leave {inputs[0]} out")
        folder = _resumed(resume, place(), root_of(store), progress)
    elif not inputs:
        raise JobError("nothing to submit: expected files or folders of faces, or --resume JOB")
    else:
        from daskfer.recipe import load_recipe

        resolved = load_recipe(recipe, options.recipe_changes(changes, max_bad))
        if upload:
            inputs = uploaded(inputs, store)
        folder = _submitted(
            inputs, recipe, resolved, out, root_of(store), place(), csv_block << 20, progress
        )
    if wait:
        finish(wait_for(folder, progress), as_json)
        return
    request = folder.request()
    if as_json:
        typer.echo(json.dumps({"id": request.id, "run": request.run}))
    else:
        typer.echo(request.id)
        progress.say(f"results: {request.run}; daskfer jobs status {request.id} tells how it goes")


def _submitted(
    inputs: list[str],
    recipe_name: str,
    recipe: Recipe,
    out: str | None,
    root: str,
    where: Where,
    range_bytes: int,
    progress: Progress,
) -> JobFolder:
    """The folder of the job that computes this: a new one, or the one that does so already."""
    from daskfer.ingest.finding import find_sources
    from daskfer.ingest.sources import notes_of
    from daskfer.jobs.folder import JobFolder, asked_again, new_request
    from daskfer.run_folder import RunFolder, default_path
    from daskfer.store import absolute

    recipe = _with_absolute_files(recipe)
    sources = find_sources(inputs)
    run = absolute(out or default_path(recipe_name, recipe, sources))
    folder = JobFolder(run)
    RunFolder(run).claim(recipe, sources)
    # Looked at once: who submits it between this and our own request goes first.
    earlier = folder.request() if folder.exists() else None
    if earlier and (_is_busy(folder, progress) or RunFolder(run).metrics() is not None):
        return folder
    for note in notes_of(sources):
        progress.say(note)
    request = new_request(
        run, [absolute(one) for one in inputs], root, range_bytes, str(where.scheduler)
    )
    if earlier is not None:
        request = asked_again(earlier, request)
    return _handed_over(folder, request, where, sources, progress)


def _resumed(name: str, where: Where, root: str, progress: Progress) -> JobFolder:
    """The folder of a job that is given to a scheduler again."""
    from daskfer.ingest.finding import find_sources
    from daskfer.jobs.folder import asked_again
    from daskfer.jobs.index import find
    from daskfer.run_folder import RunFolder

    folder = find(root, name)
    request = folder.request()
    run = RunFolder(request.run)
    if _is_busy(folder, progress):
        return folder
    if run.metrics() is not None:
        progress.say(f"job {request.id} has succeeded; nothing to compute")
        return folder
    if where.scheduler is None:
        where = replace(where, scheduler=request.scheduler)
    sources = find_sources(request.inputs)
    return _handed_over(folder, asked_again(request, request), where, sources, progress)


def _handed_over(
    folder: JobFolder,
    request: Request,
    where: Where,
    sources: list[Source],
    progress: Progress,
) -> JobFolder:
    """Give the job to the scheduler, once its workers are seen to be able to do it.

    Unless somebody else has submitted it meanwhile: then it is that one's.
    """
    from daskfer.dask.connect import connected_to_scheduler
    from daskfer.dask.jobs import submit_job
    from daskfer.jobs import index
    from daskfer.jobs.folder import now

    with ExitStack() as stack:
        client = stack.enter_context(connected_to_scheduler(where))
        written = {f"the run folder {request.run}": request.run}
        # What its recipe needs of memory, the job's own process compares.
        examine(client, where, request.store, sources, progress, written=written, job=request.key)
        request = replace(request, scheduler=str(where.scheduler), submitted=now())
        # The wish to stop an earlier submission is forgotten with it.
        if not folder.write_request(request):
            _is_busy(folder, progress)
            return folder
        index.enter(request)
        submit_job(client, request)
    return folder


def _is_busy(folder: JobFolder, progress: Progress) -> bool:
    """Whether somebody works at the job of this folder already, which is said."""
    status = status_of(folder)
    if status.ended:
        return False
    progress.say(f"job {status.request.id} computes this already; it is {status.state}")
    return True


def _with_absolute_files(recipe: Recipe) -> Recipe:
    """The recipe with the files that it names as workers have to call them."""
    from daskfer.recipe import Expression, NameByFile
    from daskfer.store import absolute

    if isinstance(recipe.name, NameByFile):
        recipe = replace(recipe, name=replace(recipe.name, file=absolute(recipe.name.file)))
    if isinstance(recipe.represent, Expression) and recipe.represent.model:
        model = absolute(recipe.represent.model)
        recipe = replace(recipe, represent=replace(recipe.represent, model=model))
    return recipe


def status_of(folder: JobFolder) -> Status:
    """How one job goes, and its scheduler asked where the folder does not tell."""
    from daskfer.jobs.status import statuses

    return statuses([folder], known)[0]


def known(requests: Sequence[Request]) -> Sequence[bool | None]:
    """Of each job whether its scheduler has it; to ask imports Dask, which few jobs need."""
    from daskfer.dask.jobs import known as ask

    return ask(requests)


def wait_for(folder: JobFolder, progress: Progress) -> Status:
    """How a job ended, which is waited for; each of its stages is shown meanwhile."""
    shown = ""
    while True:
        status = status_of(folder)
        stage = status.attempt.stage if status.attempt else ""
        line = f"{status.state} {stage} {status.note}".strip()
        if line != shown:
            progress.say(f"job {status.request.id}: {line}")
            shown = line
        if status.ended:
            return status
        time.sleep(WAIT_SECONDS)


def finish(status: Status, as_json: bool) -> None:
    """Print how a job ended; an error unless it succeeded.

    Raises
    ------
    JobError, Stopped
    """
    if as_json:
        typer.echo(json.dumps(status.as_dict(), indent=2))
    if status.state == "succeeded":
        if not as_json:
            typer.echo(f"job {status.request.id} has succeeded: {status.request.run}")
        return
    _complain(status)


def _complain(status: Status) -> NoReturn:
    job = f"job {status.request.id}"
    if status.state == "stopped":
        raise Stopped(f"{job} was stopped: daskfer submit --resume {status.request.id} goes on")
    if status.state == "failed":
        error = status.attempt.error if status.attempt else ""
        raise JobError(f"{job} has failed: {error} (daskfer jobs logs {status.request.id})")
    raise JobError(f"{job} was {status.state}: {status.note}")
