"""cluster_configs/slurm.yaml, on workers that are jobs of a real Slurm."""

from __future__ import annotations

import re
import signal
import tempfile
from pathlib import Path

import pytest
import yaml
from clusters.shipped import CONFIGS, arguments_of, assert_same_labels, command, shipped, wait_for
from clusters.slurm import PARTITION, slurm
from processes import children_of, is_worker, started

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture(scope="module")
def queue():
    """One Slurm for all tests here; each leaves it empty."""
    pytest.importorskip("dask_jobqueue", reason="no dask-jobqueue: pip install 'daskfer[slurm]'")
    with tempfile.TemporaryDirectory(prefix="daskfer-") as folder, slurm(Path(folder)) as running:
        yield running


@pytest.fixture
def environment(queue, clean_environment):
    return {**clean_environment, **queue.environment}


@pytest.fixture
def changes(tmp_path):
    """What must differ here: the partition, the only network, and where files go."""
    for name in ("keys", "logs"):
        (tmp_path / name).mkdir()
    return {
        "arguments": {
            "queue": PARTITION,
            "interface": "lo",
            "local_directory": str(tmp_path),
            "log_directory": str(tmp_path / "logs"),
            "shared_temp_directory": str(tmp_path / "keys"),
        }
    }


def workers_in_jobs(queue):
    """Command lines of the workers that run in jobs."""
    lines = map(arguments_of, queue.processes_of_jobs())
    return [line for line in lines if "distributed.cli.dask_worker" in line]


def wait_for_jobs(queue, run, count):
    wait_for(
        lambda: len(workers_in_jobs(queue)) == count or run.poll() is not None,
        "workers in jobs of Slurm",
    )
    assert run.poll() is None, run.communicate()
    assert [job.split()[1] for job in queue.jobs()] == ["RUNNING"] * count
    assert queue.jobs("%j %P %C %m") == [f"daskfer {PARTITION} 1 2G"] * count
    assert not any(map(is_worker, children_of(run.pid))), "the run has workers of its own"


def wait_for_nothing_left(queue, keys):
    wait_for(lambda: not queue.jobs(), "the end of all jobs")
    wait_for(lambda: not queue.processes_of_jobs(), "the end of all processes of jobs")
    assert not list(keys.iterdir()), "keys are left"


def test_labels_are_those_of_this_machine(queue, environment, changes, faces, local, tmp_path):
    file = shipped("slurm.yaml", tmp_path, changes)
    run = command(faces, tmp_path / "run", "--cluster", file, "--workers", "2")
    with started(*run, environment=environment) as process:
        wait_for_jobs(queue, process, 2)
        for line in workers_in_jobs(queue):
            assert "tls://127.0.0.1:" in line
            assert "--nthreads 1" in line
        keys = list((tmp_path / "keys").iterdir())
        assert len(keys) == 3
        assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
    assert_same_labels(tmp_path / "run", local)
    wait_for_nothing_left(queue, tmp_path / "keys")
    assert len(list((tmp_path / "logs").glob("daskfer-*.err"))) == 2


def test_jobs_come_with_the_work_and_replace_those_that_end(
    queue, environment, changes, faces, local, tmp_path
):
    """The line of the file that is a comment: `adapt` instead of `workers`."""
    # What waits in case a worker comes back, which those of ended jobs do not.
    changes["dask"] = {"distributed": {"deploy": {"lost-worker-timeout": "1s"}}}
    file = shipped("slurm.yaml", tmp_path, changes)
    content = yaml.safe_load(file.read_text())
    assert content.pop("workers")
    (line,) = re.findall(r"^# (adapt: .*)$", (CONFIGS / "slurm.yaml").read_text(), re.MULTILINE)
    content["adapt"] = {**yaml.safe_load(line)["adapt"], "maximum": 2}
    file.write_text(yaml.safe_dump(content))
    run = command(faces, tmp_path / "run", "--cluster", file)
    with started(*run, environment=environment) as process:
        # Jobs that end before their worker is known are replaced by nobody.
        wait_for(
            lambda: list((tmp_path / "store").glob("ingest/*/*")) or process.poll() is not None,
            "work of the first job",
        )
        assert process.poll() is None, process.communicate()
        first = {job.split()[0] for job in queue.jobs()}
        assert first
        queue.cancel(*first)
        wait_for(
            lambda: {job.split()[0] for job in queue.jobs()} - first or process.poll() is not None,
            "another job",
        )
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
    assert_same_labels(tmp_path / "run", local)
    wait_for_nothing_left(queue, tmp_path / "keys")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_ends_early_leaves_no_job(number, queue, environment, changes, faces, tmp_path):
    """Stopped politely it ends its jobs; killed, its scheduler is gone, and they end themselves."""
    file = shipped("slurm.yaml", tmp_path, changes)
    run = command(faces, tmp_path / "run", "--cluster", file, "--workers", "1")
    with started(*run, environment=environment) as process:
        wait_for_jobs(queue, process, 1)
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == (130 if number == signal.SIGTERM else -number), errors
    wait_for(lambda: not queue.jobs(), "the end of all jobs")
    wait_for(lambda: not queue.processes_of_jobs(), "the end of all processes of jobs")
    # Who is killed deletes nothing; the keys open a scheduler that is no more.
    assert bool(list((tmp_path / "keys").iterdir())) == (number == signal.SIGKILL)
