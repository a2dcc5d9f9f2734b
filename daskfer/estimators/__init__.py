"""The stages as scikit-learn estimators, to be put into pipelines and searches of one's own.

Each is a thin class over the functions that a run uses, and gives what a run gives: the same
blocks, the same order of sums, the same random numbers. Rows may be a NumPy array, or a Dask array
whose chunks of rows have known sizes. What is lazy stays lazy in `transform` and `predict`. `fit`
computes a Dask array by whichever of Dask's schedulers is in use, for components a few blocks at a
time, and does its own sums in this process; `daskfer run` is for sums on workers.
"""

from __future__ import annotations

from daskfer.estimators.clusters import BlockKMeans, FaceGaussianMixture
from daskfer.estimators.images import FaceNormalizer, HogTransformer
from daskfer.estimators.reduction import BlockPCA

__all__ = [
    "BlockKMeans",
    "BlockPCA",
    "FaceGaussianMixture",
    "FaceNormalizer",
    "HogTransformer",
]
