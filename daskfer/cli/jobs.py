"""``daskfer jobs``: what became of submitted runs, from their folders on storage."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from daskfer.cli import options
from daskfer.cli.console import Progress, local_time
from daskfer.cli.session import prepare_process, root_of
from daskfer.cli.submit import finish, known, status_of, wait_for
from daskfer.errors import JobError

if TYPE_CHECKING:
    from daskfer.jobs.folder import JobFolder
    from daskfer.jobs.status import Status

FOLLOW_SECONDS = 0.5

Job = Annotated[
    str, typer.Argument(metavar="JOB", help="Its id, the beginning of that, or its run folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def list_jobs(store: options.StoreFolder = None, as_json: AsJson = False) -> None:
    """List the jobs that were submitted with this store, the last one last."""
    prepare_process()
    from daskfer.jobs.index import listed
    from daskfer.jobs.status import statuses

    root = root_of(store)
    found = statuses(listed(root), known)
    if as_json:
        typer.echo(json.dumps([status.as_dict() for status in found], indent=2))
    elif found:
        typer.echo("\n".join(_table(found)))
    else:
        typer.echo(f"no jobs in the store {root}: daskfer submit makes them")


def _table(found: list[Status]) -> list[str]:
    lines = [f"{'job':<10}{'state':<13}{'submitted':<18}{'stage':<11}{'attempt':>7}  run folder"]
    for status in found:
        request, attempt = status.request, status.attempt
        lines.append(
            f"{request.id:<10}{status.state:<13}{local_time(request.submitted):<18}"
            f"{attempt.stage if attempt else '':<11}{attempt.number if attempt else 0:>7}"
            f"  {request.run}"
        )
    return lines


def status(
    job: Job,
    store: options.StoreFolder = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until the job has ended; its end is the status.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell how a job goes: its state, stage and rows, where it is driven, and what went wrong.

    The exit status is 0 unless --wait is given: then it is 0 only for a job that has succeeded.
    """
    prepare_process()
    folder = _found(job, store)
    if wait:
        finish(wait_for(folder, Progress()), as_json)
        return
    found = status_of(folder)
    typer.echo(json.dumps(found.as_dict(), indent=2) if as_json else "\n".join(_told(found)))


def _told(found: Status) -> list[str]:
    request, attempt = found.request, found.attempt
    lines = [f"job {request.id}: {found.state}" + (f" ({found.note})" if found.note else "")]
    submitted = local_time(request.submitted)
    lines.append(f"  submitted  {submitted} by {request.user}@{request.host}")
    lines.append(f"  scheduler  {request.scheduler}")
    if attempt is not None:
        again = f", attempt {attempt.number}" if attempt.number > 1 else ""
        lines.append(f"  driven on  {attempt.host} by process {attempt.pid}{again}")
        if attempt.stage:
            rows = "" if attempt.rows is None else f" of {attempt.rows:,}"
            lines.append(f"  stage      {attempt.stage}, {attempt.done:,}{rows} rows")
        if attempt.error:
            lines.append(f"  error      {attempt.error}")
    lines.append(f"  run folder {request.run}")
    return lines


def logs(
    job: Job,
    store: options.StoreFolder = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as the log grows, until the job ends.")
    ] = False,
) -> None:
    """Print what a job's process has printed, of all its attempts."""
    prepare_process()
    folder = _found(job, store)
    shown: dict[str, int] = {}
    _print_more(folder, shown)
    # A job's end is looked for first: what it printed before is shown after.
    while follow and not status_of(folder).ended:
        _print_more(folder, shown)
        time.sleep(FOLLOW_SECONDS)
    _print_more(folder, shown)


def _print_more(folder: JobFolder, shown: dict[str, int]) -> None:
    """Print what logs have got since they were last shown, however short they were made since."""
    from daskfer.jobs.log import unseen

    for name, text in folder.logs():
        more, printed = unseen(text, shown.get(name, 0))
        new = more.decode(errors="replace")
        # Of several attempts it is said which is which.
        if name not in shown and int(name.partition("-")[0]) > 1:
            new = f"--- attempt {int(name.partition('-')[0])} ---\n{new}"
        shown[name] = printed
        sys.stdout.write(new)
    sys.stdout.flush()


def stop(
    job: Job,
    store: options.StoreFolder = None,
    wait: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long to stay until it has stopped.")
    ] = 20,
) -> None:
    """Stop a job; what it has computed stays, and --resume goes on from there."""
    prepare_process()
    folder = _found(job, store)
    found = status_of(folder)
    name = found.request.id
    if found.ended:
        typer.echo(f"job {name} is not at work: it is {found.state}")
        return
    folder.ask_to_stop()
    deadline = time.monotonic() + wait
    while not (found := status_of(folder)).ended and time.monotonic() < deadline:
        time.sleep(FOLLOW_SECONDS / 5)
    if not found.ended:
        raise JobError(
            f"job {name} was told to stop and is still {found.state} after {wait:g} s: daskfer "
            f"jobs status {name} tells when it has"
        )
    typer.echo(
        f"job {name} has succeeded before it could be stopped"
        if found.state == "succeeded"
        else f"job {name} is {found.state}; daskfer submit --resume {name} goes on"
    )


def fetch(
    job: Job,
    to: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Where to; by default a folder named after it."),
    ] = None,
    store: options.StoreFolder = None,
    as_json: AsJson = False,
) -> None:
    """Copy a finished job's results to a folder on this machine."""
    prepare_process()
    from daskfer.jobs.fetching import fetch as fetch_results

    folder = _found(job, store)
    found = status_of(folder)
    if found.state != "succeeded":
        raise JobError(
            f"job {found.request.id} is {found.state}: expected one that has succeeded (daskfer "
            f"jobs status {found.request.id} tells more)"
        )
    target = to or folder.run.rstrip("/").rpartition("/")[2]
    files = fetch_results(folder, target)
    if as_json:
        typer.echo(json.dumps({"id": found.request.id, "folder": target, "files": files}, indent=2))
    else:
        typer.echo(f"{len(files)} files of job {found.request.id} in {target}")


def _found(job: str, store: str | None) -> JobFolder:
    from daskfer.jobs.index import find

    return find(root_of(store), job)
