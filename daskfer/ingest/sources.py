"""What a run reads: a source is a table, packed or not, or a set of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from daskfer.ingest.listing import as_unicode

Form = Literal["csv", "parquet", "images"]


@dataclass(frozen=True)
class Source:
    """Something to read: a table, packed or not, or a set of images.

    Attributes
    ----------
    path : str
        A file, or the folder that the images are in; absolute, or an fsspec URL.
    bytes : int
        Its size; of images the sum.
    version : str
        What changes when the content does: the time of the last change (ns) of a local file,
        the ETag or checksum or time of change behind a URL, a fingerprint of these for all
        files of a set of images.
    form : {"csv", "parquet", "images"}
    compression : {"", "gzip", "bz2", "xz", "zstd"}
        Of the file, or of a tar archive.
    archive : {"", "zip", "tar"}
    member : str
        The table in the archive.
    files : tuple of str
        The images in a folder, by their paths in it.
    ignored : tuple of str
        Files beside it that hold no faces, so far as their names tell.
    streamed : bool
        Whether its server sends it only as a whole.
    chosen : bool
        Whether its images were given one by one, so that their folder may hold others.
    """

    path: str
    bytes: int
    version: str
    form: Form = "csv"
    compression: str = ""
    archive: Literal["", "zip", "tar"] = ""
    member: str = ""
    files: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    streamed: bool = False
    chosen: bool = False

    @property
    def name(self) -> str:
        """What a person calls it: its path, and the member of an archive."""
        path = as_unicode(self.path)
        return f"{path}:{self.member}" if self.member else path

    @property
    def packed(self) -> bool:
        """Whether it can only be read from its beginning to its end, by one worker."""
        return bool(self.compression or self.archive or self.streamed)

    def key(self) -> dict[str, Any]:
        """What tells it from other sources and other versions of itself, as plain values."""
        key = {
            "path": self.path,
            "bytes": self.bytes,
            "version": self.version,
            "form": self.form,
            "member": self.member,
        }
        # It is cut into other parts, which a stopped run must not take for its own.
        return {**key, "streamed": True} if self.streamed else key


def chosen_of(sources: list[Source]) -> list[list[str] | None]:
    """The images of each source that were given one by one, by their paths in its folder."""
    return [list(source.files) if source.chosen else None for source in sources]


def notes_of(sources: list[Source]) -> tuple[str, ...]:
    """What a person should know of how these sources are read."""
    notes = []
    streamed = [source.name for source in sources if source.streamed]
    if streamed:
        notes.append(
            f"{_and_more(streamed)}: the server sends files only as a whole, one worker reads each "
            "from beginning to end (copies on disk are read side by side)"
        )
    packed = [source.name for source in sources if source.packed and not source.streamed]
    if packed:
        notes.append(
            f"{_and_more(packed)}: packed files cannot be split, one worker reads each from "
            "beginning to end (unpacked ones are read side by side)"
        )
    for source in sources:
        if source.ignored:
            listed = ", ".join(source.ignored[:3]) + (", …" if len(source.ignored) > 3 else "")
            notes.append(
                f"{source.path}: {len(source.ignored):,} other files there were not read ({listed})"
            )
    return tuple(notes)


def _and_more(names: list[str]) -> str:
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]
