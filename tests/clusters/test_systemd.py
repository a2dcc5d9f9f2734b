"""The systemd units: they are valid, and a real systemd runs them as they stand.

That systemd is the first process of a container with a network of its own (systemd-nspawn), whose
/usr is this machine's; units and dask.env.example are used without a change.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from commands import QUICK, as_here, cluster_of, free_ports, run_on, running
from dask.utils import parse_bytes
from processes import is_alive, wait_until

PROJECT = Path(__file__).resolve().parents[2]
UNITS = PROJECT / "cluster_configs" / "systemd"
SCHEDULER = UNITS / "dask-scheduler.service"
WORKER = UNITS / "dask-worker@.service"
BOTH = [SCHEDULER, WORKER]
VENV = Path(sys.executable).parents[1]
PACKAGES = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def settings(unit):
    """What a unit says, by key; of keys that come twice, the last."""
    text = re.sub(r"\\\n\s*", "", unit.read_text())
    lines = [line for line in text.splitlines() if line and line[0] not in "#["]
    return dict(line.split("=", 1) for line in lines)


def environment_file():
    lines = (UNITS / "dask.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def command(unit, environment, instance="1"):
    """ExecStart as systemd would run it: variables and specifiers put in."""
    text = settings(unit)["ExecStart"].replace("%i", instance).replace("%H", "host")
    assert "%" not in text
    return [
        re.sub(r"\$\{(\w+)\}", lambda name: environment[name[1]], one) for one in shlex.split(text)
    ]


def make_certificates(folder):
    """An authority, and one certificate that it signed for 127.0.0.1, in files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def name(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def certificate(subject, key, signer, is_authority):
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .sign(signer, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    authority, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    folder.mkdir(parents=True)
    (folder / "ca.pem").write_bytes(certificate("authority", authority, authority, True))
    (folder / "cert.pem").write_bytes(certificate("machine", own, authority, False))
    (folder / "key.pem").write_bytes(
        own.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def tls(environment):
    """Dask's configuration of a client's TLS, by environment."""
    key = "DASK_DISTRIBUTED__COMM__TLS__"
    return {
        f"{key}CA_FILE": environment["DASKFER_TLS_CA"],
        f"{key}CLIENT__CERT": environment["DASKFER_TLS_CERT"],
        f"{key}CLIENT__KEY": environment["DASKFER_TLS_KEY"],
    }


# What systemd says to the files.


def analyze(*arguments):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("Debian's package systemd is not installed")
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def copied(unit, folder, old=None, new=None):
    """A unit of this environment's programs, which are not in /opt; its name with an instance."""
    text = unit.read_text().replace("/opt/daskfer/bin", str(VENV / "bin"))
    if old is not None:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / unit.name).write_text(text)
    return folder / unit.name.replace("@.", "@1.")


def verify(unit):
    return analyze("verify", "--man=no", "--recursive-errors=no", unit)


@pytest.mark.parametrize("unit", BOTH, ids=lambda unit: unit.name)
def test_systemd_takes_the_unit(tmp_path, unit):
    done = verify(copied(unit, tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", BOTH, ids=lambda unit: unit.name)
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Restart=always", "Restart=ever", "restart specifier"),
        ("RestrictNamespaces=yes", "RestrictNamespace=yes", "RestrictNamespace"),
        ("MemoryMax=2", "MemoryMax=two", "memory limit"),
        ("/bin/dask ", "/bin/desk ", "desk"),
        ("ExecStart=", "ExecBegin=", "ExecBegin"),
    ],
)
def test_systemd_finds_a_planted_error(tmp_path, unit, old, new, said):
    done = verify(copied(unit, tmp_path, old, new))
    # Of some it only warns; the test above wants to hear nothing at all.
    assert said in done.stderr


@pytest.mark.parametrize("unit", BOTH, ids=lambda unit: unit.name)
def test_exposure_is_low(tmp_path, unit):
    """systemd's own measure of what a unit could do to the machine: 0 to 10, times ten here."""
    limit = "--threshold=20"
    hardened = analyze("security", "--offline=true", limit, copied(unit, tmp_path))
    assert hardened.returncode == 0, hardened.stdout
    text = re.sub(r"(?m)^(Protect|Restrict|Private|System|Capab).*\n", "", unit.read_text())
    (tmp_path / unit.name).write_text(text.replace("/opt/daskfer/bin", str(VENV / "bin")))
    bare = analyze("security", "--offline=true", limit, tmp_path / unit.name.replace("@.", "@1."))
    assert bare.returncode != 0


def test_values_fit_together():
    environment = environment_file()
    host, port = environment["DASKFER_HOST"], environment["DASKFER_PORT"]
    assert environment["DASKFER_SCHEDULER"] == f"tls://{host}:{port}"
    assert environment["DASKFER_DASHBOARD"].startswith("127.0.0.1:")
    limit = parse_bytes(environment["DASKFER_WORKER_MEMORY"])
    assert parse_bytes(settings(WORKER)["MemoryMax"] + "iB") == limit + 512 * 2**20
    for unit in BOTH:
        assert settings(unit)["Restart"] == "always"
        assert "MemoryDenyWriteExecute" not in settings(unit)


@pytest.mark.slow
@pytest.mark.cluster
def test_commands_carry_a_run_over_tls(faces_csv, tmp_path, clean_environment, monkeypatch):
    port, dashboard = free_ports(2)
    certificates = tmp_path / "tls"
    make_certificates(certificates)
    values = {
        **environment_file(),
        "DASKFER_PORT": str(port),
        "DASKFER_DASHBOARD": f"127.0.0.1:{dashboard}",
        "DASKFER_SCHEDULER": f"tls://127.0.0.1:{port}",
        "DASKFER_TLS_CA": str(certificates / "ca.pem"),
        "DASKFER_TLS_CERT": str(certificates / "cert.pem"),
        "DASKFER_TLS_KEY": str(certificates / "key.pem"),
        "DASKFER_STORE": clean_environment["DASKFER_STORE"],
    }
    environment = {**clean_environment, **values}
    cache = {"/var/cache/daskfer": str(tmp_path)}
    scheduler = as_here(command(SCHEDULER, values), {})
    workers = [as_here(command(WORKER, values, number), cache) for number in "12"]
    address = values["DASKFER_SCHEDULER"]
    with (
        in_configuration(tls(values)),
        cluster_of(scheduler, workers, address, tmp_path, environment) as known,
    ):
        assert all(one.startswith("tls://") for one in known)
        assert sorted(one["id"] for one in known.values()) == ["host-1", "host-2"]
        environment |= tls(values)
        metrics = run_on(faces_csv, tmp_path, environment, "--scheduler", address)
        assert metrics["rows"]["read"] == 1800


def in_configuration(environment):
    """Dask's configuration of these variables, for this process and for a while."""
    import dask.config

    # One by one: a whole branch would take the place of all that is configured beside it.
    tls = dask.config.collect_env(environment)["distributed"]["comm"]["tls"]
    return dask.config.set(
        {
            "distributed.comm.tls.ca-file": tls["ca_file"],
            "distributed.comm.tls.client.cert": tls["client"]["cert"],
            "distributed.comm.tls.client.key": tls["client"]["key"],
        }
    )


# A real systemd.


def make_environment(folder):
    """This virtual environment for /opt/daskfer, of the Python that is mounted in /opt/python.

    Units see neither /root nor /home, where a developer's Python may lie, and the first line of a
    program names the place where its environment was made.
    """
    (folder / PACKAGES).mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(f"/opt/python/bin/{PACKAGES.split('/')[1]}")
    (folder / "pyvenv.cfg").write_text("home = /opt/python/bin\n")
    program = folder / "bin" / "dask"
    lines = (VENV / "bin" / "dask").read_text().splitlines(keepends=True)
    program.write_text("".join(["#!/opt/daskfer/bin/python\n", *lines[1:]]))
    program.chmod(0o755)
    return folder


@contextmanager
def own_groups(name):
    """Control groups for one container, below this process's, where systemd keeps its units.

    Otherwise two containers at a time would share theirs, and leave them behind.
    """
    made = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        places = {"": ("unified", ""), "name=systemd": ("systemd",)}.get(controllers, ())
        for place in places:
            folder = Path("/sys/fs/cgroup", place, path.lstrip("/"))
            if (folder / "cgroup.procs").exists():
                made.append(folder / name)
                break
    for folder in made:
        folder.mkdir()
    try:
        yield made
    finally:
        for folder in made:
            wait_until(lambda folder=folder: is_removed(folder), f"the end of {folder}")


def is_removed(group):
    """Remove a control group and all below; those of processes that are ending, the next time."""
    for path, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):
            os.rmdir(path)
    return not group.exists()


@pytest.fixture
def booted(tmp_path, faces_csv):
    """What was seen on a system that systemd started with the units (inside_systemd.py)."""
    if shutil.which("systemd-nspawn") is None:
        pytest.skip("Debian's package systemd-container is not installed")
    if os.geteuid() != 0:
        pytest.skip("only root starts containers")
    out, etc, srv = tmp_path / "out", tmp_path / "etc", tmp_path / "srv"
    for folder in (out, srv):
        folder.mkdir()
    make_certificates(etc / "tls")
    (out / "options.json").write_text(json.dumps(QUICK))
    shutil.copy(Path(__file__).with_name("inside_systemd.py"), out / "inside.py")
    shutil.copy(faces_csv, srv / "faces.csv")
    # Project and Python are looked for where they are mounted, not where they are on this machine.
    values = {
        **environment_file(),
        "PYTHONPATH": "/opt/project",
        "LD_LIBRARY_PATH": "/opt/python/lib",
    }
    (etc / "dask.env").write_text("".join(f"{name}={text}\n" for name, text in values.items()))
    user = max((one.pw_uid for one in pwd.getpwall() if one.pw_uid < 60000), default=1000) + 1
    (tmp_path / "passwd").write_text(
        f"root:x:0:0:root:/root:/bin/sh\ndaskfer:x:{user}:{user}::/srv/daskfer:/bin/sh\n"
    )
    (tmp_path / "group").write_text(f"root:x:0:\ndaskfer:x:{user}:\n")
    for path in (srv, srv / "faces.csv", etc / "tls", *(etc / "tls").iterdir()):
        os.chown(path, user, user)
    (etc / "tls" / "key.pem").chmod(0o600)
    environment = make_environment(tmp_path / "environment")
    (tmp_path / "probe.service").write_text(PROBE)
    mounts = {
        tmp_path / "passwd": "/etc/passwd",
        tmp_path / "group": "/etc/group",
        Path("/etc/ld.so.cache"): "/etc/ld.so.cache",
        etc: "/etc/daskfer",
        Path(sys.base_prefix): "/opt/python",
        environment: "/opt/daskfer",
        VENV / PACKAGES: f"/opt/daskfer/{PACKAGES}",
        PROJECT: "/opt/project",
        SCHEDULER: f"/etc/systemd/system/{SCHEDULER.name}",
        WORKER: f"/etc/systemd/system/{WORKER.name}",
        tmp_path / "probe.service": "/etc/systemd/system/probe.service",
    }
    boot = [
        *("systemd-nspawn", "--quiet", "--directory=/", "--volatile=yes", "--private-network"),
        *("--register=no", "--keep-unit", "--boot", "--console=pipe"),
        *(f"--bind-ro={here}:{there}" for here, there in mounts.items()),
        *(f"--bind={out}:/out", f"--bind={srv}:/srv/daskfer"),
        "systemd.unit=probe.service",
    ]
    # systemd-nspawn wants a /run of its own, and gets it where nobody else sees it.
    log = tmp_path / "log"
    with ExitStack() as stack:
        groups = stack.enter_context(own_groups(f"daskfer-{os.getpid()}"))
        joins = "".join(f"echo $$ >{shlex.quote(str(one))}/cgroup.procs && " for one in groups)
        start = f"{joins}mount -t tmpfs tmpfs /run && exec {shlex.join(boot)}"
        system = stack.enter_context(
            running(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", start],
                log,
                {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            )
        )
        wait_until(
            lambda: (out / "seen.json").exists() or not is_alive(system.pid), "the probe", 560
        )
    said = log.read_text() + "".join(one.read_text() for one in out.glob("*.log"))
    assert (out / "seen.json").exists(), said
    seen = json.loads((out / "seen.json").read_text())
    assert "failed" not in seen, seen["failed"] + said
    return {**seen, "user": user, "srv": srv}


PROBE = """
[Service]
Type=oneshot
EnvironmentFile=/etc/daskfer/dask.env
Environment=DASK_DISTRIBUTED__COMM__TLS__CA_FILE=/etc/daskfer/tls/ca.pem
Environment=DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT=/etc/daskfer/tls/cert.pem
Environment=DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY=/etc/daskfer/tls/key.pem
ExecStart=/opt/daskfer/bin/python /out/inside.py
ExecStopPost=/bin/systemctl --no-block exit 0
StandardOutput=append:/out/probe.log
StandardError=append:/out/probe.log
"""


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.timeout(600)  # numba compiles in each of its processes
def test_systemd_runs_the_units_and_starts_again_what_ends(booted):
    assert [one["id"].rpartition("-")[2] for one in booted["workers"]] == ["1", "2"]
    for one in booted["workers"]:
        assert one["nthreads"] == 1
        assert one["memory_limit"] == 2 * 2**30
        assert one["local_directory"].startswith("/var/cache/daskfer/worker-")
    for look in booted["looks"]:
        assert look == {
            "uid": booted["user"],
            "no_new_privileges": "1",
            "capabilities": "0" * 16,
            "write to /etc": "OSError",
            "write to /usr": "OSError",
            "write to /opt": "OSError",
            "list /root": "PermissionError",
            "raw socket": "OSError",
            "write to /srv/daskfer": "allowed",
            "threads": "1",
        }
    assert booted["stranger"] in {"SSLError", "ConnectionResetError", "closed"}
    # A whole run, numba's compiling included.
    assert booted["run"]["status"] == 0, booted["run"]["said"]
    metrics = json.loads((booted["srv"] / "runs" / "first" / "metrics.json").read_text())
    assert metrics["rows"]["read"] == 1800
    before, after = booted["worker"]
    assert before["NRestarts"] == "0"
    assert after["ActiveState"] == booted["scheduler"]["ActiveState"] == "active"
    assert after["MainPID"] != before["MainPID"]
    assert after["User"] == booted["scheduler"]["User"] == "daskfer"
    # Who is told to stop stays stopped, without having to be killed.
    assert booted["stopped"]["ActiveState"] == "inactive"
    assert booted["stopped"]["SubState"] == "dead"
