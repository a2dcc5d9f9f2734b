"""``daskfer inspect``: what is in files of faces, and what a run would do with them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daskfer.cli import options
from daskfer.cli.session import place_of, prepare_process, session
from daskfer.errors import InputError

if TYPE_CHECKING:
    from daskfer.ingest.quarantine import BadRow


def inspect(
    inputs: options.Inputs,
    recipe: options.RecipeName = options.DEFAULT_RECIPE,
    changes: options.Changes = None,
    max_bad: options.MaxBad = None,
    sheets: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Save a contact sheet of each class there, and quarantine.csv."
        ),
    ] = None,
    scheduler: options.Scheduler = None,
    cluster: options.ClusterFile = None,
    workers: options.Workers = None,
    processes: options.Processes = None,
    ship_code: options.ShipCode = False,
    store: options.StoreFolder = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print everything as JSON instead of tables.")
    ] = False,
) -> None:
    """Count rows, classes, splits, duplicates, blanks and bad rows; change nothing.

    What was read stays in the store, where a run finds it.
    """
    from daskfer.recipe import load_recipe

    prepare_process()
    place = place_of(scheduler, cluster, workers, processes, ship_code)
    resolved = load_recipe(recipe, options.recipe_changes(changes, max_bad))
    from daskfer.cli.console import Progress
    from daskfer.ingest.finding import find_sources
    from daskfer.ingest.sources import notes_of

    sources = find_sources(inputs)
    if sheets is not None and os.path.isfile(sheets):
        raise InputError(f"--sheets {sheets} is a file: expected a folder, or none yet")
    progress = Progress()
    for note in notes_of(sources):
        progress.say(note)
    with session(place, store, progress, sources, resolved) as here:
        from daskfer.inspection import inspection, save
        from daskfer.pipeline import read

        faces = read(resolved, sources, here.store, here.engine, progress)
        found = inspection(faces, sources, resolved, here.engine.memory())
        saved = (
            save(sheets, faces, resolved.seed, resolved.ingest.labels) if sheets is not None else []
        )
    if as_json:
        typer.echo(json.dumps(found | {"saved": saved}, indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(_lines(found, faces.bad, saved)))


def _lines(found: dict[str, Any], bad: tuple[BadRow, ...], saved: list[str]) -> Iterator[str]:
    rows, duplicates = found["rows"], found["duplicates"]
    yield from _sources(found["sources"])
    side = found["side"]
    yield f"{rows['read']:,} rows, {rows['good']:,} of them faces of {side}×{side}"
    yield ""
    yield from _classes(found["classes"])
    yield ""
    yield (
        f"{duplicates['distinct']:,} distinct images; {duplicates['redundant']:,} rows repeat an "
        f"earlier one, {duplicates['similar']:,} more look like one"
    )
    yield (
        f"{duplicates['conflicting_groups']:,} groups of identical rows have conflicting labels, "
        f"{duplicates['spanning_groups']:,} span splits ({duplicates['leaking_rows']:,} Training "
        "rows are held-out rows too)"
    )
    yield f"{rows['blank']:,} blank images (all pixels equal)"
    yield from _bad(found["bad"], rows, bad)
    yield ""
    yield from _run(found["run"])
    for note in found["notes"]:
        yield f"Note: {note}"
    if saved:
        yield f"Saved: {', '.join(saved)}"
    else:
        yield "--sheets DIR saves a contact sheet of each class."


def _sources(sources: list[dict[str, Any]]) -> Iterator[str]:
    for source in sources[:10]:
        what = f"{source['images']:,} images" if source["images"] else source["form"]
        packing = f", {source['packing']}" if source["packing"] else ""
        yield f"{source['path']}  ({what}{packing}, {source['bytes'] / 1e6:,.1f} MB)"
    if len(sources) > 10:
        yield f"and {len(sources) - 10:,} more"


def _classes(classes: dict[str, dict[str, int]]) -> Iterator[str]:
    splits = list(next(iter(classes.values())))
    width = max(map(len, [*classes, "all"]))
    yield " " * width + "".join(f"{split:>14}" for split in splits) + f"{'all':>14}"
    totals = {split: sum(counts[split] for counts in classes.values()) for split in splits}
    for name, counts in [*classes.items(), ("all", totals)]:
        cells = [*counts.values(), sum(counts.values())]
        yield f"{name:<{width}}" + "".join(f"{cell:>14,}" for cell in cells)


def _bad(reasons: dict[str, int], rows: dict[str, int], bad: tuple[BadRow, ...]) -> Iterator[str]:
    if not reasons:
        yield "no bad rows"
        return
    yield f"{rows['quarantined']:,} bad rows ({rows['quarantined'] / rows['read']:.2%}):"
    for reason, count in reasons.items():
        first = next(row for row in bad if row.kind == reason)
        yield f"  {count:>8,} × {reason} (first: {first.place})"


def _run(run: dict[str, Any]) -> Iterator[str]:
    if run["refused"]:
        yield f"daskfer run would refuse: {run['refused']}"
        return
    yield (
        f"daskfer run would fit {run['fitted']:,} rows, validate on {run['validation']:,} and "
        f"test on {run['test']:,}, in {run['blocks']:,} "
        f"block{'' if run['blocks'] == 1 else 's'}"
    )
    for note in run["notes"]:
        yield f"Note: {note}"
