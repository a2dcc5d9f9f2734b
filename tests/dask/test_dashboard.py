"""The dashboard is not there until somebody looks, and then it is."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from daskfer.dask import dashboard
from daskfer.dask.connect import Where, connected

LEAN = """
import sys
from daskfer.cli.session import prepare_process
prepare_process()
from daskfer.dask.connect import Where, connected
with connected(Where(workers=1)) as client:
    assert client.submit(sum, [1, 2]).result() == 3
    print(sorted({"bokeh", "pandas", "sklearn"} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def client():
    with connected(Where(workers=1)) as client:
        yield client


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def test_built_when_asked_by_several_at_once(client):
    link = dashboard.link(client)
    assert link.startswith("http://127.0.0.1:")
    applications = client.cluster.scheduler.http_application.applications
    assert "Bokeh" not in str(applications)
    with ThreadPoolExecutor(3) as pool:
        pages = list(pool.map(page, [link, link.replace("/status", "/graph"), link]))
    assert all("Dask" in text and "bokeh" in text for text in pages)
    assert str(applications).count("Bokeh") == 1
    assert "Dask" in page(link.removesuffix("status"))


def test_other_pages_are_there_from_the_start_and_unknown_ones_never(client):
    link = dashboard.link(client)
    assert page(link.replace("/status", "/health")) == "ok"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        page(link.replace("/status", "/nothing"))


def test_a_start_imports_nothing_that_takes_seconds():
    found = subprocess.run(
        [sys.executable, "-c", LEAN], capture_output=True, text=True, timeout=120, check=True
    )
    assert found.stdout == "[]\n"
