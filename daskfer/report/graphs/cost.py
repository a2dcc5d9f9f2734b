"""The graph of what the run took: seconds and memory of each stage."""

from __future__ import annotations

from typing import Any

import numpy as np

from daskfer.report.graphs.style import FILL, PALE, WIDTH, Graph, blank, field, house_style, short
from daskfer.report.words import look_up, percent, seconds, size


def cost(metrics: dict[str, Any]) -> Graph | None:
    """Seconds and, where it was measured, peak memory of each stage."""
    taken = {
        stage: float(value)
        for stage, value in (look_up(metrics, "seconds") or {}).items()
        if value is not None
    }
    if not taken or not any(taken.values()):
        return None
    memory = look_up(metrics, "peak_memory") or {}
    stages = list(taken)
    height = 54 + 22 * len(stages)
    panels = [("seconds", np.array(list(taken.values())), FILL)]
    if any(memory.get(stage) for stage in stages):
        held = np.array([float(memory.get(stage) or 0) for stage in stages])
        panels.append(("peak memory, MB", held / 1e6, PALE))
    width = (WIDTH - 74 - 10) / len(panels)
    with house_style():
        figure = blank(height)
        for number, (name, values, colour) in enumerate(panels):
            left = 74 + number * width
            axes = field(figure, height, left, left + width - 46, 22, height - 8)
            axes.barh(range(len(stages)), values, 0.62, color=colour)
            for place, value in enumerate(values):
                text = f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}"
                axes.annotate(text, (value, place), (3, 0), textcoords="offset points",
                              va="center", fontsize=9)  # fmt: skip
            axes.set_xlim(0, float(values.max()) or 1.0)
            axes.set_ylim(len(stages) - 0.5, -0.5)
            axes.set_xticks([])
            axes.spines["bottom"].set_visible(False)
            axes.set_title(name, loc="left", fontsize=9, pad=4)
            if number:
                axes.set_yticks([])
            else:
                axes.set_yticks(range(len(stages)), [short(stage, 12) for stage in stages])
    longest = max(taken, key=lambda stage: taken[stage])
    total = sum(taken.values())
    most = look_up(metrics, "peak_memory_bytes")
    reused = look_up(metrics, "reused") or []
    stored = f" {len(reused)} of its stages came from the store." if reused else ""
    return Graph(
        "cost",
        "Seconds and memory by stage",
        "Wall seconds of each stage, and the largest process while it ran."
        if len(panels) == 2
        else "Wall seconds of each stage.",
        f"The run took {seconds(total)}, of which {longest} took "
        f"{percent(taken[longest] / total)}"
        + ("" if most is None else f"; its largest process held {size(most)}")
        + f".{stored}",
        figure,
    )
