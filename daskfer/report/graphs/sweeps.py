"""Heat maps of a sweep: what each choice of components and clusters scores, and the run's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from daskfer.recipe import KMeansClusters, NoReduction, Parts
from daskfer.report.graphs.cells import draw_panels, look_of_panels
from daskfer.report.graphs.style import Graph
from daskfer.report.words import score

if TYPE_CHECKING:
    from daskfer.pipeline import Result
    from daskfer.report.grid import Panel
    from daskfer.report.sweep_file import Swept
    from daskfer.sweep.statement import Judged


@dataclass(frozen=True)
class _Own:
    """The run's choice in words, and its cell of the sweep or why it has none."""

    words: str
    judged: Judged | None
    why_none: str


def heat_maps(result: Result, sweep: Swept | None) -> list[Graph]:
    """A graph of each measure that the sweep has: silhouette, above noise, stability."""
    if sweep is None:
        return []
    from daskfer.report import grid

    own = _own(result, sweep)
    rows = f"all {sweep.fitted:,}"
    if sweep.scored < sweep.fitted:
        rows = f"{sweep.scored:,} of {sweep.fitted:,}"
    measures: tuple[tuple[str, str, Any, str, str], ...] = (
        (
            "silhouette",
            "Sweep: silhouette",
            grid.silhouette,
            f"The silhouette of each choice of components and clusters, on {rows} fitted faces.",
            _silhouettes(sweep, own),
        ),
        (
            "above-noise",
            "Sweep: silhouette above noise",
            grid.excess,
            "How far each of these silhouettes is above that of structureless noise, which has "
            "one, too.",
            _above(sweep, own),
        ),
        (
            "stability",
            "Sweep: stability",
            grid.stability,
            "How far clusterings of random halves of the faces agree (adjusted Rand index): 1 is "
            "the same clusters each time, 0 is chance.",
            "",
        ),
    )
    drawn = [
        _graph(f"sweep-{name}", title, value, shows, means, sweep, own)
        for name, title, value, shows, means in measures
        if any(value(one) is not None for one in sweep.judged)
    ]
    if not drawn:
        return []
    # What all of them come to stands under the last.
    last = drawn[-1]
    verdict = f"{last.means} {_verdict(sweep, own)}".strip()
    return [*drawn[:-1], replace(last, means=verdict)]


def _own(result: Result, sweep: Swept) -> _Own:
    """The run's choice, where the sweep reduces and clusters as the run does."""
    from daskfer.stages.sweep import reduction_kind
    from daskfer.sweep.choices import Cell

    mine, theirs = result.recipe, sweep.recipe
    clusters = mine.cluster.clusters
    if isinstance(mine.reduce, Parts):
        words = f"{mine.represent.method} part by part, {clusters} clusters"
        return _Own(words, None, "reduces part by part, which no sweep does")
    components: Any = None
    if not isinstance(mine.reduce, NoReduction):
        components = mine.reduce.components
        components = result.reduced.reducer.components if components == "auto" else components
    cell = Cell(mine.represent.method, components, clusters)
    if reduction_kind(mine.reduce) != reduction_kind(theirs.reduce):
        return _Own(str(cell), None, "reduces in another way (reduce.method, reduce.whiten)")
    if isinstance(mine.cluster, KMeansClusters) != isinstance(theirs.cluster, KMeansClusters):
        return _Own(str(cell), None, "clusters in another way (cluster.method)")
    found = next((one for one in sweep.judged if one.result.cell == cell), None)
    return _Own(str(cell), found, "" if found else "lies outside of these ranges")


def _silhouettes(sweep: Swept, own: _Own) -> str:
    known = [one for one in sweep.judged if one.result.silhouette is not None]
    if not known:
        return ""
    highest = max(known, key=lambda one: one.result.silhouette or 0.0)
    most = score(highest.result.silhouette)
    if own.judged is highest:
        return f"This run’s choice ({own.words}) has the highest, {most}."
    if own.judged is None:
        here = f"is none of them: it {own.why_none}"
    else:
        mine = own.judged.result.silhouette
        here = "has none" if mine is None else f"has {score(mine)}"
    return f"The highest is {most} ({highest.result.cell}); this run’s choice ({own.words}) {here}."


def _above(sweep: Swept, own: _Own) -> str:
    from daskfer.sweep.statement import SPREADS

    measured = [one for one in sweep.judged if one.result.excess is not None]
    above = sum(one.above for one in measured)
    said = (
        f"{above:,} of {len(measured):,} are above it by more than chance ({SPREADS} times the "
        "spread of noise and folds)"
    )
    if own.judged is None or own.judged.result.excess is None:
        return f"{said}."
    excess, more = own.judged.result.excess, own.judged.above
    beside = f"{score(abs(excess))} {'above' if excess >= 0 else 'below'}"
    return f"{said}; this run’s is {beside} it, which is {'more' if more else 'no more'} than that."


def _verdict(sweep: Swept, own: _Own) -> str:
    """What the evidence supports, and how the run stands to it."""
    if all(one.result.excess is None for one in sweep.judged):
        return "Whether the evidence supports any is not known: noise and stability were left out."
    choice, supported = sweep.statement.choice, sweep.statement.supported
    if choice is None:
        among = ", this run’s among them" if own.judged else f"; this run’s {own.why_none}"
        return f"The evidence supports none of these choices{among}."
    others = f" (of {len(supported):,} supported choices)" if len(supported) > 1 else ""
    said = f"The evidence supports {choice}{others}"
    if own.judged is None:
        return f"{said}; this run’s choice {own.why_none}."
    if own.judged.result.cell == choice:
        return f"{said}, which is this run’s choice."
    if own.judged.supported:
        return f"{said}; this run’s choice ({own.words}) is supported, too."
    return f"{said}, and not this run’s choice ({own.words})."


def _graph(
    name: str,
    title: str,
    value: Callable[[Judged], float | None],
    shows: str,
    means: str,
    sweep: Swept,
    own: _Own,
) -> Graph:
    """One measure: a grid for each representation, all in the same colours."""
    from daskfer.report import grid

    panels = [
        grid.panel_of(
            one,
            [cell for cell in sweep.judged if cell.result.represent == one],
            sweep.statement.choice,
            value,
            signed=value is grid.excess,
        )
        for one in dict.fromkeys(one.result.represent for one in sweep.judged)
    ]
    look = look_of_panels(panels)
    if look.letters is None:
        low, most = (grid.cell_text(limit, panels[0].signed) for limit in look.limits)
        shows += f" Dark is {low}, light is {most}; sweep.csv has each number."
    figure = draw_panels(panels, look, [_place(panel, own.judged) for panel in panels])
    return Graph(name, title, shows, means, figure)


def _place(panel: Panel, judged: Judged | None) -> tuple[int, int] | None:
    """Row and column of a cell in the grid of its representation."""
    if judged is None or judged.result.represent != panel.title:
        return None
    cell = judged.result.cell
    row = "all" if cell.components is None else str(cell.components)
    return panel.rows.index(row), panel.columns.index(str(cell.clusters))
