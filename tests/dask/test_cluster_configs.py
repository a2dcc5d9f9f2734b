"""local.yaml starts the cluster that it describes, and no file of cluster_configs lacks a test."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

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
