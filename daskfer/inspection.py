"""What is in a set of faces, and what a run would do with it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from daskfer import balance, storage
from daskfer.errors import DaskferError
from daskfer.faces import EMOTIONS, PRIVATE_TEST, PUBLIC_TEST, TRAINING, UNKNOWN, USAGES, FaceTable
from daskfer.foresight import check_feasible
from daskfer.ingest.duplicates import count_duplicates
from daskfer.ingest.quarantine import by_reason, check_share, quarantine_csv
from daskfer.ingest.sources import Source
from daskfer.randomness import generator
from daskfer.recipe import Recipe
from daskfer.stages.ingest import Faces

if TYPE_CHECKING:
    from PIL import Image

UNLABELLED, NO_SPLIT = "unlabelled", "no split"

SHEET_COLUMNS, SHEET_LINES = 12, 8
CAPTION_SIZE = 16
"""Height of the letters above a sheet in pixels."""

SHEET_SCALE = 2
"""Each pixel of a face is so many wide on a contact sheet."""


def inspection(
    faces: Faces, sources: list[Source], recipe: Recipe, memory: int | None = None
) -> dict[str, Any]:
    """Everything that counting tells, as plain values.

    Parameters
    ----------
    faces : Faces
    sources : list of Source
    recipe : Recipe
        The one that a run would follow.
    memory : int, optional
        Bytes that each worker may use, where that is known.
    """
    table = faces.table
    found = count_duplicates(table)
    return {
        "sources": [
            {
                "path": source.name,
                "form": source.form,
                "packing": " ".join(filter(None, (source.archive, source.compression))),
                "bytes": source.bytes,
                "images": len(source.files) or None,
            }
            for source in sources
        ],
        "rows": {
            "read": faces.read,
            "good": len(table),
            "quarantined": len(faces.bad),
            "blank": int(table.blank.sum()),
            "unlabelled": int((table.emotion == UNKNOWN).sum()),
        },
        "side": faces.side,
        "bad": by_reason(faces.bad),
        "classes": class_counts(table, recipe.ingest.labels),
        "duplicates": {
            "distinct": found.distinct,
            "redundant": found.redundant,
            "conflicting_groups": found.conflicting,
            "spanning_groups": found.spanning,
            "leaking_rows": leaking_count(table),
            "similar": found.similar,
        },
        "run": what_run_would_do(faces, recipe, memory),
        "notes": list(faces.notes),
    }


def class_counts(
    table: FaceTable, classes: tuple[str, ...] = EMOTIONS
) -> dict[str, dict[str, int]]:
    """Rows by class and split: all classes, and only the splits that occur."""
    splits = [*USAGES, NO_SPLIT]
    # UNKNOWN is -1: the last row and the last column.
    counts = np.zeros((len(classes) + 1, len(splits)), np.int64)
    np.add.at(counts, (table.emotion, table.usage), 1)
    columns = [at for at in range(len(splits)) if counts[:, at].any()]
    rows = [*range(len(classes)), *([len(classes)] if counts[-1].any() else [])]
    names = [*classes, UNLABELLED]
    return {
        names[row]: {splits[column]: int(counts[row, column]) for column in columns} for row in rows
    }


def leaking_count(table: FaceTable) -> int:
    """Training rows that are identical to a row of another split."""
    positions = np.arange(len(table))
    training = positions[table.usage == TRAINING]
    held_out = positions[(table.usage == PUBLIC_TEST) | (table.usage == PRIVATE_TEST)]
    kept = balance.drop_duplicates(table, training, held_out, "drop-from-fit")
    return len(training) - len(kept)


def what_run_would_do(faces: Faces, recipe: Recipe, memory: int | None) -> dict[str, Any]:
    """The rows that a run would fit, validate and test, or why it would refuse."""
    try:
        check_share(faces.bad, faces.read, recipe.ingest.max_bad)
        selection = balance.select(faces.table, recipe)
        check_feasible(recipe, faces.table, selection, faces.side, memory)
    except DaskferError as error:
        return {"refused": str(error)}
    return {
        "refused": None,
        "fitted": len(selection.fit),
        "validation": len(selection.validation),
        "test": len(selection.test),
        "blocks": faces.pixels.count,
        "notes": [*selection.notes, *_without_test(selection)],
    }


def _without_test(selection: balance.Selection) -> list[str]:
    if len(selection.test):
        return []
    return [
        "no rows are for the test, so the second model could not be tested "
        "(--set split.method=random holds some out)"
    ]


def contact_sheets(
    faces: Faces, seed: int, classes: tuple[str, ...] = EMOTIONS
) -> Iterator[tuple[str, bytes]]:
    """For each class its name and a PNG of up to 96 of its faces, drawn by seed.

    They stand in reading order, from left to right.
    """
    from PIL import Image

    from daskfer.report.sheets import sheet

    emotion = faces.table.emotion
    for code in [*range(len(classes)), UNKNOWN]:
        members = np.flatnonzero(emotion == code)
        if len(members) == 0:
            continue
        drawn = generator(seed, "inspect", code + 1).permutation(len(members))
        shown = members[np.sort(drawn[: SHEET_COLUMNS * SHEET_LINES])]
        columns = min(len(shown), SHEET_COLUMNS)
        picture = Image.fromarray(sheet(faces.pixels.rows(shown), columns))
        size = (picture.width * SHEET_SCALE, picture.height * SHEET_SCALE)
        name = UNLABELLED if code == UNKNOWN else classes[code]
        some = "all" if len(shown) == len(members) else f"{len(shown)} of"
        buffer = io.BytesIO()
        captioned(
            picture.resize(size, Image.Resampling.NEAREST), f"{name}: {some} {len(members):,}"
        ).save(buffer, "PNG", optimize=True)
        yield name, buffer.getvalue()


def captioned(picture: Image.Image, text: str) -> Image.Image:
    """A picture with a line of text above it, on white."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(CAPTION_SIZE)
    height = CAPTION_SIZE * 2
    width = max(picture.width, int(font.getlength(text)) + CAPTION_SIZE)
    sheet = Image.new("L", (width, picture.height + height), 255)
    ImageDraw.Draw(sheet).text((CAPTION_SIZE // 2, CAPTION_SIZE // 2), text, 0, font)
    sheet.paste(picture.getchannel(0), (0, height), picture.getchannel(1))
    return sheet


def save(folder: str, faces: Faces, seed: int, classes: tuple[str, ...] = EMOTIONS) -> list[str]:
    """Write the contact sheets and, if there are any, the bad rows; the paths of the files."""
    paths: list[str] = []
    for number, (name, picture) in enumerate(contact_sheets(faces, seed, classes)):
        # A class may be called anything, also what is no name of a file.
        safe = name if re.fullmatch(r"\w[\w -]*", name) else f"class-{number}"
        paths.append(storage.join(folder, f"{safe}.png"))
        storage.write_whole(paths[-1], picture)
    if faces.bad:
        paths.append(storage.join(folder, "quarantine.csv"))
        storage.write_text(paths[-1], quarantine_csv(faces.bad))
    return paths
