"""dask-ml's estimators under daskfer's interfaces, with settings that make them exact.

`scripts/incremental_pca.py` shows what those settings give beside dask-ml's defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask
import joblib
import numpy as np
from joblib._dask import DaskDistributedBackend

from daskfer.blocks import BlockFiles
from daskfer.cluster import Centers
from daskfer.recipe import IncrementalPca, KMeansClusters, Svd
from daskfer.reduce import Reducer, oriented
from daskfer.represent import FeatureRows

if TYPE_CHECKING:
    import dask.array as da


def rows_array(
    source: FeatureRows | BlockFiles, pieces: list[np.ndarray], columns: int, stage: str
) -> da.Array:
    """A dask array of float64 rows, with known chunks: one piece of positions a chunk.

    In float64, because power passes without a step of normalization multiply the ratio of the
    leading directions, and float32 would lose the second one.
    """
    import dask.array as da

    load = dask.delayed(_load_rows, pure=False, traverse=False)
    chunks = [
        da.from_delayed(
            load(
                source, piece, dask_key_name=(f"{stage}-load-{dask.base.tokenize(source, piece)}")
            ),
            (len(piece), columns),
            np.float64,
        )
        for piece in pieces
    ]
    return da.concatenate(chunks, axis=0)


def _load_rows(source: FeatureRows | BlockFiles, positions: np.ndarray) -> np.ndarray:
    return source.rows(positions).astype(np.float64)


def fit_incremental_pca(
    features: FeatureRows, pieces: list[np.ndarray], method: IncrementalPca, seed: int
) -> Reducer:
    """dask-ml's IncrementalPCA of the rows at the positions in `pieces`.

    By default it updates its components batch by batch and keeps only as many directions as it
    is asked for, so what an early batch drops never comes back; and its randomized solver makes
    no power passes. One batch of all rows (a dask array, so spread over the workers) with
    `method.iterated_power` passes gives the exact subspace.
    """
    from dask_ml.decomposition import IncrementalPCA

    rows = rows_array(features, pieces, features.dimensions, "reduce").persist()
    count = sum(len(piece) for piece in pieces)
    model = IncrementalPCA(
        n_components=method.components,
        batch_size=method.batch_rows or count,
        svd_solver="randomized",
        iterated_power=method.iterated_power,
        random_state=seed,
    ).fit(rows)
    return oriented(
        np.asarray(model.mean_),
        np.asarray(model.components_),
        np.asarray(model.explained_variance_, np.float64),
        float(np.sum(model.var_)),
        method.whiten,
    )


def fit_truncated_svd(
    features: FeatureRows, pieces: list[np.ndarray], method: Svd, seed: int
) -> Reducer:
    """dask-ml's TruncatedSVD: as principal components, of rows that are not centred."""
    from dask_ml.decomposition import TruncatedSVD

    rows = rows_array(features, pieces, features.dimensions, "reduce").persist()
    model = TruncatedSVD(
        n_components=method.components,
        algorithm="randomized",
        n_iter=method.iterated_power,
        random_state=seed,
    ).fit(rows)
    total = float(rows.var(axis=0, dtype=np.float64).sum().compute())
    return oriented(
        np.zeros(features.dimensions),
        np.asarray(model.components_),
        np.asarray(model.explained_variance_, np.float64),
        total,
        whiten=False,
    )


def fit_kmeans(
    points: BlockFiles, pieces: list[np.ndarray], method: KMeansClusters, start: np.ndarray
) -> Centers:
    """dask-ml's KMeans from given centres.

    Given centres take all randomness, and the dependence on chunks, out of its result.
    """
    from dask_ml.cluster import KMeans

    rows = rows_array(points, pieces, start.shape[1], "cluster").persist()
    model = KMeans(
        n_clusters=method.clusters,
        init=start,
        max_iter=method.max_iterations,
        tol=method.tolerance,
    ).fit(rows)
    return Centers(np.asarray(model.cluster_centers_, np.float64), int(model.n_iter_))


class _Unscattered(DaskDistributedBackend):
    """joblib's dask backend, which sends a task's arguments with the task.

    The original puts large arguments on workers once, from the client. Dask cannot make such data
    again when its worker dies, and the search then waits for it for ever; what a task brings
    along goes with it to another worker. The search's rows are few enough for that.
    """

    def start_call(self) -> None:
        super().start_call()
        self.call_data_futures: Any = None

    def stop_call(self) -> None:
        self.call_data_futures = {}  # the original clears it
        super().stop_call()


def search_parameters(search: Any, features: np.ndarray, labels: np.ndarray) -> Any:
    """Fit one of scikit-learn's searches with joblib's dask backend, on the current workers."""
    with joblib.parallel_config(backend=_Unscattered()):
        return search.fit(features, labels)
