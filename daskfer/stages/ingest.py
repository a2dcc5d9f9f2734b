"""Ingest: files of faces to blocks of pixels in the store and one table of their rows."""

from __future__ import annotations

import hashlib
import shlex
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import yaml

from daskfer import storage
from daskfer.blocks import BlockFiles, starts_of
from daskfer.errors import RecipeError
from daskfer.faces import EMOTIONS, UNKNOWN, FaceTable
from daskfer.ingest.duplicates import difference_hashes, digests
from daskfer.ingest.finding import check_unchanged
from daskfer.ingest.quarantine import BadRow, check_share, none_is_a_face
from daskfer.ingest.rows import Part, Rows, in_blocks
from daskfer.ingest.sizes import resized
from daskfer.ingest.sources import Source, notes_of
from daskfer.recipe import Recipe
from daskfer.recipe.categories import checked_names
from daskfer.stages.context import Context
from daskfer.stages.parts import DEFAULT_RANGE, Planned, plan
from daskfer.store import StageFolder, Store, read_mark

FEW_FOLDERS = 20
"""More folders than these are rather those of persons, or of days, than of classes."""

COLUMNS = ("row", "emotion", "usage", "digest", "blank", "look")
"""Columns of the table that blocks are written with."""


@dataclass(frozen=True)
class Faces:
    """All good rows of the inputs: their table, their pixels, and a fingerprint of the pixels.

    `content` stands for the pixels, whatever the labels beside them; `notes` says what a person
    should know of the reading.
    """

    table: FaceTable
    pixels: BlockFiles
    side: int
    sources: tuple[str, ...]
    read: int
    bad: tuple[BadRow, ...]
    content: str
    notes: tuple[str, ...] = ()


def ingest(context: Context, sources: list[Source], range_bytes: int = DEFAULT_RANGE) -> Faces:
    """Read the sources into the store, or find them there, and see that enough rows are good.

    Parameters
    ----------
    context : Context
    sources : list of Source
    range_bytes : int
        Size of the byte ranges that workers scan; it changes nothing in the result.

    Raises
    ------
    InputError
        When a file is no table of faces, sizes differ between files, a file is damaged or
        changes, or too many rows are bad.
    """
    faces = read_faces(context, sources, range_bytes)
    # Rows that are all bad are too many, whatever the recipe tolerates.
    check_share(faces.bad, faces.read, context.recipe.ingest.max_bad)
    if len(faces.table) == 0:
        raise none_is_a_face(faces.bad, faces.read)
    return faces


def read_faces(context: Context, sources: list[Source], range_bytes: int = DEFAULT_RANGE) -> Faces:
    """Read the sources into the store, or find them there, however many rows are bad."""
    recipe = context.recipe
    folder = stage_folder(context, sources)
    with context.watch.stage("ingest"), context.turn(folder) as mine:
        if mine:
            planned = plan(
                context.engine, sources, recipe.ingest.size, recipe.block_rows, range_bytes,
                recipe.ingest.labels,
            )  # fmt: skip
            _read(context, sources, planned, folder)
        else:
            context.watch.reused()
            context.watch.advance(folder.summary()["read"])
        return _load(folder, sources, recipe.ingest.labels)


def stage_folder(context: Context, sources: list[Source]) -> StageFolder:
    """Where the faces of these sources are, or will be."""
    return _folder(context.recipe, sources, context.store)


def stored_faces(recipe: Recipe, sources: list[Source], store: Store) -> Faces | None:
    """The faces of these sources, if the store has them all."""
    folder = _folder(recipe, sources, store)
    return None if folder.summary() is None else _load(folder, sources, recipe.ingest.labels)


def _folder(recipe: Recipe, sources: list[Source], store: Store) -> StageFolder:
    keys = [source.key() for source in sources]
    settings = [recipe.block_rows, recipe.ingest.size]
    # Labels are among the seven emotions unless a recipe has classes of its own.
    own = [] if recipe.ingest.labels == EMOTIONS else [list(recipe.ingest.labels)]
    return store.stage("ingest", keys, *settings, *own)


def _read(context: Context, sources: list[Source], planned: Planned, folder: StageFolder) -> None:
    numbers = range(len(planned.parts))
    block_rows = context.recipe.block_rows
    written = context.engine.map(
        "ingest",
        write_part,
        planned.parts,
        numbers,
        shared=(folder, block_rows, planned.side),
    )
    blocks: list[list[list[int]]] = context.engine.gather(written, rows=planned.records)
    check_unchanged(sources)
    names = [
        f"{number:06d}.{block:04d}" for number in numbers for block in range(len(blocks[number]))
    ]
    sizes = [good for part in blocks for _, good in part]
    read = _write_table(folder, sources, planned.owners, blocks)
    folder.finish(
        {
            "sources": [source.name for source in sources],
            "side": planned.side,
            "read": read,
            "sizes": sizes,
            "names": names,
        }
    )


