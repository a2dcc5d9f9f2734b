"""The published and the promised figures, on the real FER2013."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from processes import daskfer

pytestmark = [pytest.mark.real, pytest.mark.slow]


def run(csv, out, environment, *options):
    done = daskfer("run", "--recipe", "hog", csv, "--out", out, *options, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((out / "metrics.json").read_text())


def test_seed_gives_the_published_figures(fer2013_csv, tmp_path, clean_environment):
    printed, found = run(fer2013_csv, tmp_path / "seed", clean_environment, "--recipe", "seed")
    assert found["rows"]["read"] == 35_887
    assert found["rows"]["duplicate"] == 1_853
    assert found["rows"]["blank"] == 12
    assert found["rows"]["fitted"] + found["rows"]["test"] == 3_829
    assert found["cluster"]["silhouette"] == pytest.approx(0.336, abs=0.001)
    assert found["cluster"]["silhouette_cv"]["mean"] == pytest.approx(0.336, abs=0.002)
    assert found["cluster"]["hungarian_accuracy"] == pytest.approx(0.189, abs=0.005)
    assert found["cluster"]["nmi"] == pytest.approx(0.0155, abs=0.002)
    assert "near chance" in printed
    assert found["peak_memory_bytes"] <= 1.5 * 2**30

    # The same labels elsewhere, from nothing.
    other = {**clean_environment, "DASKFER_STORE": str(tmp_path / "other-store")}
    run(
        fer2013_csv,
        tmp_path / "again",
        other,
        "--recipe",
        "seed",
        "--processes",
        "--workers",
        "4",
        "--csv-block",
        "1",
    )
    assert pq.read_table(tmp_path / "again" / "labels.parquet") == pq.read_table(
        tmp_path / "seed" / "labels.parquet"
    )

    quick = ("--set", "classify.model=none", "--set", "evaluate.folds=0")
    _, svd = run(
        fer2013_csv,
        tmp_path / "svd",
        clean_environment,
        "--recipe",
        "seed",
        "--set",
        "reduce.method=svd",
        *quick,
    )
    assert svd["cluster"]["silhouette"] == pytest.approx(0.33142, abs=0.001)
    _, larger = run(
        fer2013_csv,
        tmp_path / "4000",
        clean_environment,
        "--recipe",
        "seed",
        "--set",
        "balance.per_class=4000",
        *quick,
    )
    assert larger["cluster"]["silhouette"] == pytest.approx(0.333, abs=0.001)
    assert larger["rows"]["fitted"] + larger["rows"]["test"] == 24_547


def test_hog_is_above_the_original(fer2013_csv, tmp_path, clean_environment):
    printed, found = run(fer2013_csv, tmp_path / "hog", clean_environment, "--recipe", "hog")
    assert found["cluster"]["k"] == 7
    assert found["cluster"]["majority_accuracy"] >= 0.30
    assert found["classifier"]["test_accuracy"] >= 0.31
    assert "better than chance" in printed
