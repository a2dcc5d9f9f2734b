#!/usr/bin/env python3
"""What recipe `expression` reaches and costs, each figure by the command that gives it.

usage: bench_expression.py figures fer2013.csv [--seeds 3]
       bench_expression.py time fer2013.csv [--repeat 3]
       bench_expression.py throughput [--faces 2000] [--repeat 3]

`figures` needs FER2013 with all its labels. It runs `expression-7` with each seed and scores its
clusters on PrivateTest and on all rows; runs `expression` with each seed (no look at any face);
and simulates a person who names clusters (`daskfer simulate-naming`) with the default looks, with
random labels and with all labels beside them. PrivateTest is looked at here and by no other
script.

`time` runs whole processes: from the CSV with an empty store, and again with the representation
in the store but nothing that follows from it. `throughput` compares the bare loop over the face
model (no image drawn, nothing kept) with what a worker does, on one worker and on two, says how
much memory a worker takes, and times the landmark model in batches and on two threads.

The model's file must be there (`daskfer models get`). The machine should be idle.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from benching import daskfer, show, warm


def main() -> None:
    """Run the measurement that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    figures = commands.add_parser("figures")
    figures.add_argument("--seeds", type=int, default=3)
    times = commands.add_parser("time")
    for command in (figures, times):
        command.add_argument("input", type=Path)
    throughput = commands.add_parser("throughput")
    throughput.add_argument("--faces", type=int, default=2000)
    for command in (times, throughput):
        command.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.command == "throughput":
        measure_throughput(arguments.faces, arguments.repeat)
        return
    warm(arguments.input)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.command == "figures":
            print_figures(arguments.input, Path(folder), arguments.seeds)
        else:
            measure_time(arguments.input, Path(folder), arguments.repeat)


def print_figures(path: Path, folder: Path, seeds: int) -> None:
    """Clusters without names, names without a look, and names by looks."""
    store, emotion = folder / "store", _emotions(path)
    rows: dict[str, list[tuple[float, float, float]]] = {"PrivateTest": [], "all rows": []}
    for seed in range(42, 42 + seeds):
        out = folder / f"seven-{seed}"
        daskfer(["run", path, "--recipe", "expression-7", "--set", f"seed={seed}"], store, out)
        cluster, role = _clusters(out)
        for name, chosen in (("PrivateTest", role == "test"), ("all rows", role != "")):
            rows[name].append(_agreement(cluster[chosen], emotion[chosen]))
    print(f"seven clusters, no names ({seeds} seeds): NMI, one to one, majority")
    for name, values in rows.items():
        means = ", ".join(f"{value:.3f}" for value in np.mean(values, axis=0))
        spread = ", ".join(f"{value:.3f}" for value in np.std(values, axis=0))
        print(f"  {name:<12} {means}  (standard deviations {spread})")
    found = []
    for seed in range(42, 42 + seeds):
        out = folder / f"none-{seed}"
        run = daskfer(["run", path, "--recipe", "expression", "--set", f"seed={seed}"], store, out)
        model = run.metrics["classifier"]
        found.append((model["test_accuracy"], model["test_balanced_accuracy"],
                      model["test_calibration_error"]))  # fmt: skip
    accuracy, balanced, away = np.mean(found, axis=0)
    print(f"no look at all ({seeds} seeds, PrivateTest): accuracy {accuracy:.3f}, balanced "
          f"{balanced:.3f}, calibration error {away:.3f}; by seed "
          + ", ".join(f"{one[0]:.3f}" for one in found))  # fmt: skip
    command = [sys.executable, "-m", "daskfer", "simulate-naming", str(folder / "none-42"),
               "--seeds", str(seeds), "--store", str(store)]  # fmt: skip
    print(subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout)


def _emotions(path: Path) -> np.ndarray:
    import pandas as pd

    table = pd.read_csv(path, usecols=lambda name: name.strip() == "emotion")
    return table.iloc[:, 0].to_numpy(np.int8)


def _clusters(out: Path) -> tuple[np.ndarray, np.ndarray]:
    import pyarrow.parquet as pq

    table = pq.read_table(out / "labels.parquet", columns=["cluster", "role"])
    cluster = table["cluster"].fill_null(-1).to_numpy()
    return cluster.astype(np.int32), np.array(table["role"].to_pylist())


def _agreement(cluster: np.ndarray, emotion: np.ndarray) -> tuple[float, float, float]:
    from daskfer.evaluate.external import agreement

    found = agreement(cluster, emotion, 7, 0)
    assert found is not None
    return found.nmi, found.hungarian_accuracy, found.majority_accuracy


