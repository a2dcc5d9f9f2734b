"""Reduction of what is known of a face part by part: components of each, side by side.

A layer of the face model says different things of a face and of its mirror image, though both
express the same. How the one follows from the other is learned from some faces that were measured
both ways: a ridge regression (A. Hoerl and R. Kennard, 1970) within the part's leading components.
The mean of what was measured and what the mirror image would have given is a linear function of
the former, so all of it (both sides, components, weight) is one linear map for each part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daskfer import npy, storage
from daskfer.blocks import groups
from daskfer.engine import Engine
from daskfer.recipe import PARTS, Parts
from daskfer.reduce import (
    Moments,
    Reducer,
    group_moments,
    merge_moments,
    oriented,
    principal_components,
)
from daskfer.represent import FeatureRows
from daskfer.represent.expression.features import ExpressionFeatures

MIRROR_COMPONENTS = 512
"""Leading components of a part within which its mirror image is predicted."""

MIRROR_RIDGE = 2e-4
"""The regression's penalty, as a share of the sum of squares that it explains with."""

SCALED_ROWS = 8192
"""Rows that interquartile ranges are taken from: every so many-th of the fitted ones."""


@dataclass(frozen=True)
class Wish:
    """What is wanted of a part: its components, how much they count, and whether all alike."""

    part: str
    components: int
    weight: float
    whiten: bool


