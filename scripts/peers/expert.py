#!/usr/bin/env python3
"""The job on all rows as an expert of pandas and scikit-learn writes it, without daskfer or Dask.

usage: expert.py INPUT.csv [--save-npy FILE.npy]      from the CSV
       expert.py --npy FILE.npy                       from pixels parsed before

Each choice is the one that was fastest, or needs the least memory, among those such a user knows:

- `read_csv` in chunks, each parsed by np.fromstring in one of joblib's processes: the text of the
  whole file is never in memory. One np.fromstring a row is as fast as one for all rows joined;
  pyarrow's reader and `split` are slower.
- Pixels stay uint8 until they are scaled; from then on float32, in place, as one array.
- PCA's own choice of solver (randomized, for so many columns), which may overwrite its input.
  `covariance_eigh` is exact, but was slower: it finds all 2,304 eigenvectors.
- The silhouette on a sample: all pairs of 10,000 rows instead of all.
- The second model, a logistic regression, learns the clusters of the Training rows; its
  predictions on PrivateTest are scored with each cluster named by its dominant emotion.

BLAS and OpenMP have the threads that they take by themselves. `--npy` is the fair counterpart of a
daskfer run whose faces are already in its store: FILE.npy holds the pixels, uint8 (n, side²), and
FILE.npz beside it the emotions and the usages.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from measure import Steps

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SEED = 42
COMPONENTS = 50
CLUSTERS = 7
CHUNK_ROWS = 2_000


def main() -> None:
    """Run the steps and print what they took."""
    options = arguments()
    steps = Steps()
    with steps.step("imports"):
        import pandas as pd
        from sklearn.cluster import KMeans
        from sklearn.decomposition import PCA
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import silhouette_score

    with steps.step("read"):
        if options.npy:
            pixels, emotions, usages = load(options.npy)
        else:
            pixels, emotions, usages = read_csv(options.input)
    if options.save_npy:
        with steps.step("save"):
            save(options.save_npy, pixels, emotions, usages)

    with steps.step("normalize"):
        images = scaled(pixels)
        del pixels

    with steps.step("reduce"):
        pca = PCA(COMPONENTS, copy=False, random_state=SEED)
        points = pca.fit_transform(images)
        del images  # PCA has centred them in place

    with steps.step("cluster"):
        kmeans = KMeans(CLUSTERS, n_init=options.restarts, random_state=SEED)
        clusters = kmeans.fit_predict(points)

    with steps.step("silhouette"):
        sample = min(options.silhouette_rows, len(points))
        silhouette = silhouette_score(points, clusters, sample_size=sample, random_state=SEED)

    with steps.step("classify"):
        fit, test = usages == "Training", usages == "PrivateTest"
        names = pd.crosstab(clusters[fit], emotions[fit]).idxmax(axis=1)
        model = LogisticRegression(max_iter=1000).fit(points[fit], clusters[fit])
        predicted = names.loc[model.predict(points[test])].to_numpy()
        accuracy = (predicted == emotions[test]).mean()

    steps.report(len(points), silhouette=float(silhouette), test_accuracy=float(accuracy))


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("input", type=Path, nargs="?")
    source.add_argument("--npy", type=Path, help="Read FILE.npy and FILE.npz instead of a CSV.")
    parser.add_argument("--save-npy", type=Path, help="Write FILE.npy and FILE.npz, and go on.")
    parser.add_argument("--restarts", type=int, default=10, help="n_init of KMeans.")
    parser.add_argument("--silhouette-rows", type=int, default=10_000)
    return parser.parse_args()


def read_csv(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (uint8, n × side²), emotions and usages of a CSV file."""
    import numpy as np
    import pandas as pd
    from joblib import Parallel, delayed

    columns: list[pd.DataFrame] = []

    def texts() -> Iterator[list[str]]:
        for chunk in reader:
            columns.append(chunk[["emotion", "Usage"]])
            yield chunk["pixels"].to_list()

    with pd.read_csv(path, chunksize=CHUNK_ROWS) as reader:
        pixels = np.concatenate(Parallel(n_jobs=-1)(delayed(parse)(text) for text in texts()))
    table: pd.DataFrame = pd.concat(columns)
    return pixels, table["emotion"].to_numpy(), table["Usage"].to_numpy(str)


def parse(texts: list[str]) -> np.ndarray:
    """The pixels of some rows."""
    import numpy as np

    return np.stack([np.fromstring(text, np.uint8, sep=" ") for text in texts])


def scaled(pixels: np.ndarray) -> np.ndarray:
    """Each image scaled to 0-1, float32; an image of one grey is 0."""
    import numpy as np

    low = pixels.min(axis=1, keepdims=True)
    span = pixels.max(axis=1, keepdims=True) - low
    images = np.subtract(pixels, low, dtype=np.float32)
    images /= np.maximum(span, 1)
    return images


def save(path: Path, pixels: np.ndarray, emotions: np.ndarray, usages: np.ndarray) -> None:
    """Write what `load` reads."""
    import numpy as np

    np.save(path, pixels)
    np.savez(path.with_suffix(".npz"), emotions=emotions, usages=usages)


def load(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels, emotions and usages as `save` wrote them; the pixels are mapped, not copied."""
    import numpy as np

    with np.load(path.with_suffix(".npz")) as labels:
        return np.load(path, mmap_mode="r"), labels["emotions"], labels["usages"]


if __name__ == "__main__":
    main()
