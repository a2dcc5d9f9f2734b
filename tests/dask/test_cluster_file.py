"""Cluster files: what they may say, and what is said of wrong ones."""

from __future__ import annotations

import dask
import pytest

from daskfer.dask import connect, schedulers
from daskfer.dask.checking import described
from daskfer.dask.cluster_file import read_cluster_file, start_cluster
from daskfer.dask.connect import Where, resolved
from daskfer.errors import MissingPackage, SchedulerError

LOCAL = "cluster: dask.distributed.LocalCluster\n"


@pytest.fixture
def written(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "cluster.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_all_keys(written):
    file = read_cluster_file(
        written(LOCAL + "arguments: {n_workers: 0}\nworkers: 3\ndask: {distributed: {a: 1}}\n")
    )
    assert (file.kind, file.scheduler, file.workers) == (
        "dask.distributed.LocalCluster", None, 3,
    )  # fmt: skip
    assert (file.arguments, file.adapt) == ({"n_workers": 0}, {})
    assert file.dask == {"distributed": {"a": 1}}


def test_a_running_scheduler(written):
    file = read_cluster_file(written("scheduler: tls://host:8786\n"))
    assert (file.kind, file.scheduler) == (None, "tls://host:8786")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "either a key cluster"),
        ("- a\n", "either a key cluster"),
        ("cluster: a.B\nscheduler: tcp://x\n", "either a key cluster"),
        (LOCAL + "wokers: 2\n", "unknown key 'wokers'; expected cluster, scheduler, arguments"),
        (LOCAL + "workers: many\n", "workers='many': expected a number from 1"),
        (LOCAL + "workers: 0\n", "workers=0: expected a number from 1"),
        (LOCAL + "workers: 2\nadapt: {maximum: 3}\n", "workers and adapt exclude each other"),
        (LOCAL + "adapt: {maximum: 0}\n", "adapt: maximum=0: expected a number from 1"),
        (LOCAL + "arguments: [1]\n", "arguments=[1]: expected keys and values"),
        ("scheduler: tcp://x:1\nworkers: 2\n", "workers is for a cluster to be started"),
        ("kind: DaskCluster\n", "a Kubernetes manifest: kubectl apply -f"),
        ("services: {}\n", "a compose file: docker compose -f"),
        ("cluster: [\n", "is not YAML"),
    ],
)
def test_wrong_files(written, text, part):
    with pytest.raises(SchedulerError) as caught:
        read_cluster_file(written(text))
    assert part in str(caught.value)
    assert "cluster.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("{}", {}),
        ("{maximum: 2}", {"maximum": 2, "minimum": 1}),
        ("{minimum: 0, maximum: 2}", {"minimum": 1, "maximum": 2}),
        ("{minimum: null, interval: 1s}", {"minimum": 1, "interval": "1s"}),
        ("{minimum: 3}", {"minimum": 3}),
        ("{minimum_jobs: 0, maximum_jobs: 2}", {"minimum_jobs": 1, "maximum_jobs": 2}),
        ("{minimum_cores: 4}", {"minimum_cores": 4, "minimum": 1}),
    ],
)
def test_adaptive_workers_are_at_least_one(written, text, limits):
    assert read_cluster_file(written(LOCAL + f"adapt: {text}\n")).adapt == limits


def test_certificates_lie_beside_the_file(written, tmp_path, monkeypatch):
    monkeypatch.setenv("KEYS", "/keys")
    file = read_cluster_file(
        written(
            "scheduler: tls://x:1\ndask: {distributed: {comm: {tls: {ca-file: ca.pem, "
            "client: {cert: $KEYS/c.pem, key: /abs/k.pem}, ciphers: ABC}}}}\n"
        )
    )
    assert file.dask["distributed"]["comm"]["tls"] == {
        "ca-file": str(tmp_path / "ca.pem"),
        "client": {"cert": "/keys/c.pem", "key": "/abs/k.pem"},
        "ciphers": "ABC",
    }


