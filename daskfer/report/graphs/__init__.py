"""The graphs of a run: for its report, and as files for papers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from daskfer import storage
from daskfer.report.graphs import (
    components,
    confidence,
    cost,
    looks,
    places,
    recalls,
    rows,
    sample,
    silhouettes,
    style,
    sweeps,
    units,
)
from daskfer.report.graphs.style import Graph

if TYPE_CHECKING:
    from daskfer.pipeline import Result
    from daskfer.report.sweep_file import Swept


def graphs_of(
    result: Result,
    metrics: dict[str, Any],
    simulation: dict[str, Any] | None = None,
    sweep: Swept | None = None,
) -> tuple[dict[str, list[Graph]], str]:
    """The graphs of a run by the page's sections, and the picture that its maps take faces from.

    Parameters
    ----------
    result : Result
    metrics : dict
        The content of metrics.json, and any figure in it may be missing.
    simulation : dict, optional
        The content of simulate.json.
    sweep : Swept, optional
        The sweep that was brought to the run.
    """
    faces = sample.draw(result)
    found = {
        "rows": [rows.classes(result), rows.normalized(result)],
        "seen": [
            components.variance(result),
            components.as_faces(result, faces),
            units.action_units(result, faces),
            *places.maps(result, faces),
        ],
        "clusters": [
            silhouettes.silhouettes(result, metrics),
            *sweeps.heat_maps(result, sweep),
            recalls.emotions(result),
        ],
        "classifier": [
            recalls.recalls(metrics),
            recalls.confusion(metrics),
            confidence.reliability(result, metrics),
            confidence.mistakes(result),
            looks.looks(simulation),
        ],
        "computed": [cost.cost(metrics)],
    }
    kept = {
        section: [graph for graph in graphs if graph is not None]
        for section, graphs in found.items()
    }
    return kept, places.sprite(faces)


def on_page(graph: Graph) -> str:
    """A graph as a piece of HTML."""
    markup = style.inline(graph)
    return markup if graph.hover is None else places.with_faces(markup, graph.hover)


def write_graphs(folder: str, graphs: dict[str, list[Graph]]) -> list[str]:
    """Write each graph as PNG (300 dots an inch, on white) and SVG (letters as paths).

    Returns
    -------
    list of str
        The names of the files.
    """
    os.makedirs(folder, exist_ok=True)
    names = []
    for graph in [graph for section in graphs.values() for graph in section]:
        for ending, data in (
            ("png", style.png_of(graph)),
            ("svg", style.svg_of(graph, text_as_paths=True).encode("utf-8")),
        ):
            storage.write_whole(os.path.join(folder, f"{graph.name}.{ending}"), data)
            names.append(f"{graph.name}.{ending}")
    return names
