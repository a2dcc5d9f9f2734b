"""Copies of small inputs in the store, for workers that do not see the originals."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from pathlib import Path

from daskfer import storage
from daskfer.errors import InputError
from daskfer.ingest.images import root_folders
from daskfer.ingest.listing import as_unicode
from daskfer.ingest.sources import Source
from daskfer.store import Store

MOST_BYTES = 500 << 20
"""How large inputs may be that are copied: each goes through this process's memory."""


def upload(sources: list[Source], store: Store) -> list[str]:
    """Copy local inputs into the store; where they are then, in the sources' order.

    A copy lies under a name made from its content and its own name, so that the same input is
    copied once. Images are packed into an archive that keeps their folders, from whose names labels
    come.

    Raises
    ------
    InputError
        When they are larger than `MOST_BYTES`.
    """
    local = [source for source in sources if not storage.is_url(source.path)]
    size = sum(source.bytes for source in local)
    if size > MOST_BYTES:
        raise InputError(
            f"--upload of {size / 2**20:,.0f} MiB: expected {MOST_BYTES >> 20} MiB at most; copy "
            "them to a folder or bucket that workers see, and give that"
        )
    # The tables in an archive are sources of their own, and one copy.
    found: dict[tuple[str, tuple[str, ...]], str] = {}
    for source in sources:
        one = source.path, source.files
        if one not in found:
            remote = storage.is_url(source.path)
            found[one] = source.path if remote else _copied(source, store, list(found.values()))
    return list(found.values())


def _copied(source: Source, store: Store, taken: list[str]) -> str:
    """Where the copy of an input is; another one than those of other inputs."""
    if source.files:
        data, name = _packed(source), f"{Path(source.path).name or 'images'}.zip"
    else:
        data, name = Path(source.path).read_bytes(), Path(source.path).name
    digest = hashlib.blake2b(data, digest_size=8).hexdigest()
    number = 0
    # The same file in two folders is two inputs, as it is where it lies.
    while (folder := store.stage("uploads", digest, name, number)).file(name) in taken:
        number += 1
    if folder.summary() is None:
        storage.write_whole(folder.file(name), data)
        folder.finish({"sources": [source.name]})
    return folder.file(name)


def _packed(source: Source) -> bytes:
    """The images of a source in an archive, the same bytes for the same images.

    They lie in the folders that tell their labels, as when they are read from where they are.
    """
    above = root_folders(source.path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in source.files:
            # A backslash would be read as the end of a folder.
            inner = as_unicode(name).replace("\\", "_")
            info = zipfile.ZipInfo("/".join([*above, inner]))
            archive.writestr(info, Path(os.path.join(source.path, name)).read_bytes())
    return buffer.getvalue()
