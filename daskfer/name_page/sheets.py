"""Contact sheets as files, for a machine without a browser."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from daskfer import storage
from daskfer.answer_log import Log
from daskfer.answers import Group
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.name_page.gallery import Gallery
from daskfer.name_page.pictures import labelled_sheet
from daskfer.randomness import generator

CENTRAL = 30
"""Faces nearest to the centre: the original project looked at 14, later at 30."""

RANDOM = 14
"""Faces drawn at random, as the original project did."""

COLUMNS = 10

NO_TEXTS = ("yes", "no", "on", "off", "true", "false", "null", "y", "n")
"""Words that YAML takes for something else, unless they are quoted."""


def write_sheets(
    folder: str, gallery: Gallery, log: Log, seed: int, choices: tuple[str, ...] | None = None
) -> tuple[int, str]:
    """Write ``cluster-NNN.png`` for each cluster that has faces, and names.yaml to fill in.

    Parameters
    ----------
    folder : str
        Where to; made if it is not there. A names.yaml that is there already is kept, because
        somebody may have filled it in, and the new one is called names-new.yaml.
    gallery : Gallery
    log : Log
    seed : int
        Decides which faces are drawn at random.
    choices : tuple of str, optional
        Names to choose from, unless a person stated others; by default the set's classes.

    Returns
    -------
    int
        Number of pictures.
    str
        The file to fill in.
    """
    answers = log.answers
    given = answers.given()
    lines = [
        "# Write a name behind each cluster that you know one for, or mixed, which leaves it out.",
        "# What stays empty stays as it is.",
        f"# Names: {', '.join(answers.choices(choices))}, or others.",
    ]
    count = 0
    for number in range(gallery.clusters):
        group = Group(f"sheet{number}", (number,))
        members = gallery.members(group)
        if not len(members):
            continue
        # What action units told is for a person to confirm, and stands beside.
        said = given.emotion[number] >= 0 and given.by[number] in ("page", "file")
        name = _name(given.categories[given.emotion[number]] if said else "")
        path = os.path.join(folder, f"cluster-{number:03d}.png")
        storage.write_whole(path, _picture(gallery, group, members, seed, number, name))
        hint = gallery.hint(group)
        told = "" if hint is None or hint.emotion == UNKNOWN else f", like {EMOTIONS[hint.emotion]}"
        lines.append(f"{number}: {name}  # {len(members)} faces{told}")
        count += 1
    target = Path(folder) / "names.yaml"
    if target.exists():
        target = Path(folder) / "names-new.yaml"
    storage.write_text(str(target), "\n".join(lines) + "\n")
    return count, str(target)


def _name(name: str) -> str:
    """A name as YAML writes it."""
    plain = name.isalpha() and name.lower() not in NO_TEXTS
    return name if plain or not name else json.dumps(name, ensure_ascii=False)


def _picture(
    gallery: Gallery, group: Group, members: np.ndarray, seed: int, number: int, name: str
) -> bytes:
    sheet = gallery.sheet(group)
    drawn = generator(seed, "name-sheet", number).permutation(len(members))[:RANDOM]

    def faces(positions: np.ndarray) -> np.ndarray:
        if not len(positions):
            return np.empty((0, gallery.side**2), np.uint8)
        return gallery.pixels.rows(positions)

    def of(tiles: tuple[object, ...]) -> np.ndarray:
        return faces(np.array([tile.position for tile in tiles], np.int64))  # type: ignore[attr-defined]

    title = f"Cluster {number}: {len(members):,} faces" + (f", named {name}" if name else "")
    return labelled_sheet(
        title,
        [
            (f"nearest to the centre ({min(CENTRAL, len(members))})", faces(members[:CENTRAL])),
            (f"drawn at random ({len(drawn)})", faces(members[drawn])),
            ("most different from each other", of(sheet.diverse)),
            ("at the border to other clusters", of(sheet.borderline)),
        ],
        COLUMNS,
    )
