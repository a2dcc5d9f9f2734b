"""The picture of a sweep: colours, numbers in cells, and frames."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from daskfer.report import grid
from daskfer.sweep.choices import Cell
from daskfer.sweep.results import Result
from daskfer.sweep.statement import Judged


def judged(components: int | None, clusters: int, excess: float, supported: bool = False) -> Judged:
    result = Result(
        "pixels", components, clusters, 100, 0.5, 0.3 + excess, 0.3, 0.01, 3, 0.9, 0.5,
        0.3, 0.01, 0.3, 0.01, 1.0, 10.0, 5.0,
    )  # fmt: skip
    return Judged(result, 0.01, supported, supported)


def test_lightness_rises_with_the_value() -> None:
    """So the picture is read alike in grey, and whatever colours one tells apart."""
    grey = [float(np.array(grid.colour(v)) @ [0.2126, 0.7152, 0.0722]) for v in np.linspace(0, 1)]
    assert (np.diff(grey) > 0).all()
    assert grey[-1] - grey[0] > 150


def test_numbers_are_readable_on_every_colour() -> None:
    def luminance(colour: tuple[int, int, int]) -> float:
        share = np.array(colour) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for value in np.linspace(0, 1, 101):
        ground = grid.colour(float(value))
        pair = sorted([luminance(ground), luminance(grid.ink_on(ground))])
        assert (pair[1] + 0.05) / (pair[0] + 0.05) > 4.5


@pytest.mark.parametrize(
    ("value", "signed", "expected"),
    [
        (0.0171, True, "+.017"),
        (-0.2, True, "−.200"),
        (0.81, False, ".810"),
        (1.0, False, "1.000"),
        (-0.0001, True, ".000"),
        (float("nan"), True, "–"),
    ],
)
def test_numbers_in_cells(value: float, signed: bool, expected: str) -> None:
    assert grid.cell_text(value, signed) == expected


def picture(cells: list[Judged], choice: Cell | None = None) -> np.ndarray:
    png = grid.heatmap(cells, choice, "faces.csv: 100 rows", "what the evidence supports")
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def test_cells_have_their_colours_and_the_choice_a_frame() -> None:
    cells = [judged(c, k, 0.01 * c * k) for c in (2, 3) for k in (4, 5, 6)]
    plain = picture(cells)
    for colour in (grid.colour(0), grid.colour(1)):
        assert (plain == colour).all(axis=2).sum() > 1000
    framed = [replace(one, above=True, stable=True) for one in cells[:1]] + cells[1:]
    some = picture(framed)
    chosen = picture(framed, cells[0].result.cell)
    black = [(image == 0).all(axis=2).sum() for image in (plain, some, chosen)]
    assert plain.shape == some.shape == chosen.shape
    assert black[0] < black[1] < black[2]


def test_one_cell_many_cells_and_unknown_ones() -> None:
    picture([judged(None, 4, 0.1)])
    assert picture([judged(2, k, 0.1) for k in range(2, 42)]).shape[1] > 2 * 40 * 60 * 2
    unknown = judged(2, 4, 0.1)
    picture([replace(unknown, result=replace(unknown.result, silhouette=None)), judged(2, 5, 0.1)])
    without = replace(unknown.result, null=None, stability=None)
    picture([replace(unknown, result=without)])
