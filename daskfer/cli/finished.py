"""What commands that go on from a finished run share: is it one, are its inputs still there, and
what did it find?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from daskfer.cli.session import place_to_measure, session

if TYPE_CHECKING:
    from daskfer.cli.console import Progress
    from daskfer.cli.session import Session
    from daskfer.dask.connect import Where
    from daskfer.ingest.sources import Source
    from daskfer.naming import Given
    from daskfer.pipeline import Result
    from daskfer.recipe import Recipe
    from daskfer.run_folder import RunFolder


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
    from daskfer.ingest.finding import find_again

    way_out = "bring it back as it was, or make a new run with daskfer run"
    theirs = owner["inputs"]
    try:
        sources = find_again(theirs, owner.get("chosen"))
    except InputError as error:
        raise InputError(f"an input of {run} cannot be read again: {error} ({way_out})") from error
    now = [source.key() for source in sources]
    if now != theirs:
        different = [one for one in [*theirs, *now] if one not in now or one not in theirs]
        changed = (different or theirs)[0]
        name = f"{changed['path']}:{changed['member']}" if changed["member"] else changed["path"]
        raise InputError(f"{name} has changed since {run} read it: {way_out}")
    return sources


def recipe_of(run: str, changes: list[str]) -> Recipe:
    """The recipe of a run, with another second model.

    Raises
    ------
    RecipeError
        Where a change is of another stage, or there is no second model to train.
    """
    from daskfer.errors import RecipeError
    from daskfer.recipe import load_recipe

    for change in changes:
        if not change.strip().startswith("classify."):
            raise RecipeError(
                f"--set {change}: train changes nothing but the second model; expected "
                "classify.key=value (another recipe is another run: daskfer run)"
            )
    recipe = load_recipe(f"{run}/recipe.yaml", changes)
    if recipe.classify.model == "none":
        raise RecipeError(
            "classify.model=none: there is no second model to train; use --set classify.model=auto"
        )
    return recipe


@contextmanager
def computed_again(
    run: str,
    owner: dict[str, Any],
    recipe: Recipe,
    given: Given | None,
    place: Callable[..., Where],
    store: str | None,
    progress: Progress,
) -> Iterator[tuple[Result, Session]]:
    """All that a finished run found, with its workers; what the store has is taken from there.

    Where names are `given`, the clusters have these.
    """
    from daskfer.run_folder import RunFolder

    sources = sources_of(run, owner)
    where = place_to_measure(place, recipe, sources, store, progress)
    with session(where, store, progress, sources, recipe) as here:
        from daskfer.pipeline import run as run_pipeline

        result = run_pipeline(
            _with_names_as_read(recipe, RunFolder(run)), sources, here.store, here.engine,
            progress, given=given,
        )  # fmt: skip
        yield replace(result, recipe=recipe), here


def _with_names_as_read(recipe: Recipe, folder: RunFolder) -> Recipe:
    """The recipe, whose file of names is taken as the run read it.

    The user's may have been changed, or be gone, since.
    """
    import yaml

    from daskfer import storage
    from daskfer.recipe import NameByFile

    path = folder.file("names.yaml")
    if not isinstance(recipe.name, NameByFile):
        return recipe
    if yaml.safe_load(storage.read_bytes(path)).get("how") != "file":
        return recipe
    return replace(recipe, name=replace(recipe.name, file=path))
