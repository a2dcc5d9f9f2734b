"""A trained model in memory: from pixels of faces to emotions, confidence and clusters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from daskfer.classify import Classifier, probabilities
from daskfer.clusterers import AnyClusterer
from daskfer.faces import UNKNOWN
from daskfer.parts import AnyReducer
from daskfer.recipe import Expression, Represent
from daskfer.represent import represent

if TYPE_CHECKING:
    from daskfer.represent.expression.features import ExpressionFeatures

CHUNK = 2_048
"""Faces that are taken through a model at once."""


@dataclass(frozen=True)
class Predictions:
    """What a model says of some faces.

    Attributes
    ----------
    emotion : int8 array (n,)
        Codes of the model's categories; UNKNOWN where it says none.
    confidence : float32 array (n,)
        How likely that is right, 0–1, as far as the names of the clusters are.
    cluster : int32 array (n,)
        UNKNOWN where a face has no landmarks.
    probabilities : float32 array (n, classes)
        In the order of the model's `classes`; confidence is the largest of a row.
    """

    emotion: np.ndarray
    confidence: np.ndarray
    cluster: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class Model:
    """All that predicting needs, as `daskfer.model.read_model` read it.

    Attributes
    ----------
    folder : str
        Where it was read from.
    side : int
        Side in pixels of the faces that it takes.
    categories : tuple of str
        What codes of emotions stand for.
    normalization : str
    representation : Represent
        How faces become features.
    reducer : reducer
    clusters : Clusterer
    names : int8 array (k,)
        Code of each cluster's name, or UNKNOWN.
    classifier : Classifier or None
        The second model; without one, the names of the clusters answer.
    face : reducer or None
        What the second model sees, where that is not what the clusters see.
    unsure_below : float
        Confidence below which a face's emotion is better left open.
    digest : str
        The sha256 of its model.json, which has those of its parts: another model, another digest.
    """

    folder: str
    side: int
    categories: tuple[str, ...]
    normalization: str
    representation: Represent
    reducer: AnyReducer
    clusters: AnyClusterer
    names: np.ndarray
    classifier: Classifier | None
    face: AnyReducer | None
    unsure_below: float
    digest: str
    bundle: Callable[[str | None], bytes] = field(default=lambda path: _find_bundle(path))

    @property
    def classes(self) -> np.ndarray:
        """Codes, int8 (classes,), that it can answer, ascending."""
        if self.classifier is not None:
            return np.asarray(self.classifier.model.classes_).astype(np.int8)
        return np.unique(self.names[self.names != UNKNOWN])

    @property
    def measures(self) -> bool:
        """Whether it needs the face model's file and runtime."""
        return isinstance(self.representation, Expression)

    def predict(self, pixels: np.ndarray) -> Predictions:
        """What it says of faces.

        Parameters
        ----------
        pixels : uint8 array (n, side * side)
            Grey values in reading order.
        """
        parts = [
            self._chunk(pixels[start : start + CHUNK])
            for start in range(0, max(len(pixels), 1), CHUNK)
        ]
        if len(parts) == 1:
            return parts[0]
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return Predictions(*(np.concatenate(column) for column in columns))

    def _chunk(self, pixels: np.ndarray) -> Predictions:
        count = len(pixels)
        if count == 0:
            nothing = np.zeros((0, len(self.classes)), np.float32)
            return Predictions(
                np.zeros(0, np.int8), np.zeros(0, np.float32), np.zeros(0, np.int32), nothing
            )
        points, seen, placed = self._points(pixels)
        found = self.clusters.assign(points)
        cluster = np.where(placed, found.cluster, np.int32(UNKNOWN))
        if self.classifier is None:
            return self._by_names(cluster, found.confidence)
        model, temperature = self.classifier.model, self.classifier.temperature
        shares = probabilities(model, seen, temperature)
        answer = shares.argmax(axis=1)
        return Predictions(
            self.classes[answer],
            shares[np.arange(count), answer].astype(np.float32),
            cluster,
            shares.astype(np.float32),
        )

    def _by_names(self, cluster: np.ndarray, confidence: np.ndarray) -> Predictions:
        """Where there is no second model: each face has its cluster's name."""
        emotion = np.where(cluster == UNKNOWN, np.int8(UNKNOWN), self.names[cluster])
        sure = np.where(emotion == UNKNOWN, np.float32(0), confidence)
        shares = np.zeros((len(cluster), len(self.classes)), np.float32)
        known = np.flatnonzero(emotion != UNKNOWN)
        shares[known, np.searchsorted(self.classes, emotion[known])] = sure[known]
        return Predictions(emotion, sure, cluster, shares)

    def _points(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows (n, c) that clusters see, those that the classifier sees, and which are placed."""
        if isinstance(self.representation, Expression):
            features = self._measured(pixels, self.representation)
            blank = (pixels == pixels[:, :1]).all(axis=1)
            placed = (features.presence() >= self.representation.presence) & ~blank
            points = self.reducer.block(features, 0)
            return points, points if self.face is None else self.face.block(features, 0), placed
        values = represent(pixels, self.side, self.normalization, self.representation)
        rows = _Rows(values)
        points = self.reducer.block(rows, 0)
        seen = points if self.face is None else self.face.block(rows, 0)
        return points, seen, np.ones(len(pixels), bool)

    def _measured(self, pixels: np.ndarray, method: Expression) -> ExpressionFeatures:
        from daskfer.represent.expression.features import ExpressionFeatures
        from daskfer.represent.expression.measure import measure

        bundle = self.bundle(method.model)
        found = measure(pixels, self.side, self.normalization, method, bundle)
        stored: dict[str, Any] = {name: _Rows(values) for name, values in found.items()}
        return ExpressionFeatures(stored, {}, np.zeros(0, np.int64), self.side, method)


@dataclass(frozen=True)
class _Rows:
    """Rows in memory, in the place of blocks in files."""

    values: np.ndarray
    count: int = 1

    @property
    def dimensions(self) -> int:
        return int(self.values.shape[1])

    def rows(self, positions: np.ndarray) -> np.ndarray:
        return self.values[positions]

    def block(self, number: int) -> np.ndarray:
        return self.values


_BUNDLES: dict[str | None, bytes] = {}


def _find_bundle(path: str | None) -> bytes:
    """The face model's file, read once in a process."""
    if path not in _BUNDLES:
        from daskfer.bundle import find_bundle

        _BUNDLES[path] = find_bundle(path)
    return _BUNDLES[path]
