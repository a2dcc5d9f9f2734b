"""``daskfer drive``: what a job's task starts on a worker's machine; not for people."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from daskfer.cli.run import run_job
from daskfer.cli.session import place_of, prepare_process
from daskfer.errors import SchedulerGone, one_line

if TYPE_CHECKING:
    from daskfer.cli.console import Log
    from daskfer.jobs.heart import Heart


def drive(
    run: Annotated[str, typer.Argument(help="The job's run folder.")],
    attempt: Annotated[str, typer.Argument(help="The attempt that this process makes.")],
    scheduler: Annotated[str, typer.Option(help="The scheduler's address, as the worker has it.")],
) -> None:
    """Drive the job in a run folder to its end, and write down there how it goes."""
    prepare_process()
    from daskfer.cli.console import Log
    from daskfer.jobs.folder import JobFolder
    from daskfer.jobs.heart import Heart

    folder, log = JobFolder(run), Log()
    request = folder.request()
    heart = Heart(folder, folder.attempt(attempt), lambda: (log.name, log.done, log.rows))
    with _written_down(heart, log):
        log.say(f"job {request.id}, attempt {heart.attempt.number}, on {heart.attempt.host}")
        from daskfer.run_folder import RunFolder

        run_job(
            request.inputs, "", RunFolder(run).recipe(), run, request.store,
            place_of(scheduler, None, None, None), request.range_bytes, progress=log,
        )  # fmt: skip
        log.say("done")


@contextmanager
def _written_down(heart: Heart, log: Log) -> Iterator[None]:
    """Have the heart write down how the work ends; an error's traceback goes to the log."""
    try:
        yield
    except KeyboardInterrupt:
        state, reason = heart.outcome()
        log.say(f"{state}: {reason}" if reason else state)
        heart.end(state, reason)
        raise
    except Exception as error:
        log.say(traceback.format_exc())
        heart.end("lost" if isinstance(error, SchedulerGone) else "failed", one_line(error))
        raise
    else:
        heart.end("succeeded")
