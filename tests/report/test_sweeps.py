"""Heat maps of a sweep: the right number in the right cell, its marks, and what they say."""

from __future__ import annotations

import html
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reports import Reader, make_metrics, make_result
from swept import SUPPORTED, cells, content_of, values

from daskfer.recipe import load_recipe
from daskfer.report import graphs, grid, write_report
from daskfer.report.graphs import cells as drawing
from daskfer.report.graphs.style import CARD, TEXT, Graph, svg_of
from daskfer.report.graphs.sweeps import heat_maps
from daskfer.report.page import SWEEP_LEFT_OUT
from daskfer.report.sweep_file import Swept, parse
from daskfer.sweep.results import Result

BETTER = {("hog", 5, 7): SUPPORTED, ("pixels", 2, 8): SUPPORTED | {"silhouette": 0.75}}


def read_back(results: list[Result], recipe: Any = None) -> Swept:
    return parse("sweep.json", json.dumps(content_of(results, recipe)).encode())


def drawn(folder: Path, results: list[Result], *changes: str) -> dict[str, Graph]:
    """The graphs of a sweep by recipe `hog`, beside a run by that recipe with changes."""
    result = make_result(folder, recipe=load_recipe("hog", changes))
    return {graph.name: graph for graph in heat_maps(result, read_back(results))}


def numbers(axes: Any, shape: tuple[int, int]) -> list[list[str]]:
    """What stands in each cell."""
    found = [["" for _ in range(shape[1])] for _ in range(shape[0])]
    for text in axes.texts:
        x, y = text.get_position()
        if text.get_ha() == "center":
            found[int(y)][int(x)] = text.get_text()
    return found


