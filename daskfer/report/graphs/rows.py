"""Graphs of the rows: their classes before and after balancing, and faces before normalizing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daskfer.faces import UNKNOWN
from daskfer.normalize import normalize
from daskfer.randomness import drawn_part
from daskfer.report.graphs.style import (
    CHANCE,
    FILL,
    MUTED,
    PALE,
    WIDTH,
    Graph,
    blank,
    canvas,
    count_axis,
    field,
    house_style,
    short,
    show_faces,
)
from daskfer.report.sheets import shrunk
from daskfer.report.words import percent, plural

if TYPE_CHECKING:
    from daskfer.pipeline import Result

STRIP = 8
"""Faces of the strip before and after normalizing."""

METHODS = {
    "minmax": "maps each face’s darkest and brightest grey to 0 and 1",
    "zscore": "brings each face to mean 0 and standard deviation 1",
    "unit": "divides all greys by 255 and changes nothing else",
}


def classes(result: Result) -> Graph | None:
    """Good rows of each class, and what they serve for; None where no row states its emotion."""
    emotion, selection = result.faces.table.emotion, result.selection
    names = result.names.classes
    read = _counts(emotion, names)
    if not read.any():
        return None
    fit, validation, test = (
        _counts(emotion[rows], names)
        for rows in (selection.fit, selection.validation, selection.test)
    )
    places = np.arange(len(names))
    with house_style():
        figure, axes = canvas(80 + 30 * len(names), top=30)
        axes.barh(places - 0.2, read, 0.36, color=MUTED, label="read, good")
        left = np.zeros(len(names))
        for counts, colour, hatch, name in (
            (fit, FILL, None, "fitted"),
            (validation, PALE, None, "validation"),
            (test, CHANCE, None, "test"),
        ):
            if counts.any():
                axes.barh(places + 0.2, counts, 0.36, left, color=colour, hatch=hatch, label=name)
                left += counts
        axes.set_yticks(places, [short(name) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel("faces")
        count_axis(axes.xaxis)
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=4, columnspacing=1.2,
            handlelength=1.2,
        )  # fmt: skip
    return Graph(
        "classes",
        "Classes before and after balancing",
        "Above, the good rows that were read of each class; below, what the fit, validation and "
        "test were given of them.",
        _balance_means(result, read, fit),
        figure,
    )


def _counts(emotion: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    return np.bincount(emotion[emotion != UNKNOWN], minlength=len(classes))


def _balance_means(result: Result, read: np.ndarray, fit: np.ndarray) -> str:
    before, after = _ratio(read), _ratio(fit)
    if after is None or before is None:
        return "No fitted row states its emotion, so nothing can be said of the balance."
    method = result.recipe.balance.method
    most = result.names.classes[int(fit.argmax())]
    largest = percent(fit.max() / fit.sum())
    if method == "none":
        return (
            f"The recipe balances nothing: the largest fitted class ({most}, {largest} of the "
            f"fitted labels) has {after:.1f} times the rows of the smallest, so always saying "
            f"“{most}” is right on {largest} of them."
        )
    return (
        f"Balancing ({method}) brought the largest class from {before:.1f} to {after:.1f} times "
        f"the smallest; always saying one class is right on {largest} of the fitted labels."
    )


def _ratio(counts: np.ndarray) -> float | None:
    present = counts[counts > 0]
    return float(present.max() / present.min()) if len(present) else None


def normalized(result: Result) -> Graph | None:
    """A strip of fitted faces as they came and as they are normalized, on one scale of greys."""
    chosen = drawn_part(result.selection.fit, STRIP, result.recipe.seed, "report-strip")
    method = result.recipe.normalize.method
    faces = shrunk(result.faces.pixels.rows(chosen))
    after = normalize(faces, method)
    low, high = float(after.min()), float(after.max())
    as_bytes = np.round((after - low) / max(high - low, 1e-9) * 255).astype(np.uint8)
    height = 150
    with house_style():
        figure = blank(height)
        for place, name, strip in ((6, "as read", faces), (78, "normalized", as_bytes)):
            axes = field(figure, height, 0, WIDTH, place + 14, place + 66)
            show_faces(axes, strip, STRIP)
            figure.text(0, 1 - (place + 6) / height, name, va="center", fontsize=9)
    return Graph(
        "normalized",
        "Faces before and after normalizing",
        f"The same {plural(len(chosen), 'fitted face')}, drawn by seed, as read and as the "
        f"recipe’s {method} leaves them, on one scale of greys.",
        f"It {METHODS[method]}; {_contrast(faces, after)}.",
        figure,
    )


def _contrast(faces: np.ndarray, after: np.ndarray) -> str:
    """How much the contrasts of faces differ before and after, by their standard deviations."""
    found = []
    for values in (faces.astype(np.float64), after.astype(np.float64)):
        spreads = values.std(axis=1)
        found.append(spreads.std() / spreads.mean() if spreads.mean() > 0 else 0.0)
    return (
        f"among these faces the contrast varies by {found[0]:.0%} of its mean before and by "
        f"{found[1]:.0%} after"
    )
