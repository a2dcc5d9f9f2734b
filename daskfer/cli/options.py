"""Options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_RECIPE = "expression"
DEFAULT_RANGE_MB = 8

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="CSV, Parquet or image files of faces, folders or archives of them, globs, "
        "fsspec URLs.",
    ),
]
RecipeName = Annotated[
    str, typer.Option(help="Shipped recipe (expression, expression-7, hog, seed) or a recipe file.")
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="STAGE.KEY=VALUE", help="Change a key of the recipe; repeatable."
    ),
]
MaxBad = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Share of rows that may be bad, 0 to 1; the same as --set ingest.max_bad.",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Address of a running Dask scheduler, tls://HOST:8786 or tcp://…; local for this "
        "machine. By default $DASK_SCHEDULER_ADDRESS or Dask's configuration, if they name one.",
        show_default=False,
    ),
]
ShipCode = Annotated[
    bool,
    typer.Option(
        "--ship-code", help="Send daskfer's code to a scheduler and workers that lack it."
    ),
]
Upload = Annotated[
    bool,
    typer.Option("--upload", help="Copy inputs that workers cannot read into the store first."),
]
ClusterFile = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="YAML file that says which Dask cluster to start."),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Workers to start; by default one a core.")
]
Processes = Annotated[
    bool | None,
    typer.Option(
        "--processes/--threads",
        help="Local workers as processes, or as threads of this one; by default threads, but "
        "processes while recipe expression measures faces: its model keeps threads waiting.",
        show_default=False,
    ),
]
StoreFolder = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="Where stages keep results; $DASKFER_STORE, or the user's cache."
    ),
]
Mlflow = Annotated[
    str | None,
    typer.Option(
        "--mlflow",
        metavar="URI",
        help="Log recipe, figures, report and model to this MLflow tracking store.",
    ),
]
CsvBlock = Annotated[
    int, typer.Option(min=1, metavar="MB", help="Megabytes of a CSV file that a task scans.")
]


def recipe_changes(changes: list[str] | None, max_bad: float | None) -> list[str]:
    """The changes of the recipe that the options ask for."""
    shorthand = [] if max_bad is None else [f"ingest.max_bad={max_bad}"]
    return [*(changes or []), *shorthand]
