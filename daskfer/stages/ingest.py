"""Ingest: CSV files to blocks of pixels in the store and one table of their rows."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import numpy as np

from daskfer import storage
from daskfer.blocks import BlockFiles, starts_of
from daskfer.engine import Engine, Handle
from daskfer.errors import InputError
from daskfer.faces import FaceTable
from daskfer.ingest import lines
from daskfer.ingest.csv import CsvBlock, CsvLayout, parse_block, read_layout
from daskfer.ingest.quarantine import BadRow, check_share
from daskfer.ingest.sources import Source
from daskfer.stages.context import Context
from daskfer.store import StageFolder

DEFAULT_RANGE = 8 << 20
"""Bytes of a CSV file that one task scans for the beginnings of rows."""


@dataclass(frozen=True)
class Faces:
    """All good rows of the inputs: their table, their pixels, and a fingerprint of the pixels.

    `content` stands for the pixels, whatever the labels beside them.
    """

    table: FaceTable
    pixels: BlockFiles
    side: int
    sources: tuple[str, ...]
    read: int
    bad: tuple[BadRow, ...]
    content: str


def ingest(context: Context, sources: list[Source], range_bytes: int = DEFAULT_RANGE) -> Faces:
    """Read the sources into the store, or find them there.

    Parameters
    ----------
    context : Context
    sources : list of Source
    range_bytes : int
        Size of the byte ranges that workers scan; it changes nothing in the result.

    Raises
    ------
    InputError
        When a file is no CSV of faces, sizes differ between files, or too many rows are bad.
    """
    folder = context.store.stage(
        "ingest", [asdict(source) for source in sources], context.recipe.block_rows
    )
    with context.watch.stage("ingest"):
        if folder.summary() is None:
            _read(context, sources, folder, range_bytes)
        else:
            context.watch.reused()
        faces = _load(folder)
    check_share(faces.bad, faces.read, context.recipe.ingest.max_bad)
    if len(faces.table) == 0:
        raise InputError(f"{faces.sources[0]}: none of {faces.read} rows is a face")
    return faces


def _read(context: Context, sources: list[Source], folder: StageFolder, range_bytes: int) -> None:
    layouts = [read_layout(source.path, source.bytes) for source in sources]
    _check_sides(layouts)
    numbered: list[tuple[int, CsvLayout, CsvBlock]] = []
    for number, layout in enumerate(layouts):
        first_row = sum(block.records for _, _, block in numbered)
        blocks = find_blocks(
            context.engine, layout, first_row, context.recipe.block_rows, range_bytes
        )
        numbered += [(number, layout, block) for block in blocks]
    owners = [number for number, _, _ in numbered]
    records = [block.records for _, _, block in numbered]
    written = context.engine.map(
        "ingest",
        write_block,
        [layout for _, layout, _ in numbered],
        [block for _, _, block in numbered],
        range(len(numbered)),
        shared=(folder,),
    )
    sizes = context.engine.gather(written, rows=records)
    _write_table(folder, owners, len(numbered))
    folder.finish(
        {
            "sources": [source.path for source in sources],
            "side": layouts[0].side,
            "read": sum(records),
            "sizes": sizes,
        }
    )


def _check_sides(layouts: list[CsvLayout]) -> None:
    first = layouts[0]
    for layout in layouts[1:]:
        if layout.side != first.side:
            raise InputError(
                f"{layout.path} has faces of {layout.side}×{layout.side} pixels, but {first.path} "
                f"of {first.side}×{first.side}: expected one size in a run"
            )


def find_blocks(
    engine: Engine, layout: CsvLayout, first_row: int, block_rows: int, range_bytes: int
) -> list[CsvBlock]:
    """Where the blocks of `block_rows` records of a file lie, found from its byte ranges.

    The ranges are scanned side by side; how many records came before each follows from their
    counts, and then each range tells the starts of the blocks that begin in it.
    """
    ranges = lines.byte_ranges(layout.body, layout.bytes, range_bytes)
    if not ranges:
        return []
    indexes = engine.map("ingest", _index, ranges, shared=(layout,))
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
    stops = [offset for _, offset, _ in found[1:]] + [layout.bytes]
    return [
        CsvBlock(offset, stop, min(block_rows, records[-1] - record), first_row + record, line)
        for (record, offset, line), stop in zip(found, stops, strict=True)
    ]


def _block_starts(
    engine: Engine, indexes: list[Handle], records: list[int], block_rows: int
) -> list[Handle]:
    return engine.map("ingest", lines.block_starts, indexes, records, shared=(block_rows,))


def _index(span: tuple[int, int], layout: CsvLayout) -> lines.RangeIndex:
    start, stop = span
    first = max(start - 1, layout.body)
    data = storage.read_bytes(layout.path, first, min(stop + 2, layout.bytes))
    return lines.index_range(np.frombuffer(data, np.uint8), first, start, stop, layout.body)


def _counts(index: lines.RangeIndex) -> tuple[int, int]:
    return len(index.starts), index.newlines


def write_block(layout: CsvLayout, block: CsvBlock, number: int, folder: StageFolder) -> int:
    """Parse one block and write it to the store, unless it is there; the number of good rows."""
    table = folder.block(number, "rows.npz")
    if storage.exists(table):
        return len(storage.read_arrays(table)["row"])
    data = storage.read_bytes(layout.path, block.start, block.stop)
    parsed = parse_block(layout, block, data)
    storage.write_array(folder.block(number, "pixels.npy"), parsed.pixels)
    if parsed.bad:
        storage.write_json(folder.block(number, "bad.json"), [asdict(row) for row in parsed.bad])
    # Last, because its being there says that the block is whole.
    storage.write_arrays(
        table,
        row=parsed.row,
        emotion=parsed.emotion,
        usage=parsed.usage,
        digest=parsed.digest,
        blank=parsed.blank,
    )
    return len(parsed.row)


def _write_table(folder: StageFolder, owners: list[int], blocks: int) -> None:
    """Gather the blocks' rows in one table, and their bad rows in one list."""
    parts = [storage.read_arrays(folder.block(number, "rows.npz")) for number in range(blocks)]
    source = [
        np.full(len(part["row"]), owner, np.int32)
        for part, owner in zip(parts, owners, strict=True)
    ]
    names = ("row", "emotion", "usage", "digest", "blank")
    columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
    storage.write_arrays(folder.file("table.npz"), source=np.concatenate(source), **columns)
    bad = []
    for number in range(blocks):
        path = folder.block(number, "bad.json")
        if storage.exists(path):
            bad += storage.read_json(path)
    storage.write_json(folder.file("bad.json"), bad)


def _load(folder: StageFolder) -> Faces:
    summary = folder.summary()
    table = FaceTable(**storage.read_arrays(folder.file("table.npz")))
    bad = tuple(BadRow(**row) for row in storage.read_json(folder.file("bad.json")))
    pixels = BlockFiles(folder, "pixels.npy", starts_of(summary["sizes"]))
    return Faces(
        table=table,
        pixels=pixels,
        side=summary["side"],
        sources=tuple(summary["sources"]),
        read=summary["read"],
        bad=bad,
        content=array_fingerprint(table.digest, np.array(summary["sizes"])),
    )


def array_fingerprint(*arrays: np.ndarray) -> str:
    """16 hexadecimal digits of a BLAKE2b hash of arrays' types, shapes and bytes."""
    found = hashlib.blake2b(digest_size=8)
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
