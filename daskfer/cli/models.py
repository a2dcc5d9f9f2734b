"""``daskfer models``: the model files that recipes need, and fetching them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from daskfer.bundle import Bundle


def overview(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a list.")] = False,
) -> None:
    """List the model files that recipes need, or fetch them.

    Model files are kept in $DASKFER_MODELS, or the user's cache.
    """
    from daskfer import bundle

    if context.invoked_subcommand is None:
        found = [_facts(bundle.FACE_LANDMARKER)]
        text = json.dumps({"models": found}, indent=2, ensure_ascii=False)
        typer.echo(text if as_json else "\n\n".join(map(_lines, found)))
    elif as_json:
        raise typer.BadParameter("--json is for the list alone: leave out --json or get")


def get(
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="PATH", help="Copy this file or URL rather than fetch one."),
    ] = None,
) -> None:
    """Have the face landmark model in the cache, and print where it is.

    For machines without network: get it on another one, and copy it with --from.
    """
    from daskfer import bundle
    from daskfer.cli.console import Progress

    typer.echo(bundle.fill_cache(source, Progress().say, bundle.FACE_LANDMARKER))


def _facts(model: Bundle) -> dict[str, Any]:
    """What is known of a model file, and whether it is here."""
    from daskfer import storage
    from daskfer.bundle import cache_place, is_cached

    place = cache_place(model)
    absent = "another file" if storage.exists(place) else "missing"
    state = "here" if is_cached(model) else absent
    return {**asdict(model), "place": place, "state": state}


def _lines(facts: dict[str, Any]) -> str:
    """A model file as a person reads of it."""
    place = facts["place"]
    cached = {
        "here": place,
        "missing": f"not here yet (daskfer models get puts it at {place})",
        "another file": f"not here: {place} is another file (daskfer models get replaces it)",
    }
    rows = {
        "for": facts["used_by"],
        "licence": f"{facts['licence']}, by {facts['author']}",
        "described": facts["page"],
        "source": facts["url"],
        "copy": f"{facts['member']} in the wheel {facts['wheel']}",
        "sha256": facts["sha256"],
        "size": f"{facts['size']:,} bytes",
        "cached": cached[facts["state"]],
    }
    return "\n".join([facts["name"], *(f"  {name:<11}{text}" for name, text in rows.items())])
