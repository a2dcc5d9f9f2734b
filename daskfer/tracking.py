"""A finished run in MLflow: its recipe as parameters, its figures as metrics, its files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from daskfer.errors import InputError, MissingPackage, one_line
from daskfer.recipe import Recipe
from daskfer.run_folder import RunFolder

EXPERIMENT = "daskfer"

FILES = ("recipe.yaml", "metrics.json", "names.yaml", "report.html")
"""Files of a run that are kept with it; labels.parquet may be large, and the faces are nobody's."""

LONGEST = 500
"""Characters of a parameter that MLflow keeps."""


def check_tracking(uri: str) -> None:
    """Find the package and the store, before any work.

    Raises
    ------
    MissingPackage, InputError
    """
    client = _client(uri)
    try:
        client.search_experiments(max_results=1)
    except Exception as error:
        raise InputError(
            f"--mlflow {uri} cannot be used: {one_line(error)}; expected a tracking server's "
            "address, or a database such as sqlite:///mlflow.db"
        ) from error


def log_run(uri: str, folder: RunFolder, recipe: Recipe, metrics: dict[str, Any]) -> str:
    """Log a finished run; MLflow's name of it.

    Parameters
    ----------
    uri : str
        Of a tracking store: an address, a database, …
    folder : RunFolder
        Local, with its files written.
    recipe : Recipe
        Each key becomes a parameter such as ``cluster.clusters``.
    metrics : dict
        The content of metrics.json; each number becomes a metric such as ``cluster.nmi``.
    """
    client = _client(uri)
    try:
        found = client.get_experiment_by_name(EXPERIMENT)
        number = client.create_experiment(EXPERIMENT) if found is None else found.experiment_id
        name = os.path.basename(os.path.abspath(folder.path))
        run: str = client.create_run(number, run_name=name).info.run_id
        for key, value in flat(recipe.as_dict()):
            client.log_param(run, key, str(value)[:LONGEST])
        for key, value in flat(metrics):
            if isinstance(value, int | float) and not isinstance(value, bool):
                client.log_metric(run, _plain(key), float(value))
        for file in FILES:
            client.log_artifact(run, folder.file(file))
        client.log_artifacts(run, folder.file("model"), "model")
        client.set_terminated(run)
    except Exception as error:
        raise InputError(
            f"--mlflow {uri}: the run could not be logged: {one_line(error)}; its results are in "
            f"{folder.path}"
        ) from error
    return run


def flat(values: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested dictionaries, by keys with points between them; no lists."""
    for key, value in values.items():
        name = f"{before}{key}"
        if isinstance(value, dict):
            yield from flat(value, f"{name}.")
        elif not isinstance(value, list | tuple):
            yield name, value


def _plain(key: str) -> str:
    """A name of letters that MLflow takes."""
    return "".join(letter if letter.isalnum() or letter in "_-./ " else "_" for letter in key)


def _client(uri: str) -> Any:
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise MissingPackage(
            f"--mlflow {uri} needs the package mlflow: pip install 'daskfer[mlflow]'"
        ) from error
    try:
        return MlflowClient(uri)
    except Exception as error:
        raise InputError(f"--mlflow {uri} cannot be used: {one_line(error)}") from error
