"""Every file of cluster_configs that describes a cluster starts it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from daskfer.dask.connect import Where, connected

FOLDER = Path(__file__).resolve().parents[2] / "cluster_configs"
# Those that name a running scheduler start nothing: tests/clusters has them.
FILES = [
    file for file in sorted(FOLDER.glob("*.yaml")) if "cluster" in yaml.safe_load(file.read_text())
]


def test_there_are_files():
    assert FILES


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_cluster_file_starts(file):
    wanted = yaml.safe_load(file.read_text())["workers"]
    with connected(Where(cluster_file=str(file))) as client:
        client.wait_for_workers(wanted, timeout=60)
        assert client.submit(sum, [1, 2]).result() == 3
        assert len(client.scheduler_info(n_workers=-1)["workers"]) == wanted


def test_workers_option_overrides_the_file():
    with connected(Where(cluster_file=str(FILES[0]), workers=1)) as client:
        client.wait_for_workers(1, timeout=60)
        assert len(client.scheduler_info(n_workers=-1)["workers"]) == 1
