#!/usr/bin/env python3
"""Show which settings of dask-ml's IncrementalPCA give the exact principal subspace.

usage: incremental_pca.py INPUT.csv [--components 2] [--per-class 547]

Fits the rows that recipe `seed` fits, with several settings, and compares each subspace with that
of the exact eigen-decomposition of the covariance: the overlap is the mean squared cosine of the
principal angles (1 is the same subspace), and the last column the largest angle in degrees.
"""

from __future__ import annotations

import argparse
import tempfile
import time

import numpy as np
from distributed import Client
from scipy.linalg import subspace_angles

from daskfer.balance import select
from daskfer.blocks import cut
from daskfer.cli.console import Progress
from daskfer.dask import ml
from daskfer.dask.connect import Where, connected
from daskfer.dask.engine import DaskEngine
from daskfer.ingest.finding import find_sources
from daskfer.pipeline import METHODS
from daskfer.recipe import IncrementalPca, Pca, Pixels, load_recipe
from daskfer.reduce import fit_pca
from daskfer.represent import Features
from daskfer.stages.context import Context
from daskfer.stages.ingest import ingest
from daskfer.store import Store


def main() -> None:
    """Fit every setting and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input")
    parser.add_argument("--components", type=int, default=2)
    parser.add_argument("--per-class", type=int, default=547)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, connected(Where()) as client:
        compare(client, folder, arguments.input, arguments.components, arguments.per_class)


def compare(client: Client, folder: str, path: str, components: int, per_class: int) -> None:
    """Print the overlap of each setting's subspace with the exact one."""
    recipe = load_recipe("seed", [f"balance.per_class={per_class}"])
    engine = DaskEngine(client)
    faces = ingest(
        Context(recipe, Store(folder), engine, METHODS, Progress()), find_sources([path])
    )
    fit = select(faces.table, recipe).fit
    features = Features(faces.pixels, None, faces.side, "minmax", Pixels())
    pieces = cut(fit, recipe.block_rows)
    start = time.perf_counter()
    exact = fit_pca(engine, features, pieces, Pca(components=components, whiten=False))
    print(f"{len(fit):,} rows of {features.dimensions:,} features, {components} components")
    print(f"{'setting':<44}{'seconds':>8}{'overlap':>12}{'angle':>10}")
    print(f"{'exact (eigen-decomposition of moments)':<44}{time.perf_counter() - start:>8.2f}")
    batches = sorted({recipe.block_rows, len(fit)})
    for batch in batches:
        for power in (0, 1, 2, 4, 8):
            method = IncrementalPca(components=components, iterated_power=power, batch_rows=batch)
            start = time.perf_counter()
            found = ml.fit_incremental_pca(features, pieces, method, recipe.seed)
            seconds = time.perf_counter() - start
            angles = subspace_angles(exact.axes.T, found.axes.T)
            name = f"batches of {batch:,} rows, iterated_power={power}"
            print(
                f"{name:<44}{seconds:>8.2f}{np.mean(np.cos(angles) ** 2):>12.8f}"
                f"{np.rad2deg(angles.max()):>10.5f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
