"""What the page shows next and what an answer does, as plain values: no server in here."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy as np

from daskfer.answer_log import Log
from daskfer.answers import AnswerError, GoneError, Group
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.name_page.gallery import Gallery, Tile
from daskfer.name_page.hints import Hint
from daskfer.name_page.pictures import COLUMNS, average_face, sheet_png, tile_side
from daskfer.names_file import take_over
from daskfer.naming import Given
from daskfer.recipe import code_of
from daskfer.run_folder import RunFolder

AHEAD = 4
"""Groups that are told in advance, so that the browser has their pictures when they are next."""

MOST_PICTURES = 256
"""Pictures that are kept; each is some 100 kB."""


class Desk:
    """A run's clusters on the desk of a person who names them.

    Parameters
    ----------
    log : Log
    gallery : Gallery
    emotion : int8 array (n,)
        True classes of all faces, or UNKNOWN; read only where a person asks for the accuracy.
    title : str
        What the run is called.
    categories : tuple of str
        Names to choose from, unless a person states others; by default the classes.
    """

    def __init__(
        self,
        log: Log,
        gallery: Gallery,
        emotion: np.ndarray,
        title: str,
        categories: tuple[str, ...] | None = None,
    ) -> None:
        self.log, self.gallery, self.title = log, gallery, title
        self._emotion, self._categories = emotion, categories
        self._choices: tuple[int, tuple[str, ...]] = (-1, ())
        self._average: np.ndarray | None = None
        self._pictures: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.RLock()
        self._labelled = bool((emotion[gallery.fit] != UNKNOWN).any())
        self._catch_up()

    def _catch_up(self) -> None:
        self.log.refresh()
        self.gallery.follow(self.log.answers.splits)

    @property
    def choices(self) -> tuple[str, ...]:
        """The names to choose from; asked for once a cluster, so found once an answer."""
        if self._choices[0] != len(self.log.entries):
            found = self.log.answers.choices(self._categories)
            self._choices = (len(self.log.entries), found)
        return self._choices[1]

    def order(self) -> list[Group]:
        """Groups without an answer, the one to look at next first.

        What a split, a merge or an undo brought up, then those worth most, and at last the
        skipped ones.
        """
        answers = self.log.answers
        waiting = [
            group
            for key, group in answers.groups.items()
            if key not in answers.said and self.gallery.size(group)
        ]
        first = {key: place for place, key in enumerate(answers.first)}
        last = {key: place for place, key in enumerate(answers.skipped)}
        return sorted(
            waiting,
            key=lambda group: (
                group.key != answers.back,
                first.get(group.key, len(first)),
                group.key in last,
                last.get(group.key, 0),
                -self.worth(group),
                group.number,
            ),
        )

    def worth(self, group: Group) -> float:
        """How many faces a look is expected to give a right name that they have not now."""
        hint = self.gallery.hint(group)
        told = hint is not None and self._told_by(hint) is not None
        sure = hint.score if hint is not None and told else 1 / max(len(self.choices), 2)
        return self.gallery.size(group) * (1 - sure)

    def _told_by(self, hint: Hint) -> str | None:
        """The name to choose from that action units tell; None where they tell none of these."""
        if hint.emotion == UNKNOWN:
            return None
        code = code_of(EMOTIONS[hint.emotion], self.choices)
        return None if code == UNKNOWN else self.choices[code]

    def state(self) -> dict[str, Any]:
        """All that the page shows."""
        with self._lock:
            return self._state()

    def _state(self) -> dict[str, Any]:
        self._catch_up()
        answers, order = self.log.answers, self.order()
        groups = self._groups()
        return {
            "version": len(self.log.entries),
            "title": self.title,
            "choices": list(self.choices),
            "next": [self.entry(group, groups) for group in order[:AHEAD]],
            "left": len(order),
            "progress": self._progress(groups, order),
            "answered": [
                {
                    "key": group.key,
                    "number": group.number,
                    "faces": self.gallery.size(group),
                    "name": answers.said[group.key],
                    "by": answers.by[group.key],
                }
                for group in sorted(groups, key=lambda group: group.number)
                if group.key in answers.said
            ],
            "undo": self._last(),
        }

    def _last(self) -> str | None:
        """What undo would undo, in words."""
        effective = self.log.answers.effective
        if not effective:
            return None
        last = effective[-1]
        words = {"name": f"the name {last.get('name')}", "mixed": "the answer mixed",
                 "skip": "skipping", "split": "the split", "merge": "the merging",
                 "names": "the names of all"}  # fmt: skip
        return words[last["do"]]

    def _progress(self, groups: list[Group], order: list[Group]) -> dict[str, Any]:
        answers, size = self.log.answers, self.gallery.size
        total = max(sum(map(size, groups)), 1)
        named = [group for group in groups if answers.said.get(group.key) is not None]
        by_name = dict.fromkeys(self.choices, 0)
        for group in named:
            name = str(answers.said[group.key])
            by_name[name] = by_name.get(name, 0) + size(group)
        return {
            "groups": len(groups),
            "answered": sum(group.key in answers.said for group in groups),
            "looks": answers.looks,
            "faces": total,
            "covered": sum(by_name.values()),
            "by_name": by_name,
            "gain": self.worth(order[0]) / total if order else 0.0,
            "rest": sum(map(self.worth, order)) / total,
            "labels": self._labelled,
            "accuracy": self._accuracy(named) if answers.labels else None,
        }

    def _accuracy(self, named: list[Group]) -> dict[str, Any]:
        """How many labelled faces of named groups have the right name, and what chance gives."""
        answers, classes = self.log.answers, self.log.classes
        right, most = 0, np.zeros(len(classes), np.int64)
        for group in named:
            code = code_of(str(answers.said[group.key]), classes)
            if code == UNKNOWN:
                known = "the seven emotions" if classes == EMOTIONS else ", ".join(classes)
                return {"why": f"the labels of the faces know only {known}"}
            true = self._emotion[self.gallery.members(group)]
            counts = np.bincount(true[true != UNKNOWN], minlength=len(classes))
            right += int(counts[code])
            most += counts
        faces = int(most.sum())
        if not faces:
            return {"why": "no face with a label has a name yet"}
        return {"share": right / faces, "chance": int(most.max()) / faces, "faces": faces}

    def look(self, key: str) -> dict[str, Any]:
        """What is shown of one group, answered or not.

        Raises
        ------
        GoneError
        """
        with self._lock:
            self._catch_up()
            return self.entry(self.log.answers.group(key), self._groups())

    def _groups(self) -> list[Group]:
        """Those that have faces."""
        return [group for group in self.log.answers.groups.values() if self.gallery.size(group)]

    def entry(self, group: Group, groups: list[Group]) -> dict[str, Any]:
        """What is shown of one group of these."""
        sheet, hint = self.gallery.sheet(group), self.gallery.hint(group)
        total = max(sum(map(self.gallery.size, groups)), 1)
        neighbours = self.gallery.neighbours(group, groups)
        return {
            "key": group.key,
            "number": group.number,
            "clusters": list(group.parts),
            "faces": self.gallery.size(group),
            "share": self.gallery.size(group) / total,
            "gain": self.worth(group) / total,
            "said": self._said(group),
            "skipped": group.key in self.log.answers.skipped,
            "suggestion": self._suggestion(group, neighbours),
            "units": [] if hint is None else [list(unit) for unit in hint.units],
            "measured": hint is not None,
            "side": tile_side(self.gallery.side),
            "columns": COLUMNS,
            "nearest": self._tiles(sheet.nearest),
            "diverse": self._tiles(sheet.diverse),
            "borderline": self._tiles(sheet.borderline),
            "neighbours": [
                {
                    "key": one.key,
                    "number": one.number,
                    "faces": self.gallery.size(one),
                    "said": self._said(one),
                    "shown": min(len(self.gallery.sheet(one).nearest), COLUMNS),
                }
                for one in neighbours
            ],
        }

    def _said(self, group: Group) -> dict[str, Any] | None:
        answers = self.log.answers
        if group.key not in answers.said:
            return None
        return {"name": answers.said[group.key], "by": answers.by[group.key]}

    def _tiles(self, tiles: tuple[Tile, ...]) -> list[list[int]]:
        """Of each tile, the row of its face and how many copies of it are there."""
        return [[int(self.gallery.row[tile.position]), tile.copies] for tile in tiles]

    def _suggestion(self, group: Group, neighbours: list[Group]) -> dict[str, Any] | None:
        """A name to accept, and why; no label is read for it."""
        hint = self.gallery.hint(group)
        name = None if hint is None else self._told_by(hint)
        if hint is not None and name is not None:
            return {"name": name, "why": f"action units tell it, at {hint.score:.0%}"}
        answers = self.log.answers
        for one in neighbours:
            said = answers.said.get(one.key)
            if said is not None:
                return {"name": said, "why": f"the faces are most like those of {one.number}"}
        return None

    def answer(self, entry: dict[str, Any], seen: int | None = None) -> None:
        """Write an answer to the log; a split finds its centres here.

        Raises
        ------
        AnswerError
            When it does not fit; nothing is written then.
        """
        with self._lock:
            self._catch_up()
            if entry.get("do") == "split":
                entry = self._split(entry)
            elif entry.get("do") == "labels" and not self._labelled:
                raise AnswerError("no face has a label, so the accuracy cannot be told")
            # Nothing after it, which might fail: whoever asks for the state catches up.
            self.log.append(entry, seen)

    def _split(self, entry: dict[str, Any]) -> dict[str, Any]:
        group = self.log.answers.group(entry.get("group"))
        if len(group.parts) > 1:
            return {"do": "split", "group": group.key}
        centers = self.gallery.halves(group)
        if centers is None:
            raise AnswerError(
                f"cluster {group.number} cannot be split: it has one face, or only copies of one"
            )
        return {"do": "split", "group": group.key, "centers": centers.tolist()}

    def take_over(self, folder: RunFolder) -> None:
        """Take names that somebody wrote into names.yaml as answers."""
        with self._lock:
            take_over(folder, self.log)

    def given(self) -> tuple[int, Given, np.ndarray]:
        """How many lines the log has, the names that follow, and the faces of each cluster."""
        with self._lock:
            self._catch_up()
            entries = len(self.log.entries)
            sizes = [self.gallery.size_of(number) for number in range(self.gallery.clusters)]
            return entries, self.log.answers.given(entries), np.array(sizes, np.int64)

    def picture(self, key: str) -> bytes:
        """The PNG of a group's sheet; may be drawn in another thread than answers are taken in.

        Raises
        ------
        GoneError
        """
        with self._lock:
            found = self._pictures.get(key)
            if found is not None:
                return found
            group = self.log.answers.group(key)
            members, sheet = self.gallery.members(group), self.gallery.sheet(group)
            if not len(members):
                raise GoneError(f"cluster {group.number} has no faces")
        if self._average is None:
            self._average = average_face(self.gallery)
        drawn = sheet_png(self.gallery, sheet, members, self._average)
        with self._lock:
            self._pictures[key] = drawn
            while len(self._pictures) > MOST_PICTURES:
                self._pictures.popitem(last=False)
        return drawn
