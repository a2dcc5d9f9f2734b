"""Machines for tests: network namespaces that a bridge joins, and cables that can be cut.

Nothing of it is in the machine's own network: every link begins and ends in a namespace of ours.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

NETWORK = "10.77.0"
"""The range of addresses; it is seen inside our namespaces only."""

_numbers = count(1)


@dataclass(frozen=True)
class Machine:
    """A network namespace with one network card, whose cable goes to the switch.

    Attributes
    ----------
    namespace : str
    address : str
        Its IPv4 address.
    switch : str
        The namespace of the switch.
    """

    namespace: str
    address: str
    switch: str

    def here(self, disk: Path | None = None) -> list[str]:
        """What to put before a command that shall run on this machine.

        The files are those of all machines, but for the folder `disk`, if one is given: there each
        command sees an empty one of its own.
        """
        enter = ["ip", "netns", "exec", self.namespace]
        if disk is None:
            return enter
        mount = 'mount -t tmpfs none "$0" && cd "$0" && exec "$@"'
        return [*enter, "unshare", "--mount", "sh", "-c", mount, str(disk)]

    def cut(self) -> None:
        """Pull the cable out of the switch: packets are lost, and nobody is told."""
        self._cable("down")

    def mend(self) -> None:
        """Put the cable back."""
        self._cable("up")

    def _cable(self, state: str) -> None:
        port = f"port{self.address.rpartition('.')[2]}"
        _ip("-n", self.switch, "link", "set", port, state)


def need_namespaces() -> None:
    """Skip where no network namespaces can be made."""
    if shutil.which("ip") is None:
        pytest.skip("ip is not installed: apt-get install iproute2")
    if os.geteuid() != 0:
        pytest.skip("network namespaces are made by root, and this is not root")
    probe = _name("probe")
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"network namespaces cannot be made here: {made.stderr.strip()}")
    _ip("netns", "delete", probe)


@contextmanager
def machines(*names: str) -> Iterator[list[Machine]]:
    """Machines of these names on one switch; all of it is gone at the end."""
    with ExitStack() as stack:
        switch = stack.enter_context(_namespace("switch"))
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        yield [
            _on_switch(stack.enter_context(_namespace(name)), switch, number)
            for number, name in enumerate(names, 1)
        ]


def _on_switch(namespace: str, switch: str, number: int) -> Machine:
    address, port = f"{NETWORK}.{number}", f"port{number}"
    _ip("-n", namespace, "link", "set", "lo", "up")
    # Both ends are born in their namespaces, so that names need not be free outside.
    card = ("link", "add", "card", "type", "veth", "peer", "name", port, "netns", switch)
    _ip("-n", namespace, *card)
    _ip("-n", namespace, "address", "add", f"{address}/24", "dev", "card")
    _ip("-n", namespace, "link", "set", "card", "up")
    _ip("-n", switch, "link", "set", port, "master", "bridge")
    _ip("-n", switch, "link", "set", port, "up")
    return Machine(namespace, address, switch)


@contextmanager
def _namespace(name: str) -> Iterator[str]:
    full = _name(name)
    _ip("netns", "add", full)
    try:
        yield full
    finally:
        _ip("netns", "delete", full)


def _name(name: str) -> str:
    """A name that no other test process uses."""
    return f"daskfer-{os.getpid()}-{next(_numbers)}-{name}"


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


def supervised(command: Sequence[object]) -> list[object]:
    """A command that is started again a second after it ends, as by systemd's Restart=always."""
    return ["sh", "-c", 'while :; do "$@"; sleep 1; done', "supervisor", *command]
