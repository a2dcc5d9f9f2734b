"""Dask's dashboard of a cluster on this machine: built when somebody first looks at it.

Its library takes long to import, which a run that nobody watches does not pay.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
from typing import Any

from distributed import Client
from tornado import web

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


def link(client: Client) -> str:
    """Where the dashboard is, as this machine's browser reaches it.

    Worker threads give the scheduler an address that is no network's, from which Dask guesses a
    host that the dashboard does not listen on.
    """
    if client.scheduler is not None and client.scheduler.address.startswith("inproc://"):
        port = client.scheduler_info()["services"].get("dashboard")
        return f"http://127.0.0.1:{port}/status"
    return str(client.dashboard_link)


def _free_port() -> int:
    """The dashboard's usual port where it is free, otherwise any (0)."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            return 0
    return PORT
