"""What a person said of clusters, and what follows from it.

Names, splits and merges follow from the entries of a log (see `daskfer.answer_log`) one after the
other, by `Answers.replay`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from daskfer.errors import DaskferError, RecipeError
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.naming import Given
from daskfer.recipe.categories import (
    MOST_CATEGORIES,
    categories_of,
    checked_names,
    code_of,
    fault_of,
)
from daskfer.splits import Split

LOOKS = ("name", "mixed", "skip", "split", "merge")
"""What a person does after a look at a group, each time one look."""

UNDONE_BY_UNDO = (*LOOKS, "names")
SETTINGS = ("categories", "labels")
"""What stays when answers are undone: names to choose from, and that labels were shown."""


class AnswerError(DaskferError):
    """An answer that does not fit: an unknown group or name, or a log that is not this run's."""


class GoneError(AnswerError):
    """An answer to a group that is not there any more, because it was split or merged."""


@dataclass(frozen=True)
class Group:
    """Clusters that are looked at and named together: one, unless some were merged.

    Attributes
    ----------
    key : str
        Its name in the log, never used for another one.
    parts : tuple of int
        Its clusters, ascending.
    """

    key: str
    parts: tuple[int, ...]

    @property
    def number(self) -> int:
        """What a person calls it."""
        return self.parts[0]


@dataclass(frozen=True)
class Told:
    """Names that a run gave its clusters by itself, without labels.

    `emotion` has a code for each cluster, `score` how likely each is right.
    """

    how: str
    emotion: tuple[int, ...]
    score: tuple[float, ...]


