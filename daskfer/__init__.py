"""daskfer labels faces by emotion without labels: clusters on Dask, names, and a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from daskfer.predictor import Predictor

__version__ = "0.1.0"


def load(path: str | os.PathLike[str]) -> Predictor:
    """Read a trained model: the folder of a finished run, or its model/.

    See `daskfer.predictor.Predictor` for what it does.
    """
    # NumPy and scikit-learn come only with this: to import daskfer is cheap.
    from daskfer.predictor import load

    return load(path)
