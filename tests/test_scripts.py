"""The scripts run, on small synthetic faces."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


def script(name, *arguments, environment):
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name), *map(str, arguments)],
        env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip


@pytest.fixture
def few_faces(tmp_path, clean_environment):
    path = tmp_path / "faces.csv"
    done = script("make_faces.py", path, "--rows", 900, environment=clean_environment)
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.slow
def test_bench(few_faces, clean_environment):
    done = script(
        "bench.py", "run", few_faces, "--recipe", "hog", "--repeat", 1,
        "--set", "classify.model=none", environment=clean_environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for part in ("from the CSV", "from the store", "peak memory", "cluster"):
        assert part in done.stdout


@pytest.mark.slow
def test_bench_beside_a_peer(few_faces, clean_environment):
    done = script(
        "bench.py", "peers", few_faces, "--peer", "expert", "--repeat", 1,
        environment=clean_environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for part in ("ratio, CSV", "ratio, store", "memory, expert", "memory, daskfer"):
        assert part in done.stdout


@pytest.mark.slow
def test_bench_of_silhouettes(clean_environment):
    done = script(
        "bench.py", "silhouette", "--rows", 4500, "--repeat", 1, environment=clean_environment
    )
    assert done.returncode == 0, done.stderr
    assert "ratio" in done.stdout


@pytest.mark.slow
def test_repeated_rows_are_copies_that_differ(few_faces, tmp_path, clean_environment):
    larger = tmp_path / "larger.csv"
    done = script("repeat_csv.py", few_faces, 3, larger, environment=clean_environment)
    assert done.returncode == 0, done.stderr
    rows = larger.read_text().splitlines()[1:]
    assert len(rows) == 3 * 900
    assert len(set(rows)) > 0.99 * len(rows)


@pytest.mark.slow
def test_incremental_pca(few_faces, clean_environment):
    done = script("incremental_pca.py", few_faces, environment=clean_environment)
    assert done.returncode == 0, done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert "iterated_power=8" in last
    assert float(last.split()[-2]) > 0.999999


@pytest.mark.slow
def test_same_labels(few_faces, clean_environment):
    done = script(
        "same_labels.py", few_faces, "--recipe", "hog", "--workers", 2, "--megabytes", 1,
        environment=clean_environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().endswith("all the same")


@pytest.mark.slow
@pytest.mark.browser
def test_pictures_of_the_pages(tmp_path, clean_environment):
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        pytest.skip("no Chromium here (apt-get install chromium)")
    done = script("make_pictures.py", tmp_path, "--rows", 400, environment=clean_environment)
    assert done.returncode == 0, done.stderr
    pictures = {path.name: path.stat().st_size for path in tmp_path.glob("*.png")}
    assert set(pictures) == {"naming.png", "report.png", "report-clusters.png"}
    assert all(20_000 < size < 400_000 for size in pictures.values())
