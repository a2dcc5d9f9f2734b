"""Several files of a local folder replaced together, whenever the one who does it is killed.

New files are written into ``FOLDER/.new-<uuid>``, which one rename makes ``FOLDER/.switching``:
from then on they count, and each is moved to its place. What a killed process left before that
rename counts for nothing and is deleted by the next rewrite; what it left after, `settle` moves.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from daskfer import storage

SWITCHING = ".switching"
NEW = ".new-"


@contextmanager
def alone(folder: str) -> Iterator[bool]:
    """Have others who rewrite the folder wait until this is over; a killed process keeps nobody.

    False where a disk or system knows no locks of folders: there nobody waits.
    """
    number, locked = None, False
    with suppress(OSError, ImportError):
        import fcntl

        number = os.open(folder, os.O_RDONLY)
        fcntl.flock(number, fcntl.LOCK_EX)
        locked = True
    try:
        yield locked
    finally:
        if number is not None:
            os.close(number)


@contextmanager
def replacing(folder: str, last: str, *, tidy: bool) -> Iterator[str]:
    """A folder to write new files into, which take their places together when this ends.

    After an error nothing is replaced.

    Parameters
    ----------
    folder : str
        A local one, which is there.
    last : str
        The file that is moved last: whoever sees it sees the others.
    tidy : bool
        Whether to delete what killed processes left, because whoever does this is `alone`.
    """
    settle(folder, last)
    for left in Path(folder).glob(f"{NEW}*") if tidy else ():
        shutil.rmtree(left, ignore_errors=True)
    staged = Path(folder, f"{NEW}{uuid.uuid4().hex}")
    staged.mkdir()
    try:
        yield str(staged)
        os.rename(staged, Path(folder, SWITCHING))
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    storage.sync_folder(folder)
    settle(folder, last)


def is_unsettled(folder: str) -> bool:
    """Whether files of a folder wait to be moved, by one at work or because that was killed."""
    return os.path.isdir(os.path.join(folder, SWITCHING))


def settle(folder: str, last: str) -> None:
    """Move all that waits for it to its place; whoever does so is `alone`."""
    if is_unsettled(folder):
        _move(Path(folder), last)


def _move(folder: Path, last: str) -> None:
    staged = folder / SWITCHING
    files = [path.relative_to(staged) for path in staged.rglob("*") if path.is_file()]
    for file in sorted(files, key=lambda file: (str(file) == last, file)):
        target = folder / file
        target.parent.mkdir(exist_ok=True)
        if str(file) == last:
            for other in {one.parent for one in files}:
                storage.sync_folder(str(folder / other))
        # Where nobody waits, another may have moved it.
        with suppress(FileNotFoundError):
            os.replace(staged / file, target)
    # It must not come back without its last file: the others would take places again.
    storage.sync_folder(str(folder))
    shutil.rmtree(staged, ignore_errors=True)
    storage.sync_folder(str(folder))
