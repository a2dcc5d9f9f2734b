"""Results of runs that never ran, their figures, and what a report says of them."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from daskfer import storage
from daskfer.balance import Selection
from daskfer.blocks import BlockFiles, starts_of
from daskfer.cluster import Centers
from daskfer.evaluate.external import contingency
from daskfer.faces import UNKNOWN, FaceTable
from daskfer.ingest.quarantine import BadRow
from daskfer.naming import Names
from daskfer.recipe import Recipe, load_recipe
from daskfer.reduce import Reducer
from daskfer.report import write_report
from daskfer.stages.cluster import Clusters
from daskfer.stages.ingest import Faces
from daskfer.stages.reduce import Reduced
from daskfer.store import StageFolder

SIDE, ROWS, FITTED, TESTED = 6, 120, 90, 20
VOID = {"meta", "link", "img", "br"}
INLINE = {"span", "b", "i"}


def make_result(
    folder: Path,
    k: int = 3,
    labelled: bool = True,
    named: bool = True,
    sources: tuple[str, ...] = ("/home/ada/private/faces.csv",),
    recipe: Recipe | None = None,
) -> Any:
    """A result of 120 faces in blocks of 50; every pixel of a face tells its position."""
    random = np.random.default_rng(7)
    stage = StageFolder(str(folder / "ingest"))
    pixels = random.integers(0, 256, (ROWS, SIDE * SIDE), np.uint8)
    pixels[:, 0] = np.arange(ROWS)
    sizes = [50, 50, 20]
    for number, block in enumerate(np.split(pixels, np.cumsum(sizes)[:-1])):
        storage.write_array(stage.block(number, "pixels.npy"), block)
    emotion = random.integers(0, 7, ROWS).astype(np.int8)
    if not labelled:
        emotion[:] = UNKNOWN
    table = FaceTable(
        np.arange(ROWS),
        np.zeros(ROWS, np.int32),
        emotion,
        np.full(ROWS, UNKNOWN, np.int8),
        np.stack([np.arange(ROWS), np.zeros(ROWS)], axis=1).astype(np.uint64),
        np.zeros(ROWS, bool),
        np.zeros(ROWS, np.uint64),
    )
    bad = (BadRow(sources[0], 3, 99, "too few pixels: 3, expected 36", "0,1 2 3"),)
    blocks = BlockFiles(stage, "pixels.npy", starts_of(sizes))
    faces = Faces(table, blocks, SIDE, sources, ROWS + 1, bad, "")
    fit = np.arange(FITTED)
    cluster = (np.arange(ROWS) % k).astype(np.int32)
    clusters = Clusters(
        Centers(np.zeros((k, 2)), 3),
        cluster,
        random.random(ROWS).astype(np.float32),
        random.permutation(ROWS).astype(np.float64),
        "",
    )
    counts = contingency(cluster[fit], emotion[fit], k)
    codes = np.where(named, np.arange(k) % 2 * 3, UNKNOWN).astype(np.int8)
    own = counts[np.arange(k), np.maximum(codes, 0)].astype(float)
    purity = own / counts.sum(axis=1) if labelled and named else np.full(k, np.nan)
    names = Names(
        codes, "file" if named else "none", k, np.bincount(cluster[fit], minlength=k), purity
    )
    selection = Selection(fit, np.empty(0, np.int64), np.arange(ROWS - TESTED, ROWS))
    points = random.normal(size=(ROWS, 3)).astype(np.float32)
    for number, block in enumerate(np.split(points, np.cumsum(sizes)[:-1])):
        storage.write_array(stage.block(number, "points.npy"), block)
    reducer = Reducer(np.zeros(8), np.eye(3, 8), np.array([3.0, 2.0, 1.0]), total_variance=10.0)
    reduced = Reduced(reducer, BlockFiles(stage, "points.npy", starts_of(sizes)), "")
    trained = SimpleNamespace(
        emotion=random.integers(0, 7, ROWS).astype(np.int8),
        confidence=random.random(ROWS).astype(np.float32),
    )
    return SimpleNamespace(
        recipe=recipe or load_recipe("hog"),
        faces=faces,
        selection=selection,
        features=None,
        reduced=reduced,
        trained=trained if named else None,
        clusters=clusters,
        names=names,
    )


def make_metrics(k: int = 3) -> dict[str, Any]:
    """Figures that no other place of the page shows."""
    confusion = np.zeros((7, 7), int)
    confusion[:, 3] = [2, 3, 4, 5, 1, 2, 3]
    return {
        "rows": {
            "read": 121, "quarantined": 1, "blank": 71, "duplicate": 73,
            "fitted": 90, "validation": 0, "test": 20,
        },
        "cluster": {
            "k": k, "silhouette": 0.3361, "silhouette_null": 0.3204, "stability_ari": 0.9871,
            "nmi": 0.0155, "ari": 0.01, "hungarian_accuracy": 0.1892, "hungarian_chance": 0.1623,
            "majority_accuracy": 0.1914, "chance_accuracy": 0.1675, "hungarian_p": 0.005,
        },
        "classifier": {
            "model": "LogisticRegression(C=10.0)", "pseudo_label_accuracy": 0.9017,
            "train_accuracy": 0.3172, "validation_accuracy": None, "test_accuracy": 0.3193,
            "test_balanced_accuracy": 0.2518, "test_macro_f1": 0.2057,
            "test_confusion": confusion.tolist(), "chance_accuracy": 0.2449,
        },
        "naming": {"how": "file", "looks": 3},
        "labels_used": [{"stage": "evaluate", "why": "scores beside the true emotions"}],
        "notes": ["10% of the rows are held out by seed"],
        "verdict": "These clusters follow emotion hardly better than chance.",
        "seconds": {"ingest": 12.34, "cluster": 75.2},
        "peak_memory_bytes": 374_900_000,
        "versions": {"daskfer": "0.1.0", "numpy": "2.4.6"},
    }  # fmt: skip


class Reader(HTMLParser):
    """Collects a page's text, tags and attributes, and checks that its tags are balanced."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.words.append("" if tag in INLINE else " ")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        """The words that are seen, with single blanks."""
        return " ".join("".join(self.words).split())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of all tags of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]


def read(folder: Path, result: Any, metrics: dict[str, Any]) -> tuple[Reader, str]:
    path = folder / "run" / "report.html"
    write_report(str(path), result, metrics)
    page = path.read_text(encoding="utf-8")
    return Reader(page), page
