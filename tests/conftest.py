"""What many tests share: synthetic faces, the real ones where they are, clean processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

PROJECT = Path(__file__).resolve().parents[1]
REAL = PROJECT.parent / "shared" / "data"
REQUIRED = bool(os.environ.get("DASKFER_REQUIRE"))

SMALL = (
    "--recipe", "hog",
    "--set", "cluster.restarts=2", "--set", "classify.model=logistic",
    "--set", "evaluate.null_draws=0", "--set", "evaluate.stability_draws=0",
)  # fmt: skip
"""A recipe whose runs on few faces take some seconds."""

# One thread for numerical libraries, as the command line sets it; before NumPy is imported.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

# What takes how long is no matter of tests: other processes may be at work on the machine.
settings.register_profile("daskfer", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("daskfer")


def pytest_report_header() -> str:
    """Say which faces the tests run on."""
    if (REAL / "fer2013.npz").exists():
        return "faces: synthetic, and the real FER2013"
    return "faces: synthetic only (tests marked real are skipped: no ../shared/data/fer2013.npz)"


def _is_excused(item: pytest.Item, report: pytest.TestReport) -> bool:
    # The data set is no part of the project: its absence is no failure anywhere.
    return item.get_closest_marker("real") is not None or hasattr(report, "wasxfail")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failure where every part is promised to be there."""
    report = yield
    if REQUIRED and report.skipped and not _is_excused(item, report):
        report.outcome = "failed"
        report.longrepr = f"skipped, and DASKFER_REQUIRE is set: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def faces_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,800 synthetic faces, 12 MB, at the default difficulty."""
    from daskfer.synthetic import write_csv

    path = tmp_path_factory.mktemp("synthetic") / "faces.csv"
    write_csv(path, 1800, seed=3)
    return path


@pytest.fixture(scope="session")
def small_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with faces.csv, two finished runs of it and their store, and an environment.

    ``named`` is named by labels, ``waiting`` by nobody yet; beside each is what it printed. Shared:
    whoever changes a run copies it first.
    """
    from processes import daskfer

    from daskfer.synthetic import write_csv

    folder = tmp_path_factory.mktemp("small")
    write_csv(folder / "faces.csv", 500, seed=3)
    environment = {**os.environ, "DASKFER_STORE": str(folder / "store"), "COLUMNS": "120"}
    for name, more in (("named", ()), ("waiting", ("--set", "name.how=page"))):
        done = daskfer(
            "run", folder / "faces.csv", *SMALL, *more, "--out", folder / name,
            environment=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (folder / f"{name}.txt").write_text(done.stdout)
    return folder, environment


@pytest.fixture(scope="session")
def fer2013_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real fer2013.csv, written afresh; tests that use it are marked real."""
    if not (REAL / "fer2013.npz").exists():
        pytest.skip("FER2013 is not beside the project")
    folder = tmp_path_factory.mktemp("fer2013")
    subprocess.run([sys.executable, str(REAL / "make_csv.py"), str(folder)], check=True)
    return folder / "fer2013.csv"


@pytest.fixture
def clean_environment(tmp_path: Path) -> dict[str, str]:
    """An environment whose store is in the test's own folder."""
    return {**os.environ, "DASKFER_STORE": str(tmp_path / "store"), "COLUMNS": "120"}


@pytest.fixture(scope="session")
def bundle() -> bytes:
    """The face model's file, from the cache or the network, where it and its runtime are there."""
    from daskfer.bundle import find_bundle
    from daskfer.errors import ModelFileError

    pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert is not installed")
    try:
        return find_bundle()
    except ModelFileError as error:
        pytest.skip(f"no face model: {error}")


@pytest.fixture(scope="session")
def models(bundle: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the face model's file, for DASKFER_MODELS of other processes."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "face_landmarker.task").write_bytes(bundle)
    return folder


@pytest.fixture
def expression_environment(clean_environment: dict[str, str], models: Path) -> dict[str, str]:
    """A clean environment that has the face model and needs no network for it."""
    return {**clean_environment, "DASKFER_MODELS": str(models), "DASKFER_OFFLINE": "1"}
