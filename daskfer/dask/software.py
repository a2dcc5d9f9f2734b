"""What software the client, the scheduler and its workers have, and bringing daskfer to them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Client
from distributed.diagnostics.plugin import WorkerPlugin

import daskfer
from daskfer.dask.plugins import name_of
from daskfer.errors import SchedulerError
from daskfer.versions import PACKAGES

NEEDED = (
    "numpy", "scipy", "scikit-learn", "dask", "distributed", "dask-ml", "pandas", "numba",
    "pyarrow", "fsspec", "pillow", "joblib", "skops", "threadpoolctl", "psutil",
)  # fmt: skip
"""Distributions that workers must have; where the versions differ, labels may too."""

COMPARED = tuple(name for name in PACKAGES if name in NEEDED)
"""Those whose versions results depend on."""

HERE = "this machine"


@dataclass(frozen=True)
class Software:
    """Versions by distribution (None where it is missing), Python's among them, of one process."""

    place: str
    packages: dict[str, str | None]

    @property
    def python(self) -> str:
        """Python's version, such as 3.11.7."""
        return ".".join(str(self.packages["python"]).split(".")[:3])


def software_of(client: Client) -> list[Software]:
    """The software here, at the scheduler and at each worker, in this order.

    Asked of Dask itself, whose answers need nothing of ours there: distributions are named as pip
    names them, and none is imported.
    """
    found: Any = client.get_versions(packages=list(NEEDED))
    workers = sorted(found["workers"].items())
    places = [(HERE, found["client"]), ("the scheduler", found["scheduler"])]
    places += [(f"worker {address}", answer) for address, answer in workers]
    return [Software(place, answer["packages"]) for place, answer in places]


def check_software(
    client: Client, warn: Callable[[str], None], *, ship: bool = False, job: str = ""
) -> str:
    """Compare the software of all processes, and bring daskfer itself where it is missing.

    Parameters
    ----------
    client : distributed.Client
    warn : callable
        Called with a line for each difference that need not be an error.
    ship : bool
        Whether to send daskfer's code to the scheduler and its workers, now and to come.
    job : str
        Key of the job that needs it there when this client is gone.

    Returns
    -------
    str
        A line that tells what is there.

    Raises
    ------
    SchedulerError
        When Python's minor versions differ, a package is missing, or daskfer is missing or another.
    """
    here, *others = software_of(client)
    for other in others:
        if other.python.split(".")[:2] != here.python.split(".")[:2]:
            raise SchedulerError(
                f"{other.place} has Python {other.python} and this machine {here.python}: expected "
                "the same minor version, because functions are sent from one to the other"
            )
    for other in others[1:]:
        missing = [name for name in NEEDED if other.packages.get(name) is None]
        if missing:
            raise SchedulerError(
                f"{other.place} lacks {', '.join(missing)}: install there what daskfer needs (pip "
                "install -c constraints.txt . in a copy of its repository)"
            )
    for name in COMPARED:
        for version, places in _others(name, here, others).items():
            warn(
                f"{name} is {here.packages[name]} here and {version} at {places}: labels may "
                "differ in places from those of a run elsewhere"
            )
    if ship:
        ship_code(client, job)
    _check_code(client, ship)
    workers = len(others) - 1
    return (
        f"{workers} worker{'' if workers == 1 else 's'}, Python {here.python}, "
        f"dask {here.packages['dask']}, daskfer {daskfer.__version__}"
    )


def _others(name: str, here: Software, others: list[Software]) -> dict[str, str]:
    """Versions of a package that differ from ours, and where they are."""
    places: dict[str, list[str]] = {}
    for other in others:
        version = other.packages.get(name)
        # A scheduler needs few of them.
        if version is not None and version != here.packages[name]:
            places.setdefault(version, []).append(other.place)
    return {
        version: found[0] + (f" and {len(found) - 1} more" if len(found) > 1 else "")
        for version, found in places.items()
    }


def _check_code(client: Client, shipped: bool) -> None:
    probe = _code_probe()
    ours = probe()
    answers = {"the scheduler": client.run_on_scheduler(probe)}
    for address, answer in sorted(client.run(probe).items()):
        answers[f"worker {address}"] = answer
    for place, theirs in answers.items():
        if theirs == ours:
            continue
        if theirs is None:
            raise SchedulerError(
                f"{place} has no daskfer: install it there, or give --ship-code to send it"
            )
        if shipped:
            raise SchedulerError(
                f"{place} has another daskfer loaded already, which --ship-code cannot replace: "
                "start it again, or install this one there"
            )
        raise SchedulerError(
            f"{place} has another daskfer than this machine's {daskfer.__version__} (or another "
            "state of its code): install the same there, or give --ship-code to send this one"
        )


def _code_probe() -> Callable[[], str | None]:
    """A function that tells a fingerprint of daskfer's code, without importing it.

    A function within a function is sent by value: it runs where there is no daskfer. Where it was
    imported before, that code counts.
    """

    def probe() -> str | None:
        import hashlib
        import importlib.util
        import sys
        from pathlib import Path

        loaded = sys.modules.get("daskfer")
        if loaded is None:
            found = importlib.util.find_spec("daskfer")
            place = None if found is None else found.origin
        else:
            place = loaded.__file__
        if place is None:
            return None
        folder = Path(place).parent
        code = hashlib.blake2b(digest_size=8)
        for path in sorted(folder.rglob("*.py")):
            code.update(path.relative_to(folder).as_posix().encode())
            code.update(path.read_bytes())
        return code.hexdigest()

    return probe


def ship_code(client: Client, job: str = "") -> None:
    """Send daskfer's code to the scheduler and to its workers, also to those that come later.

    It lies in a folder of the worker's own and goes before what is installed there, but not before
    what is loaded. A scheduler that starts afresh needs it again. Workers keep what they have;
    those that come get it while this client is there, or the job of this key is not done.
    """
    extract = _extractor(_packed(), str(_code_probe()()))

    def on_scheduler(dask_scheduler: Any = None) -> None:
        extract(dask_scheduler.local_directory)

    client.run_on_scheduler(on_scheduler)
    client.register_plugin(_plugin(extract, name_of("code", client, job)))


def keep_code(client: Client, job: str = "") -> None:
    """Send daskfer's code to workers that come, where those that are there have it only as sent.

    Who sent it may leave before this client or the job of this key does.
    """
    expected = f"code-{_code_probe()()}"

    def is_sent() -> bool:
        import importlib.util
        import os

        found = importlib.util.find_spec("daskfer")
        place = "" if found is None or found.origin is None else found.origin
        return os.path.basename(os.path.dirname(os.path.dirname(place))) == expected

    if any(client.run(is_sent).values()):
        ship_code(client, job)


def _packed() -> bytes:
    """The package, with its recipes and templates, as a zip archive."""
    folder = Path(daskfer.__file__).parent
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, Path("daskfer", path.relative_to(folder)))
    return buffer.getvalue()


def _extractor(data: bytes, fingerprint: str) -> Callable[[str], None]:
    """A function, sent by value, that unpacks the code in a folder and puts it on the path."""

    def extract(folder: str) -> None:
        import io
        import os
        import sys
        import zipfile

        place = os.path.join(folder, f"code-{fingerprint}")
        if place in sys.path:
            return
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            archive.extractall(place)
        sys.path.insert(0, place)

    return extract


def _plugin(extract: Callable[[str], None], called: str) -> WorkerPlugin:
    class ShippedCode(WorkerPlugin):
        """Unpacks the code when a worker starts; sent by value, as it has to be."""

        name = called

        def setup(self, worker: Any) -> None:
            extract(worker.local_directory)

    return ShippedCode()
