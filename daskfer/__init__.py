"""daskfer labels faces by emotion without labels: clusters on Dask, names, and a classifier."""

from __future__ import annotations

__version__ = "0.1.0"
