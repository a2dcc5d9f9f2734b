"""Dask's dashboard of a cluster on this machine: built when somebody first looks at it.

Its library takes long to import, which a run that nobody watches does not pay.
"""

from __future__ import annotations

import asyncio
import importlib
import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from distributed import Client, performance_report
from tornado import web

from daskfer.errors import SchedulerError

PORT = 8787


def settings() -> dict[str, Any]:
    """What a LocalCluster is told: an address on this machine, and no dashboard there yet."""
    return {
        "dashboard_address": f"127.0.0.1:{_free_port()}",
        "scheduler_kwargs": {"dashboard": False},
    }


def build_when_asked(cluster: Any) -> None:
    """Have the first request that the cluster's HTTP server cannot answer build the dashboard."""
    scheduler = cluster.scheduler
    opening = web.Application([(r"/.*", _Opening, {"scheduler": scheduler})])
    scheduler.http_application.add_application(opening)


class _Opening(web.RequestHandler):
    """Builds the dashboard, gives way to it, and sends the browser there again."""

    def initialize(self, scheduler: Any) -> None:
        """Take the scheduler whose dashboard it is."""
        self.scheduler = scheduler

    async def get(self) -> None:
        """Import in a thread, so that the scheduler goes on meanwhile."""
        loop = asyncio.get_running_loop()
        dashboard = await loop.run_in_executor(
            None, importlib.import_module, "distributed.dashboard.scheduler"
        )
        everything = self.scheduler.http_application
        # Another request may have been faster.
        if self.application in everything.applications:
            everything.applications.remove(self.application)
            dashboard.connect(everything, self.scheduler.http_server, self.scheduler, prefix="")
        self.redirect(self.request.uri or "/")


def lines(client: Client) -> list[str]:
    """What a person is told of where the dashboard is, and how to reach one elsewhere."""
    port = client.scheduler_info(n_workers=0)["services"].get("dashboard")
    if port is None:
        return ["dashboard: none (the scheduler was started without one)"]
    found = [f"dashboard: {link(client)}"]
    host = urlsplit(client.scheduler.address).hostname or ""
    if not (client.scheduler.address.startswith("inproc://") or is_loopback(host)):
        found.append(
            f"  where it listens on that machine alone: ssh -N -L {port}:127.0.0.1:{port} {host}, "
            f"then http://127.0.0.1:{port}/status"
        )
    return found


def link(client: Client) -> str:
    """Where the dashboard is, as this machine's browser reaches it.

    Worker threads give the scheduler an address that is no network's, from which Dask guesses a
    host that the dashboard does not listen on.
    """
    if client.scheduler is not None and client.scheduler.address.startswith("inproc://"):
        port = client.scheduler_info()["services"].get("dashboard")
        return f"http://127.0.0.1:{port}/status"
    return str(client.dashboard_link)


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own, which no other machine reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def performance(path: str) -> Iterator[None]:
    """Write what the dashboard saw meanwhile to a page of its own, also when this fails.

    Raises
    ------
    SchedulerError
        When the page cannot be written there.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise SchedulerError(f"--performance-report {path}: there is no folder {folder}")
    with performance_report(filename=path):
        yield


def _free_port() -> int:
    """The dashboard's usual port where it is free, otherwise any (0)."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            return 0
    return PORT
