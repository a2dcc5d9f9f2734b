"""Which faces of a group of clusters are looked at, and what stands beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daskfer.answers import Group
from daskfer.blocks import BlockFiles
from daskfer.faces import UNKNOWN
from daskfer.name_page.hints import Hint, Hints
from daskfer.splits import Split, divide, is_second

NEAREST = 24
"""Faces nearest to the centre on a sheet, as many as `daskfer.simulate` says that a look sees."""

DIVERSE = 8
BORDERLINE = 8

NEIGHBOURS = 2

CANDIDATES = 2_000
"""Most faces of a group among which diverse ones are sought, and that it is divided by."""


@dataclass(frozen=True)
class Tile:
    """One picture on a sheet: the position of its face, and how many copies of it are there."""

    position: int
    copies: int = 1


@dataclass(frozen=True)
class Sheet:
    """The faces of a group that a person looks at, each part possibly empty."""

    nearest: tuple[Tile, ...]
    diverse: tuple[Tile, ...]
    borderline: tuple[Tile, ...]

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """All of them, in the order of their pictures."""
        return (*self.nearest, *self.diverse, *self.borderline)


@dataclass(frozen=True)
class _Part:
    """One cluster: positions of its fitted faces, nearest to the centre first, and the centre."""

    members: np.ndarray
    center: np.ndarray


class Gallery:
    """The fitted faces of a run by clusters, and by groups of clusters.

    Parameters
    ----------
    pixels : BlockFiles
        Pixels, uint8 (n, side²), of all faces by position.
    points : BlockFiles
        Reduced rows, float32 (n, c), of all faces.
    side : int
        Of the faces, in pixels.
    fit : int64 array (m,)
        Positions of the fitted faces; no others are ever shown.
    cluster : int32 array (n,)
    nearest : float64 array (n,)
        Squared distance to the cluster's centre.
    confidence : float32 array (n,)
        0 at the border to another cluster.
    digest : uint64 array (n, 2)
        The same for copies.
    row : int64 array (n,)
        What a face is called: the number of its record in the inputs.
    centers : array (k, c)
    hints : Hints or None
        What action units tell, where faces were measured.
    """

    def __init__(
        self,
        pixels: BlockFiles,
        points: BlockFiles,
        side: int,
        fit: np.ndarray,
        cluster: np.ndarray,
        nearest: np.ndarray,
        confidence: np.ndarray,
        digest: np.ndarray,
        row: np.ndarray,
        centers: np.ndarray,
        hints: Hints | None = None,
    ) -> None:
        self.pixels, self.points, self.side, self.fit = pixels, points, side, fit
        self.row, self.hints = row, hints
        self._confidence, self._digest = confidence, digest
        placed = fit[cluster[fit] != UNKNOWN]
        order = placed[np.lexsort((placed, nearest[placed], cluster[placed]))]
        bounds = np.searchsorted(cluster[order], np.arange(len(centers) + 1))
        parts = [
            _Part(order[bounds[number] : bounds[number + 1]], np.asarray(center, np.float64))
            for number, center in enumerate(centers)
        ]
        self._splits: list[Split] = []
        self._stages = [parts]
        # By keys: what a key stands for never changes, whatever is split, merged and undone.
        self._sheets: dict[str, Sheet] = {}
        self._sizes: dict[str, int] = {}
        self._centers: dict[str, np.ndarray] = {}
        self._members: dict[str, np.ndarray] = {}
        if hints is not None:
            hints.learn({f"c{number}": part.members for number, part in enumerate(parts)})

    @property
    def clusters(self) -> int:
        """Clusters that there are now."""
        return len(self._parts)

    @property
    def _parts(self) -> list[_Part]:
        return self._stages[-1]

    def follow(self, splits: Sequence[Split]) -> None:
        """Divide clusters as these splits say; of those that are not among them, undo it."""
        same = 0
        while (
            same < min(len(splits), len(self._splits))
            and splits[same].of == self._splits[same].of
            and np.array_equal(splits[same].centers, self._splits[same].centers)
        ):
            same += 1
        del self._splits[same:], self._stages[same + 1 :]
        for split in splits[same:]:
            self._divide(split)
            self._splits.append(split)

    def _divide(self, split: Split) -> None:
        parts = list(self._parts)
        members = parts[split.of].members
        if len(members):
            rows = self.points.rows(members).astype(np.float64)
            second = is_second(rows, split.centers)
        else:
            rows, second = np.empty((0, split.centers.shape[1])), np.zeros(0, bool)
        halves = []
        for center, mine in zip(split.centers, (~second, second), strict=True):
            away = ((rows[mine] - center) ** 2).sum(axis=1)
            halves.append(_Part(members[mine][np.lexsort((members[mine], away))], center))
        parts[split.of] = halves[0]
        parts.append(halves[1])
        self._stages.append(parts)

    def size_of(self, cluster: int) -> int:
        """Number of fitted faces of one cluster."""
        return len(self._parts[cluster].members)

    def size(self, group: Group) -> int:
        """Number of fitted faces of a group."""
        if group.key not in self._sizes:
            self._sizes[group.key] = sum(map(self.size_of, group.parts))
        return self._sizes[group.key]

    def members(self, group: Group) -> np.ndarray:
        """Positions of the fitted faces of a group, nearest to its centre first."""
        if len(group.parts) == 1:
            return self._parts[group.number].members
        if group.key not in self._members:
            self._members[group.key] = self._merged_members(group)
        return self._members[group.key]

    def _merged_members(self, group: Group) -> np.ndarray:
        members = np.concatenate([self._parts[part].members for part in group.parts])
        if len(members) == 0:
            return members
        away = ((self.points.rows(members) - self.center(group)) ** 2).sum(axis=1)
        return np.asarray(members[np.lexsort((members, away))])

    def center(self, group: Group) -> np.ndarray:
        """The centre, float64 (c,): of several clusters, the mean of theirs by their sizes."""
        if group.key not in self._centers:
            self._centers[group.key] = self._center(group)
        return self._centers[group.key]

    def _center(self, group: Group) -> np.ndarray:
        parts = [self._parts[part] for part in group.parts]
        if len(parts) == 1:
            return parts[0].center
        sizes = np.array([len(part.members) for part in parts], np.float64)
        weights = sizes if sizes.any() else np.ones(len(parts))
        return np.average([part.center for part in parts], axis=0, weights=weights)

    def neighbours(self, group: Group, groups: Sequence[Group]) -> list[Group]:
        """The groups whose centres are nearest to this one's, of those that have faces."""
        others = [one for one in groups if one.key != group.key and self.size(one)]
        if not others:
            return []
        centers = np.array([self.center(one) for one in others])
        away = ((centers - self.center(group)) ** 2).sum(axis=1)
        return [others[number] for number in np.argsort(away, kind="stable")[:NEIGHBOURS]]

    def halves(self, group: Group) -> np.ndarray | None:
        """Centres (2, c) that divide a cluster, or None where its faces are all the same."""
        members = self.members(group)
        return divide(self.points.rows(members)) if len(members) else None

    def hint(self, group: Group) -> Hint | None:
        """What action units tell of a group; None where they were not measured."""
        return None if self.hints is None else self.hints.of(group.key, self.members(group))

    def sheet(self, group: Group) -> Sheet:
        """The faces to look at."""
        if group.key not in self._sheets:
            self._sheets[group.key] = self._sheet(self.members(group))
        return self._sheets[group.key]

    def _sheet(self, members: np.ndarray) -> Sheet:
        near, rest = members[:NEAREST], members[NEAREST:]
        shown: dict[tuple[int, int], list[int]] = {}
        for position in near.tolist():
            shown.setdefault(self._copy_of(position), []).append(position)
        nearest = tuple(Tile(found[0], len(found)) for found in shown.values())
        seen = set(shown)
        diverse = self._different(self._spread(near, rest), DIVERSE, seen)
        border = rest[np.argsort(self._confidence[rest], kind="stable")]
        return Sheet(nearest, diverse, self._different(border, BORDERLINE, seen))

    def _copy_of(self, position: int) -> tuple[int, int]:
        first, second = self._digest[position].tolist()
        return first, second

    def _different(
        self, positions: np.ndarray, count: int, seen: set[tuple[int, int]]
    ) -> tuple[Tile, ...]:
        """The first faces that are no copies of what is `seen`, which they are added to."""
        found: list[Tile] = []
        for position in positions[: 8 * count].tolist():
            if len(found) == count:
                break
            if self._copy_of(position) not in seen:
                seen.add(self._copy_of(position))
                found.append(Tile(position))
        return tuple(found)

    def _spread(self, near: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """Of the rest, the face farthest from the nearest ones, then farthest from both, …"""
        if len(rest) == 0:
            return rest
        # Evenly over all distances from the centre.
        rest = rest[np.unique(np.linspace(0, len(rest) - 1, CANDIDATES).astype(np.int64))]
        rows = self.points.rows(rest).astype(np.float64)
        middle = self.points.rows(near[:1]).astype(np.float64)
        away = ((rows - middle) ** 2).sum(axis=1)
        picked = []
        for _ in range(min(2 * DIVERSE, len(rest))):
            best = int(away.argmax())
            picked.append(best)
            away = np.minimum(away, ((rows - rows[best]) ** 2).sum(axis=1))
        return np.asarray(rest[picked])
