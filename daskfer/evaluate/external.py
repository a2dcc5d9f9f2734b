"""How far clusters follow the true emotions: scores that read labels, beside chance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.randomness import generator

CHANCE_DRAWS = 200
"""Random clusterings of the same sizes that chance is estimated from."""

NEAR_CHANCE = 0.05
"""Share of the way from chance to perfection below which a result is called near chance."""


@dataclass(frozen=True)
class Agreement:
    """Scores of clusters against true emotions, and what random clusters of these sizes score.

    `hungarian_accuracy` matches clusters to emotions one to one, `majority_accuracy` gives each
    cluster its most frequent emotion. `chance_accuracy` is the majority accuracy of random
    clusters of the same sizes named in the same way, on average, `hungarian_chance` and
    `nmi_chance` their Hungarian accuracy and their NMI (the adjusted Rand index is 0 by chance);
    the `_p` are shares of the random clusterings that score as high.
    """

    nmi: float
    ari: float
    hungarian_accuracy: float
    majority_accuracy: float
    chance_accuracy: float
    hungarian_chance: float
    nmi_chance: float
    hungarian_p: float
    majority_p: float


def contingency(
    cluster: np.ndarray, emotion: np.ndarray, k: int, classes: int = len(EMOTIONS)
) -> np.ndarray:
    """Counts, int64 (k, classes), of faces by cluster and true class, where both are known."""
    known = (emotion != UNKNOWN) & (cluster != UNKNOWN)
    flat = cluster[known].astype(np.int64) * classes + emotion[known]
    return np.bincount(flat, minlength=k * classes).reshape(k, classes)


def matched_share(table: np.ndarray) -> float:
    """Share of faces on the best one-to-one matching of clusters and emotions (Kuhn 1955)."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(table, maximize=True)
    return float(table[rows, columns].sum() / table.sum())


def majority_share(table: np.ndarray) -> float:
    """Share of faces whose emotion is the most frequent one of their cluster."""
    return float(table.max(axis=1).sum() / table.sum())


def agreement(
    cluster: np.ndarray, emotion: np.ndarray, k: int, seed: int, classes: int = len(EMOTIONS)
) -> Agreement | None:
    """Score clusters (int32, n) against true classes (int8, n); None when none is known.

    A face without a cluster counts as a miss in all shares, also by chance.
    """
    from sklearn.metrics import adjusted_rand_score

    known = (emotion != UNKNOWN) & (cluster != UNKNOWN)
    if not known.any():
        return None
    table = contingency(cluster, emotion, k, classes)
    placed = float(known.sum() / (emotion != UNKNOWN).sum())
    draws = random_tables(table, seed)
    matched = placed * np.array([matched_share(draw) for draw in draws])
    majority = placed * np.array([majority_share(draw) for draw in draws])
    matched_found, majority_found = placed * matched_share(table), placed * majority_share(table)
    return Agreement(
        nmi=normalized_information(table),
        ari=float(adjusted_rand_score(emotion[known], cluster[known])),
        hungarian_accuracy=matched_found,
        majority_accuracy=majority_found,
        chance_accuracy=float(majority.mean()),
        hungarian_chance=float(matched.mean()),
        nmi_chance=float(np.mean([normalized_information(draw) for draw in draws])),
        hungarian_p=_share_as_high(matched, matched_found),
        majority_p=_share_as_high(majority, majority_found),
    )


def _share_as_high(random: np.ndarray, found: float) -> float:
    """The p-value of a permutation test, which counts what was found as one of the draws."""
    return float(((random >= found).sum() + 1) / (len(random) + 1))


def normalized_information(table: np.ndarray) -> float:
    """NMI, by the arithmetic mean of the entropies, of a table of counts; 0 where both are 0."""
    joint = table / table.sum()
    first, second = _entropy(joint.sum(axis=1)), _entropy(joint.sum(axis=0))
    if first + second == 0:
        return 0.0
    return max(2 * (first + second - _entropy(joint)) / (first + second), 0.0)


def _entropy(shares: np.ndarray) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())


def random_tables(table: np.ndarray, seed: int) -> np.ndarray:
    """Tables of counts with the same margins, as random clusters of the same sizes give them."""
    from scipy.stats import random_table

    return random_table(table.sum(axis=1), table.sum(axis=0)).rvs(
        CHANCE_DRAWS, random_state=generator(seed, "chance")
    )


def verdict(scores: Agreement, k: int, classes: tuple[str, ...] = EMOTIONS) -> str:
    """One plain sentence on whether k clusters follow emotion, or the classes of a set.

    It goes by the one-to-one accuracy; with more clusters than classes, most of which that
    leaves without a match, by the majority accuracy.
    """
    what = "emotion" if classes == EMOTIONS else "the classes"
    if k <= len(classes):
        name, found, chance = "one-to-one", scores.hungarian_accuracy, scores.hungarian_chance
        p_value = scores.hungarian_p
    else:
        name, found, chance = "majority", scores.majority_accuracy, scores.chance_accuracy
        p_value = scores.majority_p
    figures = f"({name} accuracy {found:.3f}, random clusters {chance:.3f})"
    if p_value > 0.01:
        return f"These clusters follow {what} no better than chance {figures}."
    above = (found - chance) / (1 - chance)
    if above < NEAR_CHANCE:
        return (
            f"These clusters follow {what} hardly better than chance {figures}: the difference "
            "is real but near chance."
        )
    return f"These clusters follow {what} better than chance {figures}."


def as_metrics(scores: Agreement | None) -> dict[str, Any]:
    """The scores by their keys in metrics.json, null where there are no labels."""
    if scores is None:
        return dict.fromkeys(Agreement.__dataclass_fields__)
    return asdict(scores)
