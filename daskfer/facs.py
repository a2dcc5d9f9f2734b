"""Emotions told from action units, without any label and without a look.

P. Ekman, W. Friesen and J. Hager, "Facial Action Coding System: The Manual and Investigator's
Guide" (2002), list which action units make a prototype of an emotion and which variants of it
there are; S. Du, Y. Tao and A. Martinez, "Compound facial expressions of emotion", PNAS 111 (2014),
table 1, count which of them people use. The variants below are written after these, restricted to
what the face model can tell. No weight was fitted; the few settings were chosen on FER2013's
PublicTest labels (see BENCHMARKS.md).

An action unit's activation is its quantile among all faces, as a normal score: models of faces
differ in how far a score moves, less in which face has more of it. A face's score for an emotion is
that of the variant it shows best, less what the emotion excludes; neutral is the score of a face
that shows none. These scores start a mixture of one Gaussian for each emotion, which takes one step
of EM: that carries over what goes with an emotion in these faces. More steps drift off, to
clusters of what is most frequent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.mixture import Mixture, cholesky, half_log_determinants, log_weights
from daskfer.represent.expression.blendshapes import AVERAGED

ACTION_UNITS: dict[int, tuple[str, str]] = {
    1: ("inner brow raiser", "browInnerUp"),
    2: ("outer brow raiser", "browOuterUp"),
    4: ("brow lowerer", "browDown"),
    5: ("upper lid raiser", "eyeWide"),
    6: ("cheek raiser", "cheekSquint"),
    7: ("lid tightener", "eyeSquint"),
    9: ("nose wrinkler", "noseSneer"),
    10: ("upper lip raiser", "mouthUpperUp"),
    12: ("lip corner puller", "mouthSmile"),
    15: ("lip corner depressor", "mouthFrown"),
    16: ("lower lip depressor", "mouthLowerDown"),
    17: ("chin raiser", "mouthShrugLower"),
    18: ("lip pucker", "mouthPucker"),
    20: ("lip stretcher", "mouthStretch"),
    22: ("lip funneler", "mouthFunnel"),
    23: ("lip tightener", "mouthRollLower"),
    24: ("lip pressor", "mouthPress"),
    25: ("lips part", "mouthLowerDown"),
    26: ("jaw drop", "jawOpen"),
    43: ("eyes closed", "eyeBlink"),
    64: ("eyes down", "eyeLookDown"),
}
"""The blendshape that tells each action unit, and the unit's name in the manual."""

PROTOTYPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "angry": ((4, 7, 23, 24), (4, 7, 17, 24), (4, 5, 7, 23, 25), (4, 7, 10, 23, 25),
              (4, 7, 10, 22, 25, 26)),
    "disgust": ((10,), (10, 17), (10, 16, 25, 26)),
    "fear": ((1, 2, 4, 5, 20, 25), (1, 2, 4, 5, 20, 25, 26), (1, 2, 4, 5), (5, 20, 25),
             (1, 2, 5, 25, 26)),
    "happy": ((12,), (6, 12), (6, 12, 25)),
    "sad": ((1, 4, 15), (1, 4, 15, 17), (6, 15), (1, 4, 15, 64), (1, 4, 64, 43), (15, 17)),
    "surprise": ((1, 2, 5, 26), (1, 2, 5), (1, 2, 26), (5, 26)),
}  # fmt: skip
"""Variants of each emotion's prototype. Upper lids (5) are left out of most of anger's: the face
model takes them for the opposite of tight lids (7)."""

EXCLUDED: dict[str, tuple[int, ...]] = {
    "angry": (1, 2, 12),
    "disgust": (1, 2, 5, 12),
    "fear": (12, 7, 24),
    "happy": (15, 17, 18, 24, 5, 4),
    "sad": (12, 26, 5, 10),
    "surprise": (4, 12, 7, 20),
}
"""Action units that speak against an emotion."""

UNTOLD = ("disgust",)
"""Emotions that clusters are not named: the face model does not move for the nose wrinkler, on
which disgust hangs. Faces that score for it are kept from the names of others."""

EXCLUSION = 0.25
"""How much what an emotion excludes counts, beside what it shows."""

NEUTRAL = 0.5
"""The score of neutral, in standard deviations of the others' scores."""

TEMPERATURE = 0.3
"""By which scores are divided to become a mixture's first responsibilities."""

