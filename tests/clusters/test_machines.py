"""A scheduler, workers and a client on machines of their own, and cables that break."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clusters.namespaces import Machine, machines, need_namespaces, supervised
from processes import daskfer, started, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.cluster]

DASK = Path(sys.executable).parent / "dask"
CUT_SECONDS = 60


@dataclass(frozen=True)
class Cluster:
    """A scheduler at `address` and its log, and the machines of its workers and of a client."""

    address: str
    log: Path
    workers: list[Machine]
    client: Machine

    def registered(self, worker: Machine) -> int:
        """How often a worker of this machine has come to the scheduler."""
        return self.log.read_text().count(f"Register worker addr: tcp://{worker.address}:")

    def removed(self, worker: Machine) -> int:
        """How often the scheduler has given up a worker of this machine."""
        return self.log.read_text().count(f"Remove worker addr: tcp://{worker.address}:")


@contextmanager
def cluster_on(
    scheduler: Machine,
    workers: list[Machine],
    client: Machine,
    folder: Path,
    environment: dict[str, str],
    disk: Path | None = None,
) -> Iterator[Cluster]:
    """A scheduler and a supervised worker on each of the machines, which have come to it."""
    address = f"tcp://{scheduler.address}:8786"
    log = folder / "scheduler.log"
    scratch = disk or folder / "scratch"
    command = [
        *scheduler.here(disk), DASK, "scheduler", "--host", scheduler.address,
        "--dashboard-address", "127.0.0.1:0",
    ]  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(started(*command, environment=environment, log=log))
        for worker in workers:
            command = [
                *worker.here(disk), *supervised([
                    DASK, "worker", address, "--host", worker.address, "--nthreads", 1,
                    "--dashboard-address", "127.0.0.1:0", "--local-directory", scratch,
                ]),
            ]  # fmt: skip
            own_log = folder / f"{worker.address}.log"
            stack.enter_context(started(*command, environment=environment, log=own_log))
        cluster = Cluster(address, log, workers, client)
        for worker in workers:
            wait_until(lambda worker=worker: cluster.registered(worker), "a worker", 120)
        yield cluster


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Nothing of this machine's own network, accounts and folders."""
    mine = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().endswith("_PROXY") and not name.startswith(("AWS_", "FSSPEC_", "DASK"))
    }
    (tmp_path / "scratch").mkdir()
    return mine | {
        "DASKFER_STORE": str(tmp_path / "store"),
        "DASK_TEMPORARY_DIRECTORY": str(tmp_path / "scratch"),
    }


@pytest.fixture
def cluster(tmp_path: Path, environment: dict[str, str]) -> Iterator[Cluster]:
    """Two workers; all machines see the same files."""
    need_namespaces()
    with (
        machines("scheduler", "one", "two", "client") as (scheduler, one, two, client),
        cluster_on(scheduler, [one, two], client, tmp_path, environment) as cluster,
    ):
        yield cluster


