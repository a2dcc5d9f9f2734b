"""The parts of the sources that workers read, found before any row is parsed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from daskfer import storage
from daskfer.engine import Engine, Handle
from daskfer.errors import InputError
from daskfer.faces import DEFAULT_SIZE
from daskfer.ingest import lines
from daskfer.ingest.archives import ArchivedImages
from daskfer.ingest.csv import CsvLayout
from daskfer.ingest.images import ImageFiles
from daskfer.ingest.rows import Part
from daskfer.ingest.sources import Source
from daskfer.ingest.streams import CsvStream, layout_of
from daskfer.ingest.text import CsvBlock

if TYPE_CHECKING:
    from daskfer.ingest.parquet import ParquetLayout

    Layout = CsvLayout | ParquetLayout | None

DEFAULT_RANGE = 8 << 20
"""Bytes of a CSV file that one task scans for the beginnings of rows."""


@dataclass(frozen=True)
class Planned:
    """What workers will read.

    Attributes
    ----------
    parts : list of Part
        In reading order.
    owners : list of int
        The source of each.
    records : list of int
        How many records each has; 0 where only reading tells.
    side : int
        Side of all faces.
    """

    parts: list[Part]
    owners: list[int]
    records: list[int]
    side: int


def plan(
    engine: Engine,
    sources: list[Source],
    size: int | Literal["auto"],
    block_rows: int,
    range_bytes: int,
    classes: tuple[str, ...],
) -> Planned:
    """Cut the sources into parts, whose labels are among `classes` (none: they are passed over).

    Raises
    ------
    InputError
        When a file is no table of faces, or faces differ in size and the recipe has none.
    """
    layouts = [_layout(source, classes) for source in sources]
    side = _common_side(sources, layouts) if size == "auto" else size
    parts: list[Part] = []
    owners: list[int] = []
    records: list[int] = []
    for owner, (source, layout) in enumerate(zip(sources, layouts, strict=True)):
        found, counts = _parts(engine, source, layout, side, block_rows, range_bytes, classes)
        parts += found
        records += counts
        owners += [owner] * len(found)
    return Planned(parts, owners, records, side)


def _layout(source: Source, classes: tuple[str, ...]) -> Layout:
    if source.form == "csv":
        return replace(layout_of(source), classes=classes)
    if source.form == "parquet":
        # It brings pyarrow and numba, which other inputs do not need here.
        from daskfer.ingest import parquet

        return replace(parquet.read_layout(source.path), classes=classes)
    return None


def _common_side(sources: list[Source], layouts: Sequence[Layout]) -> int:
    sides = {
        layout.side: source.name
        for source, layout in zip(sources[::-1], layouts[::-1], strict=True)
        if layout is not None
    }
    if len(sides) > 1:
        (one, first), (other, second) = list(sides.items())[-1:] + list(sides.items())[:1]
        raise InputError(
            f"{second} has faces of {other}×{other} pixels, but {first} of {one}×{one}: expected "
            f"one size in a run; --set ingest.size={min(sides)} brings all to one"
        )
    return next(iter(sides), DEFAULT_SIZE)


def _parts(
    engine: Engine,
    source: Source,
    layout: Layout,
    side: int,
    block_rows: int,
    range_bytes: int,
    classes: tuple[str, ...],
) -> tuple[list[Part], list[int]]:
    """The parts of one source, and the number of records of each as far as it is known."""
    if isinstance(layout, CsvLayout):
        if source.packed:
            return [CsvStream(source, layout)], [0]
        return find_blocks(engine, source, layout, block_rows, range_bytes)
    if layout is not None:
        from daskfer.ingest import parquet

        rows = parquet.parts(layout, block_rows)
        return list(rows), [part.stop - part.first for part in rows]
    if source.archive:
        images = ArchivedImages(
            source.path, source.archive, source.compression, side, classes=classes
        )
        return [images], [0]
    starts = range(0, len(source.files), block_rows)
    cut = [source.files[start : start + block_rows] for start in starts]
    parts: list[Part] = [
        ImageFiles(source.path, files, start, side, classes)
        for start, files in zip(starts, cut, strict=True)
    ]
    return parts, [len(files) for files in cut]


def find_blocks(
    engine: Engine, source: Source, layout: CsvLayout, block_rows: int, range_bytes: int
) -> tuple[list[Part], list[int]]:
    """Where the blocks of `block_rows` records of a file lie, found from its byte ranges.

    The ranges are scanned side by side; how many records came before each follows from their
    counts, and then each range tells the starts of the blocks that begin in it.

    Returns
    -------
    blocks : list of CsvBlock
    records : list of int
        The number of records in each.
    """
    ranges = lines.byte_ranges(layout.body, source.bytes, range_bytes)
    if not ranges:
        return [], []
    indexes = engine.map("ingest", _index, ranges, shared=(source.path, source.bytes, layout))
    counts = engine.gather(engine.map("ingest", _counts, indexes))
    records = np.cumsum([0, *(count for count, _ in counts)]).tolist()
    newlines = np.cumsum([0, *(count for _, count in counts)]).tolist()
    starts: list[list[lines.BlockStart]] = engine.gather(
        _block_starts(engine, indexes, records[:-1], block_rows)
    )
    found = [
        (start.record, start.offset, layout.body_line + newlines[number] + start.line)
        for number, range_starts in enumerate(starts)
        for start in range_starts
    ]
    stops = [offset for _, offset, _ in found[1:]] + [source.bytes]
    blocks: list[Part] = [
        CsvBlock(source.path, layout, offset, stop, record, line)
        for (record, offset, line), stop in zip(found, stops, strict=True)
    ]
    return blocks, [min(block_rows, records[-1] - record) for record, _, _ in found]


def _block_starts(
    engine: Engine, indexes: list[Handle], records: list[int], block_rows: int
) -> list[Handle]:
    return engine.map("ingest", lines.block_starts, indexes, records, shared=(block_rows,))


def _index(span: tuple[int, int], path: str, size: int, layout: CsvLayout) -> lines.RangeIndex:
    start, stop = span
    first = max(start - 1, layout.body)
    data = storage.read_bytes(path, first, min(stop + 2, size))
    return lines.index_range(
        np.frombuffer(data, np.uint8), first, start, stop, layout.body, layout.newline
    )


def _counts(index: lines.RangeIndex) -> tuple[int, int]:
    return len(index.starts), index.newlines
