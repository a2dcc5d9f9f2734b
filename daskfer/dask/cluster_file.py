"""Cluster files: which scheduler to use, or which class starts a cluster, and with what."""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
import yaml
from distributed import LocalCluster

from daskfer.errors import MissingPackage, SchedulerError, one_line

KEYS = ("cluster", "scheduler", "arguments", "workers", "adapt", "dask")

PACKAGES = {
    "dask_jobqueue": "pip install 'daskfer[slurm]'",
    "dask_gateway": "pip install 'daskfer[gateway]'",
    "asyncssh": "pip install 'daskfer[ssh]'",
}
"""What brings the packages of the shipped cluster files."""

OTHER_KINDS = {
    "kind": "a Kubernetes manifest: kubectl apply -f {path}, then --scheduler with its address",
    "services": "a compose file: docker compose -f {path} up, then --scheduler with its address",
}
"""What a file is that has one of these keys, and what it is for."""


@dataclass(frozen=True)
class ClusterFile:
    """What a cluster file says.

    Attributes
    ----------
    path : str
    scheduler : str or None
        Address of a running scheduler.
    kind : str or None
        Full name of the class that starts a cluster; exactly one of the two is there.
    arguments : dict
        What the class is called with.
    workers : int or None
        How many workers to start.
    adapt : dict
        What `Cluster.adapt` is called with, instead: workers come and go with the work, and at
        least one is there while the cluster is.
    dask : dict
        Dask's own configuration, which goes before the user's.
    """

    path: str
    scheduler: str | None = None
    kind: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    workers: int | None = None
    adapt: dict[str, Any] = field(default_factory=dict)
    dask: dict[str, Any] = field(default_factory=dict)


