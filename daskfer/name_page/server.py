"""The server of the page: on loopback, behind a token, and for one run only.

Who may ask is checked before anything else: the token in the path, the Host header against DNS
names that somebody else points here, and the Origin header against pages of others. Nothing that a
client sends is ever used as a path: files are known by name, pictures by the key of a group.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from tornado.httpserver import HTTPServer
from tornado.web import Application, HTTPError, RequestHandler

from daskfer.answers import AnswerError, GoneError
from daskfer.errors import DaskferError, InputError
from daskfer.name_page.desk import Desk
from daskfer.name_page.training import Training

MOST_BYTES = 64 << 10
"""Of a request's body: an answer is some hundred bytes, a hundred names some thousands."""

MOST_HEADER = 16 << 10
STATIC = {"page.js": "text/javascript", "page.css": "text/css"}
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

POLICY = (
    "default-src 'none'; img-src 'self' data:; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Page:
    """What handlers share.

    Parameters
    ----------
    desk : Desk
    training : Training
    report : callable
        Gives the bytes of the run's report, or None while there is none.
    changed : callable
        Called after each answer.
    """

    def __init__(
        self,
        desk: Desk,
        training: Training,
        report: Callable[[], bytes | None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.desk, self.training, self.report, self.changed = desk, training, report, changed
        self.token = secrets.token_urlsafe(24)
        self.hosts: set[str] = set()
        # One thread: pictures are drawn one after another, beside the answers.
        self.drawer = ThreadPoolExecutor(1, "pictures")
        folder = resources.files("daskfer.name_page") / "static"
        self.static = {name: (folder / name).read_bytes() for name in STATIC}
        self.templates = Environment(
            loader=PackageLoader("daskfer.name_page", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
        )


class Handler(RequestHandler):
    """Checks who asks, and answers in JSON."""

    is_page = False
    """Whether a window shows what is answered, so that a link may lead to it."""

    written = False
    """Whether an answer is on the disk; what fails after that must not say otherwise."""

    def initialize(self, page: Page) -> None:
        self.page = page

    def prepare(self) -> None:
        """Refuse whoever is not the person that the address was given to."""
        if self.request.host.lower() not in self.page.hosts:
            raise HTTPError(403, reason="Unknown host")
        given = self.path_args[0] if self.path_args else ""
        if not hmac.compare_digest(given.encode(), self.page.token.encode()):
            raise HTTPError(403, reason="Wrong token")
        origin = self.request.headers.get("Origin")
        ours = {f"http://{host}" for host in self.page.hosts}
        if origin is not None and origin.lower() not in ours:
            raise HTTPError(403, reason="Foreign origin")
        if not self._is_of_this_site():
            raise HTTPError(403, reason="Foreign site")
        if self.request.method == "POST":
            if origin is None:
                raise HTTPError(403, reason="No origin")
            kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip()
            if kind != "application/json":
                raise HTTPError(415, reason="Expected application/json")

    def _is_of_this_site(self) -> bool:
        """Whether the page itself asks, or a link led a window to it, but no part of another page.

        The link is that of the file which a browser is opened with (see `opening`).
        """
        sent = self.request.headers
        if sent.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
            return True
        way = (self.request.method, sent.get("Sec-Fetch-Mode"), sent.get("Sec-Fetch-Dest"))
        return self.is_page and way == ("GET", "navigate", "document")

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        # The address has the token in it.
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")
        self.clear_header("Server")

    def send(self, value: Any, status: int = 200) -> None:
        """Answer with plain values."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(value))

    def body(self) -> dict[str, Any]:
        """The plain values of a request."""
        try:
            found = json.loads(self.request.body)
        except (ValueError, RecursionError):
            raise HTTPError(400, reason="Expected JSON") from None
        if not isinstance(found, dict):
            raise HTTPError(400, reason="Expected an object")
        return found

    def write_error(self, status_code: int, **about: Any) -> None:
        self.set_header("Content-Type", "application/json; charset=utf-8")
        error = about.get("exc_info", (None, None))[1]
        told = self._reason
        if isinstance(error, DaskferError):
            told = str(error)
        elif isinstance(error, OSError):
            # Such as that somebody deleted the store.
            told = f"{error.strerror or error}: {error.filename}"
        written = {"written": True} if self.written else {}
        self.finish(json.dumps({"error": told, **written}))

    def log_exception(self, kind: Any, value: Any, trace: Any) -> None:
        if not isinstance(value, HTTPError | DaskferError):
            super().log_exception(kind, value, trace)


class Start(Handler):
    """The page itself."""

    is_page = True

    def get(self, token: str) -> None:
        """The page, with what it shows first in it."""
        template = self.page.templates.get_template("page.html.j2")
        state = {**self.page.desk.state(), "training": self.page.training.status()}
        # In a script element, text ends at "</", however it is quoted.
        data = json.dumps(state).replace("<", "\\u003c").replace("&", "\\u0026")
        self.set_header("Content-Type", "text/html; charset=utf-8")
        # A folder's name need not be UTF-8.
        self.finish(template.render(title=state["title"], data=data).encode(errors="replace"))


class Static(Handler):
    """The page's script and style."""

    def get(self, token: str, name: str) -> None:
        """One of the files that are known by name."""
        self.set_header("Content-Type", f"{STATIC[name]}; charset=utf-8")
        self.finish(self.page.static[name])


class State(Handler):
    """What the page shows."""

    def get(self, token: str) -> None:
        """All of it, as it is now."""
        self.send(self.page.desk.state())


class Look(Handler):
    """One group, answered or not."""

    def get(self, token: str, key: str) -> None:
        """What is shown of it."""
        try:
            self.send(self.page.desk.look(key))
        except GoneError as error:
            self.send({"error": str(error)}, 404)


class Picture(Handler):
    """The picture of a group's sheet."""

    async def get(self, token: str, key: str) -> None:
        """A PNG; what a key stands for never changes."""
        loop = asyncio.get_running_loop()
        try:
            png = await loop.run_in_executor(self.page.drawer, self.page.desk.picture, key)
        except GoneError as error:
            self.send({"error": str(error)}, 404)
            return
        self.set_header("Content-Type", "image/png")
        self.set_header("Cache-Control", "private, max-age=86400, immutable")
        self.finish(png)


ANSWER_KEYS = {
    "name": ("group", "name"),
    "mixed": ("group",),
    "skip": ("group",),
    "split": ("group",),
    "merge": ("group", "with"),
    "undo": (),
    "categories": ("names",),
    "labels": (),
}
"""What each answer says; whatever else a client sends is left out."""


class Answer(Handler):
    """Takes answers."""

    def post(self, token: str) -> None:
        """Write one to the disk; then, what the page shows next."""
        body = self.body()
        do = body.get("do")
        if not isinstance(do, str) or do not in ANSWER_KEYS:
            self.send({"error": f"answer {do!r}: expected one of {', '.join(ANSWER_KEYS)}"}, 400)
            return
        entry = {"do": do, **{key: body.get(key) for key in ANSWER_KEYS[do]}}
        seen = body.get("version")
        try:
            self.page.desk.answer(entry, seen if isinstance(seen, int) else None)
        except GoneError as error:
            self.send({"error": str(error), "state": self.page.desk.state()}, 409)
            return
        except AnswerError as error:
            self.send({"error": str(error)}, 400)
            return
        self.written = True
        self.page.changed()
        state = self.page.desk.state()
        for shown in state["next"][:1]:
            # The browser will ask for it next, unless it has it.
            self.page.drawer.submit(self.page.desk.picture, shown["key"])
        self.send(state)


class Train(Handler):
    """Trains the second model."""

    def get(self, token: str) -> None:
        """How far it is, or how it ended."""
        self.send(self.page.training.status())

    def post(self, token: str) -> None:
        """Start it, unless it is at work."""
        self.page.training.start()
        self.send(self.page.training.status())


class Report(Handler):
    """The report of the run."""

    def get(self, token: str) -> None:
        """The page report.html, which may fetch nothing."""
        found = self.page.report()
        if found is None:
            raise HTTPError(404, reason="No report yet")
        self.set_header(
            "Content-Security-Policy",
            "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox",
        )
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(found)


class Nothing(Handler):
    """Whatever else is asked for."""

    def prepare(self) -> None:
        """Say that it is not there, to whoever asks."""
        raise HTTPError(404, reason="Not found")


def application(page: Page) -> Application:
    """The server's routes."""
    shared = {"page": page}
    key = r"c[0-9]{1,9}|[0-9]{1,9}\.(?:m|[0-9]{1,9})"
    token = r"/([A-Za-z0-9_-]{1,64})"
    return Application(
        [
            (rf"{token}/", Start, shared),
            (rf"{token}/(page\.js|page\.css)", Static, shared),
            (rf"{token}/state", State, shared),
            (rf"{token}/look/({key})", Look, shared),
            (rf"{token}/faces/({key})\.png", Picture, shared),
            (rf"{token}/answer", Answer, shared),
            (rf"{token}/train", Train, shared),
            (rf"{token}/report", Report, shared),
            (r".*", Nothing, shared),
        ],
        log_function=lambda handler: None,
    )


def listen(page: Page, host: str, port: int) -> tuple[HTTPServer, str]:
    """Begin to listen on the running loop; the server, and the page's address.

    Parameters
    ----------
    page : Page
    host : str
        127.0.0.1, unless told otherwise.
    port : int
        0 for any that is free.

    Raises
    ------
    InputError
        When the host is none of this machine's, or the port is taken.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.create_server((host, port), family=family)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"--host {host} --port {port}: {reason}; --port 0 takes any that is free"
        ) from error
    bound.setblocking(False)
    number = bound.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    names = (*LOOPBACK, shown) if host not in ("0.0.0.0", "::") else (*LOOPBACK, *_own_names())
    page.hosts = {f"{name}:{number}".lower() for name in names}
    server = HTTPServer(
        application(page), max_body_size=MOST_BYTES, max_buffer_size=MOST_BYTES + MOST_HEADER,
        max_header_size=MOST_HEADER,
    )  # fmt: skip
    server.add_socket(bound)
    address = "127.0.0.1" if host in ("0.0.0.0", "::") else shown
    return server, f"http://{address}:{number}/{page.token}/"


def _own_names() -> list[str]:
    """What this machine is called by others."""
    name = socket.gethostname()
    found = {name, socket.getfqdn()}
    with suppress(OSError):
        found |= {str(info[4][0]) for info in socket.getaddrinfo(name, None)}
    return [f"[{one}]" if ":" in one else one for one in found]
