"""What commands that compute share: settings of the process, workers, and a lease of the store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from daskfer.errors import InputError, RecipeError

if TYPE_CHECKING:
    from distributed import Client

    from daskfer.cli.console import Progress
    from daskfer.dask.connect import Where
    from daskfer.dask.engine import DaskEngine
    from daskfer.dask.memory import PeakMemory
    from daskfer.ingest.sources import Source
    from daskfer.recipe import Recipe
    from daskfer.store import Store

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Session:
    """A client of workers, the engine on it, the store, and what memory its stages took."""

    client: Client
    engine: DaskEngine
    store: Store
    memory: PeakMemory


def prepare_process() -> None:
    """Settings that must be there before anything heavy is imported, here and in workers.

    Numerical libraries keep to one thread, because each worker has a core of its own; and Dask's
    log is for --debug only, because what a user can mend is said in one line.
    """
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"
    if not os.environ.get("DASKFER_DEBUG"):
        os.environ["DASK_LOGGING__DISTRIBUTED"] = "critical"


def place_of(
    scheduler: str | None,
    cluster: str | None,
    workers: int | None,
    processes: bool | None,
    ship: bool = False,
) -> Callable[..., Where]:
    """Where to compute, as a function: to make it imports Dask.

    Its argument says whether local workers should be processes, where the user does not.

    Raises
    ------
    RecipeError
        When both a scheduler and a file of a cluster are given.
    """
    if scheduler is not None and cluster is not None:
        raise RecipeError("--scheduler and --cluster exclude each other: give one of them")

    def make(better_processes: bool = False) -> Where:
        from daskfer.dask.connect import Where, resolved

        # What the user says of processes decides about the place; what is better does not.
        place = resolved(Where(scheduler, cluster, workers, bool(processes), ship))
        chosen = better_processes if processes is None else processes
        return replace(place, processes=chosen)

    return make


def root_of(store: str | None) -> str:
    """Where the store lies that the user means."""
    from daskfer.store import absolute, default_root

    return absolute(store or default_root())


def uploaded(inputs: list[str], store: str | None) -> list[str]:
    """Where copies of the inputs are in the store, as inputs."""
    from daskfer.ingest.finding import find_sources
    from daskfer.store import Store
    from daskfer.uploads import upload

    return upload(find_sources(inputs), Store(root_of(store)))


def place_to_measure(
    place: Callable[..., Where],
    recipe: Recipe,
    sources: list[Source],
    store: str | None,
    progress: Progress,
) -> Callable[[], Where]:
    """The place, for a recipe whose face model may have faces left to measure.

    That model is looked for now, before any work; and it runs on one thread of a process at a
    time, so local workers are processes then, unless the store lies in this one's memory.
    """
    from daskfer.stages.represent import check_model, is_measured
    from daskfer.store import Store

    root = root_of(store)
    measures = not is_measured(recipe, sources, Store(root))
    if measures:
        check_model(recipe, progress.say)
    return lambda: place(measures and not root.startswith("memory:"))


@contextmanager
def session(
    where: Callable[[], Where],
    store: str | None,
    progress: Progress,
    sources: Sequence[Source] = (),
    recipe: Recipe | None = None,
    performance_report: str | None = None,
) -> Iterator[Session]:
    """Workers that see the sources, and a store, for as long as this lasts."""
    from daskfer.dask import dashboard
    from daskfer.dask.connect import check_store
    from daskfer.dask.engine import DaskEngine
    from daskfer.dask.memory import PeakMemory
    from daskfer.leases import working
    from daskfer.store import Store

    place = where()
    root = root_of(store)
    if os.path.isfile(root):
        raise InputError(f"--store {root} is a file: expected a folder, or none yet")
    check_store(root, place)

    def look(client: Client) -> None:
        examine(client, place, root, sources, progress, recipe)

    with ExitStack() as stack:
        stack.enter_context(working(root))
        client = stack.enter_context(client_of_workers(place, look, progress))
        if performance_report is not None:
            stack.enter_context(dashboard.performance(performance_report))
        memory = PeakMemory(client)
        progress.on_end = memory.note
        yield Session(client, DaskEngine(client, progress.advance), Store(root), memory)


@contextmanager
def client_of_workers(
    place: Where, look: Callable[[Client], None], progress: Progress
) -> Iterator[Client]:
    """A client of workers, who are looked at before any work where they were not started here."""
    from daskfer.dask import dashboard
    from daskfer.dask.connect import connected, scheduler_errors

    def prepare(client: Client) -> None:
        if not place.local:
            look(client)

    with scheduler_errors(place):
        progress.say("starting workers" if place.local else "looking at the workers")
        with connected(place, prepare, progress.warn) as client:
            for line in dashboard.lines(client):
                progress.say(line)
            yield client


def examine(
    client: Client,
    place: Where,
    root: str | None,
    sources: Sequence[Source],
    progress: Progress,
    recipe: Recipe | None = None,
    written: dict[str, str] | None = None,
    read: dict[str, str] | None = None,
    job: str = "",
) -> None:
    """Look at workers that were not started here, before any work.

    Parameters
    ----------
    client : Client
    place : Where
    root : str or None
        The store, if workers need one.
    sources : sequence of Source
    progress : Progress
    recipe : Recipe, optional
        Its need of memory is compared with what workers may use, as far as it is known so early;
        which brings libraries that take long to import.
    written : dict, optional
        Folders beside the store that workers write to, by what a person calls them.
    read : dict, optional
        Files beside the inputs that workers read, by what a person calls them.
    job : str, optional
        Key of the job that this is for, which needs daskfer's code also when this client is gone.

    Raises
    ------
    SchedulerError
    """
    from daskfer.dask.memory import checked_limit
    from daskfer.dask.reach import check_reach
    from daskfer.dask.schedulers import exposure
    from daskfer.dask.software import check_software, keep_code
    from daskfer.leases import LEASES
    from daskfer.storage import join

    if note := exposure(client):
        progress.warn(note)
    progress.say(check_software(client, progress.warn, ship=place.ship, job=job))
    if not place.ship:
        keep_code(client, job)
    memory = checked_limit(client)
    if memory is not None:
        progress.say(f"the smallest worker may use {memory / 2**30:.1f} GiB of memory")
        if recipe is not None:
            from daskfer.foresight import check_memory_before

            check_memory_before(recipe, memory)
    store = {} if root is None else {f"--store {root}": join(root, LEASES)}
    check_reach(client, sources, store | (written or {}), read, upload=root is not None)
