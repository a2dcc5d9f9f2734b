"""CSV text that is packed: only one worker, from beginning to end, can read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from daskfer import storage
from daskfer.ingest.archives import open_member
from daskfer.ingest.csv import HEAD_BYTES, CsvLayout, read_layout
from daskfer.ingest.rows import Rows
from daskfer.ingest.sources import Source
from daskfer.ingest.text import read_rows
from daskfer.ingest.unpack import read_fully, unpacked


@contextmanager
def open_text(source: Source) -> Iterator[IO[bytes]]:
    """The unpacked text of a CSV source, from its beginning.

    Raises
    ------
    InputError
        When what it is packed in is cut off or damaged.
    """
    if source.archive:
        with open_member(source.path, source.archive, source.compression, source.member) as member:
            yield member
    else:
        with (
            storage.open_binary(source.path) as file,
            unpacked(source.path, file, source.compression) as text,
        ):
            yield text


def layout_of(source: Source) -> CsvLayout:
    """The layout of a CSV source (see `daskfer.ingest.csv.read_layout`)."""
    with open_text(source) as text:
        return read_layout(source.name, read_fully(text, HEAD_BYTES))


@dataclass(frozen=True)
class CsvStream:
    """All rows of a packed CSV file."""

    source: Source
    layout: CsvLayout
    first: int = 0

    def pieces(self) -> Iterator[Rows]:
        """Unpack and read the rows."""
        layout = self.layout
        with open_text(self.source) as text:
            read_fully(text, layout.body)

            def read(size: int) -> bytes:
                return read_fully(text, size)

            yield from read_rows(read, self.source.name, layout, layout.body, layout.body_line, 0)
