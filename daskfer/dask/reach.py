"""Whether workers see the inputs and the folders that this process means."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Sequence

from distributed import Client

from daskfer import storage
from daskfer.errors import SchedulerError
from daskfer.ingest.sources import Source
from daskfer.tree import Tree

UPLOAD = "--upload copies small inputs into the store"


def check_reach(
    client: Client,
    sources: Sequence[Source],
    folders: dict[str, str],
    files: dict[str, str] | None = None,
    upload: bool = True,
) -> None:
    """Refuse files that a worker does not see as they are here, and folders that it cannot write.

    Parameters
    ----------
    client : distributed.Client
    sources : sequence of Source
    folders : dict
        Folders that workers write to, by what a person calls them. A mark is left there for a
        moment: a folder of the same name on another disk is not the same folder.
    files : dict, optional
        Other files that workers read, by what a person calls them.
    upload : bool
        Whether the command can copy inputs into the store, which is a way out.

    Raises
    ------
    SchedulerError
    """
    read = [*map(_looked_at, sources), *((path, _size(path)) for path in (files or {}).values())]
    names = [source.path for source in sources] + list(files or {})
    marks = {name: _mark(folder) for name, folder in folders.items()}
    try:
        answers = client.run(_probe(), read, marks)
    finally:
        for mark in marks.values():
            # What the check leaves is in the way of nobody.
            with contextlib.suppress(Exception):
                folder, _, name = mark.rpartition("/")
                Tree.at(folder).remove(name)
    for address, (inputs, written) in sorted(answers.items()):
        for number, (name, problem) in enumerate(zip(names, inputs, strict=True)):
            if problem:
                way_out = f"; {UPLOAD}" if upload and number < len(sources) else ""
                raise SchedulerError(
                    f"worker {address} cannot read {name} ({problem}): expected the same "
                    f"file at the same path on all machines, or an fsspec URL such as s3://..."
                    f"{way_out}"
                )
        for name, problem in written.items():
            if problem:
                raise SchedulerError(
                    f"worker {address} cannot use {name} ({problem}): expected a folder that all "
                    "machines share, or an fsspec URL such as s3://..."
                )


def _mark(folder: str) -> str:
    mark = storage.join(folder, f"{uuid.uuid4().hex}.mark")
    storage.write_text(mark, "")
    return mark


def _looked_at(source: Source) -> tuple[str, int | None]:
    """The file of a source that is looked for, and its size; of many images the first.

    One that is there and cannot be read is no face here either, and tells nothing of a worker.
    """
    if not source.files:
        return source.path, source.bytes
    paths = (storage.join(source.path, name) for name in source.files)
    if storage.is_url(source.path):
        return next(paths), None
    telling = (path for path in paths if os.access(path, os.R_OK) or not os.path.lexists(path))
    return next(telling, source.path), None


def _size(path: str) -> int | None:
    """How large a file is here; of one behind a URL nobody asks."""
    return None if storage.is_url(path) else os.stat(path).st_size


def _probe() -> Callable[..., tuple[list[str], dict[str, str]]]:
    """A function, sent by value, that tells what is wrong with files and folders where it runs."""

    def probe(
        files: list[tuple[str, int | None]], marks: dict[str, str]
    ) -> tuple[list[str], dict[str, str]]:
        import os

        def size_of(path: str) -> int:
            if "://" not in path:
                return os.stat(path).st_size
            import fsspec

            filesystem, inner = fsspec.core.url_to_fs(path)
            filesystem.invalidate_cache()
            return int(filesystem.info(inner)["size"] or 0)

        def unread(path: str, size: int | None) -> str:
            try:
                found = size_of(path)
                if "://" not in path and not os.path.isdir(path):
                    with open(path, "rb"):
                        pass
            except Exception as error:
                return getattr(error, "strerror", None) or str(error) or type(error).__name__
            if size is not None and found != size:
                return f"another file there: {found:,} bytes instead of {size:,}"
            return ""

        def unwritten(mark: str) -> str:
            try:
                size_of(mark)
            except FileNotFoundError:
                return "what was written there is not seen"
            except Exception as error:
                return getattr(error, "strerror", None) or str(error) or type(error).__name__
            try:
                if "://" not in mark:
                    # What is there may be read and still not written.
                    beside = mark + f"-{os.getpid()}"
                    with open(beside, "wb"):
                        pass
                    os.remove(beside)
            except OSError as error:
                return error.strerror or str(error)
            return ""

        return (
            [unread(path, size) for path, size in files],
            {name: unwritten(mark) for name, mark in marks.items()},
        )

    return probe
