"""``daskfer demo``: synthetic faces through the whole job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daskfer.cli.options import DEFAULT_RANGE_MB
from daskfer.cli.run import run_job, show
from daskfer.cli.session import place_of, prepare_process


def demo(
    rows: Annotated[int, typer.Option(min=200, help="Number of faces to draw.")] = 4000,
    difficulty: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="How much identity, pose, light and noise vary.")
    ] = 0.25,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the faces.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the faces and the run.")] = Path(
        "daskfer-demo"
    ),
    workers: Annotated[
        int | None, typer.Option(min=1, help="Workers; by default one a core.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print metrics.json instead of a table.")
    ] = False,
) -> None:
    """Draw synthetic faces, find their seven expressions without labels, and check them.

    Needs no data and no network. The faces are drawn from parameters, so the right answer is
    known.
    """
    prepare_process()
    from daskfer.cli.console import Progress
    from daskfer.recipe import load_recipe
    from daskfer.synthetic import write_csv

    name = f"faces-{rows}-{seed}-{difficulty:g}"
    faces = out / f"{name}.csv"
    if not faces.exists():
        Progress().say(f"drawing {rows:,} synthetic faces: {faces}")
        out.mkdir(parents=True, exist_ok=True)
        write_csv(faces, rows, seed, difficulty)
    metrics, folder = run_job(
        [str(faces)], "hog", load_recipe("hog"), str(out / name), str(out / "store"),
        place_of("local", None, workers, False), DEFAULT_RANGE_MB << 20,
    )  # fmt: skip
    show(metrics, folder, as_json)
