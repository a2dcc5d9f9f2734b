"""What action units tell of a group of faces, without a label and without a look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from daskfer.faces import EMOTIONS

if TYPE_CHECKING:
    from daskfer.facs import Reader
    from daskfer.represent.expression.features import PartFiles

MOST_FACES = 2_000
"""Faces of a group, from its centre outwards, by which it is told."""

CHUNK = 32_768
"""Faces that are read at once."""


@dataclass(frozen=True)
class Hint:
    """The likeliest emotion of a group of faces, and why.

    Attributes
    ----------
    emotion : int
        UNKNOWN where none stands out.
    score : float
        How likely that is right, or would be the best guess.
    units : tuple of (str, float)
        Action units that these faces have more or less of than others, in standard deviations.
    """

    emotion: int
    score: float
    units: tuple[tuple[str, float], ...]


class Hints:
    """Hints of groups, each told once.

    Parameters
    ----------
    part : PartFiles
        Blendshapes of all faces.
    reader : Reader
        What emotions look like among them.
    margin : float
        By how much the first emotion must be told more than the second to be suggested.
    """

    def __init__(self, part: PartFiles, reader: Reader, margin: float) -> None:
        self.part, self.reader, self.margin = part, reader, margin
        self._told: dict[str, Hint] = {}

    def of(self, key: str, members: np.ndarray) -> Hint:
        """What is told of the faces at these positions, which are those of the group `key`."""
        if key not in self._told:
            self.learn({key: members})
        return self._told[key]

    def learn(self, groups: dict[str, np.ndarray]) -> None:
        """Tell several groups at once, by the positions of their faces, the central ones first."""
        from daskfer import facs

        parts = [members[:MOST_FACES] for members in groups.values()]
        cluster = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        sums = np.zeros((len(parts), 1 + len(EMOTIONS) + self.part.dimensions))
        positions = np.concatenate([np.zeros(0, np.int64), *parts])
        for low in range(0, len(positions), CHUNK):
            piece = slice(low, low + CHUNK)
            rows = self.part.rows(positions[piece])
            sums += facs.cluster_sums(rows, cluster[piece], self.reader, len(parts))
        told, units = facs.tell(sums, self.margin), facs.units_of(sums)
        for number, key in enumerate(groups):
            score = float(told.score[number]) if len(parts[number]) else 1 / len(EMOTIONS)
            self._told[key] = Hint(int(told.emotion[number]), score, tuple(units[number]))
