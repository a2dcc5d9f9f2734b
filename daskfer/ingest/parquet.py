"""Faces in a Parquet file: its columns, and pieces of its rows parsed from Arrow's buffers.

Importing this module loads pyarrow and numba: import it where a Parquet file is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise

import pyarrow as pa
import pyarrow.parquet as pq

from daskfer import storage
from daskfer.errors import InputError
from daskfer.faces import EMOTIONS, side_of
from daskfer.ingest.arrow import (
    decoded,
    is_label,
    parse_batch,
    parser_of,
    pixel_count,
    shortened,
    wrong_type,
)
from daskfer.ingest.rows import Rows

PIECE_ROWS = 1024
PIECE_BYTES = 32 << 20
"""Larger faces come fewer at a time: a piece of int64 values takes at most this."""

READ_BYTES = 1 << 20
"""Bytes of a column that Arrow reads at a time. Without such a buffer it reads the column of a
whole row group at once, and a writer may have put all rows into one."""

PART_BLOCKS = 4
"""Blocks in the shortest part. A row group that begins within a block is decoded for two parts
up to that block's end, so that short parts would decode many rows twice."""

_HEAD_ROWS = 1000
_HEAD_BATCH = 50


@dataclass(frozen=True)
class ParquetLayout:
    """What a Parquet file's footer and first rows say of the rest.

    Attributes
    ----------
    path : str
        The file.
    groups : tuple of int
        Rows in each of its row groups.
    pixels : str
        The name of the column with the pixels, as the file has it.
    emotion, usage : str or None
        The names of the columns with the labels.
    side : int
        Side of its faces in pixels: the most frequent one among its first rows.
    classes : tuple of str
        What its labels may be.
    """

    path: str
    groups: tuple[int, ...]
    pixels: str
    emotion: str | None
    usage: str | None
    side: int
    classes: tuple[str, ...] = EMOTIONS

    @property
    def rows(self) -> int:
        """Number of its rows, good and bad."""
        return sum(self.groups)


@dataclass(frozen=True)
class ParquetRows:
    """The rows [first, stop) of a file; a `Part`."""

    layout: ParquetLayout
    first: int
    stop: int

    def pieces(self) -> Iterator[Rows]:
        """Read them, at most PIECE_ROWS at a time, in order.

        Raises
        ------
        InputError
            When the file turns out to be damaged.
        """
        layout = self.layout
        starts = list(accumulate(layout.groups, initial=0))
        groups = [
            number
            for number, (start, end) in enumerate(pairwise(starts))
            if start < self.stop and end > self.first and start < end
        ]
        names = [name for name in (layout.pixels, layout.emotion, layout.usage) if name is not None]
        size = max(1, min(PIECE_ROWS, PIECE_BYTES // (layout.side * layout.side * 8)))
        at = starts[groups[0]]
        for batch in _batches(layout.path, names, size, groups):
            low, high = max(self.first - at, 0), min(self.stop - at, batch.num_rows)
            if low < high:
                yield parse_batch(layout, at + low, batch.slice(low, high - low))
            at += batch.num_rows
            if at >= self.stop:
                return
        raise InputError(
            f"{layout.path} is damaged: expected {layout.rows:,} rows as its footer says, found "
            f"{at:,}; get or write it again"
        )


def read_layout(path: str) -> ParquetLayout:
    """Read a Parquet file's footer and first rows.

    Raises
    ------
    InputError
        When the file is damaged, has no rows or not one ``pixels`` column, holds a column in a
        type that faces or labels cannot have, or no row with a square image.
    """
    with _opened(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
        groups = tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))
    names = list(schema.names)
    pixels, emotion, usage = (_column(path, names, name) for name in ("pixels", "emotion", "usage"))
    if pixels is None:
        found = ", ".join(shortened(name, 24) for name in names[:12])
        raise InputError(
            f"{path} has no pixels column: expected columns such as emotion, pixels, Usage, "
            f"found {found or 'nothing'}"
        )
    parser_of(path, schema.field(pixels))
    for name in (emotion, usage):
        if name is not None and not is_label(schema.field(name).type):
            raise wrong_type(path, schema.field(name), "numbers or words")
    if not sum(groups):
        raise InputError(f"{path} has no rows: expected at least one face")
    return ParquetLayout(path, groups, pixels, emotion, usage, _first_side(path, pixels))


def parts(layout: ParquetLayout, block_rows: int) -> list[ParquetRows]:
    """Cut a file into parts that several workers read side by side.

    Each part is a run of whole blocks (the last block may be shorter) and begins with the first
    block that begins in a row group, because reading can only begin where a row group does.

    Parameters
    ----------
    layout : ParquetLayout
    block_rows : int
        Rows in a block, counted from the file's first row.
    """
    edges = [0]
    for start in accumulate(layout.groups):
        edge = -(-start // block_rows) * block_rows
        if edge >= edges[-1] + PART_BLOCKS * block_rows and edge < layout.rows:
            edges.append(edge)
    return [ParquetRows(layout, *ends) for ends in pairwise([*edges, layout.rows])]


@contextmanager
def _opened(path: str) -> Iterator[pq.ParquetFile]:
    try:
        with storage.open_binary(path) as file:
            yield pq.ParquetFile(file, buffer_size=READ_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        # Arrow's own are plain and without a number; a file that is missing is not damaged.
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
            raise
        raise InputError(
            f"{path} is damaged or no Parquet file: {shortened(str(error), 120)}; get or write it "
            "again"
        ) from error


def _batches(
    path: str, columns: list[str], rows: int, groups: list[int] | None = None
) -> Iterator[pa.RecordBatch]:
    with _opened(path) as file:
        # The machine's cores belong to the workers.
        yield from file.iter_batches(rows, row_groups=groups, columns=columns, use_threads=False)


def _column(path: str, names: list[str], wanted: str) -> str | None:
    found = [name for name in names if name.strip().lower() == wanted]
    if len(found) > 1:
        raise InputError(f"{path} has more than one {wanted} column: expected one")
    return found[0] if found else None


def _first_side(path: str, column: str) -> int:
    counts: list[int] = []
    for batch in _batches(path, [column], _HEAD_BATCH):
        counts += [pixel_count(cell) for cell in decoded(batch.column(0))]
        if len(counts) >= _HEAD_ROWS:
            break
    sides = Counter(side for side in map(side_of, counts) if side is not None and side > 1)
    if not sides:
        raise InputError(
            f"{path}: no row has the pixels of a square face (the first has {counts[0]}); "
            "expected 2304 for 48×48"
        )
    # The most frequent one: the first row may be a bad one that happens to be square.
    return sides.most_common(1)[0][0]
