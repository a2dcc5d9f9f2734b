"""A sweep beside a run: is it one of the same faces, and what is in the run's folder?"""

from __future__ import annotations

import dataclasses
from typing import Any

from daskfer import storage
from daskfer.errors import DaskferError, RunFolderError
from daskfer.recipe import Recipe
from daskfer.report.sweep_file import MOST_BYTES, Swept, harmless, parse, quoted
from daskfer.report.sweep_folder import MARK
from daskfer.run_folder import OWNER, RunFolder, changed_keys
from daskfer.stages.sweep import represent_sections


def bring(folder: str, run: RunFolder, recipe: Recipe) -> tuple[Swept, bytes]:
    """The sweep in a folder, and its file as it is, for this run.

    Raises
    ------
    RunFolderError
        When the folder holds no sweep, a damaged one, or one of other rows than the run's.
    """
    path = storage.join(folder, MARK)
    if not storage.exists(path):
        raise RunFolderError(
            f"{folder} has no {MARK}: expected the folder of a sweep, such as daskfer sweep makes"
        )
    data = storage.read_bytes(path, 0, MOST_BYTES + 1)
    swept = parse(path, data)
    _check_same(folder, swept, run, recipe)
    return swept, data


def of_run(run: RunFolder, recipe: Recipe) -> Swept | str | None:
    """The sweep in a run's folder, None where there is none, or why it cannot be shown."""
    try:
        return bring(run.path, run, recipe)[0] if storage.exists(run.file(MARK)) else None
    except (DaskferError, OSError) as error:
        # A report is worth more than a part of it.
        return " ".join(str(error).split())


def _check_same(folder: str, swept: Swept, run: RunFolder, recipe: Recipe) -> None:
    """Refuse a sweep of other rows, or of another representation, than the run's."""
    owner = storage.read_json(run.file(OWNER))
    way_out = f"daskfer sweep INPUT --recipe {run.file('recipe.yaml')} makes one"
    if swept.inputs != owner["inputs"]:
        theirs, mine = _paths(swept.inputs), _paths(owner["inputs"])
        of = f"an earlier or later version of {mine}" if theirs == mine else theirs
        raise RunFolderError(
            f"{folder} holds a sweep of {of}: expected one of {mine} as {run.path} read it "
            f"({way_out})"
        )
    changed = changed_keys(_decides(swept.recipe), _decides(recipe))
    if not changed:
        own = recipe.represent
        sections = represent_sections(swept.recipe, swept.represents)
        if own.method not in sections:
            changed = [("represent.method", ",".join(sections), own.method)]
        else:
            there = dataclasses.asdict(sections[own.method])
            changed = changed_keys(there, dataclasses.asdict(own), "represent")
    if changed:
        listed = ", ".join(f"{key}={old} there, {new} here" for key, old, new in changed[:3])
        raise RunFolderError(
            f"{folder} holds a sweep of other faces than {run.path} clusters ({listed}): expected "
            f"the run's recipe up to its representation ({way_out})"
        )


def _decides(recipe: Recipe) -> dict[str, Any]:
    """What of a recipe decides which rows are swept, and what they are before they represent."""
    sections = recipe.as_dict()
    found = {key: sections[key] for key in ("seed", "ingest", "split", "normalize", "balance")}
    # How many bad rows are too many changes none of the others.
    found["ingest"] = {key: value for key, value in found["ingest"].items() if key != "max_bad"}
    return found


def _paths(inputs: list[Any]) -> str:
    """The inputs by their paths, the first ones of many."""
    paths = [str(one.get("path")) if isinstance(one, dict) else quoted(one) for one in inputs]
    paths = list(dict.fromkeys(paths))
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return f"{', '.join(harmless(path)[:200] for path in paths[:3]) or 'nothing'}{more}"
