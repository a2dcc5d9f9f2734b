"""What is said of workers with other software, and bringing daskfer to those that lack it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest
from distributed import Client
from processes import daskfer, started, wait_until

from daskfer.dask import software
from daskfer.dask.connect import Where, connected
from daskfer.dask.plugins import cleared
from daskfer.dask.software import HERE, Software, check_software, keep_code
from daskfer.errors import SchedulerError

HAS = {"python": "3.11.7.final.0", **dict.fromkeys(software.NEEDED, "1.0")}


def of(place: str, **changes: str | None) -> Software:
    renamed = {name.replace("_", "-"): version for name, version in changes.items()}
    return Software(place, {**HAS, **renamed})


class Nobody:
    """A client whose processes all have the code that is here."""

    def run_on_scheduler(self, function):
        return function()

    def run(self, function):
        return {"tcp://w1": function(), "tcp://w2": function()}


def checked(monkeypatch, *found: Software) -> tuple[str, list[str]]:
    monkeypatch.setattr(software, "software_of", lambda client: list(found))
    warned: list[str] = []
    return check_software(Nobody(), warned.append), warned


def test_all_the_same(monkeypatch):
    line, warned = checked(
        monkeypatch, of(HERE), of("the scheduler"), of("worker tcp://w1"), of("worker tcp://w2")
    )
    assert line.startswith("2 workers, Python 3.11.7, dask 1.0, daskfer ")
    assert warned == []


def test_another_python(monkeypatch):
    with pytest.raises(
        SchedulerError, match=r"the scheduler has Python 3\.12\.1 and this machine 3\.11\.7"
    ):
        checked(monkeypatch, of(HERE), of("the scheduler", python="3.12.1.final.0"))
    # Bytecode is the same within a minor version.
    _, warned = checked(monkeypatch, of(HERE), of("the scheduler", python="3.11.2.final.0"))
    assert warned == []


def test_a_package_that_a_worker_lacks(monkeypatch):
    with pytest.raises(SchedulerError, match=r"worker tcp://w1 lacks scikit-learn, dask-ml: inst"):
        checked(
            monkeypatch, of(HERE), of("the scheduler"),
            of("worker tcp://w1", scikit_learn=None, dask_ml=None),
        )  # fmt: skip


def test_a_scheduler_needs_few_packages(monkeypatch):
    _, warned = checked(
        monkeypatch, of(HERE), of("the scheduler", scikit_learn=None), of("worker tcp://w1")
    )
    assert warned == []


def test_other_versions_are_told_once_each(monkeypatch):
    others = [of(f"worker tcp://w{number}", numpy="2.0") for number in range(3)]
    _, warned = checked(monkeypatch, of(HERE), of("the scheduler"), *others)
    assert len(warned) == 1
    assert warned[0].startswith(
        "numpy is 1.0 here and 2.0 at worker tcp://w0 and 2 more: labels may differ"
    )


def test_a_real_scheduler_is_asked():
    with connected(Where(workers=1)) as client:
        here, scheduler, worker = software.software_of(client)
        assert here.place == HERE
        assert here.packages["scikit-learn"] == worker.packages["scikit-learn"]
        assert all(here.packages[name] for name in software.NEEDED)
        assert scheduler.python == worker.python == here.python
        warned: list[str] = []
        assert check_software(client, warned.append).startswith("1 worker, Python")
        assert warned == []


# Processes without daskfer: they start as Dask's own do, less the folder that it is imported from.

BARE = """
import runpy, sys
sys.path = [path for path in sys.path if path not in sys.argv[1].split("|")]
del sys.argv[1]
module = sys.argv.pop(1)
runpy.run_module(module, run_name="__main__")
"""


def bare(folder: Path, module: str, *arguments: object) -> AbstractContextManager[object]:
    """A process of Dask's that has everything but daskfer."""
    project = os.path.dirname(os.path.dirname(software.daskfer.__file__))
    script = folder / "bare.py"
    script.write_text(BARE)
    without = "|".join({project, os.path.realpath(project), "", str(folder)})
    return started(
        sys.executable, script, without, f"distributed.cli.dask_{module}", "--no-dashboard",
        "--scheduler-file", folder / "scheduler.json", *arguments,
        environment={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        log=folder / f"{module}.log",
    )  # fmt: skip


def bare_worker(folder: Path) -> AbstractContextManager[object]:
    return bare(
        folder, "worker", "--nthreads", "1", "--no-nanny", "--local-directory", folder / "worker"
    )


@pytest.fixture
def bare_scheduler(tmp_path):
    """A scheduler and a worker that have everything but daskfer."""
    ready = tmp_path / "scheduler.json"
    with (
        bare(tmp_path, "scheduler", "--host", "127.0.0.1", "--port", "0"),
        bare_worker(tmp_path),
    ):
        wait_until(ready.exists, "the scheduler's file")
        with Client(scheduler_file=str(ready)) as client:
            client.wait_for_workers(1, timeout=60)
            yield client


@pytest.mark.slow
def test_code_is_shipped_where_it_is_missing(bare_scheduler):
    with pytest.raises(SchedulerError, match=r"has no daskfer: .* --ship-code"):
        check_software(bare_scheduler, print)
    assert "daskfer" in check_software(bare_scheduler, print, ship=True)
    # Recipes lie beside the code, and functions are sent by their names.
    from daskfer.recipe import shipped_recipes

    assert bare_scheduler.submit(shipped_recipes).result() == shipped_recipes()
    # Again, as the next run does it.
    assert "daskfer" in check_software(bare_scheduler, print, ship=True)


@pytest.mark.slow
def test_code_that_another_sent_comes_to_later_workers_too(bare_scheduler, tmp_path):
    """Who sent it is gone by then, and so is what would give it to workers that come."""
    address = bare_scheduler.scheduler.address
    with Client(address, set_as_default=False) as other, cleared(other):
        check_software(other, print, ship=True)

    def has_it() -> bool:
        import importlib.util

        return importlib.util.find_spec("daskfer") is not None

    with bare_worker(tmp_path):
        bare_scheduler.wait_for_workers(2, timeout=60)
        assert sorted(bare_scheduler.run(has_it).values()) == [False, True]
    wait_until(lambda: len(bare_scheduler.run(has_it)) == 1, "the second worker's end")
    with cleared(bare_scheduler):
        check_software(bare_scheduler, print)
        keep_code(bare_scheduler)
        with bare_worker(tmp_path):
            bare_scheduler.wait_for_workers(2, timeout=60)
            assert list(bare_scheduler.run(has_it).values()) == [True, True]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ship", "part"),
    [(True, "another daskfer loaded already"), (False, "another daskfer than this machine's")],
)
def test_another_state_of_the_code(bare_scheduler, monkeypatch, tmp_path, ship, part):
    check_software(bare_scheduler, print, ship=True)
    assert bare_scheduler.run(lambda: __import__("daskfer").__version__)
    # A copy of the package here, of which a module has changed since.
    copy = tmp_path / "changed" / "daskfer"
    shutil.copytree(os.path.dirname(software.daskfer.__file__), copy)
    (copy / "errors.py").write_text("# changed\n")
    monkeypatch.setattr(software.daskfer, "__file__", str(copy / "__init__.py"))
    with pytest.raises(SchedulerError, match=part):
        check_software(bare_scheduler, print, ship=ship)


@pytest.mark.slow
@pytest.mark.cluster
def test_a_job_is_driven_by_the_code_that_was_sent(
    bare_scheduler, faces_csv, tmp_path, clean_environment
):
    address = bare_scheduler.scheduler.address
    command = ("submit", faces_csv, "--recipe", "hog", "--set", "classify.model=none")
    refused = daskfer(*command, "--scheduler", address, environment=clean_environment, cwd=tmp_path)
    assert refused.returncode == 1
    assert "has no daskfer: install it there, or give --ship-code" in refused.stderr
    done = daskfer(
        *command, "--scheduler", address, "--ship-code", environment=clean_environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    job = done.stdout.strip()

    def driver() -> int:
        found = daskfer("jobs", "status", job, "--json", environment=clean_environment)
        return int(json.loads(found.stdout)["pid"] or 0)

    wait_until(driver, "the job's process")
    paths = psutil.Process(driver()).environ()["PYTHONPATH"].split(os.pathsep)
    assert f"{os.sep}code-" in paths[0]
    assert os.path.isdir(os.path.join(paths[0], "daskfer", "recipes"))
    ended = daskfer("jobs", "status", job, "--wait", environment=clean_environment)
    assert ended.returncode == 0, ended.stderr
