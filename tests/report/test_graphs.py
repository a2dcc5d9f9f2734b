"""Graphs: the right numbers, the right faces under the pointer, and nothing unescaped."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from browsers import LAPTOP, PHONE, chromium, opened
from PIL import Image
from reports import FITTED, ROWS, SIDE, make_metrics, make_result, read

from daskfer.classify import calibration_bins, calibration_error
from daskfer.evaluate.silhouette import silhouette_values, silhouettes_among
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.recipe import load_recipe
from daskfer.reduce import Reducer
from daskfer.report import graphs
from daskfer.report.graphs import (
    components,
    confidence,
    looks,
    places,
    recalls,
    rows,
    sample,
    units,
)
from daskfer.report.graphs.silhouettes import silhouettes
from daskfer.represent.expression.blendshapes import AVERAGED
from daskfer.represent.expression.features import ExpressionFeatures

EVIL = '<script>"alert"(1)</script>'


def drawn(result: Any, metrics: dict[str, Any]) -> dict[str, graphs.Graph]:
    found, _ = graphs.graphs_of(result, metrics)
    return {graph.name: graph for section in found.values() for graph in section}


def svgs(page: str) -> list[str]:
    """The graphs of a page, by their markup."""
    return re.findall(r'<svg class="graph".*?</svg>(?=\s*(?:<figcaption|</figure))', page, re.S)


def test_each_graph_says_what_it_shows_and_what_it_means(tmp_path: Path) -> None:
    page = read(tmp_path, make_result(tmp_path), make_metrics())[1]
    assert len(svgs(page)) == 11
    for one in drawn(make_result(tmp_path), make_metrics()).values():
        if one.page:
            assert one.shows.endswith((".", ")")), one.name
            assert one.means.endswith((".", ")")), one.name


def test_names_are_escaped_in_graphs(tmp_path: Path) -> None:
    result = make_result(tmp_path)
    categories = (*EMOTIONS, EVIL, "$x^$", "漢字")
    result.names = replace(
        result.names, emotion=np.array([7, 8, 9], np.int8), categories=categories, how="page"
    )
    metrics = make_metrics() | {"seconds": {EVIL: 2.0}, "peak_memory": {EVIL: 5e8}}
    metrics["classifier"] |= {"test_confusion": None}
    reader, page = read(tmp_path, result, metrics)
    assert "<script" not in page
    assert not reader.of("script")
    # In the window over the map, once for each of its 30 faces on either map.
    assert page.count(f"cluster 0: {EVIL.replace('<', '&lt;').replace('>', '&gt;')}") == 0
    assert reader.text.count(f"cluster 0: {EVIL}") == 60
    assert "cluster 1: $x^$" in reader.text
    assert "cluster 2: 漢字" in reader.text
    written = drawn(result, metrics)
    for graph in written.values():
        for as_paths in (False, True):
            tree = ET.fromstring(graphs.style.svg_of(graph, as_paths))
            assert not [one for one in tree.iter() if one.tag.endswith("script")], graph.name


def test_graphs_share_no_name_and_fetch_nothing(tmp_path: Path) -> None:
    page = read(tmp_path, make_result(tmp_path), make_metrics())[1]
    names = re.findall(r' id="([^"]*)"', page)
    assert len(names) == len(set(names))
    used = set(re.findall(r' href="#([^"]*)"', page))
    assert used <= set(names), used - set(names)
    for svg in svgs(page):
        assert "<style" not in svg
        assert "clip-path" not in svg
        # Colours of the page, not of paper.
        assert not re.search("|".join(graphs.style.ROLES), svg)


def picture_of(page: str) -> np.ndarray:
    data = re.search(r'id="faces-of-maps"[^>]*base64,([^"]*)"', page)
    assert data is not None
    with Image.open(io.BytesIO(base64.b64decode(data[1]))) as picture:
        return np.asarray(picture.convert("L")).astype(float)


def test_the_face_under_the_pointer_is_the_point_s(tmp_path: Path) -> None:
    result = make_result(tmp_path)
    # Faces of one grey each, which JPEG nearly keeps.
    greys = np.random.default_rng(3).permutation(ROWS).astype(np.uint8) * 2
    pixels = np.repeat(greys[:, None], SIDE * SIDE, axis=1)
    result.faces = replace(result.faces, pixels=SimpleNamespace(rows=lambda at: pixels[at]))
    page = read(tmp_path, result, make_metrics())[1]
    picture = picture_of(page)
    flat, _ = places._plane(result.reduced.points.rows(np.arange(FITTED)).astype(float))
    codes = [result.clusters.cluster[:FITTED], result.faces.table.emotion[:FITTED]]
    for svg, code in zip((one for one in svgs(page) if 'class="pt"' in one), codes, strict=True):
        points = re.findall(
            r'<g class="pt"><use [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*/>'
            r'<g class="tip">.*?viewBox="(\d+) (\d+) 6 6".*?<text[^>]*>(.*?)</text>',
            svg,
        )
        assert len(points) == FITTED
        found = {}
        for x, _, left, top, text in points:
            window = picture[int(top) : int(top) + SIDE, int(left) : int(left) + SIDE]
            # All fitted faces are drawn, in their order.
            position = int(top) // SIDE * places.COLUMNS + int(left) // SIDE
            assert abs(window.mean() - greys[position]) < 8
            assert text.startswith(f"cluster {result.clusters.cluster[position]}:")
            found[position] = float(x)
        assert len(found) == FITTED
        # Points lie as the plane says: their order from left to right is the faces'.
        positions = np.array(list(found))
        assert np.corrcoef(list(found.values()), flat[positions, 0])[0, 1] > 0.99
        assert len(np.unique(code)) == len(re.findall('id="[a-z-]*points', svg))


def test_recall_beside_what_its_answers_get_by_chance(tmp_path: Path) -> None:
    confusion = np.zeros((7, 7), int)
    confusion[3, 3], confusion[3, 0], confusion[0, 3], confusion[0, 0] = 6, 2, 4, 8
    recall, chance = recalls.recall_and_chance(confusion)
    np.testing.assert_allclose(recall[[0, 3]], [8 / 12, 6 / 8])
    np.testing.assert_allclose(chance[[0, 3]], [10 / 20, 10 / 20])
    assert np.isnan(recall[[1, 2, 4, 5, 6]]).all()
    metrics = make_metrics()
    metrics["classifier"]["test_confusion"] = confusion.tolist()
    graph = recalls.recalls(metrics)
    assert graph is not None
    assert graph.means == (
        "It recognises happy best (75.0%, by chance 50.0%), and every class more often than by "
        "chance."
    )
    confusion[0, [0, 3]], confusion[3, [0, 3]], confusion[4, 4] = (12, 0), (8, 0), 4
    metrics["classifier"]["test_confusion"] = confusion.tolist()
    worse = recalls.recalls(metrics)
    assert worse is not None
    assert worse.means.endswith("; happy no more often than by chance.")


def test_reliability_is_that_of_the_test_rows(tmp_path: Path) -> None:
    result = make_result(tmp_path)
    test = result.selection.test
    right = result.trained.emotion[test] == result.faces.table.emotion[test]
    error = calibration_error(result.trained.confidence[test], right)
    metrics = make_metrics()
    metrics["classifier"]["test_calibration_error"] = error
    graph = confidence.reliability(result, metrics)
    assert graph is not None
    share, claimed = right.mean(), result.trained.confidence[test].mean()
    assert f"claims {claimed:.1%} and is right on {share:.1%}" in graph.means
    assert f"{error:.3f} off on average" in graph.means
    said, found, counts = calibration_bins(result.trained.confidence[test], right)
    line = graph.figure.axes[0].containers[0].lines[0]
    np.testing.assert_allclose(line.get_xydata(), np.column_stack([said, found]))
    assert counts.sum() == len(test)


def test_mistakes_are_the_most_confident_ones(tmp_path: Path) -> None:
    result = make_result(tmp_path)
    test, truth = result.selection.test, result.faces.table.emotion
    result.faces = replace(
        result.faces, table=replace(result.faces.table, look=np.arange(ROWS).astype(np.uint64))
    )
    answer, sure = result.trained.emotion, result.trained.confidence
    wrong = test[answer[test] != truth[test]]
    order = wrong[np.argsort(-sure[wrong])][:15]
    graph = confidence.mistakes(result)
    assert graph is not None
    said = [text.get_text() for text in graph.figure.axes[0].texts]
    assert said == [
        f"true {EMOTIONS[truth[one]]}\nsaid {EMOTIONS[answer[one]]}\n{sure[one]:.0%} sure"
        for one in order
    ]
    shown = [np.asarray(one.get_array()).ravel() for one in graph.figure.axes[0].images]
    np.testing.assert_array_equal(shown, result.faces.pixels.rows(order))
    # A face that looks the same is the same mistake.
    result.faces = replace(
        result.faces, table=replace(result.faces.table, look=np.zeros(ROWS, np.uint64))
    )
    once = confidence.mistakes(result)
    assert once is not None
    assert [text.get_text() for text in once.figure.axes[0].texts] == said[:1]
    # Names that are no emotions are neither right nor wrong.
    result.names = replace(result.names, emotion=np.full(3, 7, np.int8),
                           categories=(*EMOTIONS, "calm"))  # fmt: skip
    assert confidence.mistakes(result) is None
    assert confidence.reliability(result, make_metrics()) is None


def test_silhouettes_of_chosen_rows_are_those_among_all() -> None:
    random = np.random.default_rng(5)
    points, cluster = random.normal(size=(300, 4)), random.integers(0, 6, 300)
    chosen = np.sort(random.choice(300, 40, replace=False))
    found = silhouettes_among(points, cluster, 6, chosen)
    np.testing.assert_allclose(found, silhouette_values(points, cluster, 6)[chosen], atol=1e-5)


@pytest.mark.parametrize("k", [3, 40])
def test_silhouettes_beside_noise(tmp_path: Path, k: int) -> None:
    result = make_result(tmp_path, k=k)
    graph = silhouettes(result, make_metrics(k))
    assert graph is not None
    points = result.reduced.points.rows(np.arange(FITTED)).astype(float)
    values = silhouette_values(points, result.clusters.cluster[:FITTED], k)
    above = sum(values[result.clusters.cluster[:FITTED] == one].mean() > 0.3204 for one in range(k))
    assert f"{(values < 0).mean():.1%} of these faces" in graph.means
    assert f"of {k} clusters {above} are tighter" in graph.means
    legend = [text.get_text() for text in graph.figure.axes[0].get_legend().get_texts()]
    assert legend == ["this run: 0.336", "structureless noise: 0.320"]


def test_variance_and_faces_of_components(tmp_path: Path) -> None:
    result = make_result(tmp_path)
    graph = components.variance(result)
    assert graph is not None
    assert "keep 60.0% of the variance, the first 30.0%" in graph.means
    chosen = sample.draw(result)
    ends = components.as_faces(result, chosen)
    assert ends.title == "What components are of a face"
    first = chosen.pixels[np.argsort(chosen.points[:, 0])[:4]].mean(axis=0)
    shown = np.asarray(ends.figure.axes[0].images[0].get_array()).ravel()
    np.testing.assert_allclose(shown, np.round(first), atol=1)
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(SIDE * SIDE, 3)))[0].T
    pixels = Reducer(np.arange(36.0), axes, np.array([3.0, 2.0, 1.0]), 10.0)
    result.reduced = replace(result.reduced, reducer=pixels)
    eigen = components.as_faces(result, chosen)
    assert eigen.title == "Eigenfaces"
    second = np.asarray(eigen.figure.axes[0].images[2].get_array()).ravel()
    np.testing.assert_allclose(second, axes[1])
    result.recipe = load_recipe("hog", ["reduce.method=none"])
    assert components.variance(result) is None


class Measured(ExpressionFeatures):
    """Blendshapes that nobody measured."""

    def __init__(self, values: np.ndarray) -> None:
        object.__setattr__(self, "values", values)

    def part(self, name: str, ready: Any = None) -> Any:
        assert name == "blendshapes"
        return SimpleNamespace(rows=lambda at: self.values[at])  # type: ignore[attr-defined]


def test_action_units_in_which_clusters_differ(tmp_path: Path) -> None:
    result = make_result(tmp_path)
    assert units.action_units(result, sample.draw(result)) is None
    values = np.random.default_rng(2).random((ROWS, len(AVERAGED)))
    # Cluster 1 smiles, and cluster 2 does so most.
    values[:, AVERAGED.index("mouthSmile")] += result.clusters.cluster
    result.features = Measured(values)
    graph = units.action_units(result, sample.draw(result))
    assert graph is not None
    found, random = re.findall(r"[(]([\d.]+), random clusters ([\d.]+)[)]", graph.means)[0]
    assert graph.means.startswith("They differ most in AU12 lip corner puller (")
    assert graph.means.endswith("of which cluster 2 (angry) shows most.")
    # Ranks that follow the clusters alone: nearly all of a normal score's deviation, which is 1.
    assert 0.8 < float(found) < 1
    assert float(random) < 0.3
    names = [text.get_text() for text in graph.figure.axes[0].get_yticklabels()]
    assert len(names) == len(set(names)) == 10
    assert names[0] == "AU12 lip corner puller"
    widths = [bar.get_width() for bar in graph.figure.axes[0].patches]
    assert widths == sorted(widths, reverse=True)


def test_which_component_goes_with_emotion(tmp_path: Path) -> None:
    result = make_result(tmp_path)
    points = np.random.default_rng(1).normal(size=(ROWS, 3))
    points[:, 1] = result.faces.table.emotion
    result.reduced = replace(result.reduced, points=SimpleNamespace(rows=lambda at: points[at]))
    means = components.as_faces(result, sample.draw(result)).means
    assert "number 2 goes most with emotion: 100.0% of its variance" in means


def test_classes_before_and_after_balancing(tmp_path: Path) -> None:
    result = make_result(tmp_path)
    emotion = result.faces.table.emotion
    graph = rows.classes(result)
    assert graph is not None
    widths = [[bar.get_width() for bar in bars] for bars in graph.figure.axes[0].containers]
    expected = [np.bincount(emotion[at], minlength=7) for at in (
        np.arange(ROWS), result.selection.fit, result.selection.test
    )]  # fmt: skip
    np.testing.assert_array_equal(widths, expected)
    fit = expected[1]
    assert f"has {fit.max() / fit.min():.1f} times the rows of the smallest" in graph.means


def simulation() -> dict[str, Any]:
    return {
        "figures": [
            {"looks": 0, "accuracy": 0.41, "accuracy_spread": 0.01, "random_accuracy": None,
             "random_accuracy_spread": None},
            {"looks": 50, "accuracy": 0.47, "accuracy_spread": None, "random_accuracy": 0.33,
             "random_accuracy_spread": 0.02},
        ],
        "chance_accuracy": 0.25, "ceiling": {"accuracy": 0.58},
    }  # fmt: skip


def test_what_looks_are_worth(tmp_path: Path) -> None:
    assert looks.looks(None) is None
    assert looks.looks({"figures": []}) is None
    graph = looks.looks(simulation())
    assert graph is not None
    assert graph.means == (
        "With 50 looks it is right on 47.0% (chance 25.0%); as many labels on random faces give "
        "33.0%."
    )
    points = [container.lines[0].get_xydata() for container in graph.figure.axes[0].containers]
    np.testing.assert_array_equal(points[0], [[0, 0.41], [50, 0.47]])
    np.testing.assert_array_equal(points[1], [[50, 0.33]])


def test_graphs_as_files(tmp_path: Path) -> None:
    result, metrics = make_result(tmp_path), make_metrics()
    found, _ = graphs.graphs_of(result, metrics, simulation())
    names = graphs.write_graphs(str(tmp_path / "graphs"), found)
    assert sorted(names) == sorted(path.name for path in (tmp_path / "graphs").iterdir())
    stems = {name.partition(".")[0] for name in names}
    assert {"confusion", "clusters-emotions", "looks", "map-emotions"} <= stems
    for stem in stems:
        tree = ET.parse(tmp_path / "graphs" / f"{stem}.svg")
        assert tree.getroot().tag.endswith("svg")
        with Image.open(tmp_path / "graphs" / f"{stem}.png") as picture:
            assert picture.width > 800
            # On white, for paper.
            assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_runs_of_which_little_is_known(tmp_path: Path) -> None:
    result = make_result(tmp_path, k=1, labelled=False, named=False)
    found = drawn(result, {})
    assert set(found) == {"normalized", "variance", "components", "map-clusters"}
    assert "cannot be said without labels" in found["components"].means
    assert (result.faces.table.emotion == UNKNOWN).all()


@pytest.mark.parametrize("faces", [1, 2])
def test_runs_of_very_few_faces(tmp_path: Path, faces: int) -> None:
    result = make_result(tmp_path)
    result.selection = replace(result.selection, fit=np.arange(faces))
    found = drawn(result, make_metrics())
    assert ("silhouettes" in found) == (faces > 1)
    assert "1 fitted faces" not in found["normalized"].shows
    for graph in found.values():
        assert not re.search(r"\b(nan|inf|None)\b", graph.means), graph.name


def test_large_faces_and_points_that_are_all_alike(tmp_path: Path) -> None:
    result = make_result(tmp_path)
    points, pixels = np.zeros((ROWS, 3)), np.full((ROWS, 200 * 200), 77, np.uint8)
    result.reduced = replace(result.reduced, points=SimpleNamespace(rows=lambda at: points[at]))
    result.faces = replace(
        result.faces, side=200, pixels=SimpleNamespace(rows=lambda at: pixels[at])
    )
    page = read(tmp_path, result, make_metrics())[1]
    assert picture_of(page).shape == (3 * sample.SIDE, places.COLUMNS * sample.SIDE)
    assert not re.search(r"\b(nan|inf|None)\b", page)


@pytest.mark.browser
def test_a_face_shows_while_its_point_is_pointed_at(tmp_path: Path) -> None:
    read(tmp_path, make_result(tmp_path), make_metrics())
    address = (tmp_path / "run" / "report.html").as_uri()
    with chromium() as browser:
        for viewport, scheme in ((LAPTOP, "dark"), (PHONE, "light")):
            with opened(browser, address, viewport, color_scheme=scheme) as page:
                said: list[str] = []
                page.on("console", lambda message, said=said: said.append(message.text))
                assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
                point = page.locator(".pt").nth(5)
                tip = point.locator(".tip")
                assert not tip.is_visible()
                point.locator("> use").hover(force=True)
                assert page.locator(".tip:visible").count() == 1
                words = page.locator(".tip:visible").text_content() or ""
                assert re.fullmatch(r"cluster \d: \w+true emotion: \w+", words)
                ink = page.locator(".graph g text").first.evaluate(
                    "one => getComputedStyle(one).fill"
                )
                assert ink == {"dark": "rgb(156, 167, 180)", "light": "rgb(86, 96, 109)"}[scheme]
                assert said == []
