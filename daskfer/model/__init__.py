"""The model folder: written by a run, read by whoever predicts."""

from __future__ import annotations

from daskfer.model.estimator import load_estimator, save_estimator
from daskfer.model.reading import read_clusters, read_model
from daskfer.model.writing import FORMAT, write_model

__all__ = [
    "FORMAT",
    "load_estimator",
    "read_clusters",
    "read_model",
    "save_estimator",
    "write_model",
]
