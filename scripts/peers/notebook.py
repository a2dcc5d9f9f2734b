#!/usr/bin/env python3
"""The original project's notebook as one script: pandas and plain scikit-learn, one process.

usage: notebook.py INPUT.csv

It imitates the students who first did this: the first 547 rows of each class in file order, pixels
parsed by `split`, each image scaled to 0-1, a tenth held out, PCA(2), KMeans(7, n_init 10), then
the sweep of 2-5 components by 5-15 clusters and the ten-fold cross-validation, cell after cell.
Nothing is tuned, on purpose: such users take the defaults. On FER2013 the silhouette is 0.336, and
so is the cross-validated one. `test_accuracy` is that of the held-out tenth when each cluster is
named by the dominant emotion of the others.
"""

from __future__ import annotations

import argparse

from measure import Steps

SEED = 42
CLUSTERS = 7


def main() -> None:
    """Run the notebook's cells in order."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input")
    parser.add_argument("--per-class", type=int, default=547)
    options = parser.parse_args()
    steps = Steps()

    with steps.step("imports"):
        import numpy as np
        import pandas as pd
        from sklearn.cluster import KMeans
        from sklearn.decomposition import PCA
        from sklearn.metrics import silhouette_score
        from sklearn.model_selection import KFold, train_test_split

    with steps.step("read"):
        faces = pd.read_csv(options.input)
        faces = faces.groupby("emotion").head(options.per_class)

    with steps.step("parse"):
        pixels = np.array([np.array(text.split(), dtype="float64") for text in faces["pixels"]])
        emotions = faces["emotion"].to_numpy()

    with steps.step("normalize"):
        low = pixels.min(axis=1, keepdims=True)
        high = pixels.max(axis=1, keepdims=True)
        images = (pixels - low) / np.where(high > low, high - low, 1)
        train, test, train_emotions, test_emotions = train_test_split(
            images, emotions, test_size=0.1, random_state=SEED
        )

    with steps.step("reduce"):
        pca = PCA(n_components=2, random_state=SEED)
        points = pca.fit_transform(train)

    with steps.step("cluster"):
        kmeans = KMeans(n_clusters=CLUSTERS, n_init=10, random_state=SEED)
        labels = kmeans.fit_predict(points)

    with steps.step("silhouette"):
        silhouette = silhouette_score(points, labels)

    with steps.step("name"):
        names = pd.Series(train_emotions).groupby(labels).agg(lambda group: group.mode()[0])
        predicted = names.loc[kmeans.predict(pca.transform(test))].to_numpy()
        accuracy = (predicted == test_emotions).mean()

    with steps.step("sweep"):
        sweep = {}
        for components in range(2, 6):
            some = PCA(n_components=components, random_state=SEED).fit_transform(train)
            for clusters in range(5, 16):
                model = KMeans(n_clusters=clusters, n_init=10, random_state=SEED)
                sweep[components, clusters] = silhouette_score(some, model.fit_predict(some))

    with steps.step("cross-validation"):
        scores = []
        for inside, _ in KFold(10).split(train):
            some = PCA(n_components=2, random_state=SEED).fit_transform(train[inside])
            model = KMeans(n_clusters=CLUSTERS, n_init=10, random_state=SEED)
            scores.append(silhouette_score(some, model.fit_predict(some)))

    best = max(sweep, key=lambda choice: sweep[choice])
    steps.report(
        len(images),
        silhouette=float(silhouette),
        test_accuracy=float(accuracy),
        cross_validation=float(np.mean(scores)),
        sweep_best={"components": best[0], "clusters": best[1], "silhouette": float(sweep[best])},
    )


if __name__ == "__main__":
    main()
