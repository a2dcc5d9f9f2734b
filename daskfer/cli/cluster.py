"""``daskfer cluster``: what a cluster file would do, and keeping the cluster that it describes."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from daskfer.cli import options
from daskfer.cli.session import prepare_process

File = Annotated[str, typer.Argument(metavar="FILE", help="A cluster file; see cluster_configs.")]


def check(file: File) -> None:
    """Tell what would happen with a cluster file, and start nothing.

    A running scheduler that it names is asked what it has.
    """
    prepare_process()
    from daskfer.dask.checking import described

    for line in described(file):
        typer.echo(line)


def start(
    file: File,
    workers: options.Workers = None,
) -> None:
    """Start the cluster of a file and keep it until Ctrl-C, for jobs and runs of others.

    The first line is the scheduler's address.
    """
    prepare_process()
    from daskfer.cli.console import Progress
    from daskfer.dask import dashboard
    from daskfer.dask.connect import Where, connected
    from daskfer.dask.schedulers import exposure

    progress = Progress()
    where = Where(cluster_file=file, workers=workers)
    with connected(where, warn=progress.warn) as client:
        typer.echo(client.scheduler.address)
        if note := exposure(client):
            progress.warn(note)
        for line in dashboard.lines(client):
            progress.say(line)
        progress.say("Ctrl-C ends it")
        while True:
            time.sleep(1)