def test_labels_are_those_of_a_local_run(
    cluster: Cluster, environment: dict[str, str], faces: Path, changes: Sequence[str],
    local_labels: pa.Table, tmp_path: Path,
) -> None:  # fmt: skip
    done = daskfer(
        "run", faces, *changes, "--out", tmp_path / "run", "--scheduler", cluster.address,
        environment=environment, before=cluster.client.here(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert pq.read_table(tmp_path / "run" / "labels.parquet").equals(local_labels)


# Cables that break.


@contextmanager
def run_at_work(
    cluster: Cluster, environment: dict[str, str], *arguments: object
) -> Iterator[subprocess.Popen[str]]:
    """A run that has read the faces and has the rest before it."""
    store = Path(environment["DASKFER_STORE"])
    command = [*cluster.client.here(), sys.executable, "-m", "daskfer", "run", *arguments]
    command += ["--scheduler", cluster.address]
    with started(*command, environment=environment) as process:
        wait_until(lambda: list(store.glob("ingest/*/stage.json")), "the end of ingest", 120)
        yield process


def assert_ends_right(process: subprocess.Popen[str], folder: Path, local_labels: pa.Table) -> None:
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert pq.read_table(folder / "labels.parquet").equals(local_labels)


@pytest.mark.timeout(900)
def test_links_of_workers_break(
    cluster: Cluster, environment: dict[str, str], faces: Path, changes: Sequence[str],
    local_labels: pa.Table, tmp_path: Path,
) -> None:  # fmt: skip
    """One comes back after a minute; then the other goes for good, and the first does its work."""
    one, two = cluster.workers
    out = tmp_path / "first"
    with run_at_work(cluster, environment, faces, *changes, "--out", out) as process:
        one.cut()
        since = time.monotonic()
        assert process.poll() is None, "the run ended before the cable was cut"
        wait_until(lambda: cluster.removed(one), "the scheduler to miss the first worker", 240)
        assert_ends_right(process, out, local_labels)
    assert cluster.registered(one) == 1
    time.sleep(max(0, since + CUT_SECONDS - time.monotonic()))
    one.mend()
    wait_until(lambda: cluster.registered(one) == 2, "the first worker to come back", 240)

    out = tmp_path / "second"
    again = {**environment, "DASKFER_STORE": str(tmp_path / "another-store")}
    with run_at_work(cluster, again, faces, *changes, "--out", out) as process:
        two.cut()
        assert process.poll() is None, "the run ended before the cable was cut"
        wait_until(lambda: cluster.removed(two), "the scheduler to miss the second worker", 240)
        assert_ends_right(process, out, local_labels)
    # What was left, nobody else can have done: there was no third.
    assert (cluster.registered(one), cluster.removed(one)) == (2, 1)
    assert (cluster.registered(two), cluster.removed(two)) == (1, 1)


# Machines that share no disk.

OBJECTS = """\
import sys, s3fs
files = s3fs.S3FileSystem()
if sys.argv[1] == "put":
    files.mkdir("faces")
    files.put(sys.argv[2], sys.argv[3])
elif sys.argv[1] == "get":
    sys.stdout.buffer.write(files.cat(sys.argv[2]))
else:
    print(*files.find(sys.argv[2]), sep="\\n")
"""


def objects(machine: Machine, environment: dict[str, str], *arguments: object) -> bytes:
    """Use the object store from a machine."""
    done = subprocess.run(
        [*machine.here(), sys.executable, "-c", OBJECTS, *map(str, arguments)],
        env=environment, capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@contextmanager
def object_store_on(machine: Machine, folder: Path) -> Iterator[str]:
    """An object store on this machine; its address."""
    port = 5000
    command = (sys.executable, "-m", "moto.server", "-H", machine.address, "-p", port)
    ask = f"import socket; socket.create_connection(({machine.address!r}, {port}), 5)"
    with started(*machine.here(), *command, log=folder / "objects.log") as process:

        def answers() -> bool:
            assert process.poll() is None, (folder / "objects.log").read_text()
            asked = [*machine.here(), sys.executable, "-c", ask]
            return subprocess.run(asked, capture_output=True).returncode == 0

        wait_until(answers, "the object store", 120)
        yield f"http://{machine.address}:{port}"


def test_machines_without_a_common_disk(
    environment: dict[str, str], faces: Path, changes: Sequence[str], local_labels: pa.Table,
    tmp_path: Path,
) -> None:  # fmt: skip
    """Input, store and run folder are in an object store; each process has a disk of its own."""
    need_namespaces()
    for package in ("s3fs", "moto", "flask"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'daskfer[test]'")
    disk = tmp_path / "disk"
    disk.mkdir()
    with (
        machines("scheduler", "one", "two", "client", "objects") as (
            scheduler, *workers, client, store,
        ),
        object_store_on(store, tmp_path) as endpoint,
    ):  # fmt: skip
        # Whatever would be written to a folder by default, goes to the disk.
        environment |= {
            "HOME": str(disk),
            "XDG_CACHE_HOME": str(disk),
            "TMPDIR": str(disk),
            "DASK_TEMPORARY_DIRECTORY": str(disk),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        del environment["DASKFER_STORE"]
        objects(client, environment, "put", faces, "faces/faces.csv")
        with cluster_on(scheduler, workers, client, tmp_path, environment, disk) as cluster:
            before = {path for path in tmp_path.rglob("*") if path.suffix != ".log"}
            done = daskfer(
                "run", "s3://faces/faces.csv", *changes, "--store", "s3://faces/store",
                "--out", "s3://faces/run", "--scheduler", cluster.address,
                environment=environment, before=client.here(disk),
            )  # fmt: skip
        assert done.returncode == 0, done.stderr
        # Nothing that another process could have seen.
        assert {path for path in tmp_path.rglob("*") if path.suffix != ".log"} == before
        assert not list(disk.iterdir())
        labels = objects(client, environment, "get", "faces/run/labels.parquet")
        stored = objects(client, environment, "list", "faces/store").decode().split()
    found = pq.read_table(io.BytesIO(labels)).drop_columns("source")
    assert found.equals(local_labels.drop_columns("source"))
    assert {key.split("/")[2] for key in stored} >= {"ingest", "represent", "reduce", "cluster"}
