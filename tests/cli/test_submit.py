"""What is said of jobs that cannot be submitted or found, in one line each."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest
from processes import children_of, daskfer, is_alive, started, wait_until

from daskfer.jobs import index
from daskfer.jobs.folder import JobFolder, new_request
from daskfer.jobs.log import shortened


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "faces.csv"
    path.write_text("emotion,pixels\n" + "0,1 2 3 4\n" * 20)
    return path


@pytest.fixture
def job(tmp_path):
    """A job that nobody works at, and its folder."""
    run, store = str(tmp_path / "run"), str(tmp_path / "store")
    request = new_request(run, ["faces.csv"], store, 1, "tcp://127.0.0.1:1")
    folder = JobFolder(run)
    folder.write_request(request)
    index.enter(request)
    return folder


def refused(done, *parts: str, status: int = 1) -> None:
    assert done.returncode == status, done
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    for part in parts:
        assert part in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["nothing to submit: expected files or folders of faces, or --resume JOB"]),
        (["faces.csv", "--resume", "abc"], ["leave faces.csv out"]),
        (["--resume", "abc"], ["no job abc in the store", "daskfer jobs list"]),
        (["none.csv", "--scheduler", "tcp://127.0.0.1:1"], ["none.csv: no such file"]),
        (["faces.csv", "--recipe", "hog"], ["a job needs a running scheduler", "--scheduler ADDR"]),
        (["faces.csv", "--set", "cluster.k=3"], ["unknown key cluster.k"]),
        (["faces.csv", "--scheduler", "a", "--cluster", "b"], ["exclude each other"]),
    ],
)
def test_refused(arguments, parts, csv, tmp_path, clean_environment):
    done = daskfer("submit", *arguments, environment=clean_environment, cwd=tmp_path)
    refused(done, *parts)


def test_a_cluster_that_would_end_with_the_command(csv, tmp_path, clean_environment):
    (tmp_path / "local.yaml").write_text("cluster: dask.distributed.LocalCluster\n")
    done = daskfer(
        "submit", csv, "--recipe", "hog", "--cluster", "local.yaml",
        environment=clean_environment, cwd=tmp_path,
    )  # fmt: skip
    refused(done, "--cluster local.yaml starts one that ends with this command", "cluster start")


@pytest.mark.parametrize("command", ["status", "logs", "stop", "fetch"])
def test_no_such_job(command, tmp_path, clean_environment):
    done = daskfer("jobs", command, "abcd", environment=clean_environment, cwd=tmp_path)
    refused(done, "no job abcd in the store", "daskfer jobs list shows")


def test_no_jobs(tmp_path, clean_environment):
    done = daskfer("jobs", "list", environment=clean_environment, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"no jobs in the store {tmp_path}/store")
    done = daskfer("jobs", "list", "--json", environment=clean_environment, cwd=tmp_path)
    assert json.loads(done.stdout) == []


def test_a_job_that_failed(job, tmp_path, clean_environment):
    attempt = job.begin("tcp://w")
    job.write(attempt.again(state="failed", error="faces too small", ended=attempt.started))
    job.write_log(attempt.name, b"Traceback: faces too small\n")
    name = job.request().id
    done = daskfer("jobs", "status", name[:5], environment=clean_environment)
    assert done.returncode == 0
    assert f"job {name}: failed" in done.stdout
    assert "error      faces too small" in done.stdout
    done = daskfer("jobs", "status", name, "--wait", environment=clean_environment)
    refused(done, f"job {name} has failed: faces too small (daskfer jobs logs {name})")
    done = daskfer("jobs", "logs", job.run, "--follow", environment=clean_environment)
    assert done.stdout == "Traceback: faces too small\n"
    done = daskfer("jobs", "fetch", name, environment=clean_environment)
    refused(done, f"job {name} is failed: expected one that has succeeded")
    done = daskfer("jobs", "stop", name, environment=clean_environment)
    assert done.stdout == f"job {name} is not at work: it is failed\n"
    done = daskfer("jobs", "list", environment=clean_environment)
    assert f"{name}  failed" in done.stdout


def test_a_log_is_followed_when_it_gets_long(job, tmp_path, clean_environment):
    """Its middle is left out in the folder, after it was shown."""
    text = b"".join(b"line %08d\n" % number for number in range(150_000))
    attempt = job.begin("tcp://w")
    job.write(attempt.again(state="running"))
    shown = tmp_path / "shown.txt"
    command = (sys.executable, "-m", "daskfer", "jobs", "logs", job.run, "--follow")
    with started(*command, environment=clean_environment, log=shown) as process:
        for printed in (1_800_000, 2_010_000, 2_030_000):
            kept = text[:printed] if printed < 2_000_000 else shortened(text[:printed])
            job.write_log(attempt.name, kept)
            job.write(attempt.again(state="running", done=printed))
            wait_until(lambda size=printed: shown.stat().st_size >= size, "what was printed")
        job.write(attempt.again(state="succeeded", ended=attempt.started))
        assert process.wait(timeout=60) == 0
    assert shown.read_bytes() == text[:2_030_000]


def test_cluster_check(tmp_path, clean_environment):
    (tmp_path / "a.yaml").write_text("cluster: dask.distributed.LocalCluster\nworkers: 2\n")
    done = daskfer("cluster", "check", "a.yaml", environment=clean_environment, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 workers are started" in done.stdout
    (tmp_path / "b.yaml").write_text("kind: DaskCluster\n")
    done = daskfer("cluster", "check", "b.yaml", environment=clean_environment, cwd=tmp_path)
    refused(done, "b.yaml is a Kubernetes manifest: kubectl apply -f b.yaml")


@pytest.mark.slow
@pytest.mark.cluster
def test_a_cluster_is_kept_for_jobs(faces_csv, tmp_path, clean_environment):
    """Its address comes first; it ends with Ctrl-C, and its workers with it."""
    (tmp_path / "local.yaml").write_text(
        "cluster: dask.distributed.LocalCluster\nworkers: 1\n"
        "arguments: {n_workers: 0, threads_per_worker: 1, host: 127.0.0.1, "
        "dashboard_address: '127.0.0.1:0'}\n"
    )
    command = [sys.executable, "-m", "daskfer", "cluster", "start", tmp_path / "local.yaml"]
    with started(*command, environment=clean_environment) as process:
        address = process.stdout.readline().strip()
        assert address.startswith("tcp://127.0.0.1:")
        done = daskfer(
            "submit", faces_csv, "--recipe", "hog", "--set", "classify.model=none",
            "--scheduler", address, "--upload", "--wait", "--json",
            environment=clean_environment, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        job = json.loads(done.stdout)
        workers = children_of(process.pid)
        assert workers
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "Traceback" not in errors
        wait_until(lambda: not any(map(is_alive, workers)), "the workers' end")
    assert job["state"] == "succeeded"
    # The copy in the store was read, not the original.
    owner = json.loads(Path(job["run"], "run.json").read_text())
    assert owner["inputs"][0]["path"].startswith(f"{tmp_path}/store/uploads/")
