"""Jobs whose workers, drivers and schedulers are killed: they end, and end as a local run does."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from processes import Certificates, daskfer, is_alive, make_certificates, started, wait_until
from sites import CHANGES, Site, answers, free_port, kill, worker_of

from daskfer import storage
from daskfer.dask.jobs import known
from daskfer.jobs.folder import JobFolder, asked_again

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture(scope="module")
def local(faces_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a run on this machine's threads."""
    folder = tmp_path_factory.mktemp("local")
    done = daskfer(
        "run", faces_csv, *CHANGES, "--out", folder / "run", "--store", folder / "store",
        environment=dict(os.environ),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls") / "certificates")


@pytest.fixture(params=["tcp", "tls"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    shown = request.getfixturevalue("certificates") if request.param == "tls" else None
    with Site(tmp_path, shown) as site:
        site.start_scheduler()
        site.start_worker()
        site.start_worker()
        yield site


def assert_same(fetched: Path, local: Path) -> None:
    assert pq.read_table(fetched / "labels.parquet") == pq.read_table(local / "labels.parquet")
    assert (fetched / "names.yaml").read_text() == (local / "names.yaml").read_text()


def blocks(site: Site, stage: str) -> list[Path]:
    return list((site.folder / "store" / stage).glob("*/0*"))


def test_workers_are_killed(site: Site, faces_csv: Path, local: Path) -> None:
    """Submit, kill a worker, look from elsewhere, kill the driver's worker, fetch."""
    job = site.submit(faces_csv, *CHANGES)
    driver = site.wait_for_driver(job)
    wait_until(lambda: blocks(site, "ingest"), "the first block")
    (other,) = site.workers() - {worker_of(driver)}
    kill(other)
    assert site.status(job)["state"] == "running"
    assert f"job {job}, attempt 1" in site.command("jobs", "logs", job)
    wait_until(lambda: blocks(site, "represent"), "the first features")
    assert is_alive(driver), "the job ended before its worker could be killed"
    kill(worker_of(driver))
    second = site.wait_for_driver(job, attempt=2)
    assert second != driver
    wait_until(lambda: not is_alive(driver), "the end of the first driver")
    assert "has succeeded" in site.command("jobs", "status", job, "--wait")
    assert "--- attempt 2 ---" in site.command("jobs", "logs", job)
    site.command("jobs", "fetch", job, "--to", site.folder / "fetched")
    assert_same(site.folder / "fetched", local)


def test_the_scheduler_is_killed(site: Site, faces_csv: Path, local: Path) -> None:
    job = site.submit(faces_csv, *CHANGES)
    driver = site.wait_for_driver(job)
    wait_until(lambda: blocks(site, "represent"), "the first features")
    assert is_alive(driver), "the job ended before its scheduler could be killed"
    kill(site.scheduler)
    wait_until(lambda: not is_alive(driver), "the end of the driver")
    wait_until(lambda: site.status(job)["state"] == "interrupted", "the news of it", 90)
    assert "does not answer" in site.status(job)["note"]
    before = {path: path.stat().st_mtime_ns for path in blocks(site, "ingest")}
    site.start_scheduler()
    site.start_worker()
    assert site.status(job)["state"] == "interrupted"
    assert site.submit("--resume", job) == job
    assert "has succeeded" in site.command("jobs", "status", job, "--wait")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    site.command("jobs", "fetch", job, "--to", site.folder / "fetched")
    assert_same(site.folder / "fetched", local)


def test_stopped(site: Site, faces_csv: Path, local: Path) -> None:
    job = site.submit(faces_csv, *CHANGES)
    driver = site.wait_for_driver(job)
    wait_until(lambda: blocks(site, "ingest"), "the first block")
    begun = time.monotonic()
    said = site.command("jobs", "stop", job)
    print(f"stopped in {time.monotonic() - begun:.2f} s, the command's start included")
    assert f"job {job} is stopped" in said
    wait_until(lambda: not is_alive(driver), "the end of its process")
    assert site.status(job)["state"] == "stopped"
    assert "not at work" in site.command("jobs", "stop", job)
    assert site.submit("--resume", job) == job
    assert "has succeeded" in site.command("jobs", "status", job, "--wait")
    site.command("jobs", "fetch", job, "--to", site.folder / "fetched")
    assert_same(site.folder / "fetched", local)


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as site:
        site.start_scheduler()
        site.start_worker()
        site.start_worker()
        yield site


def test_its_process_is_ended(plain: Site, faces_csv: Path, local: Path) -> None:
    """Told to end by somebody else, the job goes on in another; killed, it has failed."""
    job = plain.submit(faces_csv, *CHANGES)
    os.kill(plain.wait_for_driver(job), signal.SIGTERM)
    second = plain.wait_for_driver(job, attempt=2)
    kill(second)
    wait_until(lambda: plain.attempt(job)["ended"], "the news of it")
    failed = plain.status(job)
    assert failed["state"] == "failed"
    assert failed["error"] == ("its process was ended by SIGKILL, as happens when memory is short")
    done = daskfer(
        "submit", "--resume", job, "--scheduler", plain.address, "--wait",
        environment=plain.environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    plain.command("jobs", "fetch", job, "--to", plain.folder / "fetched")
    assert_same(plain.folder / "fetched", local)


def test_what_fails_is_told(plain: Site, faces_csv: Path) -> None:
    """The error in a line to who asks, its traceback in the log."""
    job = plain.submit(faces_csv, *CHANGES, "--set", "cluster.clusters=5000")
    waited = daskfer("jobs", "status", job, "--wait", environment=plain.environment)
    assert waited.returncode == 1
    assert waited.stderr.startswith(f"error: job {job} has failed: cluster.clusters=5000")
    assert len(waited.stderr.strip().splitlines()) == 1
    log = plain.command("jobs", "logs", job)
    assert "Traceback (most recent call last)" in log
    assert "cluster.clusters=5000" in log


def test_jobs_share_what_they_have_in_common(plain: Site, faces_csv: Path) -> None:
    """Submitted at once, they compute the same stage once; and the same job is one."""
    jobs = [
        plain.submit(faces_csv, *CHANGES, "--set", f"cluster.clusters={number}")
        for number in (5, 6, 7, 5)
    ]
    assert jobs[3] == jobs[0]
    for job in jobs[:3]:
        assert "has succeeded" in plain.command("jobs", "status", job, "--wait")
    runs = [Path(plain.status(job)["run"]) for job in jobs[:3]]
    reused = [json.loads((run / "metrics.json").read_text())["reused"] for run in runs]
    for stage in ("ingest", "represent", "reduce"):
        assert sum(stage in found for found in reused) == 2, f"{stage} was computed more than once"
        assert len(list((plain.folder / "store" / stage).iterdir())) == 1
    listed = json.loads(plain.command("jobs", "list", "--json"))
    assert [(one["id"], one["state"]) for one in listed] == [(job, "succeeded") for job in jobs[:3]]
    assert list((plain.folder / "store" / "leases").glob("*")) == []


def test_submitted_twice_at_once(plain: Site, faces_csv: Path, local: Path) -> None:
    """Both commands look before either has asked: one submits, and the job is one."""
    command = (
        sys.executable, "-m", "daskfer", "submit", faces_csv, *CHANGES, "--scheduler", plain.address
    )  # fmt: skip
    with ExitStack() as stack:
        both = [
            stack.enter_context(
                started(*command, "--out", plain.folder / "run", environment=plain.environment)
            )
            for _ in range(2)
        ]
        said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    printed = {text.strip() for text, _ in said}
    (job,) = printed
    assert "has succeeded" in plain.command("jobs", "status", job, "--wait")
    assert plain.status(job)["attempts"] == 1
    plain.command("jobs", "fetch", job, "--to", plain.folder / "fetched")
    assert_same(plain.folder / "fetched", local)


def test_submitted_elsewhere_while_its_scheduler_was_out_of_reach(
    plain: Site, faces_csv: Path
) -> None:
    """The task at the first scheduler ends when it sees the later submission, and stays so."""
    job = plain.submit(faces_csv, *CHANGES)
    driver = plain.wait_for_driver(job)
    folder = JobFolder(plain.status(job)["run"])
    first = folder.request()
    assert folder.write_request(replace(asked_again(first, first), scheduler="tcp://elsewhere:1"))
    folder.begin("tcp://worker-elsewhere:1")
    wait_until(lambda: not is_alive(driver), "the end of the first driver")
    wait_until(lambda: known([first]) == [False], "the end of the first task")
    attempts = folder.attempts()
    assert [attempt.submission for attempt in attempts] == [1, 2]
    assert (attempts[0].state, attempts[0].error) == ("lost", "the job was submitted again")


@pytest.fixture
def objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An object store with a bucket `jobs`, which this process and those it starts use."""
    port = free_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    log = tmp_path / "objects.log"
    command = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port)
    with started(*command, log=log):
        wait_until(lambda: answers(port), "the object store")
        filesystem, _ = storage.filesystem_of("s3://jobs")
        filesystem.mkdir("jobs")
        yield


def test_a_job_without_a_common_disk(
    objects: None, faces_csv: Path, local: Path, tmp_path: Path
) -> None:
    """Input (uploaded), store, run folder, state and logs lie in an object store."""
    with Site(tmp_path) as site:
        site.environment["DASKFER_STORE"] = "s3://jobs/store"
        site.start_scheduler()
        site.start_worker()
        site.start_worker()
        job = site.submit(faces_csv, *CHANGES, "--upload", "--out", "s3://jobs/run")
        wait_until(lambda: site.status(job)["stage"], "the first stage", 90)
        assert f"job {job} is stopped" in site.command("jobs", "stop", job)
        assert site.submit("--resume", job) == job
        assert "has succeeded" in site.command("jobs", "status", job, "--wait")
        assert "--- attempt 2 ---" in site.command("jobs", "logs", job)
        assert job in site.command("jobs", "list")
        site.command("jobs", "fetch", job, "--to", tmp_path / "fetched")
    # The file that was read is called otherwise: it is the copy.
    tables = [
        pq.read_table(run / "labels.parquet").drop(["source"])
        for run in (tmp_path / "fetched", local)
    ]
    assert tables[0] == tables[1]
    assert not (tmp_path / "store").exists()
