"""The fitted faces that graphs of single faces show: few enough to draw, the same every time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from daskfer.randomness import drawn_part
from daskfer.report.sheets import shrunk

if TYPE_CHECKING:
    from daskfer.pipeline import Result

MOST = 1_500
"""Faces of the map: each is in the page, to be seen when its point is pointed at."""

SIDE = 48
"""Side in pixels to which larger ones are shrunk."""


@dataclass(frozen=True)
class Sample:
    """Some fitted faces, drawn by seed.

    Attributes
    ----------
    positions : int64 array (n,)
    cluster : int32 array (n,)
    emotion : int8 array (n,)
        True emotions, UNKNOWN where the input states none.
    points : float64 array (n, c)
        Reduced, as the clusterer saw them.
    pixels : uint8 array (n, side²)
    """

    positions: np.ndarray
    cluster: np.ndarray
    emotion: np.ndarray
    points: np.ndarray
    pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.positions)


def draw(result: Result) -> Sample:
    """Draw the sample of a run."""
    positions = drawn_part(result.selection.fit, MOST, result.recipe.seed, "report-map")
    return Sample(
        positions,
        result.clusters.cluster[positions],
        result.faces.table.emotion[positions],
        result.reduced.points.rows(positions).astype(np.float64),
        shrunk(result.faces.pixels.rows(positions), SIDE),
    )