def ground(axes: Any, shape: tuple[int, int]) -> np.ndarray:
    """The colour of each cell, as it is painted beside the cell's lower right corner."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(axes.figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    found = np.zeros((*shape, 3), int)
    for row, column in np.ndindex(shape):
        x, y = axes.transData.transform((column + 0.88, row + 0.85))
        found[row, column] = pixels[round(len(pixels) - y), round(x), :3]
    return found


def marks(axes: Any) -> tuple[set[tuple[int, int]], set[tuple[int, int]], set[tuple[int, int]]]:
    """Cells with a thin frame, with a thick one, and with a triangle."""
    thin, thick, own = set(), set(), set()
    for patch in axes.patches:
        x, y = patch.get_path().vertices[:3].mean(axis=0)
        middle = patch.get_transform().transform_path(patch.get_path()).get_extents()
        (x, y) = axes.transData.inverted().transform(
            ((middle.x0 + middle.x1) / 2, (middle.y0 + middle.y1) / 2)
        )
        at = int(y), int(x)
        if type(patch).__name__ == "Polygon":
            own.add(at)
        elif patch.get_edgecolor()[:3] == tuple(int(TEXT[i : i + 2], 16) / 255 for i in (1, 3, 5)):
            (thick if patch.get_linewidth() > 2 else thin).add(at)
    return thin, thick, own


def test_each_number_stands_in_its_cell_in_its_colour(tmp_path: Path) -> None:
    results = cells(better=BETTER)
    maps = drawn(tmp_path, results)
    assert list(maps) == ["sweep-silhouette", "sweep-above-noise", "sweep-stability"]
    written = content_of(results)["cells"]
    figures = ("silhouette", "silhouette_above_null", "stability")
    for graph, figure in zip(maps.values(), figures, strict=True):
        known = [cell[figure] for cell in written]
        low, high = min(known), max(known)
        assert len(graph.figure.axes) == 2
        for axes, represent in zip(graph.figure.axes, ("hog", "pixels"), strict=True):
            assert represent in [text.get_text() for text in axes.texts]
            mine = {
                (cell["components"], cell["clusters"]): cell[figure]
                for cell in written
                if cell["represent"] == represent
            }
            assert len(mine) == 9
            found = numbers(axes, (3, 3))
            colours = ground(axes, (3, 3))
            for row, components in enumerate((2, 5, 20)):
                for column, clusters in enumerate((6, 7, 8)):
                    value = mine[components, clusters]
                    text = grid.cell_text(value, figure == "silhouette_above_null")
                    assert found[row][column] == text
                    expected = grid.colour((value - low) / (high - low))
                    assert tuple(colours[row, column]) == expected
            assert [tick.get_text() for tick in axes.get_yticklabels()] == ["2", "5", "20"]
            assert [tick.get_text() for tick in axes.get_xticklabels()] == ["6", "7", "8"]
    assert values(results, "hog")[1, 1] == 0.9
    assert numbers(maps["sweep-silhouette"].figure.axes[0], (3, 3))[1][1] == ".900"


def test_marks_of_the_run_and_of_the_sweep_s_choice(tmp_path: Path) -> None:
    maps = drawn(tmp_path, cells(better=BETTER))
    for graph in maps.values():
        hog, pixels = graph.figure.axes
        # The run has 20 components and 7 clusters of hog; pixels with as many are not its own.
        assert marks(hog) == (set(), {(1, 1)}, {(2, 1)})
        assert marks(pixels) == ({(0, 2)}, set(), set())
        (legend,) = graph.figure.legends
        assert [text.get_text() for text in legend.get_texts()] == [
            "this run", "the sweep’s choice", "supported, too",
        ]  # fmt: skip
    maps = drawn(tmp_path, cells(), "represent.method=pixels")
    hog, pixels = maps["sweep-stability"].figure.axes
    assert marks(hog) == (set(), set(), set())
    assert marks(pixels) == (set(), set(), {(2, 1)})
    (legend,) = maps["sweep-stability"].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["this run"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([], "supports hog, 5 components, 7 clusters (of 2 supported choices), and not this run’s "
             "choice (hog, 20 components, 7 clusters)."),
        (["reduce.components=5"], "(of 2 supported choices), which is this run’s choice."),
        (["represent.method=pixels", "reduce.components=2", "cluster.clusters=8"],
         "; this run’s choice (pixels, 2 components, 8 clusters) is supported, too."),
        (["cluster.clusters=100"], "; this run’s choice lies outside of these ranges."),
        (["reduce.whiten=false"], "; this run’s choice reduces in another way (reduce.method"),
        (["reduce.method=none"], "; this run’s choice reduces in another way (reduce.method"),
        (["cluster.method=gmm"], "; this run’s choice clusters in another way (cluster.method)."),
        # The reducer of this run has three components.
        (["reduce.components=auto"], "; this run’s choice lies outside of these ranges."),
    ],
)  # fmt: skip
def test_how_the_run_stands_to_what_is_supported(
    tmp_path: Path, changes: list[str], said: str
) -> None:
    maps = drawn(tmp_path, cells(better=BETTER), *changes)
    assert said in maps["sweep-stability"].means
    inside = "lies outside" not in said and "another way" not in said
    triangles = [marks(axes)[2] for axes in maps["sweep-silhouette"].figure.axes]
    assert sum(map(len, triangles)) == inside
    assert ("is none of them" in maps["sweep-silhouette"].means) == (not inside)


def test_an_automatic_number_of_components_is_the_one_that_was_found(tmp_path: Path) -> None:
    maps = drawn(tmp_path, cells(components=(2, 3)), "reduce.components=auto")
    assert [marks(axes)[2] for axes in maps["sweep-stability"].figure.axes] == [{(1, 1)}, set()]
    assert "this run’s choice (hog, 3 components, 7 clusters)" in maps["sweep-silhouette"].means


def test_when_nothing_is_supported(tmp_path: Path) -> None:
    maps = drawn(tmp_path, cells())
    assert maps["sweep-stability"].means == (
        "The evidence supports none of these choices, this run’s among them."
    )
    # 0.3 + 0.2 + 0.007 + 0.0003, and noise 0.35; three spreads are 0.3.
    assert maps["sweep-above-noise"].means == (
        "0 of 18 are above it by more than chance (3 times the spread of noise and folds); this "
        "run’s is 0.157 above it, which is no more than that."
    )
    assert maps["sweep-silhouette"].means == (
        "The highest is 0.509 (pixels, 20 components, 8 clusters); this run’s choice (hog, 20 "
        "components, 7 clusters) has 0.507."
    )
    worse = {("hog", 20, 7): {"silhouette": 0.25, "null_spread": 0.001}}
    maps = drawn(tmp_path, cells(better=worse))
    assert "this run’s is 0.100 below it, which is no more" in maps["sweep-above-noise"].means
    assert numbers(maps["sweep-above-noise"].figure.axes[0], (3, 3))[2][1] == "−.100"
    maps = drawn(tmp_path, cells(), "cluster.clusters=9")
    assert maps["sweep-stability"].means.endswith(
        "choices; this run’s lies outside of these ranges."
    )


def test_without_noise_there_is_the_silhouette_alone(tmp_path: Path) -> None:
    maps = drawn(tmp_path, cells(noise=False))
    assert list(maps) == ["sweep-silhouette"]
    assert maps["sweep-silhouette"].means.endswith(
        "has 0.507. Whether the evidence supports any is not known: noise and stability were left "
        "out."
    )


def test_a_sweep_that_reduces_nothing_and_a_run_that_does_neither(tmp_path: Path) -> None:
    recipe = load_recipe("hog", ["reduce.method=none"])
    sweep = read_back(cells(("hog",), (None,)), recipe)
    maps = heat_maps(make_result(tmp_path, recipe=recipe), sweep)
    (axes,) = maps[0].figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["all"]
    assert marks(axes)[2] == {(0, 1)}


def test_a_run_that_reduces_part_by_part_is_no_cell(tmp_path: Path) -> None:
    result = make_result(tmp_path, recipe=load_recipe("expression"))
    recipe = load_recipe("expression", ["reduce.method=pca"])
    better = {("expression", 5, 7): SUPPORTED}
    maps = heat_maps(result, read_back(cells(("expression",), better=better), recipe))
    assert maps[0].means == (
        "The highest is 0.900 (expression, 5 components, 7 clusters); this run’s choice "
        "(expression part by part, 100 clusters) is none of them: it reduces part by part, which "
        "no sweep does."
    )
    assert maps[-1].means == (
        "The evidence supports expression, 5 components, 7 clusters; this run’s choice reduces "
        "part by part, which no sweep does."
    )
    (axes,) = maps[0].figure.axes
    assert marks(axes) == (set(), {(1, 1)}, set())


def test_cells_that_nothing_is_known_of(tmp_path: Path) -> None:
    lost = {("hog", 2, 6): {"silhouette": None, "stability": None}}
    maps = drawn(tmp_path, cells(better=lost))
    for graph in maps.values():
        axes = graph.figure.axes[0]
        assert numbers(axes, (3, 3))[0][0] == "–"
        assert numbers(axes, (3, 3))[0][1] != "–"
    unknown = {"silhouette": None, "stability": None}
    every = {("hog", column, number): unknown for column in (2, 5) for number in (6, 7)}
    assert drawn(tmp_path, cells(("hog",), (2, 5), (6, 7), every)) == {}
    own = {("hog", 20, 7): unknown}
    maps = drawn(tmp_path, cells(better=own))
    assert maps["sweep-silhouette"].means.endswith("(hog, 20 components, 7 clusters) has none.")
    assert maps["sweep-above-noise"].means.endswith("noise and folds).")


@pytest.mark.parametrize(("columns", "rows"), [(44, 20), (60, 30)])
def test_where_numbers_do_not_fit_the_colours_are_told(
    tmp_path: Path, columns: int, rows: int
) -> None:
    clusters, components = tuple(range(2, 2 + columns)), tuple(range(1, 1 + rows))
    better = {("hog", 3, 4): SUPPORTED, ("hog", 9, 9): SUPPORTED | {"silhouette": 0.75}}
    graph = drawn(tmp_path, cells(("hog",), components, clusters, better))["sweep-silhouette"]
    (axes,) = graph.figure.axes
    assert not any(text for line in numbers(axes, (rows, columns)) for text in line)
    assert graph.shows.endswith("Dark is .312, light is .900; sweep.csv has each number.")
    assert graph.figure.get_size_inches()[1] * 72 < 500
    # Dots for the supported ones, a frame for the choice.
    assert [(int(line.get_ydata()[0]), int(line.get_xdata()[0])) for line in axes.lines] == [(8, 7)]
    assert marks(axes)[:2] == (set(), {(2, 2)})
    assert len(svg_of(graph, text_as_paths=False)) < 400_000


def test_the_page_shows_them_and_holds_their_numbers_as_text(tmp_path: Path) -> None:
    result, metrics, path = make_result(tmp_path), make_metrics(), tmp_path / "report.html"
    write_report(str(path), result, metrics)
    plain = path.read_text()
    sweep = read_back(cells(better=BETTER))
    folder = tmp_path / "graphs"
    names = write_report(str(path), result, metrics, pictures=str(folder), sweep=sweep)
    page = path.read_text()
    assert "Sweep: " not in plain
    reader = Reader(page)
    headings = re.findall(r"<h3>(.*?)</h3>", page)
    at = headings.index("Silhouette plot")
    assert headings[at + 1 : at + 4] == [
        "Sweep: silhouette", "Sweep: silhouette above noise", "Sweep: stability",
    ]  # fmt: skip
    for graph in heat_maps(result, sweep):
        (label,) = [one["aria-label"] for one in reader.of("svg")
                    if (one.get("aria-label") or "").startswith(f"{graph.title}. ")]  # fmt: skip
        assert label == f"{graph.title}. {graph.shows} {graph.means}"
        for text in (graph.shows, graph.means):
            assert html.escape(text, quote=False) in page
        svg = page[page.index(f'aria-label="{html.escape(str(label))}"') :]
        svg = svg[: svg.index("</svg>")]
        for axes in graph.figure.axes:
            for line in numbers(axes, (3, 3)):
                assert all(f">{text}</text>" in svg for text in line)
        # Colours of the page, but for those of the cells and their numbers.
        assert not re.search("|".join(graphs.style.ROLES), svg)
        assert {f"{graph.name}.png", f"{graph.name}.svg"} <= set(names)
        ET.fromstring(svg_of(graph, text_as_paths=True))
    assert "<script" not in page
    assert len(re.findall(r' id="([^"]*)"', page)) == len(set(re.findall(r' id="([^"]*)"', page)))


def test_a_sweep_that_cannot_be_shown_breaks_nothing(tmp_path: Path) -> None:
    result, metrics, path = make_result(tmp_path), make_metrics(), tmp_path / "report.html"
    write_report(str(path), result, metrics)
    before = path.read_text()
    write_report(str(path), result, metrics, sweep="/home/ada: <script>alert(1)</script>")
    page = path.read_text()
    assert SWEEP_LEFT_OUT in Reader(page).text
    assert "<script" not in page
    assert "/home/ada" not in page
    lines = set(page.splitlines()) - set(before.splitlines())
    assert [line.strip() for line in lines] == [f"<li>{SWEEP_LEFT_OUT}</li>"]


def test_numbers_can_be_read_on_their_cells() -> None:
    for value in np.linspace(0, 1, 101):
        dark = grid.ink_on(grid.colour(float(value))) == (0, 0, 0)
        ink = drawing._ink(float(value), (0.0, 1.0))
        assert ink == (drawing.BLACK if dark else drawing.WHITE)
    # Nor is any of these a colour that the page replaces by one of its own.
    fills = {"#{:02x}{:02x}{:02x}".format(*grid.colour(v)) for v in np.linspace(0, 1, 5_001)}
    assert not (fills | {drawing.BLACK, drawing.WHITE}) & set(graphs.style.ROLES)
    assert {CARD, TEXT} <= set(graphs.style.ROLES)
