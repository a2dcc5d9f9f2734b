"""The commands, and how all of them end."""

from __future__ import annotations

import errno
import functools
import gc
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Annotated, NoReturn

import typer

from daskfer import __version__
from daskfer.cli import (
    cache,
    cluster,
    demo,
    drive,
    export,
    inspect,
    jobs,
    models,
    name,
    predict,
    report,
    run,
    simulate,
    submit,
    sweep,
    train,
)
from daskfer.cli.console import Progress
from daskfer.errors import DaskferError, Stopped, one_line

app = typer.Typer(
    name="daskfer",
    help="Label faces by emotion without labels: cluster them on Dask, name the clusters, and "
    "train a classifier on those names.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _interruptible(
    command: Callable[..., None], rest: str = "goes on from the last finished stage"
) -> Callable[..., None]:
    """The command, with Ctrl-C as an error of ours: typer would end without a word."""

    @functools.wraps(command)
    def wrapped(*arguments: object, **options: object) -> None:
        try:
            command(*arguments, **options)
        except KeyboardInterrupt:
            raise Stopped(f"stopped: the same command {rest}") from None

    return wrapped


app.command("demo")(_interruptible(demo.demo))
app.command("inspect")(_interruptible(inspect.inspect, "reads again"))
app.command("run")(_interruptible(run.run))
app.command("name")(_interruptible(name.name, "goes on with the answers so far"))
app.command("export")(_interruptible(export.export, "writes it again"))
app.command("predict")(_interruptible(predict.predict, "labels them again"))
app.command("submit")(_interruptible(submit.submit, "submits it, or finds it submitted"))
app.command("drive", hidden=True)(_interruptible(drive.drive))
app.command("simulate-naming")(_interruptible(simulate.simulate, "goes on with what is missing"))
app.command("report")(_interruptible(report.report, "writes it anew"))
app.command("train")(_interruptible(train.train))
app.command("sweep")(_interruptible(sweep.sweep, "goes on with the missing cells"))

_cache = typer.Typer(rich_markup_mode=None)
_cache.callback(invoke_without_command=True)(_interruptible(cache.overview, "lists it again"))
_cache.command("list")(_interruptible(cache.list_folders, "lists it again"))
_cache.command("clear")(_interruptible(cache.clear, "clears the rest"))
app.add_typer(_cache, name="cache")

_jobs = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Look at, stop and fetch submitted runs."
)
_jobs.command("list")(_interruptible(jobs.list_jobs, "lists them again"))
_jobs.command("status")(_interruptible(jobs.status, "looks again; the job goes on"))
_jobs.command("logs")(_interruptible(jobs.logs, "shows them again; the job goes on"))
_jobs.command("stop")(_interruptible(jobs.stop, "asks again; the job was told already"))
_jobs.command("fetch")(_interruptible(jobs.fetch, "fetches the rest"))
app.add_typer(_jobs, name="jobs")

_cluster = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Check, or start, what a cluster file describes.",
)
_cluster.command("check")(_interruptible(cluster.check, "looks again"))
_cluster.command("start")(_interruptible(cluster.start, "starts it again"))
app.add_typer(_cluster, name="cluster")

_models = typer.Typer(rich_markup_mode=None)
_models.callback(invoke_without_command=True)(_interruptible(models.overview, "lists them again"))
_models.command("get")(_interruptible(models.get, "fetches it again"))
app.add_typer(_models, name="models")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"daskfer {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    if debug:
        os.environ["DASKFER_DEBUG"] = "1"


WAYS_OUT = {
    errno.ENOSPC: "free some space, or name folders on another disk by --out and --store",
    errno.EDQUOT: "free some space, or name folders on another disk by --out and --store",
    errno.EROFS: "nothing can be written there: name folders where it can, by --out and --store",
}
"""What a person can do about errors of the system, by their numbers."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command; errors that a user can mend are one line and exit status 1."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    try:
        status = app(arguments, standalone_mode=True)
    except (KeyboardInterrupt, Stopped) as error:
        _end(130, str(error) or "stopped")
    except DaskferError as error:
        if os.environ.get("DASKFER_DEBUG"):
            raise
        _end(1, f"error: {error}")
    except OSError as error:
        if os.environ.get("DASKFER_DEBUG"):
            raise
        place = f": {error.filename}" if error.filename else ""
        way = WAYS_OUT.get(error.errno or 0, "daskfer --debug ... shows where")
        _end(1, f"error: {error.strerror or error}{place} ({way})")
    except Exception as error:
        if os.environ.get("DASKFER_DEBUG"):
            raise
        reason = one_line(error)
        _end(
            1,
            f"error: unexpected {type(error).__name__}: {reason} (daskfer --debug ... shows where)",
        )
    finally:
        # What is left in memory is for the system to take back: looking for cycles in some sixty
        # libraries' objects would keep the person waiting for half a second.
        gc.freeze()
    sys.exit(status)


def _stop(number: int, frame: FrameType | None) -> None:
    """Stop once: what comes after, while workers are being closed, must not disturb that.

    The exception may be raised anywhere, also in a finalizer, where Python drops it with a
    traceback; that is kept from the screen, and the stages look for the wish to stop as well.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Progress.stopping = True
    sys.unraisablehook = _show_dropped
    raise KeyboardInterrupt


def _show_dropped(dropped: sys.UnraisableHookArgs) -> None:
    """Show an exception that Python dropped, unless it is the wish to stop."""
    if not issubclass(dropped.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(dropped)


def _end(status: int, message: str) -> NoReturn:
    typer.echo(message, err=True)
    sys.exit(status)
