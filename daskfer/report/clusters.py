"""What the report shows of each cluster: its figures, its emotions and its two sheets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from daskfer.evaluate.external import contingency
from daskfer.faces import UNKNOWN
from daskfer.report import sheets
from daskfer.report.heat import Counts, HeatRow, heat_rows
from daskfer.report.words import MISSING, count, emotion_name, percent, plural, score

if TYPE_CHECKING:
    from daskfer.pipeline import Result

MOST_CLUSTERS = 60
"""Clusters that are shown one by one; of more, the largest are."""


@dataclass(frozen=True)
class Bar:
    """A share (0-1) under a name, and the share that chance would give."""

    name: str
    share: float
    text: str
    chance: float | None = None


@dataclass(frozen=True)
class Sheet:
    """A contact sheet: its heading, what is on it in words, and the picture."""

    title: str
    words: str
    alt: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Card:
    """One cluster; `base` is the share of its name's class in all fitted faces.

    `told` are the action units that tell its name, and how surely; empty where none were read.
    """

    number: int
    name: str
    faces: str
    share: str
    purity: str
    base: str
    confidence: str
    told: str
    bars: tuple[Bar, ...]
    sheets: tuple[Sheet, ...]


def largest(result: Result) -> np.ndarray:
    """Numbers of the clusters that are shown, ascending: the largest by their fitted faces."""
    order = np.argsort(-result.names.rows, kind="stable")
    return np.sort(order[:MOST_CLUSTERS])


def cards(result: Result) -> tuple[Card, ...]:
    """A card for each cluster that is shown."""
    fit, emotion = result.selection.fit, result.faces.table.emotion
    cluster = result.clusters.cluster[fit]
    shown = largest(result)
    table = contingency(cluster, emotion[fit], len(result.names.rows), len(result.names.classes))
    # One sort instead of one search a cluster: a run may have thousands.
    order = np.argsort(cluster, kind="stable")
    bounds = np.searchsorted(cluster[order], [shown, shown + 1])
    members = [fit[order[low:high]] for low, high in bounds.T]
    near, images, seed = result.clusters.nearest, result.faces.table.digest, result.recipe.seed
    picked = [
        sheets.pick(positions, near[positions], images[positions], seed, int(number))
        for number, positions in zip(shown, members, strict=True)
    ]
    faces = sheets.faces_of(result.faces.pixels, picked)
    return tuple(
        _card(result, int(number), positions, table, chosen, pictures)
        for number, positions, chosen, pictures in zip(shown, members, picked, faces, strict=True)
    )


def _card(
    result: Result,
    number: int,
    members: np.ndarray,
    table: np.ndarray,
    picked: sheets.Picked,
    pictures: tuple[np.ndarray, np.ndarray],
) -> Card:
    name = emotion_name(int(result.names.emotion[number]), result.names.categories)
    emotion = result.faces.table.emotion
    confidence = result.clusters.confidence[members]
    title = f"cluster {number} ({name})"
    both = (
        ("Nearest to the centre", f"The {{}} nearest to the centre of {title}", picked.nearest),
        ("Drawn at random", f"{{}} drawn at random from {title}", picked.random),
    )
    return Card(
        number,
        name,
        count(len(members)),
        percent(len(members) / max(len(result.selection.fit), 1)),
        *_purity(result, table, number),
        score(float(np.median(confidence))) if len(members) else MISSING,
        _told(result, number),
        _bars(table, number, result.names.classes),
        tuple(
            _sheet(
                heading,
                alt.format(plural(len(chosen), "face")),
                emotion[chosen],
                faces,
                result.names.classes,
            )
            for (heading, alt, chosen), faces in zip(both, pictures, strict=True)
            if len(chosen)
        ),
    )


def _told(result: Result, number: int) -> str:
    names = result.names
    if names.margin is None or not names.reasons:
        return ""
    units = names.reasons[number] or "no action unit far from usual"
    return f"{units} (margin {score(float(names.margin[number]))})"


def _purity(result: Result, table: np.ndarray, number: int) -> tuple[str, str]:
    """Purity in words, and beside it the share in all fitted faces, empty where there is none."""
    code, purity = int(result.names.emotion[number]), float(result.names.purity[number])
    if code == UNKNOWN:
        return "none without a name", ""
    if code >= len(result.names.classes):
        return "no true label is called so", ""
    if np.isnan(purity):
        return MISSING, ""
    return f"{percent(purity)} are {result.names.classes[code]}", percent(
        table[:, code].sum() / table.sum()
    )


def _bars(table: np.ndarray, number: int, classes: tuple[str, ...]) -> tuple[Bar, ...]:
    """Shares of the classes in a cluster beside those in all; none where none is known."""
    if table[number].sum() == 0:
        return ()
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    overall = table.sum(axis=0) / table.sum()
    # The bars of all clusters are on one scale, up to the largest share of any.
    most = float(shares.max())
    return tuple(
        Bar(name, round(share / most, 4), percent(share), round(chance / most, 4))
        for name, share, chance in zip(
            classes, shares[number].tolist(), overall.tolist(), strict=True
        )
    )


def _sheet(
    title: str, alt: str, emotion: np.ndarray, faces: np.ndarray, classes: tuple[str, ...]
) -> Sheet:
    found = Counter(emotion[emotion != UNKNOWN].tolist()).most_common()
    words = ", ".join(f"{number} {classes[code]}" for code, number in found)
    words = f"True emotions: {words}" if words else "True emotions not known"
    picture = sheets.sheet(faces)
    height, width, _ = picture.shape
    return Sheet(title, words, f"{alt}. {words}.", sheets.data_uri(picture), width, height)


def emotion_rows(result: Result) -> tuple[HeatRow, ...]:
    """The table of clusters by true emotion; empty where no fitted row has one.

    Clusters that are not shown one by one are summed in a row; the last row is of all.
    """
    fit = result.selection.fit
    numbers = result.clusters.cluster[fit]
    table = contingency(
        numbers, result.faces.table.emotion[fit], len(result.names.rows), len(result.names.classes)
    )
    if table.sum() == 0:
        return ()
    shown, names = largest(result), result.names.emotion
    lines = [
        Counts(str(number), table[number], code, emotion_name(code, result.names.categories))
        for number, code in zip(shown, names[shown].tolist(), strict=True)
    ]
    rest = np.delete(table, shown, axis=0)
    if len(rest):
        lines.append(Counts(f"{len(rest):,} others", rest.sum(axis=0)))
    return heat_rows(lines, table.sum(axis=0))
