#!/usr/bin/env python3
"""The job in Spark ML on this one machine: local[2], DataFrames, spark.ml throughout.

usage: spark.py INPUT.csv [--rows N] [--cores 2] [--driver-memory 8g]

It runs in an environment of its own, since it needs nothing of daskfer, and pandas below 3:

    apt-get install default-jre-headless libopenblas0
    pip install pyspark "pandas<3" pyarrow numpy psutil

As an informed user sets Spark up:

- libopenblas0 (or another libblas.so.3 and liblapack.so.3), which dev.ludovic.netlib loads, and
  one BLAS thread a task, as Spark's guide to linear algebra advises. `native_blas` in the output
  says whether it was found.
- Pixels parsed and scaled in a pandas UDF, the fast way through Python; vectors persisted,
  serialised, on disk where memory ends; splits of 16 MB, so that two cores stay busy to the end.
- Java's heap is the driver's memory in local mode. All the rest is as Spark has it.

Spark's silhouette is of squared Euclidean distances, over all rows: not to be set beside the
others' figures. `test_accuracy` is that of a logistic regression that learned the clusters of the
Training rows, on PrivateTest, with each cluster named by its dominant emotion; null where --rows,
which takes the first ones, leaves no such rows.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import pandas as pd  # here, since Spark looks up the types of a UDF
from measure import Steps

SEED = 42
COMPONENTS = 50
CLUSTERS = 7


def main() -> None:
    """Start Spark, run the steps, and print what they took."""
    options = arguments()
    steps = Steps()
    with steps.step("imports"):
        from pyspark.ml.classification import (  # type: ignore[import-not-found]
            LogisticRegression,
        )
        from pyspark.ml.clustering import KMeans  # type: ignore[import-not-found]
        from pyspark.ml.evaluation import ClusteringEvaluator  # type: ignore[import-not-found]
        from pyspark.ml.feature import PCA  # type: ignore[import-not-found]
        from pyspark.ml.functions import array_to_vector  # type: ignore[import-not-found]
        from pyspark.sql import functions as fn  # type: ignore[import-not-found]

    with steps.step("start"):
        spark = session(options.cores, options.driver_memory)
        native = native_blas(spark)

    with steps.step("read"):  # with parsing and scaling: Spark is lazy, and they are one stage
        table = spark.read.csv(
            options.input, header=True, schema="emotion INT, pixels STRING, Usage STRING"
        )
        if options.rows:  # limit leaves one partition
            table = table.limit(options.rows).repartition(2 * options.cores)
        image = array_to_vector(fn.pandas_udf(scaled, "array<double>")("pixels"))
        images = table.select("emotion", "Usage", image.alias("image")).persist()
        rows = images.count()

    with steps.step("reduce"):
        pca = PCA(k=COMPONENTS, inputCol="image", outputCol="features").fit(images)
        points = pca.transform(images).drop("image").persist()
        points.count()
        images.unpersist()

    with steps.step("cluster"):
        clusters = KMeans(k=CLUSTERS, seed=SEED, predictionCol="cluster").fit(points)
        points = clusters.transform(points)

    with steps.step("silhouette"):
        silhouette = ClusteringEvaluator(predictionCol="cluster").evaluate(points)

    with steps.step("classify"):
        train = points.filter("Usage = 'Training'")
        names = train.groupBy("cluster").agg(fn.mode("emotion").alias("name"))
        model = LogisticRegression(labelCol="cluster").fit(train)
        tested = model.transform(points.filter("Usage = 'PrivateTest'")).select(
            "emotion", fn.col("prediction").cast("int").alias("cluster")
        )
        right = (fn.col("emotion") == fn.col("name")).cast("double")
        accuracy = tested.join(fn.broadcast(names), "cluster").agg(fn.avg(right)).first()[0]

    steps.report(rows, silhouette=silhouette, test_accuracy=accuracy, native_blas=native)
    spark.stop()


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input")
    parser.add_argument("--rows", type=int, help="Take so many of the first rows, not all.")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--driver-memory", default="8g")
    return parser.parse_args()


def session(cores: int, memory: str) -> Any:
    """Spark in local mode; its Python processes are of this environment."""
    from pyspark.sql import SparkSession

    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = {
        "spark.driver.memory": memory,
        "spark.sql.files.maxPartitionBytes": "16m",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "1000",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
    }
    builder = SparkSession.builder.master(f"local[{cores}]").appName("daskfer peer")
    return builder.config(map=settings).getOrCreate()


def native_blas(spark: Any) -> bool:
    """Whether Spark found the machine's BLAS and LAPACK."""
    from py4j.protocol import Py4JJavaError  # type: ignore[import-not-found]

    netlib = spark._jvm.dev.ludovic.netlib
    try:
        netlib.blas.NativeBLAS.getInstance()
        netlib.lapack.NativeLAPACK.getInstance()
    except Py4JJavaError:
        return False
    return True


def scaled(texts: pd.Series) -> pd.Series:
    """The images of some rows, each scaled to 0-1."""
    import numpy as np

    pixels = np.stack([np.fromstring(text, np.uint8, sep=" ") for text in texts])
    low = pixels.min(axis=1, keepdims=True)
    span = pixels.max(axis=1, keepdims=True) - low
    return pd.Series(list((pixels - low) / np.maximum(span, 1)))


if __name__ == "__main__":
    main()
