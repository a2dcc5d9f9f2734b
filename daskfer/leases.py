"""Who is at work on a store.

A run writes a lease, ``STORE/leases/<uuid>.json``, and then looks for clears, which it lets end; a
clear writes one and then looks for runs, to which it gives way. Whichever of two comes first, one
of them sees the other. A lease that a killed process leaves counts no more.
"""

from __future__ import annotations

import errno
import os
import shlex
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from daskfer import storage
from daskfer.errors import CacheError
from daskfer.tree import Tree

LEASES = "leases"

TURN = ".turn"
"""How the names of files there end that say whose turn it is at a stage (see `daskfer.turns`)."""

FOREIGN_LEASE = timedelta(days=7)
"""How long a lease counts whose process we cannot look for, because it is another machine's."""

CLEAR_SECONDS = 60
"""How long a run waits for a clear before it gives up."""


@dataclass(frozen=True)
class Lease:
    """A process at work on a store: a run, or a clear.

    Attributes
    ----------
    path : str
        Its file.
    purpose : str
        "run" or "clear".
    host, namespace : str
        The machine, and its process ids' namespace: containers may share a host's name.
    pid : int
    since_boot : float
        Seconds from the machine's boot to the start of the process.
    started : str
        When the lease was written: ISO time.
    command : str
    """

    path: str
    purpose: str
    host: str
    namespace: str
    pid: int
    since_boot: float
    started: str
    command: str

    def __str__(self) -> str:
        since = datetime.fromisoformat(self.started).astimezone()
        who = f"pid {self.pid} on host {self.host}"
        return f"a {self.purpose} ({who}, since {since:%Y-%m-%d %H:%M})"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the path is where they are, and not among them."""
        return {name: value for name, value in asdict(self).items() if name != "path"}


@contextmanager
def working(root: str) -> Iterator[None]:
    """Hold a lease on a store, so that nobody clears it meanwhile.

    Raises
    ------
    CacheError
        When a clear of it does not end within a minute.
    """
    with leased(root, "run"):
        deadline = time.monotonic() + CLEAR_SECONDS
        while clears := [lease for lease in users(root) if lease.purpose == "clear"]:
            if time.monotonic() > deadline:
                raise CacheError(
                    f"{clears[0]} is at work on the store {root}: wait for it, or remove "
                    f"{clears[0].path} if it has ended"
                )
            time.sleep(0.1)
        yield


def check_unused(root: str) -> None:
    """Refuse a store that a run is at work on.

    Raises
    ------
    CacheError
    """
    if runs := [lease for lease in users(root) if lease.purpose != "clear"]:
        raise CacheError(
            f"{runs[0]} uses this store: wait for it, or --force (its lease is {runs[0].path})"
        )


def users(root: str) -> list[Lease]:
    """The leases of living processes on a store, the oldest first."""
    alive = [lease for lease in _leases(root) if is_alive(lease)]
    return sorted(alive, key=lambda lease: lease.started)


def is_alive(lease: Lease) -> bool:
    """Whether a lease counts.

    On this machine: whether its process is there, and no other one that got its number since. Of
    another machine: whether it is young.
    """
    if (lease.host, lease.namespace) == machine():
        return is_running(lease.pid, lease.since_boot)
    return _age(lease) < FOREIGN_LEASE


def is_running(pid: int, started: float) -> bool:
    """Whether the process of this number is there that began so many seconds after boot."""
    start = since_boot(pid)
    return start is not None and abs(start - started) < 2


def drop_dead_leases(root: str) -> None:
    """Remove the leases that killed processes left, and whose turn it was at a stage."""
    tree = Tree.at(root)
    for lease in _leases(root):
        if not is_alive(lease):
            tree.remove(LEASES, lease.path.rpartition("/")[2])
    # Who takes turns is a run at work.
    if not any(lease.purpose == "run" for lease in users(root)):
        for name in tree.entries(LEASES):
            if name.endswith(TURN):
                tree.remove(LEASES, name)


def _age(lease: Lease) -> timedelta:
    return datetime.now(UTC) - datetime.fromisoformat(lease.started)


@contextmanager
def leased(root: str, purpose: str) -> Iterator[None]:
    path = storage.join(root, LEASES, f"{uuid.uuid4().hex}.json")
    host, namespace = machine()
    lease = Lease(
        path=path,
        purpose=purpose,
        host=host,
        namespace=namespace,
        pid=os.getpid(),
        since_boot=since_boot(os.getpid()) or 0.0,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        command=shlex.join(["daskfer", *sys.argv[1:]]),
    )
    try:
        try:
            storage.write_json(path, lease.as_dict())
        except OSError as error:
            # A store that we may only read serves a run whose stages are all there.
            if not (isinstance(error, PermissionError) or error.errno == errno.EROFS):
                raise
        yield
    finally:
        # One that cannot be removed counts no more when this process has ended; and whatever a
        # remote file system raises, it must not hide why the store could not be reached.
        with suppress(Exception):
            Tree.at(root).remove(LEASES, path.rpartition("/")[2])


def _leases(root: str) -> list[Lease]:
    """All leases on a store, also of processes that are gone."""
    found = []
    for name in Tree.at(root).entries(LEASES):
        path = storage.join(root, LEASES, name)
        if name.endswith(".json"):
            with suppress(FileNotFoundError):
                found.append(_read_lease(path))
    return found


def _read_lease(path: str) -> Lease:
    try:
        lease = Lease(**{**storage.read_json(path), "path": path})
        _age(lease)
        if not (lease.pid > 0 and lease.since_boot >= 0):
            raise ValueError(f"{path} is no lease")
    except (ValueError, TypeError):
        # Of a later version, or being written: it counts until somebody has looked at it.
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Lease(path, "run", "unknown", "", 0, 0.0, now, "")
    return lease


def machine() -> tuple[str, str]:
    """This machine's name, and the namespace of process ids where the system has such."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return socket.gethostname(), namespace


def since_boot(pid: int) -> float | None:
    """Seconds from boot to the start of a process; None when it has ended.

    From boot, because somebody may set the clock while the process runs.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time() - psutil.boot_time())
    except psutil.NoSuchProcess:
        return None