def write_part(
    part: Part, number: int, folder: StageFolder, block_rows: int, side: int
) -> list[list[int]]:
    """Read one part and write its blocks to the store, unless they are there.

    Returns
    -------
    list of [int, int]
        For each block, how many records it holds and how many of them are good.
    """
    done = folder.file(f"{number:06d}.json")
    if (mark := read_mark(done)) is not None:
        found: list[list[int]] = mark["blocks"]
        return found
    blocks: list[list[int]] = []
    bad: list[Any] = []
    names: list[str] = []
    # Made small before they are gathered: a block of large faces may not fit in memory.
    files: list[str] = []
    pieces = (replace(rows, pixels=resized(rows.pixels, side)) for rows in part.pieces())
    for rows in in_blocks(pieces, block_rows, part.first):
        files += _write_block(folder, f"{number:06d}.{len(blocks):04d}", rows)
        blocks.append([rows.records, len(rows.row)])
        bad += [asdict(row) for row in rows.bad]
        names += rows.names or ()
    # Last, because its being there says that the part is whole, also after a power cut.
    storage.sync_files(files)
    storage.write_json(done, {"blocks": blocks, "bad": bad, "names": names})
    return blocks


def _write_block(folder: StageFolder, name: str, rows: Rows) -> list[str]:
    """Write a block without waiting for the disk; its files."""
    pixels = rows.pixels
    files = [folder.file(f"{name}.pixels.npy"), folder.file(f"{name}.rows.npz")]
    storage.write_array(files[0], pixels, sync=False)
    table = storage.npz(
        row=rows.row,
        emotion=rows.emotion,
        usage=rows.usage,
        digest=digests(pixels),
        blank=(pixels == pixels[:, :1]).all(axis=1),
        look=difference_hashes(pixels),
    )
    storage.write_whole(files[1], table, sync=False)
    return files


def _write_table(
    folder: StageFolder, sources: list[Source], owners: list[int], blocks: list[list[list[int]]]
) -> int:
    """Gather the parts' rows in one table, and their bad rows in one list; the records read.

    A row's number counts the records of all sources; images are sources of their own.
    """
    columns: dict[str, list[np.ndarray]] = {name: [] for name in (*COLUMNS, "source")}
    bad: list[Any] = []
    names: list[str] = []
    before = read = 0
    for number, owner in enumerate(owners):
        if number and owner != owners[number - 1]:
            before = read
        part = storage.read_json(folder.file(f"{number:06d}.json"))
        bad += part["bad"]
        good = sum(count for _, count in blocks[number])
        if part["names"]:
            source = len(names) + np.arange(good, dtype=np.int32)
            names += part["names"]
        else:
            if not names or names[-1] != sources[owner].name:
                names.append(sources[owner].name)
            source = np.full(good, len(names) - 1, np.int32)
        columns["source"].append(source)
        for block in range(len(blocks[number])):
            rows = storage.read_arrays(folder.file(f"{number:06d}.{block:04d}.rows.npz"))
            rows["row"] += before
            for name in COLUMNS:
                columns[name].append(rows[name])
        read += sum(records for records, _ in blocks[number])
    table = {name: np.concatenate(arrays) for name, arrays in columns.items()}
    storage.write_arrays(folder.file("table.npz"), **table)
    storage.write_json(folder.file("bad.json"), bad)
    storage.write_json(folder.file("sources.json"), names)
    return read


def _load(folder: StageFolder, sources: list[Source], classes: tuple[str, ...]) -> Faces:
    summary = folder.summary()
    table = FaceTable(**storage.read_arrays(folder.file("table.npz")))
    bad = tuple(BadRow(**row) for row in storage.read_json(folder.file("bad.json")))
    starts = starts_of(summary["sizes"])
    names = storage.read_json(folder.file("sources.json"))
    return Faces(
        table=table,
        pixels=BlockFiles(folder, "pixels.npy", starts, tuple(summary["names"])),
        side=summary["side"],
        sources=tuple(names),
        read=summary["read"],
        bad=bad,
        content=array_fingerprint(table.digest, np.array(summary["sizes"])),
        notes=(*notes_of(sources), *_unlabelled_images(table, names, sources, classes)),
    )


def _unlabelled_images(
    table: FaceTable, names: list[str], sources: list[Source], classes: tuple[str, ...]
) -> list[str]:
    """A note on images that have no label: their folders may be classes that were not known."""
    unlabelled = np.flatnonzero(table.emotion == UNKNOWN)
    if len(names) <= len(sources) or not len(unlabelled):
        return []
    folders = Counter(names[source].rpartition("/")[0] for source in table.source[unlabelled])
    if len(unlabelled) == len(table):
        inner = sorted({folder.rpartition("/")[2] for folder in folders})
        if len(inner) > FEW_FOLDERS:
            return []
        try:
            checked_names("ingest.classes", inner)
        except RecipeError:
            return []
        listed = yaml.safe_dump(inner, default_flow_style=True, allow_unicode=True, width=10_000)
        return [
            f"no folder is called like one of {', '.join(classes)}; if the folders' names are the "
            f"labels, --set {shlex.quote(f'ingest.classes={listed.strip()}')} reads them"
        ]
    shown = [f"{folder} ({count:,})" for folder, count in folders.most_common(3)]
    more = ", …" if len(folders) > len(shown) else ""
    return [
        f"{len(unlabelled):,} faces have no label: {', '.join(shown)}{more}; of images, the names "
        f"of folders tell it ({', '.join(classes)}; others by --set ingest.classes=[...])"
    ]


def array_fingerprint(*arrays: np.ndarray) -> str:
    """16 hexadecimal digits of a BLAKE2b hash of arrays' types, shapes and bytes."""
    found = hashlib.blake2b(digest_size=8)
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