@dataclass
class Answers:
    """All that follows from the answers so far.

    Attributes
    ----------
    clusters : int
        Of the run itself.
    groups : dict of str to Group
        Those that there are now.
    said : dict of str to (str or None)
        The name of each group that was answered; None where it is mixed.
    by : dict of str to str
        Where each of these answers comes from: ``page``, ``file``, …
    skipped : list of str
        Groups that were skipped and not answered since, in that order.
    first : list of str
        Groups to show before all others: what splits and merges made.
    back : str or None
        The group that the last answer was about, if that was undone.
    splits : list of Split
    own : list of str
        Names to choose from, if a person stated them.
    labels : int
        How often the accuracy so far was asked for.
    effective : list of dict
        The entries that count, without what was undone.
    classes : tuple of str
        What true labels may be, and names are by default.
    """

    clusters: int
    told: Told | None = None
    classes: tuple[str, ...] = EMOTIONS
    groups: dict[str, Group] = field(default_factory=dict)
    said: dict[str, str | None] = field(default_factory=dict)
    by: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    first: list[str] = field(default_factory=list)
    back: str | None = None
    splits: list[Split] = field(default_factory=list)
    own: list[str] | None = None
    labels: int = 0
    effective: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.groups = {f"c{number}": Group(f"c{number}", (number,)) for number in range(self.k)}

    @property
    def k(self) -> int:
        """Clusters, with those that splits made."""
        return self.clusters + len(self.splits)

    @property
    def looks(self) -> int:
        """How often a person looked at a group and said something."""
        return sum(entry["do"] in LOOKS for entry in self.effective)

    @classmethod
    def replay(
        cls,
        entries: Iterable[dict[str, Any]],
        clusters: int,
        classes: tuple[str, ...] = EMOTIONS,
    ) -> Answers:
        """What follows from the entries of a log of so many clusters."""
        lasting: list[dict[str, Any]] = []
        back: str | None = None
        settings, told = [], None
        for entry in entries:
            do = entry["do"]
            if do == "begin":
                told = _told_of(entry.get("told"))
            elif do in SETTINGS:
                settings.append(entry)
            elif do == "undo":
                if lasting:
                    undone = lasting.pop()
                    back = undone.get("group")
            else:
                lasting.append(entry)
                back = None
        found = cls(clusters, told, classes)
        for entry in [*settings, *lasting]:
            found.follow(entry)
        found.back = back if back in found.groups else None
        return found

    def check(self, entry: dict[str, Any]) -> None:
        """Refuse an entry that does not fit what there is.

        Raises
        ------
        AnswerError
        """
        do = entry.get("do")
        if do not in (*UNDONE_BY_UNDO, *SETTINGS, "undo"):
            raise AnswerError(f"answer {do!r}: expected one of {', '.join(LOOKS)} or undo")
        if do == "undo" and not self.effective:
            raise AnswerError("there is nothing to undo")
        if do in LOOKS:
            self.group(entry.get("group"))
        if do == "name":
            name = entry.get("name")
            if clean_name(name) != name:
                raise AnswerError(f"name {name!r}: expected text without blanks around it")
            self._check_room(name)
        if do == "merge" and self.group(entry.get("with")).key == entry["group"]:
            raise AnswerError("a cluster cannot be merged with itself")
        if do == "categories":
            check_categories(entry.get("names"))
            self._check_room(*entry["names"])
        if do == "names":
            for number, name in entry["names"].items():
                if not str(number).isdecimal():
                    raise AnswerError(f"cluster {number!r}: expected a number")
                if name is not None:
                    clean_name(name)
            self._check_room(*entry["names"].values())

    def _check_room(self, *names: Any) -> None:
        """Refuse names for which there is no code left."""
        # What can be counted without looking at each name is enough of nearly all runs.
        most = MOST_CATEGORIES - len(names)
        if len(self.classes) + len(self.own or ()) + len(self.said) <= most:
            return
        known = self.categories
        new = {name.casefold() for name in names if name is not None}
        if len(known) + len(new - {name.casefold() for name in known}) > MOST_CATEGORIES:
            raise AnswerError(f"more than {MOST_CATEGORIES} names in all: expected fewer")

    def group(self, key: Any) -> Group:
        """The group with this key.

        Raises
        ------
        GoneError
        """
        if not isinstance(key, str) or key not in self.groups:
            raise GoneError(f"group {key!r} is not there any more: it was split, merged or undone")
        return self.groups[key]

    def follow(self, entry: dict[str, Any]) -> None:
        """Let an entry of a log take effect.

        Raises
        ------
        AnswerError
            When it does not fit those before it, so that somebody changed the log.
        """
        try:
            self.check(entry)
            if entry["do"] == "split" and len(self.groups[entry["group"]].parts) == 1:
                _centers_of(entry)
        except (AnswerError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise AnswerError(
                f"answer {entry.get('n')} does not fit those before it: {error}"
            ) from None
        self.apply(entry)

    def apply(self, entry: dict[str, Any]) -> None:
        """Let an entry that fits take effect; undo is for `replay`."""
        do = entry["do"]
        if do == "categories":
            self.own = list(entry["names"])
            return
        if do == "labels":
            self.labels += 1
            return
        self.back = None
        if do == "name":
            self._answer(entry["group"], entry["name"], entry.get("by", "page"))
        elif do == "mixed":
            self._answer(entry["group"], None, entry.get("by", "page"))
        elif do == "skip":
            self._forget(entry["group"])
            self.skipped.append(entry["group"])
        elif do == "split":
            self._split(entry)
        elif do == "merge":
            self._merge(entry)
        elif do == "names":
            self._all(entry)
        self.effective.append(entry)

    def _answer(self, key: str, name: str | None, by: str) -> None:
        self._forget(key)
        self.said[key], self.by[key] = name, by

    def _forget(self, key: str) -> None:
        """Take a group from all lists, before it is put on another."""
        self.said.pop(key, None)
        self.by.pop(key, None)
        for waiting in (self.skipped, self.first):
            if key in waiting:
                waiting.remove(key)

    def _front(self, *keys: str) -> None:
        self.first = [*keys, *(key for key in self.first if key not in keys)]

    def _remove(self, key: str) -> Group:
        self._forget(key)
        return self.groups.pop(key)

    def _split(self, entry: dict[str, Any]) -> None:
        group = self._remove(entry["group"])
        if len(group.parts) > 1:
            # What was merged comes apart again; only a cluster of its own is divided.
            made = [Group(f"{entry['n']}.{part}", (part,)) for part in group.parts]
        else:
            (old,) = group.parts
            new = self.k
            self.splits.append(Split(old, new, _centers_of(entry)))
            made = [Group(f"{entry['n']}.{part}", (part,)) for part in (old, new)]
        for one in made:
            self.groups[one.key] = one
        self._front(*(one.key for one in made))

    def _merge(self, entry: dict[str, Any]) -> None:
        name = self.said.get(entry["with"])
        by = self.by.get(entry["with"], "page")
        one, other = self._remove(entry["group"]), self._remove(entry["with"])
        both = Group(f"{entry['n']}.m", tuple(sorted((*one.parts, *other.parts))))
        self.groups[both.key] = both
        if name is None:
            self._front(both.key)
        else:
            self.said[both.key], self.by[both.key] = name, by

    def _all(self, entry: dict[str, Any]) -> None:
        """Names for clusters one by one, by a file or a method; what was merged comes apart."""
        for merged in [group for group in self.groups.values() if len(group.parts) > 1]:
            said, by = merged.key in self.said, self.by.get(merged.key, "page")
            name = self.said.get(merged.key)
            self._remove(merged.key)
            for part in merged.parts:
                one = Group(f"{entry['n']}.{part}", (part,))
                self.groups[one.key] = one
                if said:
                    self.said[one.key], self.by[one.key] = name, by
        owner = {group.number: key for key, group in self.groups.items()}
        for number, name in entry["names"].items():
            if int(number) in owner:
                self._answer(owner[int(number)], name, entry["how"])

    @property
    def categories(self) -> tuple[str, ...]:
        """What codes of names stand for: the classes, then a person's own names."""
        own: dict[str, str] = {}
        for name in (*(self.own or ()), *self.said.values()):
            if name is not None:
                own.setdefault(name.casefold(), name)
        return categories_of(own.values(), self.classes)

    def choices(self, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """The names to choose from: those stated, else by default, and others that are in use."""
        listed = tuple(self.own) if self.own is not None else default or self.classes
        used = dict.fromkeys(name for name in self.said.values() if name is not None)
        return categories_of(used, listed)

    def told_of(self, part: int) -> tuple[int, float]:
        """The name's code that the run itself gave a cluster, and how likely it is right."""
        if self.told is None or part >= len(self.told.emotion) or self._was_split(part):
            return UNKNOWN, 0.0
        return self.told.emotion[part], self.told.score[part]

    def _was_split(self, part: int) -> bool:
        return any(part in (split.of, split.new) for split in self.splits)

    def given(self, entries: int | None = None) -> Given:
        """The names of all clusters: a person's, and where there is none what the run told.

        `entries` is how many lines of a log they follow from.
        """
        categories = self.categories
        emotion = np.full(self.k, UNKNOWN, np.int8)
        trust = np.ones(self.k)
        by: list[str | None] = [None] * self.k
        for key, group in self.groups.items():
            for part in group.parts:
                if key in self.said:
                    name = self.said[key]
                    emotion[part] = UNKNOWN if name is None else code_of(name, categories)
                    by[part] = self.by[key]
                    continue
                emotion[part], trust[part] = self.told_of(part)
                if emotion[part] != UNKNOWN and self.told is not None:
                    by[part] = self.told.how
        told = self.told is not None and self.told.how in by
        ways = [way for way in by if way is not None]
        how = max(dict.fromkeys(ways), key=ways.count) if ways else "none"
        used = []
        if self.labels:
            why = f"the naming page showed the accuracy so far, {self.labels} times"
            used.append(("name", why))
        if "dominant" in by:
            used.append(("name", "the most frequent true emotion of each cluster's fitted rows"))
        # As in a run: a name in a file stands for a look that somebody took somewhere.
        filed = sum(way == "file" for way, code in zip(by, emotion, strict=True) if code >= 0)
        return Given(
            "page" if self.looks else how,
            self.looks + filed,
            categories,
            emotion,
            tuple(by),
            trust if told else None,
            tuple(self.splits),
            tuple(used),
            entries,
            self.classes,
        )


def clean_name(name: Any) -> str:
    """A name as it is kept: without blanks around it.

    Raises
    ------
    AnswerError
        For what cannot be the name of a cluster.
    """
    if fault := fault_of(name):
        raise AnswerError(f"name {str(name)[:80]!r}: {fault}")
    return str(name).strip()


def check_categories(names: Any) -> None:
    """Refuse what cannot be the names to choose from.

    Raises
    ------
    AnswerError
    """
    try:
        checked_names("names to choose from", names)
    except RecipeError as error:
        raise AnswerError(str(error)) from None


def _centers_of(entry: dict[str, Any]) -> np.ndarray:
    centers = np.array(entry["centers"], np.float64)
    if centers.ndim != 2 or len(centers) != 2:
        raise ValueError(f"a split has {centers.shape} centres")
    return centers


def _told_of(found: dict[str, Any] | None) -> Told | None:
    if found is None:
        return None
    return Told(found["how"], tuple(found["emotion"]), tuple(found["score"]))
