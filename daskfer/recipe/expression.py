"""The sections of a recipe that looks at expressions: what is measured, and what is clustered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from daskfer.recipe.values import check

PARTS = ("blendshapes", "tokens", "landmarks", "hog", "layer4", "layer8")
"""What is known of a face, part by part (see `daskfer.represent.expression.features`)."""


@dataclass(frozen=True)
class Expression:
    """Landmarks, blendshapes and layers of a face model, and HOG of the aligned face.

    The face is drawn `face` pixels wide into the model's input of 256, because the model wants a
    margin. `cell`, `orientations` and `block` are those of the HOG. So many rows as `mirrored`
    are also measured as mirror images; from these is learned what of a layer is the same on both
    sides. A face whose presence (log-odds) is below `presence` gets no cluster. `model` is the
    path of the model's file, where it is not to be found by itself.
    """

    method: Literal["expression"] = "expression"
    face: int = 168
    cell: int = 6
    orientations: int = 8
    block: int = 2
    mirrored: int = 2048
    presence: float = -20.0
    model: str | None = None

    def __post_init__(self) -> None:
        check(64 <= self.face <= 256, f"represent.face={self.face}: expected 64 to 256")
        for key, least in {"cell": 2, "orientations": 2, "block": 1, "mirrored": 0}.items():
            value = getattr(self, key)
            check(value >= least, f"represent.{key}={value}: expected {least} or more")
        check(self.orientations <= 180, f"represent.orientations={self.orientations}: at most 180")


@dataclass(frozen=True)
class Parts:
    """Principal components of parts of what is known of a face, each part by itself.

    A part's key says how many of its components are taken (0 leaves it out), and its weight how
    much it counts: its components are scaled so that their variances sum to the weight's square.
    `sides` and `scaling` are of the blendshapes: left and right averaged or both, and square
    roots, or columns over their interquartile range. With `whiten`, all components of a part
    count alike.
    """

    method: Literal["parts"] = "parts"
    blendshapes: int = 24
    tokens: int = 20
    landmarks: int = 0
    hog: int = 10
    layer4: int = 0
    layer8: int = 0
    blendshapes_weight: float = 1.0
    tokens_weight: float = 0.7
    landmarks_weight: float = 0.7
    hog_weight: float = 0.7
    layer4_weight: float = 0.7
    layer8_weight: float = 0.7
    sides: Literal["average", "both"] = "average"
    scaling: Literal["sqrt", "robust"] = "sqrt"
    whiten: bool = False

    def __post_init__(self) -> None:
        for part in PARTS:
            count, weight = getattr(self, part), getattr(self, f"{part}_weight")
            check(count >= 0, f"reduce.{part}={count}: expected 0 (left out) or more")
            check(0 < weight <= 1e3, f"reduce.{part}_weight={weight}: expected above 0, up to 1000")
        check(self.components > 0, "reduce.method=parts: expected a part with 1 or more components")

    @property
    def components(self) -> int:
        """Components of all parts together."""
        return sum(self.of(part) for part in PARTS)

    def of(self, part: str) -> int:
        """Components of a part."""
        return int(getattr(self, part))

    def weight(self, part: str) -> float:
        """How much a part counts."""
        return float(getattr(self, f"{part}_weight"))
