"""local.yaml starts the cluster that it describes, and no file of cluster_configs lacks a test."""

from __future__ import annotations

import ast
import signal
import sys
from pathlib import Path

import pytest
import yaml
from processes import started

from daskfer.dask.checking import described
from daskfer.dask.connect import Where, connected

PROJECT = Path(__file__).resolve().parents[2]
CONFIGS = PROJECT / "cluster_configs"
LOCAL = CONFIGS / "local.yaml"
NEEDED = {"slurm.yaml": "dask_jobqueue", "gateway.yaml": "dask_gateway"}


def named_in(source):
    """The last parts of all paths that a test's strings could be; what it only tells is no use."""
    tree = ast.parse(source)
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return {
        node.value.rpartition("/")[2]
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told
    }


def test_every_file_has_a_test():
    files = {path.name for path in CONFIGS.rglob("*") if path.is_file()}
    assert "local.yaml" in files
    named = set()
    for path in (PROJECT / "tests").rglob("test_*.py"):
        named |= named_in(path.read_text())
    # Its commands are those that the comments of the files have.
    assert files - {"README.md"} <= named


def test_a_file_that_is_only_told_of_has_no_test():
    source = '"""Of told.yaml."""\nFILE = FOLDER / "deep/opened.yaml"  # "remarked.yaml"\n'
    assert named_in(source) == {"opened.yaml"}


@pytest.mark.parametrize("name", ["gateway.yaml", "local.yaml", "slurm.yaml", "ssh.yaml"])
def test_cluster_file_describes_a_cluster(name):
    """Its keys are known, its class can be imported and takes its arguments."""
    if name in NEEDED:
        pytest.importorskip(NEEDED[name], reason=f"no {NEEDED[name]}: install daskfer[test]")
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


NO_WORKERS = (
    "cluster: dask.distributed.LocalCluster\n"
    "arguments: {n_workers: 0, threads_per_worker: 1, processes: false, "
    "dashboard_address: '127.0.0.1:0'}\n"
)


def test_adaptive_workers_that_start_at_none(tmp_path):
    """Dask starts none before there is a task, and the first task waits for a worker."""
    path = tmp_path / "adaptive.yaml"
    path.write_text(NO_WORKERS + "adapt: {maximum: 2}\n")
    with connected(Where(cluster_file=str(path))) as client:
        assert client.submit(sum, [1, 2]).result() == 3


def test_what_is_waited_for_is_told(tmp_path, clean_environment):
    """A cluster whose workers do not come says so, and Ctrl-C ends it."""
    path = tmp_path / "empty.yaml"
    path.write_text(NO_WORKERS)
    code = (
        "from daskfer.cli.app import main\n"
        "from daskfer.dask import connect\n"
        "connect.FIRST_SECONDS = 0.2\n"
        f"main(['cluster', 'start', {str(path)!r}])\n"
    )
    with started(sys.executable, "-c", code, environment=clean_environment) as process:
        line = process.stderr.readline()
        assert line.startswith(f"warning: {path}: its cluster has no worker after 0.2 s; waiting")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in errors