def read_cluster_file(path: str) -> ClusterFile:
    """Read a cluster file and check its keys.

    Raises
    ------
    SchedulerError
        When there is none, or it is not one.
    """
    if not Path(path).is_file():
        raise SchedulerError(f"--cluster {path}: no such file; see the folder cluster_configs")
    try:
        content = yaml.safe_load(Path(path).read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SchedulerError(f"{path} is not YAML: {one_line(error)}") from error
    if not isinstance(content, dict):
        content = {}
    for key, what in OTHER_KINDS.items():
        if key in content:
            raise SchedulerError(f"{path} is {what.format(path=path)}")
    unknown = sorted(str(key) for key in set(content) - set(KEYS))
    if unknown:
        raise SchedulerError(f"{path}: unknown key {unknown[0]!r}; expected {', '.join(KEYS)}")
    if ("cluster" in content) == ("scheduler" in content):
        raise SchedulerError(
            f"{path}: expected either a key cluster that names a class, such as "
            "dask.distributed.LocalCluster, or a key scheduler with a running one's address"
        )
    wrong = [key for key in ("arguments", "workers", "adapt") if content.get(key)]
    if "scheduler" in content and wrong:
        raise SchedulerError(
            f"{path}: {wrong[0]} is for a cluster to be started; a running scheduler has its own "
            "workers"
        )
    if content.get("workers") and content.get("adapt"):
        raise SchedulerError(f"{path}: workers and adapt exclude each other: give one of them")
    for key in ("arguments", "adapt", "dask"):
        if not isinstance(content.get(key) or {}, dict):
            raise SchedulerError(f"{path}: {key}={content[key]!r}: expected keys and values")
    workers = content.get("workers")
    if workers is not None and (not isinstance(workers, int) or workers < 1):
        raise SchedulerError(f"{path}: workers={workers!r}: expected a number from 1")
    adapt = dict(content.get("adapt") or {})
    for key in ("maximum", "maximum_jobs"):
        if isinstance(adapt.get(key), int) and adapt[key] < 1:
            raise SchedulerError(f"{path}: adapt: {key}={adapt[key]}: expected a number from 1")
    return ClusterFile(
        path,
        None if content.get("scheduler") is None else str(content["scheduler"]),
        None if content.get("cluster") is None else str(content["cluster"]),
        dict(content.get("arguments") or {}),
        workers,
        _with_one(adapt),
        _certificates_found(dict(content.get("dask") or {}), Path(path).parent),
    )


def _with_one(adapt: dict[str, Any]) -> dict[str, Any]:
    """What `Cluster.adapt` is called with, for one worker at least.

    Dask's own least number is none, and then it starts the first one for a task. Ours come only
    after we have looked at a worker.
    """
    if not adapt:
        return adapt
    least = {key: adapt[key] for key in ("minimum", "minimum_jobs") if adapt.get(key) is not None}
    return {**adapt, **{key: max(1, value) for key, value in (least or {"minimum": 1}).items()}}


def _certificates_found(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The settings, with certificates' paths taken from the file's own folder."""

    def placed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: placed(inner) for key, inner in value.items()}
        if (
            isinstance(value, str)
            and "\n" not in value
            and value.endswith((".pem", ".crt", ".key"))
        ):
            return str(folder.absolute() / os.path.expanduser(os.path.expandvars(value)))
        return value

    tls = settings.get("distributed", {}).get("comm", {}).get("tls")
    if tls:
        settings["distributed"]["comm"]["tls"] = placed(tls)
    return settings


def configure(file: ClusterFile) -> None:
    """Let Dask's own configuration, in this process, be what the file says."""
    dask.config.update(dask.config.config, file.dask)


def class_of(file: ClusterFile) -> Any:
    """The class that a file names.

    Raises
    ------
    SchedulerError, MissingPackage
    """
    module, _, name = str(file.kind).rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        missing = str(getattr(error, "name", "")).partition(".")[0]
        if missing in PACKAGES:
            raise MissingPackage(
                f"{file.path}: {file.kind} needs the package {missing}: {PACKAGES[missing]}"
            ) from error
        raise SchedulerError(
            f"{file.path}: cluster {file.kind} cannot be imported ({one_line(error)})"
        ) from error


def start_cluster(file: ClusterFile, workers: int | None) -> Any:
    """Start the cluster that a file describes.

    Parameters
    ----------
    file : ClusterFile
    workers : int or None
        Number of workers, where it is not the file's.

    Raises
    ------
    SchedulerError, MissingPackage
    """
    configure(file)
    kind = class_of(file)
    arguments = dict(file.arguments)
    # Dask says when the dashboard's usual port is taken, and takes another.
    warnings.filterwarnings("ignore", "Port .* is already in use", UserWarning)
    if getattr(kind, "__name__", "") == "SSHCluster":
        # It reads the scheduler's address from the log there, whose level is ours.
        dask.config.set({"logging.distributed": "info"})
    if isinstance(kind, type) and issubclass(kind, LocalCluster):
        # Its worker processes have a log level of their own, beside Dask's configuration.
        arguments.setdefault("silence_logs", logging.CRITICAL)
    wanted = workers or file.workers
    cluster = None
    try:
        cluster = kind(**arguments)
        _delete_keys_at_the_end(cluster)
        if workers is None and file.adapt:
            cluster.adapt(**file.adapt)
        elif wanted is not None and hasattr(cluster, "scale"):
            if getattr(cluster, "new_spec", wanted) is None:
                raise ValueError(f"workers={wanted}: its arguments alone say how many it has")
            cluster.scale(int(wanted))
    except ModuleNotFoundError as error:
        way_out = PACKAGES.get(str(error.name), f"pip install {error.name}")
        raise MissingPackage(
            f"{file.path}: {file.kind} needs the package {error.name}: {way_out}"
        ) from error
    except Exception as error:
        # Classes of other packages raise whatever they like.
        if cluster is not None:
            cluster.close()
        reason = one_line(_first_cause(error))
        raise SchedulerError(f"{file.path}: the cluster does not start: {reason}") from error
    return cluster


def _delete_keys_at_the_end(cluster: Any) -> None:
    """Delete the files that show jobs the keys of this run.

    dask-jobqueue leaves that to the collector of cycles, for which our end does not wait.
    """
    for name in ("_job_ca_file", "_job_cert", "_job_key"):
        if file := getattr(cluster, name, None):
            atexit.register(file.close)


def _first_cause(error: BaseException) -> BaseException:
    """The error that the others were raised from."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
