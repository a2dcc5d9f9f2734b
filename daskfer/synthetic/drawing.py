"""Faces from parameters: soft-edged shapes painted one over another, many faces at a time.

Lengths are in half-images (24 pixels), x to the right and y down from the centre of the upright
head. The head and the hair are painted on the whole picture, each feature in a small patch around
it whose coordinates already hold the pose, so that a feature is drawn as if seen from the front.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daskfer.faces import DEFAULT_SIZE
from daskfer.synthetic.expressions import actions_of
from daskfer.synthetic.parameters import FaceParameters, Floats

SIDE = DEFAULT_SIZE
HALF = SIDE / 2
CENTRE = (SIDE - 1) / 2
SOFTNESS = 1.2 / HALF  # width of an edge: a little over a pixel, so that edges are not jagged
BATCH_FACES = 32  # a batch's pictures stay in the processor's cache

EYE_Y, MOUTH_Y, NOSE_Y = -0.20, 0.52, -0.12
EYE_WIDTH, BROW_WIDTH = 0.19, 0.24
HEAD_RADIUS, RECENTRED = np.float32(0.8), 0.6


def _inside(distance: Floats) -> Floats:
    """Coverage, 0 to 1, of pixels this far inside (+) or outside (-) of an edge."""
    return np.clip(distance * np.float32(1 / SOFTNESS) + np.float32(0.5), 0, 1)


def _stroke(distance: Floats, thickness: Any) -> Floats:
    """Coverage of a line, from the signed distance to it; thinner than a pixel means fainter."""
    return _inside(thickness - np.abs(distance))


def _per_face(values: Any) -> Floats:
    """One number per face, ready to meet arrays (n, height, width)."""
    return np.asarray(values, dtype=np.float32)[:, None, None]


def _blend(canvas: Floats, tone: Any, coverage: Floats) -> None:
    """Paint a tone over the canvas in place."""
    canvas += coverage * (tone - canvas)


def _darken(canvas: Floats, share: Any, coverage: Floats) -> None:
    """Take away this share of the canvas's tone in place."""
    canvas *= 1 - share * coverage


@dataclass(frozen=True)
class _Patch:
    """A rectangle of each picture around a feature, and the feature's own coordinates there."""

    index: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]
    x: Floats
    y: Floats


class _Head:
    """Where the points of each head of a batch are in its picture."""

    def __init__(self, parameters: FaceParameters) -> None:
        self.pose = parameters.pose
        self.cos, self.sin = np.cos(self.pose.roll), np.sin(self.pose.roll)
        # A face detector crops about the features, so most of a turn moves the head's outline.
        turn = np.float32(-RECENTRED * HEAD_RADIUS)
        self.centre_x = self.pose.shift_x + turn * np.sin(self.pose.yaw)
        self.centre_y = self.pose.shift_y + turn * np.sin(self.pose.pitch)

    def whole(self) -> tuple[Floats, Floats]:
        """Coordinates (n, SIDE, SIDE) of all the pixels in the upright head."""
        along = _offset(np.arange(SIDE))
        right = along[None, None, :] - _per_face(self.centre_x)
        down = along[None, :, None] - _per_face(self.centre_y)
        return self._upright(right, down)

    def patch(self, x: Floats, y: Floats, height: int, width: int) -> _Patch:
        """Patch of height x width pixels around the point (x, y) of each frontal face."""
        x, squeeze_x = _turn(x, self.pose.yaw)
        y, squeeze_y = _turn(y, self.pose.pitch)
        scale = self.pose.scale
        right = self.centre_x + scale * (self.cos * x - self.sin * y)
        down = self.centre_y + scale * (self.sin * x + self.cos * y)
        columns, rows = _window(right, width)[:, None, :], _window(down, height)[:, :, None]
        local_x, local_y = self._upright(
            _offset(columns) - _per_face(right), _offset(rows) - _per_face(down)
        )
        faces = np.arange(len(x))[:, None, None]
        return _Patch(
            index=(faces, rows, columns),
            x=local_x / _per_face(squeeze_x),
            y=local_y / _per_face(squeeze_y),
        )

    def _upright(self, right: Floats, down: Floats) -> tuple[Floats, Floats]:
        """Undo roll and scale of offsets that broadcast to (n, height, width)."""
        cos, sin = _per_face(self.cos / self.pose.scale), _per_face(self.sin / self.pose.scale)
        return cos * right + sin * down, cos * down - sin * right