SHRINKAGE = 0.3
"""Share of all emotions' common covariance in each one's."""

STILL = 0.011
"""A blendshape whose 99th percentile is less than this does not move for these faces."""

CLIP = 1e-4
"""Quantiles end at so much from 0 and 1."""

TOLD = 0.5
"""Mean normal score from which an action unit is told of a cluster."""


@dataclass(frozen=True)
class Reader:
    """What emotions look like among some faces: made by `read_prototypes`, from no label.

    Attributes
    ----------
    ordered : float32 array (m, 31)
        Each averaged blendshape's values among the faces, ascending.
    mixture : Mixture
        One Gaussian of normal scores for each emotion, in the order of `EMOTIONS`.
    """

    ordered: np.ndarray
    mixture: Mixture

    def normal_scores(self, scores: np.ndarray) -> np.ndarray:
        """Normal scores, float64 (n, 31), of averaged blendshapes (n, 31)."""
        return normal_scores(scores, self.ordered)

    def shares(self, normal: np.ndarray) -> np.ndarray:
        """How much each emotion is responsible for a face, float64 (n, 7), by its normal scores."""
        return _responsibilities(normal, self.mixture)


@dataclass(frozen=True)
class Told:
    """What action units tell of clusters.

    Attributes
    ----------
    emotion : int8 array (k,)
        UNKNOWN for a cluster whose margin is too small, or that shows an emotion of `UNTOLD`.
    score : float64 array (k,)
        The first emotion's mean share in the cluster's faces.
    margin : float64 array (k,)
        By how much that is more than the second's.
    reasons : tuple of str
        The action units that the cluster's faces have more or less of than others.
    """

    emotion: np.ndarray
    score: np.ndarray
    margin: np.ndarray
    reasons: tuple[str, ...]


def read_prototypes(scores: np.ndarray, clear: np.ndarray) -> Reader:
    """Learn from faces, without labels, what goes with each emotion's prototypes among them.

    Parameters
    ----------
    scores : array (n, 31)
        Averaged blendshapes (see `daskfer.represent.expression.blendshapes`).
    clear : bool array (n,)
        The faces whose landmarks are beyond doubt; quantiles are taken among these.
    """
    if not clear.any():
        clear = np.ones(len(scores), bool)
    ordered = np.sort(scores[clear], axis=0)
    normal = normal_scores(scores, ordered)
    moving = np.quantile(ordered, 0.99, axis=0) >= STILL
    found = [
        _standardised(_standardised(normal @ weights.T, clear).max(axis=1, keepdims=True), clear)[
            :, 0
        ]
        if len(weights)
        else np.full(len(scores), -np.inf)
        for weights in (_weights(emotion, moving) for emotion in EMOTIONS[:-1])
    ]
    start = _softmax(np.column_stack([*found, np.full(len(scores), NEUTRAL)]) / TEMPERATURE)
    return Reader(ordered, _mixture(normal, start))


