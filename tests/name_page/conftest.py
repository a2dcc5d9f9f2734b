"""A small gallery of drawn squares in five clusters, a desk for it, and a server in a thread."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from daskfer import storage
from daskfer.answer_log import Log
from daskfer.blocks import BlockFiles, starts_of
from daskfer.faces import EMOTIONS
from daskfer.ingest.duplicates import digests
from daskfer.name_page.desk import Desk
from daskfer.name_page.gallery import Gallery
from daskfer.name_page.server import Page, listen
from daskfer.store import Store

SIDE = 8
PER_CLUSTER = 60
CENTERS = np.array([[0, 0], [10, 0], [0, 10], [30, 30], [33, 30]], np.float64)


@dataclass
class Planted:
    """Faces in five clusters: their points, pixels, clusters and distances; the last ten tested."""

    folder: Path
    points: np.ndarray = field(init=False)
    pixels: np.ndarray = field(init=False)
    cluster: np.ndarray = field(init=False)
    emotion: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        random = np.random.default_rng(0)
        count = PER_CLUSTER * len(CENTERS)
        self.cluster = (np.arange(count) % len(CENTERS)).astype(np.int32)
        self.points = (CENTERS[self.cluster] + random.normal(0, 1, (count, 2))).astype(np.float32)
        self.pixels = random.integers(0, 255, (count, SIDE * SIDE), np.uint8)
        # The first face of each cluster is there three times, at the same place.
        self.points[5:15] = np.tile(self.points[:5], (2, 1))
        self.pixels[5:15] = np.tile(self.pixels[:5], (2, 1))
        self.emotion = (self.cluster % 3 + 3).astype(np.int8)

    @property
    def fit(self) -> np.ndarray:
        return np.arange(len(self.cluster) - 10)

    def files(self, name: str, rows: np.ndarray) -> BlockFiles:
        pieces = np.array_split(rows, 4)
        files = BlockFiles(
            Store(str(self.folder / "store")).stage("x", name),
            f"{name}.npy",
            starts_of([len(piece) for piece in pieces]),
        )
        for number, piece in enumerate(pieces):
            storage.write_array(files.path(number), piece)
        return files

    def gallery(self) -> Gallery:
        squares = ((self.points[:, None] - CENTERS) ** 2).sum(axis=2)
        order = np.sort(squares, axis=1)
        count = len(self.points)
        return Gallery(
            self.files("pixels", self.pixels),
            self.files("points", self.points),
            SIDE,
            self.fit,
            self.cluster,
            squares[np.arange(count), self.cluster],
            (1 - np.sqrt(order[:, 0] / order[:, 1])).astype(np.float32),
            digests(self.pixels),
            np.arange(count) * 2,
            CENTERS,
        )

    def desk(self, title: str = "a run", classes: tuple[str, ...] = EMOTIONS, **more: Any) -> Desk:
        (self.folder / "run").mkdir(exist_ok=True)
        log = Log(str(self.folder / "run"), "identity", len(CENTERS), classes=classes)
        return Desk(log, self.gallery(), self.emotion, title, **more)


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


class NoTraining:
    """In the place of the process that trains."""

    def __init__(self) -> None:
        self.started = 0

    def start(self) -> bool:
        self.started += 1
        return True

    def status(self) -> dict[str, Any]:
        return {"state": "running", "stage": "classify"} if self.started else {"state": "none"}


@dataclass
class Served:
    """A server, its address, and how to ask it."""

    page: Page
    address: str

    @property
    def port(self) -> int:
        found = urlsplit(self.address).port
        assert found is not None
        return found

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        own: bool = True,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a request, by default to a path behind the token."""
        where = urlsplit(self.address).path + path if own else path
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            sent = {"Origin": self.origin, "Content-Type": "application/json"}
            sent = (sent if method == "POST" else {}) | (headers or {})
            connection.putrequest(method, where, skip_host="Host" in sent)
            for name, value in sent.items():
                if value:
                    connection.putheader(name, value)
            if body is not None and "Content-Length" not in sent:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()
        finally:
            connection.close()

    def post(self, path: str, value: Any, **headers: str) -> tuple[int, Any]:
        status, _, body = self.ask("POST", path, json.dumps(value).encode(), headers)
        return status, json.loads(body)


@contextmanager
def serving(page: Page) -> Iterator[Served]:
    """The page's server, in a thread that ends with this."""
    ready: list[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = []
    up = threading.Event()

    async def serve() -> None:
        over = asyncio.Event()
        server, address = listen(page, "127.0.0.1", 0)
        ready.append((address, asyncio.get_running_loop(), over))
        up.set()
        await over.wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert up.wait(10)
        yield Served(page, ready[0][0])
    finally:
        _, loop, over = ready[0]
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        page.drawer.shutdown()


@pytest.fixture
def served(planted: Planted) -> Iterator[Served]:
    page = Page(planted.desk(), NoTraining(), lambda: b"<h1>a report</h1>")  # type: ignore[arg-type]
    with serving(page) as found:
        yield found