def _offset(pixel: NDArray[np.intp]) -> Floats:
    """Distance of pixels from the middle of the picture, in half-images."""
    return (pixel.astype(np.float32) - np.float32(CENTRE)) / np.float32(HALF)


def _turn(offset: Floats, angle: Floats) -> tuple[Floats, Floats]:
    """Offset of a point on a round head after a turn, and how much it is then foreshortened."""
    start = np.arcsin(offset / HEAD_RADIUS)
    return HEAD_RADIUS * np.sin(start + angle), np.cos(start + angle) / np.cos(start)


def _window(middle: Floats, length: int) -> NDArray[np.intp]:
    """The `length` pixels about each middle, (n, length), moved to lie within the picture."""
    first = np.rint(CENTRE + HALF * middle - (length - 1) / 2).astype(np.intp)
    return np.clip(first, 0, SIDE - length)[:, None] + np.arange(length)


def _draw_head(parameters: FaceParameters, act: dict[str, Floats], x: Floats, y: Floats) -> Floats:
    """Background, hair, neck and the skin of the face, (n, SIDE, SIDE) in 0 to 1."""
    who = parameters.identity
    skin, hair = _per_face(who.skin_tone), _per_face(who.hair_tone)
    width, height = _per_face(who.face_width), _per_face(who.face_height)
    canvas = np.empty_like(x)
    canvas[:] = _per_face(parameters.light.background)

    crown = 1 - np.sqrt((x / (width + 0.13)) ** 2 + ((y + 0.10) / (height + 0.02)) ** 2)
    crown = _inside(crown * width)
    _blend(canvas, hair, crown * _inside(_per_face(who.hair_length) - y))
    neck = np.minimum(0.62 * width - np.abs(x), y - 0.5)
    _blend(canvas, 0.72 * skin, _inside(neck))

    below = np.maximum(y, 0)
    chin = height + 0.12 * _per_face(np.maximum(act["jaw_drop"], 0))
    narrowing = 1 - (1 - _per_face(who.jaw_width)) * (below / chin) ** 2
    across, down = x / (width * narrowing), y / np.where(y > 0, chin, height)
    radius2 = across * across + down * down
    face = _inside((1 - np.sqrt(radius2)) * width)
    _blend(canvas, skin * (1.08 - 0.28 * radius2), face)
    hair_line = _per_face(who.hair_line) + 0.35 * across * across
    _blend(canvas, hair, crown * _inside(hair_line - y))
    return canvas


def _draw_brow(
    canvas: Floats, patch: _Patch, parameters: FaceParameters, act: dict[str, Floats]
) -> None:
    """One eyebrow, in a patch whose x grows outwards from above the middle of the eye."""
    inner, outer, arch, together = (
        _per_face(act[name]) for name in ("brow_inner", "brow_outer", "brow_arch", "brow_together")
    )
    along = (patch.x - 0.02 + 0.07 * together) * np.float32(1 / BROW_WIDTH)
    bend = 1 - along * along
    # Down at the inner end is closer to the eye than up, which has a whole forehead to go.
    height = 0.215 + 0.03 * bend + 0.07 * arch * bend
    height = height + 0.07 * inner * (1 - along) + 0.065 * outer * (1 + along)
    thickness = _per_face(parameters.identity.brow_thickness) * (1 - 0.3 * along)
    ends = _inside((1 - np.abs(along)) * BROW_WIDTH)
    tone = 0.6 * np.minimum(_per_face(parameters.identity.hair_tone), 0.5)
    _blend(canvas, tone, 0.9 * ends * _stroke(patch.y + height, thickness))


