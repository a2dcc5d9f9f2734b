"""Versions of what a result depends on."""

from __future__ import annotations

import platform
from importlib import metadata

PACKAGES = (
    "daskfer",
    "dask",
    "distributed",
    "dask-ml",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "numba",
)


def versions() -> dict[str, str]:
    """Version of Python and of each package that computes; only those that are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
