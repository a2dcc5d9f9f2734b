"""Balancing and splitting: which rows are fitted, which validate, which test.

Both work on the table of rows alone (labels, splits, digests), which is small; no face is moved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from daskfer.errors import InputError, RecipeError
from daskfer.faces import PRIVATE_TEST, PUBLIC_TEST, TRAINING, UNKNOWN, FaceTable
from daskfer.ingest.duplicates import first_of_each
from daskfer.randomness import row_hashes
from daskfer.recipe import BalanceByClass, Classify, NoSplit, RandomSplit, Recipe, UsageSplit


@dataclass(frozen=True)
class Selection:
    """Positions of the rows (int64, in file order) by what they serve for.

    `unplaced` are rows that would be fitted, were there landmarks in them. `labels_used` tells
    which stages read labels for it, and why; `notes` what a user should know.
    """

    fit: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    unplaced: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64), kw_only=True)
    labels_used: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def select(table: FaceTable, recipe: Recipe) -> Selection:
    """Choose the rows to fit, to validate and to test.

    ``split: usage`` keeps to the Usage column and balances the Training rows; where an input has
    no such column, a share is drawn by seed and said. ``split: random`` draws the test rows from
    the balanced rows, as the original project did.

    Raises
    ------
    InputError
        When balancing needs labels that the input lacks, or nothing is left to fit.
    """
    nothing = np.zeros(0, np.int64)
    everything = np.arange(len(table), dtype=np.int64)
    validation, test, notes = nothing, nothing, []
    split = recipe.split
    if isinstance(split, UsageSplit) and (table.usage != UNKNOWN).any():
        candidates = everything[table.usage == TRAINING]
        validation = everything[table.usage == PUBLIC_TEST]
        test = everything[table.usage == PRIVATE_TEST]
        if unknown := int((table.usage == UNKNOWN).sum()):
            notes.append(f"{unknown:,} rows have no Usage: they are neither fitted nor tested")
        # Before balancing, so that what is dropped is made up for by other rows of its class.
        held_out = np.concatenate([validation, test])
        candidates = drop_duplicates(table, candidates, held_out, recipe.ingest.duplicates)
        fit, used = balance(table, candidates, recipe)
    else:
        if isinstance(split, UsageSplit):
            split = RandomSplit(test=split.test)
            notes.append(
                f"nothing says which rows are for the test: {split.test:.0%} are held out by seed"
            )
        kept, used = balance(table, everything, recipe)
        if not isinstance(split, NoSplit):
            kept, test = split_randomly(kept, split.test, recipe.seed)
        fit = drop_duplicates(table, kept, test, recipe.ingest.duplicates)
    if len(fit) == 0:
        raise InputError(
            "no rows are left to fit: expected Training rows that are no copies of held-out ones "
            "(--set split.method=random draws others, --set ingest.duplicates=keep keeps copies)"
        )
    return Selection(fit, validation, test, tuple(used), tuple(notes))


def balance(
    table: FaceTable, candidates: np.ndarray, recipe: Recipe
) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Keep the same number of rows of each class among the candidates (positions, ascending)."""
    method = recipe.balance
    if not isinstance(method, BalanceByClass):
        return candidates, []
    emotion = table.emotion[candidates]
    classes = np.unique(emotion[emotion != UNKNOWN])
    if len(classes) == 0:
        raise InputError(
            f"balance.method={method.method} needs emotion labels, and the input has none: "
            "use --set balance.method=none"
        )
    sizes = {int(code): int((emotion == code).sum()) for code in classes}
    per_class = method.per_class if isinstance(method.per_class, int) else min(sizes.values())
    kept = []
    for code in sizes:
        positions = candidates[emotion == code]
        if method.method == "random":
            kept.append(positions[drawn(positions, per_class, recipe.seed, "balance")])
        else:
            kept.append(positions[:per_class])
    why = f"{method.method} {per_class} rows of each of {len(classes)} classes"
    if any(size < per_class for size in sizes.values()):
        counts = ", ".join(
            f"{recipe.ingest.labels[code]} {size}"
            for code, size in sizes.items()
            if size < per_class
        )
        why += f" (fewer of {counts})"
    return np.sort(np.concatenate(kept)), [("balance", why)]