@dataclass(frozen=True)
class PartsReducer:
    """A linear map for each of some parts; their components follow one another.

    Attributes
    ----------
    reducers : dict of str to Reducer
        By part.
    ready : Parts
        How blendshapes are made ready.
    """

    reducers: dict[str, Reducer]
    ready: Parts

    @property
    def components(self) -> int:
        """Components of all parts together."""
        return sum(reducer.components for reducer in self.reducers.values())

    @property
    def explained_share(self) -> float | None:
        """Parts have no common unit: nothing."""
        return None

    def block(self, features: FeatureRows, number: int) -> np.ndarray:
        """Components, float32 (n, c), of one block of faces."""
        assert isinstance(features, ExpressionFeatures)
        return np.concatenate(
            [
                reducer.transform(features.part(part, self.ready).block(number))
                for part, reducer in self.reducers.items()
            ],
            axis=1,
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, by names, for a file."""
        maps = {
            f"{part}.{name}": array
            for part, reducer in self.reducers.items()
            for name, array in reducer.arrays().items()
        }
        ready = np.array([self.ready.sides, self.ready.scaling])
        return {"parts": np.array(list(self.reducers)), "ready": ready} | maps

    def save(self, path: str) -> None:
        """Write all maps as one .npz."""
        storage.write_arrays(path, **self.arrays())


AnyReducer = Reducer | PartsReducer


def load_reducer(content: str | bytes) -> AnyReducer:
    """Read what one of the two wrote, from a path or from the file's bytes."""
    arrays = npy.members(content) if isinstance(content, bytes) else storage.read_arrays(content)
    if "parts" not in arrays:
        return Reducer.from_arrays(arrays)
    sides, scaling = arrays["ready"].tolist()
    reducers = {
        part: Reducer.from_arrays(
            {
                name.partition(".")[2]: array
                for name, array in arrays.items()
                if name.startswith(f"{part}.")
            }
        )
        for part in arrays["parts"].tolist()
    }
    return PartsReducer(reducers, Parts(sides=sides, scaling=scaling))


def wishes_of(method: Parts) -> list[Wish]:
    """What the recipe wants of each part that it does not leave out."""
    return [
        Wish(part, method.of(part), method.weight(part), method.whiten)
        for part in PARTS
        if method.of(part)
    ]


def fit_parts(
    engine: Engine,
    features: ExpressionFeatures,
    pieces: list[np.ndarray],
    wishes: list[Wish],
    ready: Parts,
) -> PartsReducer:
    """Fit a map for each part to the rows at the positions in `pieces`, a block each.

    Reads no label. One pass over the rows of each part gives its moments; all else is done with
    these, on one worker a part.
    """
    views = [features.part(wish.part, ready) for wish in wishes]
    moments = [
        engine.total(
            "reduce",
            group_moments,
            groups(pieces),
            combine=merge_moments,
            shared=(view, len(pieces[0])),
            at_once=2,
        )
        for view in views
    ]
    positions = np.concatenate(pieces)
    scaled = positions[:: max(1, len(positions) // SCALED_ROWS)]
    fitted = engine.map("reduce", _fit_part, moments, wishes, shared=(features, ready, scaled))
    reducers: list[Reducer] = engine.gather(fitted)
    return PartsReducer(
        {wish.part: reducer for wish, reducer in zip(wishes, reducers, strict=True)}, ready
    )


def _fit_part(
    of: Moments, wish: Wish, features: ExpressionFeatures, ready: Parts, scaled: np.ndarray
) -> Reducer:
    columns = len(of.mean)
    scale = np.ones(columns)
    if wish.part == "blendshapes" and ready.scaling == "robust":
        scale = interquartile_ranges(features.part(wish.part, ready).rows(scaled))
        of = Moments(of.count, of.mean / scale, of.scatter / (scale[:, None] * scale[None, :]))
    # Of one row alone there is a component too, of no variance: the clusters say what is missing.
    components = max(min(wish.components, columns, of.count - 1), 1)
    pairs = features.pairs(wish.part, ready)
    if pairs is None:
        found = principal_components(of, components, whiten=False)
    else:
        found = symmetric_components(of, *pairs, components)
    return _weighted(found, scale, wish)


def interquartile_ranges(values: np.ndarray) -> np.ndarray:
    """Each column's, float64 (d,), of rows (n, d); 1 for a column that has none."""
    low, high = np.quantile(values.astype(np.float64), [0.25, 0.75], axis=0)
    return np.where(high > low, high - low, 1.0)


def symmetric_components(
    of: Moments, images: np.ndarray, mirrored: np.ndarray, components: int
) -> Reducer:
    """Leading components of what rows and their mirror images have in common.

    Parameters
    ----------
    of : Moments
        Of all rows (d,).
    images, mirrored : float32 arrays (m, d)
        Some of the rows, and the same faces turned.
    components : int

    Returns
    -------
    Reducer
        Its components are those of the mean of a row and of its mirror image as predicted.
    """
    most = min(MIRROR_COMPONENTS, len(of.mean), of.count - 1)
    base = principal_components(of, max(most, components), whiten=False)
    first, second = (
        # Each about its own mean: a constant shift between the two is no part of the map.
        ((part - part.mean(axis=0)) @ base.axes.T.astype(np.float32)).astype(np.float64)
        for part in (images, mirrored)
    )
    gram = first.T @ first
    # Rows that are all alike leave nothing to regress on.
    ridge = (MIRROR_RIDGE * np.trace(gram) or 1.0) * np.eye(len(gram))
    both = (np.eye(len(gram)) + np.linalg.solve(gram + ridge, first.T @ second)) / 2
    covariance = both.T @ (base.explained_variance[:, None] * both)
    variances, inner = np.linalg.eigh(covariance)
    variances, inner = np.maximum(variances[::-1][:components], 0), inner[:, ::-1][:, :components]
    axes = (both @ inner).T @ base.axes
    return oriented(of.mean, axes, variances, float(np.trace(covariance)), whiten=False)


def _weighted(found: Reducer, scale: np.ndarray, wish: Wish) -> Reducer:
    """The map with its components scaled so that their variances sum to the weight's square.

    Where all count alike, one without variance but for rounding is left as small as it is.
    """
    variances = found.explained_variance
    if wish.whiten:
        least = np.finfo(np.float32).eps ** 2 * max(float(variances.max()), 1e-30)
        varied = variances > least
        positive = np.where(varied, variances, 1.0)
        factors = wish.weight / np.sqrt(positive * max(int(varied.sum()), 1))
    else:
        total = float(variances.sum())
        factors = np.full(len(variances), wish.weight / np.sqrt(total if total > 0 else 1.0))
    return Reducer(
        found.mean * scale,
        found.axes * factors[:, None] / scale[None, :],
        variances * factors**2,
        found.total_variance,
    )
