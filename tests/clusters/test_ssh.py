"""cluster_configs/ssh.yaml, on workers that a real SSH server starts."""

from __future__ import annotations

import signal

import pytest
import yaml
from clusters.shipped import CONFIGS, arguments_of, assert_same_labels, command, shipped, wait_for
from clusters.sshd import sshd
from processes import children_of, daskfer, make_certificates, started

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture
def server(tmp_path):
    pytest.importorskip("asyncssh", reason="asyncssh is not installed: pip install 'daskfer[ssh]'")
    folder = tmp_path / "sshd"
    folder.mkdir()
    with sshd(folder) as running:
        yield running


def changes(server, workers=1, **more):
    """What must differ here: one machine, which answers on loopback, and its keys."""
    return {
        "arguments": {
            "hosts": ["127.0.0.1"] * (1 + workers),
            "connect_options": server.connect_options,
            "scheduler_options": {"host": "127.0.0.1", **more},
            # A scheduler that ends before its workers have found it cannot tell them.
            "worker_options": {"host": "127.0.0.1", "death_timeout": 30},
        }
    }


def dask_over_ssh(server):
    """Command lines of the Dask processes that logins have started."""
    lines = map(arguments_of, server.sessions())
    return [line for line in lines if "distributed.cli.dask_spec" in line and "-c " not in line]


def workers_over_ssh(server):
    return [line for line in dask_over_ssh(server) if "distributed.Nanny" in line]


def wait_for_workers(server, run, count):
    wait_for(
        lambda: len(workers_over_ssh(server)) == count or run.poll() is not None,
        "workers that the SSH server has started",
    )
    assert run.poll() is None, run.communicate()
    assert children_of(run.pid) == [], "the run has workers of its own"


def wait_for_nothing_left(server):
    wait_for(lambda: not server.sessions(), "the end of all that was started over SSH")


def test_labels_are_those_of_this_machine(server, faces, local, tmp_path, clean_environment):
    file = shipped("ssh.yaml", tmp_path, changes(server, workers=2))
    run = command(faces, tmp_path / "run", "--cluster", file)
    with started(*run, environment=clean_environment) as process:
        wait_for_workers(server, process, 2)
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
    assert_same_labels(tmp_path / "run", local)
    wait_for_nothing_left(server)


def test_with_tls_as_the_file_proposes(server, faces, local, tmp_path, clean_environment):
    """The lines of the file that are comments, with certificates that are made here."""
    certificates = make_certificates(tmp_path / "certificates", "--host", "127.0.0.1")
    lines = (CONFIGS / "ssh.yaml").read_text().partition("    # comm:\n")[2].splitlines()
    proposed = "\n".join(line.replace("    # ", "", 1) for line in lines)
    assert proposed.count("/home/me/daskfer") == 7
    comm = yaml.safe_load(proposed.replace("/home/me/daskfer", str(certificates.folder)))
    file = shipped(
        "ssh.yaml", tmp_path, {**changes(server), "dask": {"distributed": {"comm": comm}}}
    )
    run = command(faces, tmp_path / "run", "--cluster", file)
    with started(*run, environment=clean_environment) as process:
        wait_for_workers(server, process, 1)
        assert all("tls://127.0.0.1:" in line for line in workers_over_ssh(server))
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
    assert_same_labels(tmp_path / "run", local)
    wait_for_nothing_left(server)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_ends_early_leaves_no_process(
    number, server, faces, tmp_path, clean_environment
):
    """Stopped politely it ends all; killed, the scheduler ends itself when nobody has work."""
    file = shipped("ssh.yaml", tmp_path, changes(server, idle_timeout="3s"))
    run = command(faces, tmp_path / "run", "--cluster", file)
    with started(*run, environment=clean_environment) as process:
        wait_for_workers(server, process, 1)
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == (130 if number == signal.SIGTERM else -number), errors
    wait_for_nothing_left(server)


def assert_refused(server, run, environment, reason):
    done = daskfer(*run, environment=environment)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert reason in last
    assert "Traceback" not in done.stderr
    wait_for_nothing_left(server)


def test_a_machine_that_is_not_known_is_refused(server, faces, tmp_path, clean_environment):
    (server.folder / "known_hosts").write_text("")
    file = shipped("ssh.yaml", tmp_path, changes(server))
    run = command(faces, tmp_path / "run", "--cluster", file)[3:]
    reason = f"{file}: the cluster does not start: Host key is not trusted"
    assert_refused(server, run, clean_environment, reason)


def test_another_number_of_workers_is_refused(server, faces, tmp_path, clean_environment):
    file = shipped("ssh.yaml", tmp_path, changes(server))
    run = command(faces, tmp_path / "run", "--cluster", file, "--workers", "2")[3:]
    assert_refused(server, run, clean_environment, "workers=2")
