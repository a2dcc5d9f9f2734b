"""A person who names clusters, as an honest model: looks at few faces, answers their majority.

One look is at a sheet of the faces nearest to the centre of one cluster, and never at all its
members: their majority would hand every label to the second model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daskfer.errors import RecipeError
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.randomness import generator


@dataclass(frozen=True)
class Person:
    """How a person looks and answers.

    Attributes
    ----------
    faces : int
        Faces on a sheet.
    error : float
        Share of the looks, drawn by seed, that are answered with another emotion than the
        sheet's majority, drawn by seed too.
    mixed : float
        Of the other sheets, those whose majority has less than this share are answered "mixed",
        and their clusters stay without a name.
    """

    faces: int = 24
    error: float = 0.0
    mixed: float = 0.0


@dataclass(frozen=True)
class Answers:
    """What a person says of each cluster.

    Attributes
    ----------
    emotion : int8 array (k,)
        UNKNOWN where the sheet is mixed, or there is no face to look at.
    seen : int64 array (k,)
        Faces that were looked at; their labels were read for it.
    wrong : bool array (k,)
        Looks that the error rate made wrong.
    """

    emotion: np.ndarray
    seen: np.ndarray
    wrong: np.ndarray

    @property
    def looks(self) -> int:
        """Sheets that had a face on them."""
        return int((self.seen > 0).sum())


def check_person(person: Person) -> None:
    """Refuse shares that are none, and sheets without a face.

    Raises
    ------
    RecipeError
    """
    if person.faces < 1:
        raise RecipeError(f"--faces {person.faces}: expected 1 or more")
    for option in ("error", "mixed"):
        share = getattr(person, option)
        if not 0 <= share <= 1:
            raise RecipeError(f"--{option} {share:g}: expected a share from 0 to 1, such as 0.1")


def sheets(
    cluster: np.ndarray, away: np.ndarray, emotion: np.ndarray, k: int, faces: int
) -> np.ndarray:
    """True emotions of the labelled faces nearest to each cluster's centre, nearest first.

    Parameters
    ----------
    cluster : int array (n,)
        UNKNOWN for faces in none.
    away : float array (n,)
        How far each face is from its cluster's centre.
    emotion : int8 array (n,)
        Faces whose emotion is UNKNOWN are passed over.
    k : int
        Number of clusters.
    faces : int
        Most faces of a sheet.

    Returns
    -------
    int8 array (k, faces)
        UNKNOWN behind the last face of a sheet. Of faces equally near, as copies are, the one
        whose emotion has the smaller code comes first, in whatever order the rows are.
    """
    known = np.flatnonzero((emotion != UNKNOWN) & (cluster != UNKNOWN))
    order = known[np.lexsort((emotion[known], away[known], cluster[known]))]
    counts = np.bincount(cluster[order], minlength=k)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    near = rank < faces
    # No more than the largest cluster has.
    faces = min(faces, int(rank.max(initial=0)) + 1)
    found = np.full((k, faces), UNKNOWN, np.int8)
    found[cluster[order[near]], rank[near]] = emotion[order[near]]
    return found


def majorities(shown: np.ndarray, classes: int = len(EMOTIONS)) -> tuple[np.ndarray, np.ndarray]:
    """The most frequent emotion, int8 (k,), of each sheet (see `sheets`), and its share, (k,).

    Of equally frequent ones it is the one that reaches that number first, counted from the
    nearest face on. A sheet without faces has UNKNOWN, and a share of 0.
    """
    sofar = (shown[:, :, None] == np.arange(classes)).cumsum(axis=1)
    final = sofar[:, -1]
    most = final.max(axis=1)
    reached = (sofar >= most[:, None, None]).argmax(axis=1)
    reached[final < most[:, None]] = shown.shape[1]
    seen = (shown != UNKNOWN).sum(axis=1)
    emotion = np.where(seen > 0, reached.argmin(axis=1), UNKNOWN).astype(np.int8)
    return emotion, most / np.maximum(seen, 1)


def answers(shown: np.ndarray, person: Person, seed: int, classes: int = len(EMOTIONS)) -> Answers:
    """What a person says who looks at these sheets (see `sheets`), errors drawn by seed."""
    majority, share = majorities(shown, classes)
    seen = (shown != UNKNOWN).sum(axis=1)
    emotion = np.where(share < person.mixed, np.int8(UNKNOWN), majority)
    random = generator(seed, "simulate-error", len(shown))
    asked = np.flatnonzero(seen > 0)
    slips = random.permutation(asked)[: int(person.error * len(asked) + 0.5)]
    others = random.integers(1, classes, len(slips))
    emotion[slips] = (majority[slips] + others) % classes
    wrong = np.zeros(len(shown), bool)
    wrong[slips] = True
    return Answers(emotion, seen, wrong)


def mean_and_spread(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """The mean of what is known, and its standard deviation, (n - 1) in the denominator.

    None where nothing is known, and the deviation of a single value is not.
    """
    known = np.array([value for value in values if value is not None], np.float64)
    if len(known) == 0:
        return None, None
    return float(known.mean()), float(known.std(ddof=1)) if len(known) > 1 else None
