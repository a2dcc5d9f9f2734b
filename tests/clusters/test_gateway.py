"""gateway.yaml starts a cluster at a real Dask Gateway server, on this machine.

The server starts schedulers and workers as processes here (its UnsafeLocalBackend), in this
environment; proxy, passwords and TLS are its own.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import socket
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from commands import QUICK, free_ports, run_on, running
from processes import children_of, daskfer, is_alive, wait_until

FILE = Path(__file__).resolve().parents[2] / "cluster_configs" / "gateway.yaml"
PASSWORD = "open sesame"

CONFIGURATION = """
import sys
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.DaskGateway.authenticator_class = "dask_gateway_server.auth.SimpleAuthenticator"
c.SimpleAuthenticator.password = {password!r}
c.Proxy.address = "127.0.0.1:{http}"
c.Proxy.tcp_address = "127.0.0.1:{tcp}"
c.UnsafeLocalBackend.clusters_directory = {folder!r}
# Its own defaults, dask-scheduler and dask-worker, are no programs of today's Dask any more.
c.ClusterConfig.scheduler_cmd = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
c.ClusterConfig.worker_cmd = [sys.executable, "-m", "distributed.cli.dask_worker"]
c.ClusterConfig.environment = {{"OMP_NUM_THREADS": "1"}}
"""


@contextmanager
def server(folder):
    """A Gateway server; the ports of its two sides, and its process."""
    pytest.importorskip("dask_gateway_server", reason="dask-gateway-server is not installed")
    http, tcp = free_ports(2)
    configuration = folder / "configuration.py"
    clusters = folder / "clusters"
    clusters.mkdir()
    configuration.write_text(
        CONFIGURATION.format(password=PASSWORD, http=http, tcp=tcp, folder=str(clusters))
    )
    log = folder / "server.log"
    command = [sys.executable, "-m", "dask_gateway_server", "-f", str(configuration)]
    with running(command, log, dict(os.environ)) as process:

        def listens(port):
            assert is_alive(process.pid), log.read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        for port in (http, tcp):
            wait_until(lambda port=port: listens(port), "the Gateway server")
        yield http, tcp, process


def file_for(folder, http, tcp):
    """The file as it is, but for the addresses."""
    text = FILE.read_text()
    for old, new in {
        "address: https://gateway.example.org ": f"address: http://127.0.0.1:{http} ",
        "gateway.example.org:8786 ": f"127.0.0.1:{tcp} ",
    }.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = folder / "gateway.yaml"
    path.write_text(text)
    return path


def test_arguments_are_those_of_the_class():
    pytest.importorskip("dask_gateway", reason="dask-gateway is not installed")
    content = yaml.safe_load(FILE.read_text())
    module, _, name = content["cluster"].rpartition(".")
    known = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    # It takes any name: what it does not know it would send to the server as an option.
    assert set(content["arguments"]) <= {
        one.name for one in known.values() if one.kind is not one.VAR_KEYWORD
    }
    # The addresses are encrypted ones.
    assert content["arguments"]["address"].startswith("https://")


@pytest.mark.slow
@pytest.mark.cluster
def test_run_on_a_gateway(faces_csv, tmp_path, clean_environment):
    with server(tmp_path) as (http, tcp, process):
        file = file_for(tmp_path, http, tcp)
        environment = {**clean_environment, "DASKFER_GATEWAY_PASSWORD": PASSWORD}
        metrics = run_on(faces_csv, tmp_path, environment, "--cluster", str(file))
        assert metrics["rows"]["read"] == 1800
        log = (tmp_path / "server.log").read_text()
        # Both workers of the file were started for it, and the cluster ended with the run.
        assert log.count("Submitting worker") == 2
        assert "Stopping cluster" in log
        # What is left are the server and its proxy.
        wait_until(lambda: len(children_of(process.pid)) == 1, "the cluster's end", 60)

        wrong = {**environment, "DASKFER_GATEWAY_PASSWORD": "guessed"}
        refused = daskfer(
            *("run", faces_csv, "--out", tmp_path / "refused", *QUICK, "--cluster", file),
            environment=wrong,
        )
        assert refused.returncode != 0
        assert "Unauthorized" in refused.stdout + refused.stderr
        assert not (tmp_path / "refused" / "metrics.json").exists()
    assert json.loads((tmp_path / "run" / "run.json").read_text())
