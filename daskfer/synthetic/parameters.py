"""The numbers a synthetic face is drawn from, which are also the true answers about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]  # float32 in fact; the stubs lose that in arithmetic


@dataclass(frozen=True)
class Identity:
    """Who is in each picture; float32 arrays of n, but for ``number`` (int32, 0 to PEOPLE - 1)."""

    number: NDArray[np.int32]
    face_width: Floats
    face_height: Floats
    jaw_width: Floats
    eye_spacing: Floats
    eye_size: Floats
    brow_thickness: Floats
    nose_length: Floats
    nose_width: Floats
    mouth_width: Floats
    lip_fullness: Floats
    skin_tone: Floats
    hair_tone: Floats
    hair_line: Floats
    hair_length: Floats

    def take(self, faces: NDArray[Any]) -> Identity:
        """The identities at these positions."""
        return _take(self, faces)


@dataclass(frozen=True)
class Pose:
    """How each head is held; float32 arrays of n. Angles in radians, shifts in half-images."""

    yaw: Floats
    pitch: Floats
    roll: Floats
    scale: Floats
    shift_x: Floats
    shift_y: Floats


@dataclass(frozen=True)
class Light:
    """Light and background of each picture; float32 arrays of n.

    ``direction`` is the angle in radians towards which the picture gets brighter, from the x axis
    (right) to the y axis (down); its turns are not folded into one.
    """

    direction: Floats
    strength: Floats
    contrast: Floats
    exposure: Floats
    background: Floats


@dataclass(frozen=True)
class FaceParameters:
    """Everything that `draw_faces` needs to draw n faces, and the true answers about them.

    Attributes
    ----------
    row
        int64 (n,), number of the face in its set.
    emotion, usage
        int8 (n,), indices into `daskfer.faces.EMOTIONS` and `daskfer.faces.USAGES`.
    intensity
        float32 (n,), strength of the expression: 1 full, 0 indistinguishable from neutral.
    identity, pose, light
        Arrays of n in their groups.
    noise
        float32 (n,), standard deviation of the pixel noise in grey levels.
    noise_key
        uint64 (n,), which noise: it makes a face a function of its parameters alone.
    """

    row: NDArray[np.int64]
    emotion: NDArray[np.int8]
    usage: NDArray[np.int8]
    intensity: Floats
    identity: Identity
    pose: Pose
    light: Light
    noise: Floats
    noise_key: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: slice | NDArray[Any]) -> FaceParameters:
        """The faces at these positions (a slice, positions or a mask)."""
        return _take(self, rows)


Group = TypeVar("Group", Identity, Pose, Light, FaceParameters)


def _take(group: Group, rows: slice | NDArray[Any]) -> Group:
    """The same dataclass with every array, at any depth, indexed by `rows`."""
    values: list[Any] = [getattr(group, field.name) for field in fields(group)]
    taken: list[Any] = [
        value[rows] if isinstance(value, np.ndarray) else _take(value, rows) for value in values
    ]
    return type(group)(*taken)


def concatenate(groups: Sequence[Group]) -> Group:
    """The same dataclass with every array, at any depth, joined."""
    columns = [[getattr(group, field.name) for group in groups] for field in fields(groups[0])]
    joined: list[Any] = [
        np.concatenate(column) if isinstance(column[0], np.ndarray) else concatenate(column)
        for column in columns
    ]
    return type(groups[0])(*joined)
