"""What a cluster file would do, in sentences."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator
from typing import Any

from distributed import Client

from daskfer.dask.cluster_file import ClusterFile, class_of, configure, read_cluster_file
from daskfer.dask.memory import checked_limit
from daskfer.dask.schedulers import client_of_address, exposure, quiet_client
from daskfer.dask.software import check_software
from daskfer.errors import SchedulerError


def described(path: str) -> Iterator[str]:
    """What would happen with a cluster file; nothing is started.

    Raises
    ------
    SchedulerError, MissingPackage
        When it could not work.
    """
    file = read_cluster_file(path)
    if file.scheduler is not None:
        yield from _running(file)
        return
    kind = class_of(file)
    yield f"{path}: starts {file.kind}, with these arguments:"
    for name, value in file.arguments.items():
        yield f"  {name}: {value}"
    _check_arguments(file, kind)
    if file.adapt:
        limits = ", ".join(f"{name} {value}" for name, value in file.adapt.items())
        yield f"workers come and go with the work ({limits}); --workers N fixes their number"
    elif file.workers is not None:
        yield f"{file.workers} workers are started; --workers N overrides it"
    else:
        yield "as many workers as its arguments say; --workers N asks for another number"
    yield from _settings(file)
    yield f"daskfer run FACES --cluster {path} starts it for a run and ends it afterwards"
    yield f"daskfer cluster start {path} keeps it, for jobs (daskfer submit) too"


def _running(file: ClusterFile) -> Iterator[str]:
    configure(file)
    quiet_client()
    yield f"{file.path}: uses the running scheduler at {file.scheduler}"
    yield from _settings(file)
    with client_of_address(str(file.scheduler)) as client:
        yield from _found(client)


def _found(client: Client) -> Iterator[str]:
    notes: list[str] = []
    if note := exposure(client):
        yield f"warning: {note}"
    if not client.scheduler_info(n_workers=-1)["workers"]:
        yield "it has no workers yet"
        return
    yield f"it has {check_software(client, notes.append)}"
    memory = checked_limit(client)
    if memory is not None:
        yield f"the smallest worker may use {memory / 2**30:.1f} GiB of memory"
    yield from (f"warning: {note}" for note in notes)


def _settings(file: ClusterFile) -> Iterator[str]:
    for name, value in _flat(file.dask):
        yield f"Dask's own setting {name} is {value}"


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _check_arguments(file: ClusterFile, kind: Any) -> None:
    """See that the class takes these arguments, as far as its signature tells.

    Raises
    ------
    SchedulerError
    """
    known: set[str] = set()
    others = False
    for one in inspect.getmro(kind) if inspect.isclass(kind) else (kind,):
        start = one.__init__ if inspect.isclass(one) else one
        parameters = inspect.signature(start).parameters.values()
        known |= {parameter.name for parameter in parameters}
        # What goes on to workers or jobs (worker_kwargs) tells no names.
        others |= any(map(_is_for_others, parameters))
        # Where it takes any, its base classes say which.
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    else:
        others = True
    for name in file.arguments:
        if name in known or (others and not difflib.get_close_matches(name, known, cutoff=0.8)):
            continue
        raise SchedulerError(
            f"{file.path}: {file.kind} has no argument {name!r}; expected some of "
            f"{', '.join(sorted(known - {'self', 'args', 'kwargs'}))}"
        )


def _is_for_others(parameter: inspect.Parameter) -> bool:
    return parameter.kind is parameter.VAR_KEYWORD and parameter.name != "kwargs"
