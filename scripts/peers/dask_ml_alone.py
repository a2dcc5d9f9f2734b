#!/usr/bin/env python3
"""The job chained from dask.dataframe and dask-ml, as their documentation leads a user to do it.

usage: dask_ml_alone.py INPUT.csv [--workers 2]

- A LocalCluster of single-threaded processes; the CSV by dask.dataframe; partitions parsed into an
  array that is persisted, since KMeans and IncrementalPCA want known chunk sizes.
- IncrementalPCA with its default solver, although that is not exact: `svd_solver="full"` takes
  more than ten times as long, and dask_ml's PCA fails when it comes to transform.
- KMeans with `k-means||`: `k-means++` raises TypeError with today's scikit-learn.
- dask-ml has no silhouette, so scikit-learn's on a sample. Its LogisticRegression knows two
  classes only, so ParallelPostFit around scikit-learn's: fitted here, applied by the workers.
- `test_accuracy`: predictions on PrivateTest of a model that learned the clusters of the Training
  rows, with each cluster named by its dominant emotion.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from measure import Steps

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SEED = 42
COMPONENTS = 50
CLUSTERS = 7
SIDE = 48


def main() -> None:
    """Start the cluster, run the steps, and print what they took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--silhouette-rows", type=int, default=10_000)
    options = parser.parse_args()
    steps = Steps()
    with steps.step("imports"):
        import dask.dataframe as dd
        import numpy as np
        import pandas as pd
        from dask.distributed import Client, LocalCluster
        from dask_ml.cluster import KMeans
        from dask_ml.decomposition import IncrementalPCA
        from dask_ml.wrappers import ParallelPostFit
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import silhouette_score

    with steps.step("start"):
        cluster = LocalCluster(n_workers=options.workers, threads_per_worker=1)
        client = Client(cluster)

    with steps.step("read"):
        table = dd.read_csv(options.input, blocksize="32MB")
        labels = table[["emotion", "Usage"]].compute()
        emotions, usages = labels["emotion"].to_numpy(), labels["Usage"].to_numpy(str)

    with steps.step("normalize"):
        like = np.empty((0, SIDE * SIDE), np.float32)
        images = table["pixels"].map_partitions(parse, meta=like).persist()
        images.compute_chunk_sizes()

    with steps.step("reduce"):
        pca = IncrementalPCA(n_components=COMPONENTS, random_state=SEED)
        points = pca.fit(images).transform(images).persist()

    with steps.step("cluster"):
        kmeans = KMeans(n_clusters=CLUSTERS, init="k-means||", random_state=SEED)
        clusters = kmeans.fit(points).labels_.compute()
        reduced = points.compute()

    with steps.step("silhouette"):
        sample = min(options.silhouette_rows, len(reduced))
        silhouette = silhouette_score(reduced, clusters, sample_size=sample, random_state=SEED)

    with steps.step("classify"):
        fit, test = usages == "Training", usages == "PrivateTest"
        names = pd.crosstab(clusters[fit], emotions[fit]).idxmax(axis=1)
        model = ParallelPostFit(LogisticRegression(max_iter=1000))
        model.fit(reduced[fit], clusters[fit])
        predicted = model.predict(points).compute()[test]
        accuracy = (names.loc[predicted].to_numpy() == emotions[test]).mean()

    steps.report(len(reduced), silhouette=float(silhouette), test_accuracy=float(accuracy))
    client.close()
    cluster.close()


def parse(texts: pd.Series) -> np.ndarray:
    """The images of some rows, each scaled to 0-1."""
    import numpy as np

    pixels = np.stack([np.fromstring(text, np.uint8, sep=" ") for text in texts])
    low = pixels.min(axis=1, keepdims=True)
    span = pixels.max(axis=1, keepdims=True) - low
    images: np.ndarray = np.subtract(pixels, low, dtype=np.float32) / np.maximum(span, 1)
    return images


if __name__ == "__main__":
    main()