def test_a_class_whose_package_is_missing(written, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "dask_gateway", None)
    file = read_cluster_file(written("cluster: dask_gateway.GatewayCluster\n"))
    with pytest.raises(MissingPackage, match=r"pip install 'daskfer\[gateway\]'"):
        start_cluster(file, None)


@pytest.mark.parametrize("name", ["nowhere.Cluster", "dask.distributed.NoCluster", "Cluster"])
def test_a_class_that_is_not_there(written, name):
    file = read_cluster_file(written(f"cluster: {name}\n"))
    with pytest.raises(SchedulerError, match="cannot be imported"):
        start_cluster(file, None)


def test_a_cluster_that_does_not_start(written):
    file = read_cluster_file(written("cluster: builtins.int\narguments: {n_workers: 1}\n"))
    with pytest.raises(SchedulerError, match="the cluster does not start"):
        start_cluster(file, None)


# What goes before what.


@pytest.fixture
def configured():
    with dask.config.set({"scheduler-address": "tcp://configured:1"}):
        yield


def test_the_option_goes_before_the_configuration(configured):
    assert resolved(Where(scheduler="tcp://given:1")).scheduler == "tcp://given:1"


def test_the_configuration_goes_before_this_machine(configured):
    assert resolved(Where()).scheduler == "tcp://configured:1"
    assert not resolved(Where()).local


def test_local_goes_before_the_configuration(configured):
    assert resolved(Where(scheduler=connect.LOCAL)).local


def test_who_asks_for_workers_means_this_machine(configured):
    assert resolved(Where(workers=2)).local
    assert resolved(Where(processes=True)).local


def test_a_cluster_file_goes_before_the_configuration(configured, written):
    path = written("scheduler: tcp://file:1\n")
    assert resolved(Where(cluster_file=path)) == Where(scheduler="tcp://file:1")
    path = written(LOCAL)
    assert resolved(Where(cluster_file=path)) == Where(cluster_file=path)


def test_the_environment_names_a_scheduler(monkeypatch):
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://environment:1")
    with dask.config.set(dask.config.collect_env()):
        assert resolved(Where()).scheduler == "tcp://environment:1"


def test_workers_of_a_running_scheduler():
    with pytest.raises(SchedulerError, match=r"--workers 2 .*tcp://given:1 has its own"):
        resolved(Where(scheduler="tcp://given:1", workers=2))


# daskfer cluster check


def test_check_tells_what_would_be_started(written):
    path = written(LOCAL + "arguments: {n_workers: 0}\nworkers: 3\ndask: {distributed: {a: 1}}\n")
    text = "\n".join(described(path))
    for part in (
        "starts dask.distributed.LocalCluster", "n_workers: 0", "3 workers are started",
        "setting distributed.a is 1", f"daskfer cluster start {path}",
    ):  # fmt: skip
        assert part in text


def test_check_tells_of_adaptive_workers(written):
    text = "\n".join(described(written(LOCAL + "adapt: {minimum: 1, maximum: 9}\n")))
    assert "workers come and go with the work (minimum 1, maximum 9)" in text
    text = "\n".join(described(written(LOCAL + "adapt: {maximum: 9}\n")))
    assert "workers come and go with the work (maximum 9, minimum 1)" in text


def test_check_finds_an_argument_that_the_class_does_not_have(written):
    with pytest.raises(SchedulerError, match="has no argument 'n_wokers'; expected some of"):
        list(described(written(LOCAL + "arguments: {n_wokers: 2}\n")))


def test_check_of_a_scheduler_that_does_not_answer(written, monkeypatch):
    monkeypatch.setattr(schedulers, "CONNECT_SECONDS", 1)
    with pytest.raises(SchedulerError, match=r"no scheduler answers at tcp://127\.0\.0\.1:1"):
        list(described(written("scheduler: tcp://127.0.0.1:1\n")))
