"""Inputs, stores and run folders in an object store and on web servers: real ones, on loopback."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from processes import daskfer, started, wait_until
from trained import plain_name

from daskfer import storage
from daskfer.errors import InputError
from daskfer.ingest.finding import check_unchanged
from daskfer.ingest.sources import Source
from daskfer.synthetic import write_csv

ROWS = 300
RUN = ("--workers", 2, "--set", "classify.model=none", "--set", "block_rows=128")
RUN_FILES = {
    "labels.parquet", "metrics.json", "names.yaml", "quarantine.csv", "recipe.yaml", "report.html",
    "run.json", "model/clusters.npz", "model/model.json", "model/reducer.npz",
    "model/MODEL_CARD.md",
}  # fmt: skip
SLOW = pytest.mark.slow
ONE_LINE = re.compile(r"error: [^\n]*\n")


@dataclass(frozen=True)
class Bucket:
    """A bucket of a server at `endpoint`, filled and read without the libraries under test."""

    endpoint: str

    def put(self, key: str, data: bytes, *, public: bool = False) -> str:
        headers = {"Content-Type": "binary/octet-stream"}
        if public:
            headers["x-amz-acl"] = "public-read"
        self._ask("PUT", key, data, headers)
        return f"s3://faces/{key}"

    def get(self, key: str) -> bytes:
        return self._ask("GET", key)

    def listing(self, prefix: str) -> dict[str, str]:
        """Keys below a prefix (without it), and when each was written."""
        text = self._ask("GET", f"?list-type=2&prefix={prefix}").decode()
        keys = re.findall(r"<Key>([^<]*)</Key>", text)
        times = re.findall(r"<LastModified>([^<]*)</LastModified>", text)
        return {key.removeprefix(prefix): time for key, time in zip(keys, times, strict=True)}

    def _ask(
        self,
        method: str,
        key: str,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> bytes:
        # Signed by name alone: moto lets anonymous people read public objects only.
        name = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request"
        request = urllib.request.Request(
            f"{self.endpoint}/faces/{key}", data, {"Authorization": name, **(headers or {})},
            method=method,
        )  # fmt: skip
        with _opener().open(request, timeout=30) as answer:
            return answer.read()


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextmanager
def server(module: str, *arguments: object) -> Iterator[str]:
    """A server that is a module of Python's, as a process of its own; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [port if argument == "PORT" else argument for argument in arguments]
    with started(sys.executable, "-m", module, *command, heard=False) as process:

        def answers() -> bool:
            assert process.poll() is None, f"{module} has ended"
            try:
                _opener().open(f"http://127.0.0.1:{port}/", timeout=5).close()
            except URLError as error:
                return hasattr(error, "code")
            return True

        wait_until(answers, f"{module} on port {port}")
        yield f"http://127.0.0.1:{port}"


def need(*names: str) -> None:
    """Skip where a package is missing."""
    for name in names:
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install 'daskfer[test]'")


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    """An empty bucket that is called faces."""
    need("s3fs", "moto", "flask")
    with server("moto.server", "-H", "127.0.0.1", "-p", "PORT") as endpoint:
        bucket = Bucket(endpoint)
        bucket._ask("PUT", "")
        yield bucket


