"""A store's folder on any file system, where others write and delete at the same time."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from daskfer import storage
from daskfer.errors import CacheError, one_line


@dataclass(frozen=True)
class Tree:
    """A store's folder on any file system, where things may vanish at any time."""

    filesystem: Any
    root: str

    @classmethod
    def at(cls, root: str) -> Tree:
        import fsspec

        if not storage.is_url(root):
            return cls(fsspec.filesystem("file"), os.path.abspath(root))
        try:
            filesystem, path = fsspec.core.url_to_fs(root)
        except (ImportError, ValueError) as error:
            reason = one_line(error)
            raise CacheError(
                f"--store {root} cannot be opened ({reason}): expected a folder or an fsspec URL"
            ) from error
        return cls(filesystem, path.rstrip("/") or path)

    def path(self, *names: str) -> str:
        return storage.join(self.root, *names) if names else self.root

    def entries(self, *names: str) -> dict[str, Any]:
        """What lies in a folder, by name; nothing where there is no such folder."""
        path = self.path(*names)
        # Others write here too, and some file systems remember what they have listed.
        self.filesystem.invalidate_cache()
        try:
            found = self.filesystem.ls(path, detail=True)
        except FileNotFoundError:
            return {}
        paths = {info["name"].rstrip("/"): info for info in found}
        # Object stores list the mark of an empty folder in the folder itself.
        return {name.rpartition("/")[2]: info for name, info in paths.items() if name != path}

    def files(self, *names: str) -> dict[str, Any]:
        """Its entries that are no folders."""
        found = self.entries(*names)
        return {name: info for name, info in found.items() if info["type"] != "directory"}

    def modified(self, *names: str) -> datetime | None:
        try:
            found: datetime = self.filesystem.modified(self.path(*names))
        except (FileNotFoundError, NotImplementedError):
            return None
        return found if found.tzinfo else found.replace(tzinfo=UTC)

    def remove(self, *names: str) -> None:
        with suppress(FileNotFoundError):
            self.filesystem.rm_file(self.path(*names))

    def remove_if_empty(self, *names: str) -> None:
        # We look first: a few file systems remove a folder with what is in it. Others have none.
        if not self.entries(*names):
            with suppress(OSError, NotImplementedError):
                self.filesystem.rmdir(self.path(*names))
