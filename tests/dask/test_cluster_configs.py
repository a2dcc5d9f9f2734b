"""Files of cluster_configs describe clusters, and that for this machine starts one.

Those for other machines are started in tests/clusters, on daemons of the tests' own.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from daskfer.dask.checking import described
from daskfer.dask.connect import Where, connected

CONFIGS = Path(__file__).resolve().parents[2] / "cluster_configs"
LOCAL = CONFIGS / "local.yaml"


@pytest.mark.parametrize("name", ["local.yaml", "slurm.yaml", "ssh.yaml"])
def test_cluster_file_describes_a_cluster(name):
    """Its keys are known, its class can be imported and takes its arguments."""
    if name == "slurm.yaml":
        pytest.importorskip("dask_jobqueue", reason="no dask-jobqueue: daskfer[slurm]")
    lines = list(described(str(CONFIGS / name)))
    assert lines[0].startswith(f"{CONFIGS / name}: starts ")


def test_cluster_file_starts():
    wanted = yaml.safe_load(LOCAL.read_text())["workers"]
    with connected(Where(cluster_file=str(LOCAL))) as client:
        client.wait_for_workers(wanted, timeout=60)
        assert client.submit(sum, [1, 2]).result() == 3
        assert len(client.scheduler_info(n_workers=-1)["workers"]) == wanted


def test_workers_option_overrides_the_file():
    with connected(Where(cluster_file=str(LOCAL), workers=1)) as client:
        client.wait_for_workers(1, timeout=60)
        assert len(client.scheduler_info(n_workers=-1)["workers"]) == 1
