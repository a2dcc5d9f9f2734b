"""The page: all sections of the report gathered, and written as one HTML file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from daskfer import storage
from daskfer.faces import UNKNOWN
from daskfer.ingest.quarantine import by_reason
from daskfer.report import beside, clusters, graphs, heat, sentences, words
from daskfer.report.beside import Figure
from daskfer.report.clusters import Bar, Card
from daskfer.report.graphs.style import Graph
from daskfer.report.heat import HeatRow
from daskfer.report.words import look_up

if TYPE_CHECKING:
    from jinja2 import Environment

    from daskfer.pipeline import Result
    from daskfer.report.sweep_file import Swept

MOST_REASONS = 8
"""Reasons of quarantined rows that are listed; quarantine.csv has every row."""

SWEEP_LEFT_OUT = (
    "The sweep in this run’s folder (sweep.json) cannot be shown: it is damaged, newer or of "
    "another run. daskfer report says which."
)


@dataclass(frozen=True)
class Head:
    """Section 1: what was done and what came out."""

    title: str
    introduction: str
    steps: tuple[tuple[str, str], ...]
    seed: int
    verdict: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """Section 2: what became of the rows, why some are bad, and the classes of the others."""

    held_out: str
    counts: tuple[tuple[str, str, str], ...]
    reasons: tuple[tuple[str, str], ...]
    classes: tuple[Bar, ...]
    unlabelled: int
    test_classes: tuple[str, ...]


@dataclass(frozen=True)
class ClusterSection:
    """Section 3: the clusters one by one."""

    sentences: tuple[str, ...]
    confidence: str
    total: int
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class ClassifierSection:
    """Section 5; `model` is empty where there is no classifier, and `verdict` says why."""

    model: str
    verdict: str
    never: str
    figures: tuple[Figure, ...]
    confusion: tuple[HeatRow, ...]


@dataclass(frozen=True)
class Computed:
    """Section 6: labels used, time, memory, versions and the recipe."""

    labels_used: tuple[tuple[str, str], ...] | None
    seconds: tuple[tuple[str, str, str], ...]
    total: str
    memory: str
    versions: tuple[tuple[str, str], ...]
    recipe: str


@dataclass(frozen=True)
class Drawing:
    """A graph: its heading, what it shows, what that means here, and its markup, which is safe."""

    title: str
    shows: str
    means: str
    markup: Markup


@dataclass(frozen=True)
class Page:
    """All sections in data order; `graphs` by section, and `sprite` the faces of the maps.

    `classes` are what labels may be.
    """

    head: Head
    rows: Rows
    clusters: ClusterSection
    emotions: tuple[HeatRow, ...]
    classifier: ClassifierSection
    computed: Computed
    graphs: dict[str, tuple[Drawing, ...]]
    sprite: Markup
    classes: tuple[str, ...]


def gather(
    result: Result, metrics: dict[str, Any], drawn: dict[str, list[Graph]], sprite: str
) -> Page:
    """What the page shows, from a run's result, the content of its metrics.json and its graphs."""
    return Page(
        _head(result, metrics),
        _rows(result, metrics),
        _clusters(result, metrics),
        clusters.emotion_rows(result),
        _classifier(result, metrics),
        _computed(result, metrics),
        {
            section: tuple(
                # Made from what Matplotlib writes, with every text in it escaped.
                Drawing(one.title, one.shows, one.means, Markup(graphs.on_page(one)))
                for one in drawn[section]
                if one.page
            )
            for section in drawn
        },
        Markup(sprite),
        result.names.classes,
    )


def _head(result: Result, metrics: dict[str, Any]) -> Head:
    faces = words.plural(len(result.faces.table), "face")
    return Head(
        f"{faces} in {words.plural(len(result.names.rows), 'cluster')}",
        sentences.introduction(result),
        sentences.steps(result),
        result.recipe.seed,
        sentences.verdict(result, metrics),
        beside.head_figures(result, metrics),
        tuple(str(note) for note in look_up(metrics, "notes") or ()),
    )


_ROW_WORDS = (
    ("read", "Read", "all rows of the inputs"),
    ("quarantined", "Quarantined", "bad rows, set aside with their reasons in quarantine.csv"),
    ("blank", "Blank", "good rows whose pixels are all equal"),
    ("duplicate", "Duplicate", "good rows whose pixels repeat an earlier row"),
    ("without_landmarks", "Without landmarks", "good rows that get no cluster: no face is seen"),
    ("fitted", "Fitted", "the clusters and the classifier are made from these"),
    ("validation", "Validation", "held out, to choose methods on"),
    ("test", "Test", "held out, to report on"),
)