def _draw_eye(
    canvas: Floats, patch: _Patch, parameters: FaceParameters, act: dict[str, Floats]
) -> None:
    """One eye with its lids, in a patch whose x grows outwards from the middle of the eye."""
    size = _per_face(parameters.identity.eye_size)
    upper, lower, cheek = (
        _per_face(act[name]) for name in ("lid_upper", "lid_lower", "cheek_raise")
    )
    droop = _per_face(np.maximum(act["brow_inner"] - act["lid_upper"], 0)) * (upper < 0)
    along = patch.x / (EYE_WIDTH * size)
    arc = np.maximum(1 - along * along, 0)
    top = -size * (0.095 + 0.065 * upper) * arc + 0.03 * droop * along
    bottom = size * (0.075 - 0.055 * lower + 0.02 * np.maximum(upper, 0)) * arc
    ends = _inside((1.05 - np.abs(along)) * EYE_WIDTH)

    _darken(canvas, 0.25, ends * _inside(patch.y + 0.20) * _inside(0.02 - patch.y))
    opening = ends * _inside(np.minimum(patch.y - top, bottom - patch.y))
    _blend(canvas, 0.92, opening)
    iris = np.sqrt(patch.x**2 + (patch.y + 0.01) ** 2)
    _blend(canvas, 0.12, opening * _inside(0.085 * size - iris))
    _darken(canvas, 0.85, ends * _stroke(patch.y - top, 0.028))
    _darken(canvas, 0.45, ends * _stroke(patch.y - bottom, 0.012))
    pouch = patch.y - bottom - 0.075 + 0.05 * along * along
    _darken(canvas, 0.35 * cheek, ends * _stroke(pouch, 0.02))


def _draw_nose(
    canvas: Floats, patch: _Patch, parameters: FaceParameters, act: dict[str, Floats]
) -> None:
    """Nose, furrow between the brows and wrinkles, in a patch about the nose's bridge."""
    wrinkle, together = _per_face(act["nose_wrinkle"]), _per_face(act["brow_together"])
    width = _per_face(parameters.identity.nose_width) * (1 + 0.15 * wrinkle)
    tip = _per_face(parameters.identity.nose_length) - 0.06 * wrinkle
    x, y, beside = patch.x, patch.y, np.abs(patch.x)

    bridge = _inside(y + 0.05) * _inside(tip - y)
    _darken(canvas, 0.16, bridge * _stroke(beside - 0.075 - 0.25 * np.maximum(y - 0.15, 0), 0.025))
    _blend(canvas, 1.0, 0.16 * bridge * _stroke(x, 0.02))
    nostril = np.sqrt((beside - 0.6 * width) ** 2 + (1.6 * (y - tip)) ** 2)
    _darken(canvas, 0.65, _inside(0.042 - nostril))
    wing = np.sqrt((x / width) ** 2 + ((y - tip + 0.05) / 0.11) ** 2)
    _darken(canvas, 0.3, _inside(y - tip + 0.05) * _stroke((wing - 1) * width, 0.015))

    # The strokes across the bridge sag in the middle, as skin pushed up from both sides does.
    for height in (-0.10, 0.0, 0.10):
        across = _stroke(y - height + 1.2 * x * x, 0.018) * _inside(0.13 - beside)
        _darken(canvas, 0.5 * wrinkle, across)
    furrow = _stroke(beside - 0.045, 0.016) * _stroke(y + 0.16, 0.09)
    _darken(canvas, 0.5 * together, furrow)


def _draw_mouth(
    canvas: Floats, patch: _Patch, parameters: FaceParameters, act: dict[str, Floats]
) -> None:
    """Mouth and the folds beside it, in a patch about the middle of the closed lips."""
    corner, square, jaw, raised = (
        _per_face(act[name]) for name in ("lip_corner", "mouth_square", "jaw_drop", "lip_raise")
    )
    who = parameters.identity
    half = _per_face(who.mouth_width * (1 + 0.3 * act["mouth_stretch"]))
    full = _per_face(who.lip_fullness)
    along = patch.x / half
    along2 = np.minimum(along * along, 1.2)
    arc = np.maximum(1 - along2, 0)
    arc = arc + square * (np.maximum(1 - along2**4, 0) - arc)
    ends = _inside((1 - np.abs(along)) * half)

    middle = corner * (0.06 - 0.17 * along2) + 0.10 * _per_face(act["mouth_skew"]) * along
    gap = _inside(jaw + raised - 0.05)
    top = middle - (0.10 * raised + 0.03 * jaw) * arc
    bottom = middle + (0.27 * jaw + 0.02 * raised) * arc
    lips = np.minimum(patch.y - top + full * arc, bottom + 1.2 * full * arc - patch.y)
    skin = _per_face(who.skin_tone)
    _blend(canvas, 0.62 * skin, ends * _inside(lips))
    interior = ends * _inside(np.minimum(patch.y - top, bottom - patch.y)) * gap
    _blend(canvas, 0.07, interior)
    bite = top + np.minimum(0.11, 0.75 * (bottom - top))
    _blend(canvas, 0.95, _per_face(act["teeth"]) * interior * _inside(bite - patch.y))
    _darken(canvas, 0.8 * (1 - gap), ends * _stroke(patch.y - middle, 0.022))

    depth = _per_face(act["cheek_raise"])
    fold = np.abs(patch.x) - (half + 0.09) + 0.5 * np.maximum(0.02 - patch.y, 0)
    _darken(canvas, 0.4 * depth, _stroke(fold, 0.02) * _stroke(patch.y + 0.10, 0.20))


