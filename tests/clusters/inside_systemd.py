"""What test_systemd.py runs beside the units, as root, on a system that systemd started.

It starts the units, uses and disturbs them, and writes what it saw to /out/seen.json.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

from distributed import Client

ADDRESS = "tls://127.0.0.1:8786"
UNITS = ["dask-scheduler.service", "dask-worker@1.service", "dask-worker@2.service"]
OUT = Path("/out")


def wait_until(condition, what, seconds=120):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s for {what}: {systemctl('status', *UNITS)}")
        time.sleep(0.2)
    return found


def systemctl(*arguments):
    # Its status is not zero for units that are not active, which status tells.
    must = arguments[0] != "status"
    command = ["systemctl", "--no-pager", "--full", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=must).stdout


def properties(unit):
    names = "MainPID,NRestarts,ActiveState,SubState,User"
    return dict(line.split("=", 1) for line in systemctl("show", unit, "-p", names).splitlines())


def ask(question):
    """What a new client answers, in a loop of its own: the last one's may not be closed yet."""

    async def answer():
        async with Client(ADDRESS, timeout=10, asynchronous=True) as client:
            return await question(client)

    return asyncio.run(answer())


async def workers(client):
    found = (await client.scheduler.identity(n_workers=-1))["workers"]
    return sorted(found.values(), key=lambda one: one["id"])


def workers_are(count):
    """What the scheduler says of its workers, if there are so many; a condition to wait for."""

    def condition():
        try:
            found = ask(workers)
        except (OSError, TimeoutError):
            return None
        return found if len(found) == count else None

    return condition


def say(what):
    """For who reads the log of a test that failed."""
    print(f"{time.monotonic():.1f} {what}", flush=True)


def look_around():
    """What a worker is and may do; runs on a worker."""
    import os
    import socket
    from pathlib import Path

    status = dict(
        line.split(":", 1)
        for line in Path("/proc/self/status").read_text().splitlines()
        if ":" in line
    )

    def refused(action):
        try:
            action()
        except OSError as error:
            return type(error).__name__
        return "allowed"

    return {
        "uid": os.getuid(),
        "no_new_privileges": status["NoNewPrivs"].strip(),
        "capabilities": status["CapEff"].strip(),
        "write to /etc": refused(lambda: Path("/etc/planted").write_text("x")),
        "write to /usr": refused(lambda: Path("/usr/planted").write_text("x")),
        "write to /opt": refused(lambda: Path("/opt/planted").write_text("x")),
        "list /root": refused(lambda: os.listdir("/root")),
        "raw socket": refused(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
        "write to /srv/daskfer": refused(lambda: Path("/srv/daskfer/written").write_text("x")),
        "threads": os.environ["OMP_NUM_THREADS"],
    }


def run_daskfer():
    """A run as the user daskfer, whose client shows a certificate too."""
    user = ["setpriv", "--reuid=daskfer", "--regid=daskfer", "--clear-groups"]
    command = [sys.executable, "-m", "daskfer", "run", "/srv/daskfer/faces.csv"]
    options = ["--scheduler", ADDRESS, "--out", "/srv/daskfer/runs/first"]
    done = subprocess.run(
        [*user, *command, *options, *json.loads((OUT / "options.json").read_text())],
        cwd="/srv/daskfer",
        env={**os.environ, "HOME": "/srv/daskfer"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    return {"status": done.returncode, "said": done.stdout + done.stderr}


def refuses_without_certificate():
    """Whether the scheduler turns away who shows no certificate of its authority."""
    import socket
    import ssl

    context = ssl.create_default_context(cafile=os.environ["DASKFER_TLS_CA"])
    context.check_hostname = False
    try:
        with (
            socket.create_connection(("127.0.0.1", 8786), timeout=10) as plain,
            context.wrap_socket(plain) as link,
        ):
            return "answered" if link.recv(1) else "closed"
    except (ssl.SSLError, ConnectionError) as error:
        return type(error).__name__


def main():
    seen = {}
    say("start")
    systemctl("start", *UNITS)
    known = wait_until(workers_are(2), "two workers")
    keys = ("id", "nthreads", "memory_limit", "local_directory")
    seen["workers"] = [{key: one[key] for key in keys} for one in known]
    say("look around")
    seen["looks"] = list(ask(lambda client: client.run(look_around)).values())
    seen["stranger"] = refuses_without_certificate()
    say("run")
    seen["run"] = run_daskfer()

    say("kill a worker")
    before = properties("dask-worker@1.service")
    systemctl("kill", "--kill-who=all", "--signal=SIGKILL", "dask-worker@1.service")
    wait_until(lambda: properties("dask-worker@1.service")["NRestarts"] == "1", "a restart")
    wait_until(workers_are(2), "two workers after one was killed")
    seen["worker"] = [before, properties("dask-worker@1.service")]

    # Its workers end when it goes away, without an error; all are to be there again.
    say("kill the scheduler")
    systemctl("kill", "--kill-who=all", "--signal=SIGKILL", "dask-scheduler.service")
    wait_until(lambda: properties("dask-scheduler.service")["NRestarts"] == "1", "a scheduler")
    wait_until(workers_are(2), "two workers after the scheduler was killed")
    seen["scheduler"] = properties("dask-scheduler.service")

    say("stop a worker")
    systemctl("stop", "dask-worker@2.service")
    wait_until(workers_are(1), "one worker less")
    seen["stopped"] = properties("dask-worker@2.service")
    say("end")
    return seen


if __name__ == "__main__":
    try:
        result = main()
    except BaseException:
        journal = subprocess.run(["journalctl", "--no-pager"], capture_output=True, text=True)
        result = {"failed": traceback.format_exc() + journal.stdout}
    (OUT / "seen.part").write_text(json.dumps(result))
    (OUT / "seen.part").rename(OUT / "seen.json")