def _rows(result: Result, metrics: dict[str, Any]) -> Rows:
    counts = [
        (label, words.count(look_up(metrics, "rows", key)), meaning)
        for key, label, meaning in _ROW_WORDS
    ]
    unused = sentences.left_out(metrics)
    if unused:
        why = "good rows that balancing, identical held-out faces or landmarks left out"
        counts.append(("Not used", words.count(unused), why))
    reasons = list(by_reason(result.faces.bad).items())[:MOST_REASONS]
    emotion, selection = result.faces.table.emotion, result.selection
    return Rows(
        sentences.held_out(result),
        tuple(counts),
        tuple((why, words.count(number)) for why, number in reasons),
        _class_bars(emotion[selection.fit], result.names.classes),
        int((emotion[selection.fit] == UNKNOWN).sum()),
        tuple(
            words.count(number)
            for number in _class_counts(emotion[selection.test], result.names.classes)
        ),
    )


def _class_counts(emotion: np.ndarray, classes: tuple[str, ...]) -> list[int]:
    found: list[int] = np.bincount(emotion[emotion != UNKNOWN], minlength=len(classes)).tolist()
    return found


def _class_bars(emotion: np.ndarray, classes: tuple[str, ...]) -> tuple[Bar, ...]:
    counts = _class_counts(emotion, classes)
    if not any(counts):
        return ()
    return tuple(
        Bar(name, round(number / max(counts), 4), words.count(number))
        for name, number in zip(classes, counts, strict=True)
    )


def _clusters(result: Result, metrics: dict[str, Any]) -> ClusterSection:
    said = (
        sentences.naming(result, metrics),
        sentences.absent_names(result),
        sentences.silhouette(metrics),
        sentences.stability(metrics),
    )
    return ClusterSection(
        tuple(sentence for sentence in said if sentence),
        sentences.confidence(result),
        len(result.names.rows),
        clusters.cards(result),
    )


def _classifier(result: Result, metrics: dict[str, Any]) -> ClassifierSection:
    found = look_up(metrics, "classifier")
    if found is None:
        return ClassifierSection("", sentences.no_classifier(result), "", (), ())
    confusion = look_up(found, "test_confusion")
    return ClassifierSection(
        str(look_up(found, "model") or "a model that was not recorded"),
        sentences.classifier(result, metrics),
        sentences.never_predicted(metrics),
        beside.classifier_figures(result, metrics),
        heat.confusion_rows(confusion, result.names.classes) if confusion else (),
    )


def _computed(result: Result, metrics: dict[str, Any]) -> Computed:
    used = look_up(metrics, "labels_used")
    taken = look_up(metrics, "seconds") or {}
    known = {stage: float(value) for stage, value in taken.items() if value is not None}
    memory = look_up(metrics, "peak_memory") or {}
    return Computed(
        None if used is None else tuple((use["stage"], use["why"]) for use in used),
        tuple(
            (stage, words.seconds(value), words.size(memory.get(stage)) if memory else "")
            for stage, value in known.items()
        ),
        words.seconds(sum(known.values())),
        words.size(look_up(metrics, "peak_memory_bytes")),
        tuple((name, str(version)) for name, version in (metrics.get("versions") or {}).items()),
        result.recipe.as_yaml(),
    )


def environment() -> Environment:
    """Templates whose every value is escaped, and none of whose names may be missing."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("daskfer.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(page: Page) -> str:
    """The HTML of a page; whatever comes from the run is escaped."""
    return environment().get_template("report.html.j2").render(page=page)


def write_report(
    path: str,
    result: Result,
    metrics: dict[str, Any],
    simulation: dict[str, Any] | None = None,
    pictures: str | None = None,
    sweep: Swept | str | None = None,
) -> list[str]:
    """Write report.html: one page that needs no network and nothing beside itself.

    Parameters
    ----------
    path : str
        Local path or fsspec URL of the file.
    result : Result
        Its labels, names and faces are shown; nothing is clustered or trained again.
    metrics : dict
        The content of metrics.json. Any figure may be missing or null, and the page says so.
    simulation : dict, optional
        The content of simulate.json, where naming was simulated.
    pictures : str, optional
        A folder for each graph as PNG and SVG.
    sweep : Swept or str, optional
        The sweep that was brought to the run, or why it cannot be shown.

    Returns
    -------
    list of str
        Names of the pictures that were written.
    """
    shown = None if isinstance(sweep, str) else sweep
    drawn, sprite = graphs.graphs_of(result, metrics, simulation, shown)
    page = gather(result, metrics, drawn, sprite)
    if isinstance(sweep, str):
        # Without the reason, which may name folders; the command line has it.
        said = (*page.clusters.sentences, SWEEP_LEFT_OUT)
        page = replace(page, clusters=replace(page.clusters, sentences=said))
    storage.write_text(path, render(page))
    return graphs.write_graphs(pictures, drawn) if pictures is not None else []
