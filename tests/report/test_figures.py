"""Figures that the report shows are those of metrics.json, and almost all of these are shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from reports import make_metrics, make_result, read

from daskfer.report import words
from daskfer.report.graphs import graphs_of

UNSHOWN = {
    "cluster.ari", "cluster.hungarian_p", "cluster.davies_bouldin", "cluster.calinski_harabasz",
    "cluster.inertia", "classifier.balanced_chance_accuracy",
}  # fmt: skip
"""For those who read metrics.json: the page has others that say the same, or the comparison has."""


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """All numbers in it, by their names."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{name}[{number}]")
    elif isinstance(value, int | float):
        yield name, value


def written(name: str, value: float) -> set[str]:
    """How the page may write a figure."""
    if name.startswith("seconds"):
        return {words.seconds(value)}
    if name.startswith("peak_memory"):
        return {words.size(value)}
    if isinstance(value, int):
        return {words.count(value)}
    return {words.percent(value), words.score(value)}


def with_figures_of_its_own(k: int) -> dict[str, Any]:
    """Metrics in which no two figures are written alike."""
    metrics = make_metrics(k)
    metrics["cluster"] |= {"nmi_chance": 0.1, "davies_bouldin": 0.1, "calinski_harabasz": 0.1}
    metrics["classifier"] |= {"test_calibration_error": 0.1, "balanced_chance_accuracy": 0.1,
                              "validation_accuracy": 0.1}  # fmt: skip
    metrics["peak_memory"] = {"ingest": 1, "cluster": 1}
    shares = iter(np.random.default_rng(8).permutation(np.arange(101, 900)) / 1000 + 0.00013)
    counts = iter(np.random.default_rng(9).permutation(np.arange(1_001, 9_000)))
    for section in ("cluster", "classifier", "rows", "seconds", "peak_memory"):
        for key, value in metrics[section].items():
            if section == "rows":
                metrics[section][key] = int(next(counts))
            elif section == "seconds":
                metrics[section][key] = float(next(counts)) / 100
            elif section == "peak_memory":
                metrics[section][key] = int(next(counts)) * 100_000
            elif isinstance(value, float):
                metrics[section][key] = float(next(shares))
    metrics["peak_memory_bytes"] = int(next(counts)) * 100_000
    return metrics


def test_all_figures_are_shown_as_metrics_json_has_them(tmp_path: Path) -> None:
    metrics = with_figures_of_its_own(3)
    text = read(tmp_path, make_result(tmp_path), metrics)[0].text
    for name, value in leaves({key: metrics[key] for key in metrics if key != "naming"}):
        if name not in UNSHOWN:
            shown = "|".join(re.escape(one) for one in written(name, value))
            # Not as a part of another number.
            assert re.search(rf"(?<![\d.,])({shown})(?![\d%])", text), name


def test_no_other_figure_is_shown(tmp_path: Path) -> None:
    metrics = with_figures_of_its_own(3)
    page = read(tmp_path, make_result(tmp_path), metrics)[1]
    known = {text for name, value in leaves(metrics) for text in written(name, value)}
    shown = re.findall(r'<td class="num" data-label="This run">(.*?)</td>', page)
    # Five of the head, and those of the classifier.
    assert len(shown) == 5 + 6
    assert set(shown) <= known
    # Cells of the confusion matrix, and of the tables of rows, time and memory.
    matrix = page[page.index('aria-label="Confusion matrix"') :]
    counts = [int(one) for one in re.findall(r"<small>(\d+)</small></td>", matrix)][:49]
    assert counts == [one for row in metrics["classifier"]["test_confusion"] for one in row]


def test_figures_in_graphs_are_those_of_metrics_json(tmp_path: Path) -> None:
    metrics = with_figures_of_its_own(3)
    found, _ = graphs_of(make_result(tmp_path), metrics)
    by_name = {graph.name: graph for section in found.values() for graph in section}
    legend = by_name["silhouettes"].figure.axes[0].get_legend().get_texts()
    assert [text.get_text() for text in legend] == [
        f"this run: {words.score(metrics['cluster']['silhouette'])}",
        f"structureless noise: {words.score(metrics['cluster']['silhouette_null'])}",
    ]
    bars = [patch.get_width() for patch in by_name["cost"].figure.axes[0].patches]
    assert bars == list(metrics["seconds"].values())
    bars = [patch.get_width() * 1e6 for patch in by_name["cost"].figure.axes[1].patches]
    np.testing.assert_allclose(bars, list(metrics["peak_memory"].values()))
    table = np.array(metrics["classifier"]["test_confusion"])
    recall = [patch.get_width() for patch in by_name["recall"].figure.axes[0].patches]
    np.testing.assert_allclose(recall, np.diag(table) / table.sum(axis=1))
    shares = np.asarray(by_name["confusion"].figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(shares, table / table.sum(axis=1, keepdims=True))
    off = words.score(metrics["classifier"]["test_calibration_error"])
    assert f"{off} off on average" in by_name["reliability"].means
    lines = [line.get_ydata()[0] for line in by_name["reliability"].figure.axes[0].lines]
    assert metrics["classifier"]["chance_accuracy"] in lines
