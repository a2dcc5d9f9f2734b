"""An SSH server on loopback with keys and settings of a test's own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from clusters.shipped import free_ports, kill_marked, marked, wait_for
from processes import started

MARK = "DASKFER_TEST_SSHD"
"""The server sets this variable for whatever it starts."""

SETTINGS = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
AllowUsers {user}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PermitUserRC no
# The folder above the test's is for everyone (/tmp), which it would not like.
StrictModes no
SetEnv {mark}={folder}
"""


@dataclass(frozen=True)
class Sshd:
    """A running server, and what a client needs to log in.

    Attributes
    ----------
    process : int
        Id of the process that listens.
    folder : Path
        Where its keys and settings are.
    connect_options : dict
        As asyncssh.connect takes them.
    """

    process: int
    folder: Path
    connect_options: dict[str, Any]

    def sessions(self) -> list[psutil.Process]:
        """All processes that logins have started and that still run."""
        return marked(MARK, self.folder)


@contextmanager
def sshd(folder: Path) -> Iterator[Sshd]:
    """Start a server; at its end nothing runs that it started."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no SSH server here: apt-get install openssh-server")
    if os.geteuid() == 0:
        # It insists on this empty folder, which the system's own service would have made.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    (port,), user = free_ports(1), getpass.getuser()
    for name in ("host", "user"):
        generate = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name]
        subprocess.run(generate, check=True, timeout=30)
    kind, key = (folder / "host.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    settings = SETTINGS.format(port=port, folder=folder, user=user, mark=MARK)
    (folder / "sshd_config").write_text(settings)
    listen = (program, "-D", "-f", folder / "sshd_config", "-E", folder / "log")
    options = {
        "port": port,
        "username": user,
        "client_keys": [str(folder / "user")],
        "known_hosts": str(folder / "known_hosts"),
        # Nothing from the home folder of whoever runs the tests.
        "config": None,
        "agent_path": None,
    }
    with started(*listen, heard=False) as process:
        try:
            wait_for(lambda: _answers(port) or process.poll() is not None, "the SSH server")
            assert process.poll() is None, (folder / "log").read_text()
            yield Sshd(process.pid, folder, options)
        finally:
            kill_marked(MARK, folder)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