def _draw_features(
    canvas: Floats, head: _Head, parameters: FaceParameters, act: dict[str, Floats]
) -> None:
    """Eyes, brows, nose and mouth, each in a patch of its own."""
    who = parameters.identity
    zero = np.zeros(len(parameters), dtype=np.float32)
    for side in (-1, 1):
        # The patch reaches further up than down: the brow belongs to it.
        patch = head.patch(side * who.eye_spacing, zero + EYE_Y - 0.13, 25, 20)
        patch = _Patch(patch.index, side * patch.x, patch.y - 0.13)
        region = canvas[patch.index]
        _draw_eye(region, patch, parameters, act)
        _draw_brow(region, patch, parameters, act)
        canvas[patch.index] = region

    patch = head.patch(zero, zero + NOSE_Y + 0.10, 25, 18)
    patch = _Patch(patch.index, patch.x, patch.y + 0.10)
    region = canvas[patch.index]
    _draw_nose(region, patch, parameters, act)
    canvas[patch.index] = region

    patch = head.patch(zero, zero + MOUTH_Y, 25, 34)
    region = canvas[patch.index]
    _draw_mouth(region, patch, parameters, act)
    canvas[patch.index] = region


def _expose(canvas: Floats, parameters: FaceParameters, x: Floats, y: Floats) -> None:
    """Light from one side, contrast and exposure, in place."""
    light = parameters.light
    towards_x = _per_face(light.strength * np.cos(light.direction))
    towards_y = _per_face(light.strength * np.sin(light.direction))
    canvas *= 1 + towards_x * x + towards_y * y
    canvas -= 0.5
    canvas *= _per_face(light.contrast)
    canvas += _per_face(light.exposure + 0.5)


def _pixels(canvas: Floats, parameters: FaceParameters) -> NDArray[np.uint8]:
    """The canvas in grey levels with each face's own noise, uint8 (n, SIDE * SIDE)."""
    grey = canvas.reshape(len(canvas), SIDE * SIDE) * np.float32(255)
    for row, key in enumerate(parameters.noise_key):
        if parameters.noise[row] > 0:
            noise = np.random.default_rng(int(key)).standard_normal(SIDE * SIDE, dtype=np.float32)
            grey[row] += parameters.noise[row] * noise
    return np.rint(np.clip(grey, 0, 255)).astype(np.uint8)


def _draw_batch(parameters: FaceParameters) -> NDArray[np.uint8]:
    """The faces of one batch."""
    act = actions_of(parameters.emotion, parameters.intensity)
    head = _Head(parameters)
    x, y = head.whole()
    canvas = _draw_head(parameters, act, x, y)
    _draw_features(canvas, head, parameters, act)
    _expose(canvas, parameters, x, y)
    return _pixels(canvas, parameters)


def draw_faces(parameters: FaceParameters) -> NDArray[np.uint8]:
    """Draw faces.

    Parameters
    ----------
    parameters
        Parameters of n faces, as `draw_parameters` gives them.

    Returns
    -------
    uint8 (n, 48 * 48), pixels of each face in reading order. A face depends on its own
    parameters alone, not on those drawn with it.
    """
    faces = np.empty((len(parameters), SIDE * SIDE), dtype=np.uint8)
    for start in range(0, len(parameters), BATCH_FACES):
        batch = slice(start, start + BATCH_FACES)
        faces[batch] = _draw_batch(parameters.take(batch))
    return faces
