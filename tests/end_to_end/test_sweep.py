"""A sweep that is killed goes on with the missing cells; and the real faces' published figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from planted import write_planted
from processes import children_of, daskfer, is_alive, started, wait_until

OPTIONS = (
    "--set", "represent.method=pixels", "--set", "split.method=none", "--components", "2:6",
    "--clusters", "2:12",
)  # fmt: skip

pytestmark = pytest.mark.slow


def written(store: Path) -> dict[Path, int]:
    """When each part of a cell was written."""
    return {path: path.stat().st_mtime_ns for path in store.glob("sweep/*/????-????.json")}


@pytest.mark.parametrize("workers", ["--threads", "--processes"])
def test_killed_in_the_middle(workers, clean_environment, tmp_path):
    faces = write_planted(tmp_path / "faces.csv", 4, 1200)
    store, out = tmp_path / "store", tmp_path / "out"
    command = [sys.executable, "-m", "daskfer", "sweep", faces, *OPTIONS, "--out", out, workers]
    with started(*command, environment=clean_environment) as process:
        wait_until(lambda: len(written(store)) >= 5, "the first cells")
        orphans = children_of(process.pid)
        assert process.poll() is None, "the sweep ended before it could be killed"
        process.kill()
        process.wait(timeout=30)
        wait_until(lambda: not any(map(is_alive, orphans)), "the end of the killed sweep's workers")
    before = written(store)
    assert 5 <= len(before) < 55 * 3
    assert not out.exists()
    for path in before:
        json.loads(path.read_text())
    again = daskfer("sweep", faces, *OPTIONS, "--out", out, workers, environment=clean_environment)
    assert again.returncode == 0, again.stderr
    after = written(store)
    assert {path: after[path] for path in before} == before, "a finished part was computed again"
    assert len(after) == 55 * 3
    found = json.loads((out / "sweep.json").read_text())
    assert found["choice"]["clusters"] == 4
    # Undisturbed, elsewhere, on another number of workers: the same figures.
    other = {**clean_environment, "DASKFER_STORE": str(tmp_path / "other")}
    whole = daskfer(
        "sweep", faces, *OPTIONS, "--out", tmp_path / "whole", "--workers", "3", environment=other
    )
    assert whole.returncode == 0, whole.stderr
    expected = json.loads((tmp_path / "whole" / "sweep.json").read_text())
    assert found["cells"] == expected["cells"]
    assert found["statement"] == expected["statement"]


@pytest.mark.real
def test_the_published_sweep(fer2013_csv, clean_environment, tmp_path):
    done = daskfer(
        "sweep", fer2013_csv, "--recipe", "seed", "--out", tmp_path / "out",
        environment=clean_environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "sweep.json").read_text())
    assert found["rows"] == {"fitted": 3446, "scored": 3446}
    cells = {(cell["components"], cell["clusters"]): cell for cell in found["cells"]}
    best = max(cells, key=lambda at: cells[at]["silhouette"])
    assert best == (2, 7)
    assert cells[2, 7]["silhouette"] == pytest.approx(0.3364, abs=0.001)
    assert cells[2, 7]["cv_mean"] == pytest.approx(0.336, abs=0.002)
    # What the original project took for a finding is what noise has, to two digits.
    assert cells[2, 7]["null"] == pytest.approx(0.32, abs=0.01)
    assert not cells[2, 7]["supported"]
    assert found["choice"] is None
