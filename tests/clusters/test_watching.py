"""What those who watch a run at a scheduler see: its tasks' names, pages, metrics and memory."""

from __future__ import annotations

import json
import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from clusters.shipped import free_ports
from processes import daskfer, started, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[str, int, int]]:
    """A scheduler's address, and the ports of its own and its worker's pages."""
    port, pages, worker = free_ports(3)
    address = f"tcp://127.0.0.1:{port}"
    with (
        started(
            sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1",
            "--port", port, "--dashboard-address", f"127.0.0.1:{pages}",
            log=tmp_path / "scheduler.log",
        ),
        started(
            sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1",
            "--dashboard-address", f"127.0.0.1:{worker}", "--local-directory", tmp_path,
            log=tmp_path / "worker.log",
        ),
    ):  # fmt: skip
        for one in (port, pages, worker):
            wait_until(lambda one=one: answers(one), f"port {one}")
        yield address, pages, worker


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def page(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return str(answer.read().decode())


def test_a_run_is_seen(watched, faces, changes, clean_environment, tmp_path):
    address, pages, worker = watched
    report = tmp_path / "report.html"
    done = daskfer(
        "run", faces, *changes, "--out", tmp_path / "run", "--scheduler", address,
        "--performance-report", report, environment=clean_environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr, "loopback needs no certificates"
    # The dashboard groups tasks by these names.
    text = report.read_text()
    for stage in ("ingest", "represent", "reduce", "cluster", "evaluate"):
        assert f'"{stage}' in text or f">{stage}" in text, stage
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert list(metrics["peak_memory"]) == list(metrics["seconds"])
    assert max(metrics["peak_memory"].values()) <= metrics["peak_memory_bytes"]
    assert min(metrics["peak_memory"].values()) > 50 * 2**20
    scheduler = page(pages, "/metrics")
    assert 'dask_scheduler_tasks{state="memory"}' in scheduler
    for stage in ("ingest", "represent"):
        assert f'task_prefix_name="{stage}"' in scheduler
    assert "dask_worker_memory_bytes" in page(worker, "/metrics")
    assert page(pages, "/health") == "ok"


def test_where_the_pages_are(watched, clean_environment):
    from distributed import Client

    from daskfer.dask import dashboard

    address, pages, _ = watched
    with Client(address) as client:
        assert dashboard.lines(client) == [f"dashboard: http://127.0.0.1:{pages}/status"]
        # As a scheduler elsewhere gives its address.
        elsewhere = SimpleNamespace(
            scheduler=SimpleNamespace(address="tls://scheduler.example:8786"),
            scheduler_info=client.scheduler_info,
            dashboard_link=f"http://scheduler.example:{pages}/status",
        )
        assert dashboard.lines(elsewhere)[1] == (
            "  where it listens on that machine alone: ssh -N -L "
            f"{pages}:127.0.0.1:{pages} scheduler.example, then http://127.0.0.1:{pages}/status"
        )


def test_a_report_that_has_no_folder(watched, faces, changes, clean_environment, tmp_path):
    done = daskfer(
        "run", faces, *changes, "--out", tmp_path / "run", "--scheduler", watched[0],
        "--performance-report", tmp_path / "none" / "report.html", environment=clean_environment,
    )  # fmt: skip
    assert done.returncode == 1
    assert "there is no folder" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
