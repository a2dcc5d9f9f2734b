"""What commands that go on from a finished run share: is it one, and are its inputs still there?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daskfer.ingest.sources import Source


def finished(run: str) -> dict[str, Any]:
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


def sources_of(run: str, owner: dict[str, Any]) -> list[Source]:
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