def normal_scores(scores: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """The quantiles of values (n, c) among ordered ones (m, c), as normal scores, float64."""
    from scipy.special import ndtri

    quantiles = np.empty(scores.shape)
    for column in range(scores.shape[1]):
        below = np.searchsorted(ordered[:, column], scores[:, column])
        quantiles[:, column] = (below + 0.5) / (len(ordered) + 1)
    return np.asarray(ndtri(np.clip(quantiles, CLIP, 1 - CLIP)))


def _weights(emotion: str, moving: np.ndarray) -> np.ndarray:
    """The blendshapes' weights (v, 31) in each variant of an emotion's prototype."""
    against = _columns(EXCLUDED[emotion], moving)
    weights = []
    for variant in PROTOTYPES[emotion]:
        shown = _columns(variant, moving)
        if not shown:
            continue
        row = np.zeros(len(AVERAGED))
        np.add.at(row, shown, 1.0)
        row /= np.linalg.norm(row)
        if against:
            row[against] -= EXCLUSION / np.sqrt(len(against))
        weights.append(row)
    return np.array(weights)


def _columns(units: tuple[int, ...], moving: np.ndarray) -> list[int]:
    columns = [AVERAGED.index(ACTION_UNITS[unit][1]) for unit in units]
    return [column for column in columns if moving[column]]


def _standardised(scores: np.ndarray, clear: np.ndarray) -> np.ndarray:
    deviation = scores[clear].std(axis=0)
    return (scores - scores[clear].mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)


def _softmax(scores: np.ndarray) -> np.ndarray:
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _mixture(normal: np.ndarray, shares: np.ndarray) -> Mixture:
    """The M-step: a Gaussian for each emotion, its covariance shrunk towards the common one."""
    counts = shares.sum(axis=0) + 1e-9
    weights = counts / counts.sum()
    means = (shares.T @ normal) / counts[:, None]
    covariances = np.empty((len(counts), normal.shape[1], normal.shape[1]))
    for emotion, mean in enumerate(means):
        away = normal - mean
        covariances[emotion] = (away.T * shares[:, emotion]) @ away / counts[emotion]
    pooled = np.tensordot(weights, covariances, axes=1)
    width = normal.shape[1]
    # Of faces that are all alike nothing is left but the ridge.
    ridge = 1e-3 * max(np.trace(pooled) / width, 1e-6) * np.eye(width)
    shrunk = (1 - SHRINKAGE) * covariances + SHRINKAGE * pooled + ridge
    return Mixture(weights, means, shrunk)


def _responsibilities(normal: np.ndarray, mixture: Mixture) -> np.ndarray:
    """The E-step: shares (n, k) of each component in each row."""
    from scipy.linalg import solve_triangular

    factors = cholesky(mixture.covariances)
    constants = log_weights(mixture.weights) - half_log_determinants(factors)
    log = np.empty((len(normal), len(constants)))
    for number, factor in enumerate(factors):
        solved = solve_triangular(factor, (normal - mixture.means[number]).T, lower=True)
        log[:, number] = constants[number] - 0.5 * (solved**2).sum(axis=0)
    return _softmax(log)


def cluster_sums(scores: np.ndarray, cluster: np.ndarray, reader: Reader, k: int) -> np.ndarray:
    """Of the faces of each cluster: their number, shares and normal scores, added up.

    Parameters
    ----------
    scores : array (n, 31)
        Averaged blendshapes.
    cluster : int array (n,)
    reader : Reader
    k : int

    Returns
    -------
    float64 array (k, 1 + 7 + 31)
    """
    normal = reader.normal_scores(scores)
    values = np.column_stack([np.ones(len(scores)), reader.shares(normal), normal])
    sums = np.zeros((k, values.shape[1]))
    np.add.at(sums, cluster, values)
    return sums


def tell(sums: np.ndarray, margin: float) -> Told:
    """Name clusters by the sums that `cluster_sums` gives, where the margin is no less."""
    counts = np.maximum(sums[:, :1], 1)
    shares = sums[:, 1 : 1 + len(EMOTIONS)] / counts
    normal = sums[:, 1 + len(EMOTIONS) :] / counts
    order = np.sort(shares, axis=1)
    first = shares.argmax(axis=1)
    found = order[:, -1] - order[:, -2]
    untold = np.isin(first, [EMOTIONS.index(name) for name in UNTOLD])
    named = (found >= margin) & ~untold & (sums[:, 0] > 0)
    emotion = np.where(named, first, UNKNOWN).astype(np.int8)
    return Told(emotion, order[:, -1], found, tuple(_reason(row) for row in normal))


def units_of(sums: np.ndarray) -> list[list[tuple[str, float]]]:
    """The action units that tell each cluster, the strongest first, and how strong they are.

    By the sums that `cluster_sums` gives; in standard deviations from the mean of all faces.
    """
    normal = sums[:, 1 + len(EMOTIONS) :] / np.maximum(sums[:, :1], 1)
    return [_told_units(row) for row in normal]


def _told_units(normal: np.ndarray) -> list[tuple[str, float]]:
    known = [
        (float(normal[AVERAGED.index(shape)]), unit, name)
        for unit, (name, shape) in ACTION_UNITS.items()
        if unit != 16  # told by the same blendshape as 25
    ]
    told = sorted((one for one in known if abs(one[0]) >= TOLD), key=lambda one: -abs(one[0]))
    return [(f"AU{unit} {name}", value) for value, unit, name in told[:5]]


def _reason(normal: np.ndarray) -> str:
    """The action units that a cluster's mean normal scores (31,) tell, the strongest first."""
    return ", ".join(f"{name} {value:+.1f}" for name, value in _told_units(normal))
