"""``daskfer predict``: what a trained model says of new faces."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daskfer.cli import options
from daskfer.cli.session import client_of_workers, examine, place_of, prepare_process

if TYPE_CHECKING:
    from distributed import Client

    from daskfer.engine import Engine
    from daskfer.ingest.sources import Source
    from daskfer.model.model import Model

SHOWN = 20
"""Rows that are shown at the terminal, where there is no output file."""

LARGE_BYTES, LARGE_IMAGES = 64 << 20, 500
"""Size of tables, and number of images, from which workers label them."""

MEASURED_SHARE = 16
"""By how much less, where the face model measures each face, which takes some 10 ms."""


def predict(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Folder of a finished run, or its model/.")
    ],
    inputs: options.Inputs,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write all rows there: .csv, .parquet or .jsonl."),
    ] = None,
    faces: Annotated[
        str,
        typer.Option(
            metavar="auto|find|none",
            help="Search images for faces: large ones (auto), all (find), or take each for a "
            "face (none).",
        ),
    ] = "auto",
    unsure_below: Annotated[
        float | None,
        typer.Option(
            metavar="CONFIDENCE",
            help="Say unsure below that; by default what the least sure tenth of the faces that "
            "the model was trained on stays below. 0: never.",
            show_default=False,
        ),
    ] = None,
    annotate: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Write a copy of each image with its faces marked there."),
    ] = None,
    scheduler: options.Scheduler = None,
    cluster: options.ClusterFile = None,
    workers: options.Workers = None,
    processes: options.Processes = None,
    ship_code: options.ShipCode = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a row instead of a table.")
    ] = False,
) -> None:
    """Label new faces by a trained model: tables, images, folders, and faces in ordinary photos.

    Rows keep their order. What is no face is told with its reason, and the rest is done.
    """
    from daskfer.errors import InputError

    prepare_process()
    place = place_of(scheduler, cluster, workers, processes, ship_code)
    if faces not in ("auto", "find", "none"):
        raise InputError(f"--faces {faces}: expected auto, find or none")
    if unsure_below is not None and not 0 <= unsure_below <= 1:
        raise InputError(f"--unsure-below {unsure_below:g}: expected a confidence from 0 to 1")
    from daskfer import predicted_file
    from daskfer.annotating import Marks
    from daskfer.ingest.finding import find_sources
    from daskfer.ingest.sources import notes_of
    from daskfer.stages.predict import label, opened, rows_of

    if out is not None:
        predicted_file.check_path(out)
    sources = find_sources(inputs)
    if out is not None:
        predicted_file.check_no_input(out, sources)
    read = opened(model)
    for note in notes_of(sources):
        typer.echo(f"Note: {note}", err=True)
    _check_face_model(read, sources, faces)
    least = read.unsure_below if unsure_below is None else unsure_below
    elsewhere = scheduler is not None or cluster is not None or workers is not None
    counts: Counter[str] = Counter()
    shown: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    with ExitStack() as stack:
        target = None if out is None else stack.enter_context(predicted_file.output(out))
        marks = None if annotate is None else Marks(annotate)
        engine = stack.enter_context(_engine(read, sources, place, elsewhere or bool(processes)))
        for first, labels in label(sources, read, engine, faces):
            rows = rows_of(labels, first, read.categories, least)
            if target is not None:
                target.write(rows)
            if as_json:
                typer.echo("".join(json.dumps(row) + "\n" for row in rows), nl=False)
            if marks is not None:
                marks.add(rows)
            counts.update(_said(row) for row in rows)
            shown += rows[: max(SHOWN - len(shown), 0)]
            problems += [row for row in rows if row["problem"]][: max(SHOWN - len(problems), 0)]
        if marks is not None:
            marks.write()
    if not as_json:
        typer.echo("\n".join(_lines(counts, shown, problems, out, annotate)))


def _said(row: dict[str, Any]) -> str:
    if row["problem"]:
        return "not labelled"
    return row["emotion"] or "no name"


def _check_face_model(model: Model, sources: list[Source], faces: str) -> None:
    """Look for the face model's file and runtime where they will be needed, before any work."""
    if not model.measures and not (
        faces == "find" or (faces == "auto" and any(source.form == "images" for source in sources))
    ):
        return
    from daskfer.errors import MissingPackage
    from daskfer.represent.expression.landmarker import check_runtime

    if model.measures or faces == "find":
        check_runtime()
        model.bundle(getattr(model.representation, "model", None))
        return
    try:
        check_runtime()
    except MissingPackage:
        # Small images need no search; a large one will say what is missing.
        return


def _is_large(model: Model, sources: list[Source]) -> bool:
    share = MEASURED_SHARE if model.measures else 1
    images = sum(len(source.files) for source in sources)
    tables = sum(source.bytes for source in sources if not source.files)
    return images * share > LARGE_IMAGES or tables * share > LARGE_BYTES


@contextmanager
def _engine(model: Model, sources: list[Source], place: Any, wanted: bool) -> Iterator[Engine]:
    """Workers for many faces, or where one asks for them; this process for a few."""
    from daskfer.engine import InProcess

    if not wanted and not _is_large(model, sources):
        yield InProcess()
        return
    from daskfer.cli.console import Progress
    from daskfer.dask.engine import DaskEngine

    # The face model keeps threads waiting for each other; processes it does not.
    here, progress = place(model.measures), Progress()

    def look(client: Client) -> None:
        # Nothing is stored, so no store is needed; the model's folder is.
        examine(client, here, None, sources, progress, read=_files_of(model))

    with client_of_workers(here, look, progress) as client:
        yield DaskEngine(client, progress.advance)


def _files_of(model: Model) -> dict[str, str]:
    from daskfer import storage
    from daskfer.model.writing import HEAD

    path = storage.join(model.folder, HEAD)
    return {f"the model {path}": path}


def _lines(
    counts: Counter[str],
    shown: list[dict[str, Any]],
    problems: list[dict[str, Any]],
    out: str | None,
    annotate: str | None,
) -> Iterator[str]:
    """What a person at the terminal is told."""
    total = sum(counts.values())
    if out is None:
        for row in shown:
            yield _line(row)
        if total > len(shown):
            yield f"… and {total - len(shown):,} more: --out FILE.csv writes all, --json prints all"
        yield ""
    for row in problems if out is not None else []:
        yield f"not labelled: {_line(row)}"
    yield ", ".join(f"{name} {count:,}" for name, count in counts.most_common()) or "no rows"
    if out is not None:
        yield f"{total:,} rows: {out}"
    if annotate is not None:
        yield f"Marked copies: {annotate}"


def _line(row: dict[str, Any]) -> str:
    where = row["source"]
    if row["problem"]:
        return f"{where}: {row['problem']}"
    place = "" if row["x"] is None else f"  at {row['x']},{row['y']} {row['width']}×{row['height']}"
    return f"{where} row {row['row']:,}: {row['emotion']} {row['confidence']:.2f}{place}"