def balance_clusters(
    positions: np.ndarray, cluster: np.ndarray, method: Classify, seed: int
) -> np.ndarray:
    """Which of these rows the second model is trained on: equally many of each cluster.

    Parameters
    ----------
    positions : int64 array (n,)
        Ascending positions of the rows, for their hashes.
    cluster : int32 array (n,)
        Their clusters; only clusters that occur count.
    method : Classify
        `balance` and `per_cluster` say how many.
    seed : int

    Returns
    -------
    int64 array (m,)
        Ascending indices into `positions`.

    Raises
    ------
    RecipeError
        When as many as the smallest cluster has are too few to cross-validate.
    """
    if method.balance == "none" or len(positions) == 0:
        return np.arange(len(positions))
    numbers, sizes = np.unique(cluster, return_counts=True)
    per_cluster = method.per_cluster
    if per_cluster == "min":
        per_cluster = int(sizes.min())
        if per_cluster < method.folds:
            raise RecipeError(
                f"classify.per_cluster=min: cluster {numbers[sizes.argmin()]} has {per_cluster} "
                f"of the fitted rows, but cross-validation needs {method.folds} of each: "
                "--set classify.per_cluster=100 takes so many of each or all it has, "
                "--set classify.balance=none takes all rows"
            )
    kept = []
    for number in numbers:
        members = np.flatnonzero(cluster == number)
        kept.append(members[drawn(positions[members], per_cluster, seed, "classify")])
    return np.sort(np.concatenate(kept))


def drawn(positions: np.ndarray, count: int, seed: int, stage: str) -> np.ndarray:
    """Indices of so many of these positions (int64, (n,)) by seed, or of all if they are fewer.

    They are those whose rows have the smallest hashes: a bottom-k sample (E. Cohen and H. Kaplan,
    "Summarizing data using bottom-k sketches", PODC 2007). What a row's hash is depends on its
    position and the seed alone. So a larger sample holds every smaller one, other rows that come,
    go or change class leave it as it is, and one pass finds it, whatever the blocks.
    """
    return smallest(row_hashes(seed, stage, positions), count)


def smallest(values: np.ndarray, count: int) -> np.ndarray:
    """Indices (int64, ascending) of the `count` smallest values; of equal ones the first."""
    if count >= len(values):
        return np.arange(len(values))
    last = np.partition(values, count - 1)[count - 1]
    below = np.flatnonzero(values < last)
    equal = np.flatnonzero(values == last)[: count - len(below)]
    return np.sort(np.concatenate([below, equal]))


def split_randomly(positions: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a share by seed: the rows to fit and the rows to test, each in file order.

    The draw is scikit-learn's `train_test_split` with this seed, so that the rows are those that
    the original project's notebook held out.
    """
    from sklearn.model_selection import train_test_split

    if math.ceil(share * len(positions)) >= len(positions):
        raise InputError(
            f"{len(positions)} rows cannot be split with split.test={share:g}: "
            "nothing is left to fit"
        )
    fit, test = train_test_split(positions, test_size=share, random_state=seed)
    return np.sort(fit), np.sort(test)


def drop_duplicates(
    table: FaceTable, fit: np.ndarray, held_out: np.ndarray, rule: str
) -> np.ndarray:
    """Drop from the fitting rows what the rule says (see `daskfer.recipe.Ingest`)."""
    if rule == "keep":
        return fit
    first = first_of_each(table.digest)
    fit = fit[~np.isin(first[fit], first[held_out])]
    if rule == "keep-one":
        _, once = np.unique(first[fit], return_index=True)
        fit = fit[np.sort(once)]
    return fit