@pytest.fixture
def environment(clean_environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Dummy credentials, and nothing of this machine's own settings."""
    mine = {
        name: value
        for name, value in clean_environment.items()
        if not name.startswith(("AWS_", "FSSPEC_"))
    }
    return mine | {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "FSSPEC_CONFIG_DIR": str(tmp_path / "none"),
        "NO_PROXY": "127.0.0.1",
    }


@pytest.fixture
def s3(environment: dict[str, str], bucket: Bucket) -> dict[str, str]:
    """An environment in which s3:// is our server."""
    return environment | {"AWS_ENDPOINT_URL": bucket.endpoint}


def test_a_new_object_is_written_once(s3: dict[str, str], bucket: Bucket) -> None:
    """Also when nobody has seen the other one's, as when two write at the same time."""
    code = (
        "from daskfer import storage\n"
        "done = [storage.write_new('s3://faces/new', b'a')]\n"
        "really, answers = storage.exists, iter([False])\n"
        "storage.exists = lambda path: next(answers, None) is None and really(path)\n"
        "print(*done, storage.write_new('s3://faces/new', b'b'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=s3, capture_output=True, text=True)
    assert done.stdout == "True False\n", done.stderr
    assert bucket.get("new") == b"a"


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("faces") / "faces.csv"
    write_csv(path, ROWS, seed=3)
    return path


@pytest.fixture(scope="module")
def local_labels(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """What a run on the file on disk finds."""
    folder = tmp_path_factory.mktemp("local")
    done = daskfer(
        "run", "--recipe", "hog", faces, "--out", folder / "run", "--store", folder / "store", *RUN,
        environment=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return pq.read_table(folder / "run" / "labels.parquet")


def assert_same(labels: pa.Table, expected: pa.Table, source: str) -> None:
    """The same labels in every column but the one that says where the rows are from."""
    assert labels.drop_columns("source").equals(expected.drop_columns("source"))
    assert set(labels["source"].to_pylist()) == {source}


def inspect(*inputs: object, environment: dict[str, str]) -> dict:
    done = daskfer("inspect", "--json", *inputs, environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def refusal(*arguments: object, environment: dict[str, str]) -> str:
    """The one line of a command that fails."""
    done = daskfer(*arguments, environment=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert ONE_LINE.fullmatch(done.stderr), done.stderr
    return done.stderr


def parts_of(faces: Path) -> list[bytes]:
    """The file in two, each with the header."""
    header, *rows = faces.read_bytes().splitlines(keepends=True)
    half = len(rows) // 2
    return [b"".join([header, *rows[:half]]), b"".join([header, *rows[half:]])]


def images_of(faces: Path, count: int) -> Iterator[bytes]:
    """The first faces as PNG files."""
    for pixels in pd.read_csv(faces, nrows=count)["pixels"]:
        file = io.BytesIO()
        Image.fromarray(np.array(pixels.split(), np.uint8).reshape(48, 48)).save(file, "PNG")
        yield file.getvalue()


# What reading, and a bucket's absence, looks like.


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("s3://faces/none.csv", "s3://faces/none.csv: no such file"),
        pytest.param("s3://other/x.csv", "s3://other/x.csv: no such file", marks=SLOW),
    ],
)
def test_no_such_object(url: str, expected: str, s3: dict[str, str]) -> None:
    assert expected in refusal("run", url, environment=s3)


@pytest.mark.parametrize(
    ("command", "option"), [("run", "--out"), pytest.param("inspect", "--store", marks=SLOW)]
)
def test_a_bucket_is_not_made_by_writing_to_it(
    command: str, option: str, faces: Path, s3: dict[str, str], bucket: Bucket
) -> None:
    """A slip in its name would leave a bucket in somebody's account."""
    said = refusal(command, faces, option, "s3://slip/x", environment=s3)
    assert said.startswith("error: s3://slip/x/")
    assert "bucket does not exist" in said
    buckets = _opener().open(f"{bucket.endpoint}/", timeout=30).read()
    assert b"<Name>slip</Name>" not in buckets


def test_no_credentials(s3: dict[str, str]) -> None:
    del s3["AWS_ACCESS_KEY_ID"], s3["AWS_SECRET_ACCESS_KEY"]
    said = refusal("run", "s3://faces/faces.csv", environment=s3)
    assert "s3://faces/faces.csv cannot be read: Unable to locate credentials" in said
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE" in said


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("run", "s3://faces/x.csv"), "pip install 'daskfer[s3]'"),
        # The line of `daskfer cache`, which looks at stores too.
        pytest.param(("inspect", "FACES", "--store", "s3://x/y"), "Install s3fs", marks=SLOW),
    ],
)
def test_a_missing_package(
    command: tuple[str, ...],
    expected: str,
    faces: Path,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "s3fs.py").write_text("raise ImportError('no s3fs')\n")
    environment["PYTHONPATH"] = str(tmp_path / "absent")
    arguments = [faces if argument == "FACES" else argument for argument in command]
    assert expected in refusal(*arguments, environment=environment)


@pytest.mark.slow
def test_nobody_listens(environment: dict[str, str]) -> None:
    """The way out that the line names is tried: at once, where five tries take ten seconds."""
    need("s3fs")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{closed.getsockname()[1]}"
        environment["AWS_MAX_ATTEMPTS"] = "1"
        said = refusal("run", "s3://faces/faces.csv", environment=environment)
    assert "Could not connect to the endpoint URL" in said
    assert environment["AWS_ENDPOINT_URL"] in said
    assert "check AWS_ENDPOINT_URL and the network (AWS_MAX_ATTEMPTS=1 gives up sooner)" in said


@pytest.mark.slow
def test_nobody_answers(environment: dict[str, str]) -> None:
    need("s3fs")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        environment["AWS_MAX_ATTEMPTS"] = "1"
        environment["FSSPEC_S3"] = '{"config_kwargs": {"read_timeout": 0.1}}'
        said = refusal("run", "s3://faces/faces.csv", environment=environment)
    assert "Read timeout on endpoint URL" in said
    assert "AWS_MAX_ATTEMPTS=1 gives up sooner" in said


# Whole runs.


@pytest.mark.slow
def test_a_run_from_a_bucket_to_a_bucket(
    faces: Path, local_labels: pa.Table, s3: dict[str, str], bucket: Bucket
) -> None:
    url = bucket.put("faces.csv", faces.read_bytes())
    command = ("run", url, "--recipe", "hog", "--out", "s3://faces/run", *RUN)
    done = daskfer(*command, "--store", "s3://faces/store", environment=s3)
    assert (done.returncode, done.stderr) == (0, "")
    assert_same(pq.read_table(io.BytesIO(bucket.get("run/labels.parquet"))), local_labels, url)
    written = bucket.listing("run/")
    assert {plain_name(name) for name in written} == RUN_FILES
    stages = {key.split("/")[0] for key in bucket.listing("store/")}
    assert {"ingest", "represent", "reduce", "cluster"} <= stages
    assert "leases" not in stages

    again = daskfer(*command, "--store", "s3://faces/unused", environment=s3)
    assert (again.returncode, again.stdout) == (0, done.stdout)
    assert bucket.listing("run/") == written
    assert bucket.listing("unused/") == {}


@pytest.mark.slow
def test_worker_processes_read_and_write_objects(
    faces: Path, local_labels: pa.Table, s3: dict[str, str], bucket: Bucket, tmp_path: Path
) -> None:
    url = bucket.put("by-processes.csv", faces.read_bytes())
    done = daskfer(
        "run", "--recipe", "hog",
        url, "--processes", "--store", "s3://faces/of-processes", "--out", tmp_path / "run",
        *RUN, "--workers", 1, environment=s3,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert_same(pq.read_table(tmp_path / "run" / "labels.parquet"), local_labels, url)


# Forms. Every face is there in each of them, so that the set has as many distinct images as one.


@pytest.mark.slow
def test_all_forms_of_objects_and_one_that_is_replaced(
    faces: Path, s3: dict[str, str], bucket: Bucket
) -> None:
    parts = parts_of(faces)
    for number, part in enumerate(parts):
        bucket.put(f"part-{number}.csv", part)
    packed = bucket.put("faces.csv.gz", gzip.compress(faces.read_bytes(), 1))
    table = io.BytesIO()
    pd.read_csv(faces).to_parquet(table)
    parquet = bucket.put("faces.parquet", table.getvalue())
    for number, image in enumerate(images_of(faces, 5)):
        bucket.put(f"images/{number}.png", image)
    bucket.put("images/", b"")
    bucket.put("images/notes.txt", b"no image")
    public = bucket.put("public.csv", faces.read_bytes(), public=True)
    web = public.replace("s3://faces", f"{bucket.endpoint}/faces")
    inputs = ("s3://faces/part-*.csv", packed, parquet, "s3://faces/images/", web)
    found = inspect(*inputs, environment=s3)
    forms = [(one["path"], one["form"], one["packing"], one["images"]) for one in found["sources"]]
    assert forms == [
        ("s3://faces/part-0.csv", "csv", "", None),
        ("s3://faces/part-1.csv", "csv", "", None),
        (packed, "csv", "gzip", None),
        (parquet, "parquet", "", None),
        ("s3://faces/images/", "images", "", 5),
        (web, "csv", "", None),
    ]
    assert found["rows"]["good"] == 4 * ROWS + 5
    assert found["duplicates"]["distinct"] == ROWS
    assert found["duplicates"]["conflicting_groups"] == 0

    # Of the same size, but with another label for one face.
    start = parts[0].index(b"\n") + 1
    label = b"3" if parts[0][start : start + 1] != b"3" else b"4"
    bucket.put("part-0.csv", parts[0][:start] + label + parts[0][start + 1 :])
    found = inspect(*inputs, environment=s3)
    assert found["rows"]["good"] == 4 * ROWS + 5
    assert found["duplicates"]["conflicting_groups"] == 1


# A web server that sends files only as a whole, as Python's own does.


@pytest.fixture(scope="module")
def web(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    need("aiohttp")
    folder = tmp_path_factory.mktemp("web")
    (folder / "faces.csv").write_bytes(faces.read_bytes())
    (folder / "faces.csv.gz").write_bytes(gzip.compress(faces.read_bytes(), 1))
    (folder / "face.png").write_bytes(next(images_of(faces, 1)))
    pd.read_csv(faces, nrows=9).to_parquet(folder / "faces.parquet")
    with server("http.server", "--bind", "127.0.0.1", "--directory", folder, "PORT") as address:
        yield address


@pytest.mark.slow
def test_files_that_are_sent_only_as_a_whole(web: str, environment: dict[str, str]) -> None:
    found = inspect(
        f"{web}/faces.csv", f"{web}/faces.csv.gz", f"{web}/face.png", environment=environment
    )
    assert found["rows"]["good"] == 2 * ROWS + 1
    assert found["duplicates"]["distinct"] == ROWS
    assert found["duplicates"]["conflicting_groups"] == 0
    assert any("sends files only as a whole" in note for note in found["notes"])


def test_what_must_be_read_in_parts_is_refused(web: str, environment: dict[str, str]) -> None:
    said = refusal("run", f"{web}/faces.parquet", environment=environment)
    assert "faces.parquet is a Parquet file, which is read in parts" in said
    assert "get the file and give that" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "expected"),
    [("/none.csv", "no such file"), ("", "cannot be read: Connect call failed")],
)
def test_no_such_page(path: str, expected: str, web: str, environment: dict[str, str]) -> None:
    """A server that is not there is told from a file that is not."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = web if path else f"http://127.0.0.1:{closed.getsockname()[1]}/x.csv"
        assert expected in refusal("run", address + path, environment=environment)


# A file system whose answers are ours.


class Deaf:
    """Sends all of a file, whatever part is asked for."""

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        return b"0123456789"


def test_too_long_an_answer_is_never_taken_for_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "filesystem_of", lambda path: (Deaf(), path))
    assert storage.read_bytes("s3://faces/x") == b"0123456789"
    assert storage.read_bytes("s3://faces/x", 0, 10) == b"0123456789"
    with pytest.raises(storage.StorageError, match="sent 10 bytes where 3 were asked for"):
        storage.read_bytes("s3://faces/x", 4, 7)


def test_what_was_listed_before_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """s3fs remembers what a glob listed; a change while a run reads must be seen all the same."""

    class Remembering:
        there, remembered = "old", "old"

        def info(self, path: str) -> dict:
            return {"size": 3, "ETag": self.remembered}

        def invalidate_cache(self, path: str) -> None:
            self.remembered = self.there

    filesystem = Remembering()
    monkeypatch.setattr(storage, "filesystem_of", lambda path: (filesystem, path))
    source = Source("s3://faces/x.csv", 3, "old")
    check_unchanged([source])
    filesystem.there = "new"
    with pytest.raises(InputError, match="changed while it was read"):
        check_unchanged([source])


def test_errors_keep_their_class_and_name_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def cat_file(self, path: str) -> bytes:
            raise self.error

    def said_of(error: Exception) -> Exception:
        monkeypatch.setattr(storage, "filesystem_of", lambda path: (Failing(error), path))
        with pytest.raises(Exception) as caught:  # noqa: PT011 - which class is the question
            storage.read_bytes("s3://faces/x")
        return caught.value

    missing = said_of(FileNotFoundError("faces/x"))
    assert isinstance(missing, FileNotFoundError)
    assert missing.filename == "s3://faces/x"
    denied = said_of(PermissionError("Access Denied"))
    assert isinstance(denied, PermissionError)
    assert (denied.strerror, denied.filename) == ("Access Denied", "s3://faces/x")
    other = said_of(ValueError("odd\nanswer"))
    assert str(other) == "s3://faces/x cannot be read: odd answer"
    assert isinstance(other, storage.StorageError)
    # A fault of ours keeps its own name.
    assert isinstance(said_of(TypeError("x")), TypeError)