def measure_time(path: Path, folder: Path, repeat: int) -> None:
    """Whole processes, from the CSV and from the stored representation."""
    first, again = [], []
    stages: dict[str, list[float]] = {}
    for number in range(repeat):
        store = folder / f"store-{number}"
        run = daskfer(["run", path, "--recipe", "expression"], store, folder / f"first-{number}")
        first.append(run.seconds)
        for stage in ("reduce", "cluster", "classify", "evaluate"):
            shutil.rmtree(store / stage)
        run = daskfer(["run", path, "--recipe", "expression"], store, folder / f"again-{number}")
        again.append(run.seconds)
        for stage, seconds in run.metrics["seconds"].items():
            stages.setdefault(stage, []).append(seconds)
        shutil.rmtree(store)
    show("from the CSV", first)
    show("represented before", again)
    medians = ", ".join(f"{name} {statistics.median(all_):.1f}" for name, all_ in stages.items())
    print(f"stages of the latter, s: {medians}")


def measure_throughput(faces: int, repeat: int) -> None:
    """Faces per second of the bare model, of one worker, and of two beside each other."""
    found: dict[str, list[float]] = {"bare model": [], "a worker": [], "two workers": []}
    shares, peaks = [], []
    context = multiprocessing.get_context("spawn")
    for _ in range(repeat):
        with context.Pool(1) as pool:
            bare = pool.apply(_bare, (faces,))
        with context.Pool(1) as pool:
            one, peak = pool.apply(_worker, (faces,))
        with context.Pool(2) as pool:
            both = pool.map(_worker, [faces, faces], chunksize=1)
        two = sum(rate for rate, _ in both)
        for values, value in zip(found.values(), (bare, one, two), strict=True):
            values.append(value)
        shares.append((one / bare, two / (2 * bare)))
        peaks += [peak, *(other for _, other in both)]
    for name, values in found.items():
        show(name, values, "faces/s")
    one, two = np.median(shares, axis=0)
    print(f"of the bare rate: a worker {one:.3f}, two workers {two:.3f} of twice it")
    print(f"largest process: {max(peaks) / 2**20:.0f} MiB")
    for batch, threads in ((1, 1), (4, 1), (16, 1), (1, 2)):
        with context.Pool(1) as pool:
            rates = [pool.apply(_batched, (batch, threads)) for _ in range(repeat)]
        print(f"landmark model, batches of {batch}, {threads} thread(s): median "
              f"{statistics.median(rates):.2f} ms a face")  # fmt: skip


def _bare(faces: int) -> float:
    from daskfer.bundle import find_bundle
    from daskfer.represent.expression.landmarker import SIDE, Landmarker

    # The two models as they run, with nothing drawn and nothing kept.
    model = Landmarker(find_bundle())
    (landmarks, points), (blendshapes, scores) = model.parts
    image = np.random.default_rng(0).random((1, SIDE, SIDE, 3), np.float32)
    subset = np.random.default_rng(0).random((1, 146, 2), np.float32) * SIDE
    start = 0.0
    for number in range(faces + 8):
        if number == 8:
            start = time.perf_counter()
        landmarks.set_tensor(0, image)
        landmarks.invoke()
        for index in points[:2]:
            landmarks.get_tensor(index)
        blendshapes.set_tensor(0, subset)
        blendshapes.invoke()
        blendshapes.get_tensor(scores[0])
    return faces / (time.perf_counter() - start)


def _batched(batch: int, threads: int) -> float:
    """Milliseconds a face that the landmark model takes."""
    import io
    import zipfile

    from ai_edge_litert.interpreter import Interpreter

    from daskfer.bundle import find_bundle

    parts = zipfile.ZipFile(io.BytesIO(find_bundle()))
    content = parts.read("face_landmarks_detector.tflite")
    model = Interpreter(model_content=content, num_threads=threads)
    model.resize_tensor_input(0, [batch, 256, 256, 3])
    model.allocate_tensors()
    model.set_tensor(0, np.random.default_rng(0).random((batch, 256, 256, 3), np.float32))
    rounds = 320 // batch
    model.invoke()
    start = time.perf_counter()
    for _ in range(rounds):
        model.invoke()
    return (time.perf_counter() - start) / (rounds * batch) * 1000


def _worker(faces: int) -> tuple[float, int]:
    from daskfer.bundle import find_bundle
    from daskfer.recipe import Expression
    from daskfer.represent.expression.measure import measure

    bundle = find_bundle()
    # Noise: what is in the pictures changes no time.
    drawn = np.random.default_rng(1).integers(0, 256, (faces, 48 * 48)).astype(np.uint8)
    measure(drawn[:8], 48, "minmax", Expression(), bundle)
    start = time.perf_counter()
    measure(drawn, 48, "minmax", Expression(), bundle)
    rate = faces / (time.perf_counter() - start)
    return rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
