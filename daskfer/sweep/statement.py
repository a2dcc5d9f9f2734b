"""Which choice the evidence supports, if any, by a rule that reads no label.

A choice is supported when both hold:

1. its silhouette is above that of structureless noise by more than `SPREADS` times the larger of
   two spreads: that of the draws of noise, and that of the folds of the cross-validation;
2. clusterings of random halves disagree on it less than `DISAGREEMENT` times as much as they do
   on noise. Disagreement is 1 − ARI: on noise it varies by a quarter or a third of itself from
   draw to draw, whatever it is, so that a quarter of it is no chance. A difference of ARIs would
   be out of reach where noise is stable too, as it is with two clusters.

Of the supported ones the best is the furthest above noise; those that are less than a spread
behind it are as good, and the most stable of them is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daskfer.sweep.choices import Cell
from daskfer.sweep.results import Result

SPREADS = 3
DISAGREEMENT = 0.25

RULE = (
    f"supported: silhouette above that of noise by more than {SPREADS} times the larger spread of "
    "noise and folds, and random halves disagree less than a quarter as much as on noise"
)


@dataclass(frozen=True)
class Judged:
    """A cell's figures, the spread that counts for it, and which of the two conditions hold."""

    result: Result
    spread: float
    above: bool
    stable: bool

    @property
    def supported(self) -> bool:
        """Whether the evidence supports this choice."""
        return self.above and self.stable


@dataclass(frozen=True)
class Statement:
    """What the evidence supports, in words; the cell, if any; and all supported ones."""

    text: str
    choice: Cell | None
    supported: tuple[Cell, ...]


def judge(results: list[Result]) -> list[Judged]:
    """Hold each cell's figures against the rule."""
    drawn: dict[tuple[str, int | None], list[float]] = {}
    for result in results:
        if result.null_spread is not None:
            alike = drawn.setdefault((result.represent, result.components), [])
            alike.append(result.null_spread)
    pooled = {key: float(np.sqrt(np.mean(np.square(alike)))) for key, alike in drawn.items()}
    return [_judge(result, _spread(result, pooled)) for result in results]


def _judge(result: Result, spread: float) -> Judged:
    excess, stability, null = result.excess, result.stability, result.null_stability
    above = excess is not None and excess > SPREADS * spread
    stable = (
        stability is not None and null is not None and 1 - stability < DISAGREEMENT * (1 - null)
    )
    return Judged(result, spread, above, stable)


def _spread(result: Result, pooled: dict[tuple[str, int | None], float]) -> float:
    """The larger of the spreads of noise and of folds.

    A few draws may happen to lie together. Noise in as many dimensions spreads alike whatever
    the number of clusters, so the draws of those cells count as well.
    """
    alike = pooled.get((result.represent, result.components), float("inf"))
    return max(alike, result.null_spread or 0.0, result.cv_std or 0.0)


def state(judged: list[Judged]) -> Statement:
    """Say which choice the evidence supports, or that it supports none."""
    supported = tuple(one.result.cell for one in judged if one.supported)
    known = [one for one in judged if one.result.silhouette is not None]
    if not known:
        text = "The evidence supports none of these choices: no clustering has a silhouette."
        return Statement(text, None, ())
    measured = [one for one in known if one.result.excess is not None]
    if not measured:
        highest = max(known, key=_silhouette).result
        return Statement(
            f"The highest silhouette is {number(highest.silhouette)} ({highest.cell}). Whether the "
            "evidence supports any choice is not known: noise and stability were left out.",
            None,
            (),
        )
    if not supported:
        return Statement(_none(measured), None, ())
    best = _best([one for one in measured if one.supported])
    return Statement(_some(best, len(supported), len(judged)), best.result.cell, supported)


def _best(supported: list[Judged]) -> Judged:
    first = max(supported, key=_excess)
    near = [one for one in supported if _excess(first) - _excess(one) < first.spread]
    return max(near, key=lambda one: (one.result.stability or 0.0, _excess(one)))


def _excess(judged: Judged) -> float:
    return judged.result.excess or 0.0


def _silhouette(judged: Judged) -> float:
    return judged.result.silhouette or 0.0


def _some(best: Judged, supported: int, all_cells: int) -> str:
    others = "" if supported == 1 else f" ({supported} of {all_cells} choices are supported)"
    return f"The evidence supports {best.result.cell}{others}: {_figures(best)}."


def _none(measured: list[Judged]) -> str:
    above = [one for one in measured if one.above]
    if not above:
        best = max(measured, key=_excess)
        return (
            "The evidence supports none of these choices: no silhouette is above that of "
            f"structureless noise by more than chance. The furthest above is {best.result.cell}: "
            f"{_figures(best)}."
        )
    best = max(above, key=_excess)
    highest = max(measured, key=_silhouette)
    text = (
        f"The evidence supports none of these choices: {len(above)} of {len(measured)} silhouettes "
        "are above that of Gaussian noise by more than chance, but none of these clusterings is "
        f"clearly more stable than clusters of noise. The furthest above is {best.result.cell}: "
        f"{_figures(best)}."
    )
    if highest is not best:
        text += f" The highest silhouette is {highest.result.cell}: {_figures(highest)}."
    return text


def _figures(judged: Judged) -> str:
    one = judged.result
    # Three spreads of nought digits would be no figure.
    silhouette = (
        f"silhouette {number(one.silhouette)}, noise {number(one.null)} ± {judged.spread:.4f}"
    )
    stability = f"stability {number(one.stability, 2)}, noise {number(one.null_stability, 2)}"
    return f"{silhouette}; {stability}"


def number(value: float | None, digits: int = 4) -> str:
    """A figure with a true minus sign, or a dash."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")
