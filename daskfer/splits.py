"""Clusters that a person divided in two after they were fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daskfer.blocks import BlockFiles

MOST_ROUNDS = 50
"""Rounds of 2-means after which no face changes sides in practice."""

FEWEST = 2
"""Faces that a cluster must have to be divided."""


@dataclass(frozen=True)
class Split:
    """One cluster divided in two.

    Attributes
    ----------
    of : int
        The cluster; its faces nearer to the first centre keep this number.
    new : int
        The number of those nearer to the second.
    centers : float64 array (2, c)
        Where the clusters lie, in the space of the reduced rows.
    """

    of: int
    new: int
    centers: np.ndarray


def divide(points: np.ndarray) -> np.ndarray | None:
    """Two centres, float64 (2, c), that divide these points (m, c); the larger part's first.

    2-means, started at both sides of the mean along the direction of the greatest variance; no
    random number is drawn. None where the points are all the same.
    """
    values = points.astype(np.float64)
    mean = values.mean(axis=0)
    away = values - mean
    if len(values) < FEWEST or not np.abs(away).max() > 0:
        return None
    _, vectors = np.linalg.eigh(away.T @ away)
    second = away @ vectors[:, -1] > 0
    for _ in range(MOST_ROUNDS):
        if second.all() or not second.any():
            return None
        centers = np.array([values[~second].mean(axis=0), values[second].mean(axis=0)])
        now = is_second(values, centers)
        if (now == second).all():
            break
        second = now
    return centers[::-1].copy() if 2 * second.sum() > len(second) else centers


def is_second(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Which points (n, c) are nearer to the second of two centres (2, c), bool (n,)."""
    direction = centers[1] - centers[0]
    middle = centers.sum(axis=0) / 2
    # Row by row, unlike a product of matrices, whose last digits depend on the rows beside.
    along = (np.ascontiguousarray(points, np.float64) - middle) * direction
    return np.asarray(along.sum(axis=1) > 0)


def apply(
    cluster: np.ndarray, nearest: np.ndarray, members: np.ndarray, rows: np.ndarray, split: Split
) -> None:
    """Divide the members of a cluster in place.

    Parameters
    ----------
    cluster : int32 array (n,)
    nearest : float64 array (n,)
        Squared distances to the centres.
    members : int64 array (m,)
        Positions of the cluster's points.
    rows : array (m, c)
        These points.
    split : Split
    """
    second = is_second(rows, split.centers)
    cluster[members[second]] = split.new
    own = split.centers[second.astype(np.int64)]
    nearest[members] = ((rows.astype(np.float64) - own) ** 2).sum(axis=1)


def refine(
    cluster: np.ndarray, nearest: np.ndarray, points: BlockFiles, splits: Sequence[Split]
) -> tuple[np.ndarray, np.ndarray]:
    """Clusters (n,) and squared distances to their centres (n,) of all faces after some splits.

    Parameters
    ----------
    cluster : int32 array (n,)
    nearest : float64 array (n,)
        Both before the splits; they are not changed.
    points : BlockFiles
        The reduced rows of all faces.
    splits : sequence of Split
        In the order in which they were made.
    """
    cluster, nearest = cluster.copy(), nearest.copy()
    for split in splits:
        members = np.flatnonzero(cluster == split.of)
        if len(members):
            apply(cluster, nearest, members, points.rows(members), split)
    return cluster, nearest
