"""Naming: which emotion, or other category, each cluster stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from daskfer.errors import InputError
from daskfer.evaluate.external import contingency
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.recipe import (
    Name,
    NameByDominant,
    NameByFile,
    NameByPage,
    categories_of,
    code_of,
)
from daskfer.splits import Split
from daskfer.stated import read_names


@dataclass(frozen=True)
class Names:
    """The code (or UNKNOWN) of each cluster's name, how it was found, and what it cost.

    Attributes
    ----------
    emotion : int8 array (k,)
    how : str
    looks : int
        Times that a person looked at a cluster; 0 where nobody did.
    rows : int64 array (k,)
        Fitted faces in each cluster.
    purity : float array (k,)
        Share of the labelled ones among them that have that emotion; NaN where none has a label,
        or the name is no class.
    labels_used : tuple
        Stages that read labels for it, and why.
    score, margin : float array (k,), optional
        How sure a name is, and how much surer than the next, where action units tell.
    reasons : tuple of str
        What tells of each cluster, in words.
    categories : tuple of str
        What the codes stand for: the classes, then names of the user's own.
    classes : tuple of str
        What true labels may be.
    by : tuple of (str or None)
        Where each name comes from, if not all of them from the same.
    splits : tuple of Split
        Those that made the last clusters.
    answers : int or None
        How many lines of the run's log of answers they follow from, if they do.
    """

    emotion: np.ndarray
    how: str
    looks: int
    rows: np.ndarray
    purity: np.ndarray
    labels_used: tuple[tuple[str, str], ...] = ()
    score: np.ndarray | None = None
    margin: np.ndarray | None = None
    reasons: tuple[str, ...] = ()
    categories: tuple[str, ...] = EMOTIONS
    classes: tuple[str, ...] = EMOTIONS
    by: tuple[str | None, ...] = ()
    splits: tuple[Split, ...] = ()
    answers: int | None = None

    @property
    def beyond_classes(self) -> bool:
        """Whether a cluster has a name that no true label can be."""
        return bool((self.emotion >= len(self.classes)).any())

    def of(self, cluster: np.ndarray) -> np.ndarray:
        """Codes, int8 (n,), of faces in these clusters; UNKNOWN where they have none."""
        return np.where(cluster == UNKNOWN, np.int8(UNKNOWN), self.emotion[cluster])

    def as_dict(self) -> dict[str, Any]:
        """What names.yaml holds."""
        clusters: dict[int, dict[str, Any]] = {
            number: {
                "emotion": self.categories[code] if code != UNKNOWN else None,
                "faces": int(self.rows[number]),
                "purity": _rounded(self.purity[number], 4),
            }
            for number, code in enumerate(self.emotion.tolist())
        }
        for number, cluster in clusters.items():
            if self.score is not None:
                cluster["score"] = _rounded(self.score[number], 3)
            if self.margin is not None:
                cluster["margin"] = _rounded(self.margin[number], 3)
            if self.reasons:
                cluster["reason"] = self.reasons[number]
            if self.by:
                cluster["by"] = self.by[number]
        for split in self.splits:
            clusters[split.new]["of"] = split.of
        content: dict[str, Any] = {"how": self.how, "looks": self.looks}
        if self.answers is not None:
            content["answers"] = self.answers
        if self.categories != EMOTIONS:
            content["categories"] = list(self.categories)
        return content | {"clusters": clusters}


@dataclass(frozen=True)
class Given:
    """Names that clusters were given after the run that made them.

    Attributes
    ----------
    how : str
        ``page``, ``file``, …: where most of them come from.
    looks : int
    categories : tuple of str
        What the codes stand for: the classes, then names of the user's own.
    emotion : int8 array (k,)
        A code of each cluster, or UNKNOWN; clusters that splits made come after those of the run.
    by : tuple of (str or None)
        Where each name comes from.
    trust : float64 array (k,), optional
        How likely each name is right, where some were told and not given by a person.
    splits : tuple of Split
        In the order in which they were made.
    labels_used : tuple
        Stages that read labels for it, and why.
    answers : int or None
        How many lines of the run's log of answers they follow from.
    classes : tuple of str
        What true labels may be.
    """

    how: str
    looks: int
    categories: tuple[str, ...]
    emotion: np.ndarray
    by: tuple[str | None, ...]
    trust: np.ndarray | None = None
    splits: tuple[Split, ...] = ()
    labels_used: tuple[tuple[str, str], ...] = ()
    answers: int | None = None
    classes: tuple[str, ...] = EMOTIONS


ORIGINS = {
    "page": "from a person",
    "file": "from a file",
    "facs": "from action units, without labels",
}
"""Where names come from that no label decided."""


def _rounded(value: float, digits: int) -> float | None:
    return None if np.isnan(value) else round(float(value), digits)


def check_labels(method: Name, emotion: np.ndarray) -> None:
    """Refuse to name clusters by labels where no fitted face has one, before any work."""
    if isinstance(method, NameByDominant) and not (emotion != UNKNOWN).any():
        raise InputError(
            "name.how=dominant needs emotion labels, and no face that would be fitted has one: "
            "use --set name.how=none, or name.how=file with a file of names"
        )


def name_clusters(
    method: Name,
    cluster: np.ndarray,
    emotion: np.ndarray,
    k: int,
    classes: tuple[str, ...] = EMOTIONS,
) -> Names:
    """Name clusters from their fitted faces.

    Parameters
    ----------
    method : Name
    cluster : int32 array (n,)
        Clusters of the fitted faces.
    emotion : int8 array (n,)
        Their true classes, or UNKNOWN; only ``how: dominant`` lets them decide.
    k : int
        Number of clusters.
    classes : tuple of str
        What true labels may be.
    """
    table = contingency(cluster, emotion, k, len(classes))
    rows = np.bincount(cluster, minlength=k).astype(np.int64)
    if isinstance(method, NameByDominant):
        check_labels(method, emotion)
        chosen = np.where(table.sum(axis=1) > 0, table.argmax(axis=1), UNKNOWN).astype(np.int8)
        why = f"the most frequent true emotion of each cluster's fitted rows ({int(table.sum()):,})"
        return Names(
            chosen, "dominant", 0, rows, _purity(table, chosen), (("name", why),),
            categories=classes, classes=classes,
        )  # fmt: skip
    if isinstance(method, NameByFile):
        stated = read_names(method.file, k, categories_of(method.categories, classes))
        chosen, categories = stated.emotion(k), stated.categories
        looks = int((chosen != UNKNOWN).sum())
        found = purity_of(cluster, emotion, chosen, "from the file", len(classes))
        return Names(chosen, "file", looks, rows, *found, categories=categories, classes=classes)
    chosen = np.full(k, UNKNOWN, np.int8)
    own = method.categories if isinstance(method, NameByPage) else None
    return Names(
        chosen, method.how, 0, rows, np.full(k, np.nan),
        categories=categories_of(own, classes), classes=classes,
    )  # fmt: skip


def among(emotion: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    """Codes of the seven emotions as codes, int8, of classes; UNKNOWN where it is none of them."""
    codes = np.array([*(code_of(name, classes) for name in EMOTIONS), UNKNOWN], np.int8)
    # UNKNOWN is -1: the last one.
    return codes[emotion]


def given_names(given: Given, cluster: np.ndarray, emotion: np.ndarray) -> Names:
    """Names that clusters were given after their run.

    Parameters
    ----------
    given : Given
    cluster : int32 array (n,)
        Clusters of the fitted faces, after the splits.
    emotion : int8 array (n,)
        Their true classes, or UNKNOWN; only the purity reads them.
    """
    chosen, origin = given.emotion.astype(np.int8), ORIGINS.get(given.how, "after the run")
    purity, used = purity_of(cluster, emotion, chosen, origin, len(given.classes))
    if given.how == "dominant":
        # Labels decided them, which is told already.
        used = ()
    return Names(
        chosen,
        given.how,
        given.looks,
        np.bincount(cluster, minlength=len(given.emotion)).astype(np.int64),
        purity,
        (*given.labels_used, *used),
        score=given.trust,
        categories=given.categories,
        classes=given.classes,
        by=given.by,
        splits=given.splits,
        answers=given.answers,
    )


def purity_of(
    cluster: np.ndarray,
    emotion: np.ndarray,
    chosen: np.ndarray,
    origin: str,
    classes: int = len(EMOTIONS),
) -> tuple[np.ndarray, tuple[tuple[str, str], ...]]:
    """The purity of names that no label decided, and the use of labels that it is.

    `origin` says where the names come from, `classes` how many codes are those of true labels.
    """
    table = contingency(cluster, emotion, len(chosen), classes)
    why = f"the purity beside each name in names.yaml; the names come {origin}"
    return _purity(table, chosen), (("name", why),) if table.sum() > 0 else ()


def _purity(table: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    counts = table.sum(axis=1)
    told = (chosen != UNKNOWN) & (chosen < table.shape[1])
    named = table[np.arange(len(chosen)), np.where(told, chosen, 0)]
    known = (counts > 0) & told
    return np.divide(named, counts, out=np.full(len(counts), np.nan), where=known)
