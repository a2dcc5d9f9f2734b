"""Parameters of faces drawn at random.

Row i of a set depends on the seed, the difficulty and i alone: randomness comes from
``default_rng([seed, stage, block])`` for fixed blocks of rows, and a stage draws all of its block.
Difficulty only stretches those draws, so the same row at two difficulties is the same face, with
more or less of everything that hides its expression.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from daskfer.faces import EMOTIONS
from daskfer.synthetic.parameters import (
    FaceParameters,
    Floats,
    Identity,
    Light,
    Pose,
    concatenate,
)

DEFAULT_DIFFICULTY = 0.25
"""Faces that visibly differ in person, pose, light and noise, and still cluster by expression."""

BLOCK_ROWS = 1024
"""Rows that share one random generator per stage."""

PEOPLE = 1024
"""How many different identities a seed has."""

UNIFORM_WEIGHTS = (1.0,) * len(EMOTIONS)

FER2013_WEIGHTS = (4953.0, 547.0, 5121.0, 8989.0, 6077.0, 4002.0, 6198.0)
"""Faces of each emotion in FER2013."""

USAGE_SHARES = (0.8, 0.1, 0.1)
"""Shares of Training, PublicTest and PrivateTest, as in FER2013."""

_STAGE_LABELS, _STAGE_PEOPLE, _STAGE_INTENSITY, _STAGE_POSE, _STAGE_LIGHT, _STAGE_NOISE = range(6)


class _Spread(NamedTuple):
    """How one number varies: normal about ``centre``, kept inside ``low`` to ``high``."""

    centre: float
    sigma: float  # at difficulty 1
    low: float
    high: float


# Lengths are in half-images (24 pixels), tones in 0 (black) to 1 (white), angles in radians.
# Tones spread widely because the eye sees them and gradients hardly do.
_IDENTITY = {
    "face_width": _Spread(0.76, 0.079, 0.60, 0.92),
    "face_height": _Spread(0.95, 0.066, 0.80, 1.10),
    "jaw_width": _Spread(0.75, 0.17, 0.45, 1.00),
    "eye_spacing": _Spread(0.34, 0.033, 0.27, 0.41),
    "eye_size": _Spread(1.00, 0.17, 0.75, 1.25),
    "brow_thickness": _Spread(0.050, 0.023, 0.025, 0.085),
    "nose_length": _Spread(0.40, 0.059, 0.28, 0.52),
    "nose_width": _Spread(0.13, 0.033, 0.09, 0.20),
    "mouth_width": _Spread(0.30, 0.040, 0.22, 0.38),
    "lip_fullness": _Spread(0.055, 0.020, 0.03, 0.085),
    "skin_tone": _Spread(0.72, 0.30, 0.42, 0.92),
    "hair_tone": _Spread(0.18, 0.26, 0.04, 0.85),
    "hair_line": _Spread(-0.68, 0.12, -0.85, -0.58),
    "hair_length": _Spread(0.00, 0.66, -0.60, 1.00),
}
_POSE = {
    "yaw": _Spread(0.0, 0.18, -0.50, 0.50),
    "pitch": _Spread(0.0, 0.11, -0.40, 0.40),
    "roll": _Spread(0.0, 0.12, -0.45, 0.45),
    "scale": _Spread(1.1, 0.066, 0.90, 1.30),
    "shift_x": _Spread(0.0, 0.046, -0.25, 0.25),
    "shift_y": _Spread(0.0, 0.046, -0.25, 0.25),
}
_LIGHT = {
    "direction": _Spread(-math.pi / 2, 2.64, -math.inf, math.inf),  # from above, where y is least
    "strength": _Spread(0.10, 0.26, 0.0, 0.80),
    "contrast": _Spread(1.0, 0.26, 0.45, 1.30),
    "exposure": _Spread(0.0, 0.13, -0.25, 0.25),
    "background": _Spread(0.42, 0.33, 0.05, 0.95),
}
_NOISE_SIGMA = 13.0  # grey levels at difficulty 1, before each face's own factor of 0.5 to 1.5
_INTENSITY_LOSS = 0.33  # mean share of the expression lost at difficulty 1


@dataclass(frozen=True)
class Difficulty:
    """How much hides the expression of a face: one number, and an exception for each part of it.

    Parameters
    ----------
    overall
        0 (seven faces, repeated) to 1 (expressions that a clustering does not find).
    identity, pose, light, noise, intensity
        Difficulties of the parts, each 0 to 1; `overall` where None. ``intensity`` is the weakness
        of the expression: 0 keeps every expression full.

    Raises
    ------
    ValueError
        When a number is outside 0 to 1.
    """

    overall: float = DEFAULT_DIFFICULTY
    identity: float | None = None
    pose: float | None = None
    light: float | None = None
    noise: float | None = None
    intensity: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not 0.0 <= value <= 1.0:
                name = "difficulty" if field.name == "overall" else f"difficulty of {field.name}"
                raise ValueError(f"Got {name} {value!r}, but expected a number from 0 to 1")

    def stretch(self, part: str) -> float:
        """Factor on the draws of one part, 0 to 1, from its own difficulty or the overall one.

        The power spreads the fall of a clustering's accuracy over the whole range of difficulty;
        without it nearly all of the fall would come between 0.35 and 0.65.
        """
        own: float | None = getattr(self, part)
        return float((self.overall if own is None else own) ** 0.7)


def _spread(
    spreads: dict[str, _Spread], stretch: float, rng: np.random.Generator, count: int
) -> dict[str, Floats]:
    """`count` draws of each of the named numbers."""
    normal = rng.standard_normal((len(spreads), count), dtype=np.float32)
    return {
        name: np.clip(spread.centre + stretch * spread.sigma * z, spread.low, spread.high)
        for (name, spread), z in zip(spreads.items(), normal, strict=True)
    }


def as_difficulty(difficulty: float | Difficulty) -> Difficulty:
    """The number as a `Difficulty`; ValueError when it is outside 0 to 1."""
    return difficulty if isinstance(difficulty, Difficulty) else Difficulty(difficulty)


def _checked_seed(seed: int) -> int:
    if seed < 0:
        raise ValueError(f"Got seed {seed}, but expected a whole number >= 0")
    return seed


def draw_people(
    numbers: NDArray[np.integer[Any]],
    seed: int = 0,
    difficulty: float | Difficulty = DEFAULT_DIFFICULTY,
) -> Identity:
    """Identities with these numbers; the same number is the same person everywhere in a seed.

    Parameters
    ----------
    numbers
        Integers (n,), 0 to ``PEOPLE - 1``.
    seed
        Seed of the set, >= 0.
    difficulty
        Its ``identity`` part says how much people differ.

    Returns
    -------
    Identity
        Arrays of n.

    Raises
    ------
    ValueError
        On a number or a seed out of range, or a difficulty outside 0 to 1.
    """
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < PEOPLE):
        raise ValueError(
            f"Got identities {numbers.min()} to {numbers.max()}, "
            f"but expected numbers from 0 to {PEOPLE - 1}"
        )
    rng = np.random.default_rng([_checked_seed(seed), _STAGE_PEOPLE, 0])
    traits = _spread(_IDENTITY, as_difficulty(difficulty).stretch("identity"), rng, PEOPLE)
    people = Identity(number=np.arange(PEOPLE, dtype=np.int32), **traits)
    return people.take(numbers)


def _shares(weights: Sequence[float] | None) -> NDArray[np.float64]:
    """Weights of the emotions as shares that add up to 1."""
    weights = UNIFORM_WEIGHTS if weights is None else weights
    shares = np.asarray(weights, dtype=np.float64)
    whole = shares.shape == (len(EMOTIONS),) and bool(np.isfinite(shares).all())
    if not whole or shares.min() < 0 or shares.sum() <= 0:
        raise ValueError(
            f"Got emotion weights {list(weights)}, but expected {len(EMOTIONS)} numbers >= 0, "
            "not all of them 0"
        )
    return shares / shares.sum()


def _choose(shares: Sequence[float] | NDArray[np.float64], uniform: Any) -> NDArray[np.int8]:
    """Index of the share that each number in [0, 1) falls into."""
    # The last border is left out, so that rounding of the sum cannot lead past the end.
    borders = np.cumsum(shares)[:-1]
    return np.searchsorted(borders, uniform, side="right").astype(np.int8)


def _draw_intensity(stretch: float, rng: np.random.Generator) -> Floats:
    """Intensities of a block: their mean falls and their spread grows with difficulty."""
    loss = 2 * _INTENSITY_LOSS * stretch * rng.random(BLOCK_ROWS, dtype=np.float32)
    return np.clip(1 - loss, 0.0, 1.0)


def _draw_block(
    block: int, seed: int, difficulty: Difficulty, shares: NDArray[np.float64]
) -> FaceParameters:
    """All the rows of one block."""

    def generator(stage: int) -> np.random.Generator:
        return np.random.default_rng([seed, stage, block])

    which_emotion, which_usage, which_person = generator(_STAGE_LABELS).random((3, BLOCK_ROWS))
    noise_rng = generator(_STAGE_NOISE)
    noise_factor = 0.5 + noise_rng.random(BLOCK_ROWS, dtype=np.float32)
    return FaceParameters(
        row=np.arange(block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS, dtype=np.int64),
        emotion=_choose(shares, which_emotion),
        usage=_choose(USAGE_SHARES, which_usage),
        intensity=_draw_intensity(difficulty.stretch("intensity"), generator(_STAGE_INTENSITY)),
        identity=draw_people((which_person * PEOPLE).astype(np.int32), seed, difficulty),
        pose=Pose(**_spread(_POSE, difficulty.stretch("pose"), generator(_STAGE_POSE), BLOCK_ROWS)),
        light=Light(
            **_spread(_LIGHT, difficulty.stretch("light"), generator(_STAGE_LIGHT), BLOCK_ROWS)
        ),
        noise=np.float32(difficulty.stretch("noise") * _NOISE_SIGMA) * noise_factor,
        noise_key=noise_rng.integers(0, 2**64, BLOCK_ROWS, dtype=np.uint64),
    )


def draw_parameters(
    start: int,
    stop: int,
    seed: int = 0,
    difficulty: float | Difficulty = DEFAULT_DIFFICULTY,
    emotion_weights: Sequence[float] | None = None,
) -> FaceParameters:
    """Parameters of the rows `start` to `stop` (exclusive) of the endless set with this seed.

    Parameters
    ----------
    start, stop
        Range of rows, ``0 <= start < stop``. A row is the same whatever range it is drawn in.
    seed
        Seed of the set, >= 0.
    difficulty
        0 (clear) to 1 (hopeless), or a `Difficulty` that sets its parts one by one.
    emotion_weights
        Seven numbers >= 0 in the order of `daskfer.faces.EMOTIONS`, such as `FER2013_WEIGHTS`;
        uniform by default.

    Returns
    -------
    FaceParameters
        Arrays of ``stop - start``.

    Raises
    ------
    ValueError
        On an empty range, a negative row or seed, a difficulty outside 0 to 1, or bad weights.
    """
    if not 0 <= start < stop:
        raise ValueError(f"Got rows {start} to {stop}, but expected 0 <= start < stop")
    parts, shares = as_difficulty(difficulty), _shares(emotion_weights)
    first, last = start // BLOCK_ROWS, (stop - 1) // BLOCK_ROWS
    drawn = [
        _draw_block(block, _checked_seed(seed), parts, shares) for block in range(first, last + 1)
    ]
    offset = first * BLOCK_ROWS
    return concatenate(drawn).take(slice(start - offset, stop - offset))
