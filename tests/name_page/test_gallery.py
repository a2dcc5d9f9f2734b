"""The gallery: which faces a person sees of a group."""

from __future__ import annotations

import numpy as np
import pytest
from name_page.conftest import CENTERS, PER_CLUSTER

from daskfer import simulate
from daskfer.answers import Group
from daskfer.name_page.gallery import BORDERLINE, DIVERSE, NEAREST
from daskfer.splits import Split, is_second


def one(number: int) -> Group:
    return Group(f"c{number}", (number,))


def squares(planted, positions, center) -> np.ndarray:
    return ((planted.points[positions].astype(np.float64) - center) ** 2).sum(axis=1)


def test_members_are_the_fitted_faces_nearest_first(planted):
    gallery = planted.gallery()
    for number in range(len(CENTERS)):
        members = gallery.members(one(number))
        expected = planted.fit[planted.cluster[planted.fit] == number]
        assert sorted(members) == expected.tolist()
        assert (np.diff(squares(planted, members, CENTERS[number])) >= 0).all()
        assert gallery.size(one(number)) == len(expected) == PER_CLUSTER - 2


def test_the_nearest_are_those_of_a_simulated_look(planted):
    gallery = planted.gallery()
    fit = planted.fit
    away = squares(planted, fit, CENTERS[planted.cluster[fit]])
    looked = simulate.sheets(planted.cluster[fit], away, planted.emotion[fit], 5, NEAREST)
    for number in range(5):
        tiles = gallery.sheet(one(number)).nearest
        shown = np.concatenate([[planted.emotion[tile.position]] * tile.copies for tile in tiles])
        assert sorted(shown) == sorted(looked[number])
        assert sum(tile.copies for tile in tiles) == NEAREST


def test_copies_are_shown_once_and_counted(planted):
    gallery = planted.gallery()
    for number in range(5):
        sheet = gallery.sheet(one(number))
        positions = [tile.position for tile in sheet.tiles]
        assert len({planted.pixels[position].tobytes() for position in positions}) == len(positions)


def test_the_three_copies_of_a_face_are_one_tile(planted):
    planted.points[[0, 5, 10]] = CENTERS[0]
    sheet = planted.gallery().sheet(one(0))
    assert (sheet.nearest[0].position, sheet.nearest[0].copies) == (0, 3)
    assert len(sheet.nearest) == NEAREST - 2


def test_the_diverse_are_far_from_each_other_and_the_borderline_near_to_others(planted):
    gallery = planted.gallery()
    sheet = gallery.sheet(one(3))
    assert (len(sheet.diverse), len(sheet.borderline)) == (DIVERSE, BORDERLINE)
    nearest = squares(planted, [tile.position for tile in sheet.nearest], CENTERS[3])
    diverse = squares(planted, [tile.position for tile in sheet.diverse], CENTERS[3])
    assert diverse[0] > nearest.max()
    # Clusters 3 and 4 lie side by side: the faces between them are towards 4.
    border = planted.points[[tile.position for tile in sheet.borderline]]
    assert border[:, 0].mean() > CENTERS[3][0] + 0.3


def test_neighbours_are_the_nearest_centres(planted):
    gallery = planted.gallery()
    groups = [one(number) for number in range(5)]
    assert [group.number for group in gallery.neighbours(groups[3], groups)] == [4, 1]
    assert gallery.neighbours(groups[3], groups[3:4]) == []


def test_of_merged_clusters_the_centre_is_between_them(planted):
    gallery = planted.gallery()
    both = Group("1.m", (3, 4))
    assert gallery.center(both).tolist() == [31.5, 30]
    assert gallery.size(both) == 2 * (PER_CLUSTER - 2)
    members = gallery.members(both)
    assert (np.diff(squares(planted, members, gallery.center(both))) >= 0).all()
    others = [one(0), one(1), one(2), both]
    assert gallery.neighbours(one(1), others)[0].number == 0


def test_splits_are_followed_and_undone(planted):
    gallery = planted.gallery()
    before = [gallery.members(one(number)).tolist() for number in range(5)]
    centers = gallery.halves(one(1))
    assert centers is not None
    split = Split(1, 5, centers)
    gallery.follow([split])
    assert gallery.clusters == 6
    kept, new = gallery.members(one(1)), gallery.members(one(5))
    assert len(kept) >= len(new) > 0
    assert sorted([*kept, *new]) == sorted(before[1])
    assert not is_second(planted.points[kept], centers).any()
    assert is_second(planted.points[new], centers).all()
    again = gallery.halves(one(5))
    assert again is not None
    gallery.follow([split, Split(5, 6, again)])
    assert gallery.clusters == 7
    other = gallery.halves(one(0))
    assert other is not None
    gallery.follow([split, Split(0, 6, other)])
    assert sorted([*gallery.members(one(0)), *gallery.members(one(6))]) == sorted(before[0])
    assert sorted(gallery.members(one(5))) == sorted(new)
    gallery.follow([])
    assert [gallery.members(one(number)).tolist() for number in range(5)] == before


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_small_clusters(planted, count):
    planted.cluster[planted.cluster == 2] = 0
    planted.cluster[20 : 20 + count] = 2
    planted.pixels[21] = planted.pixels[20]
    planted.points[21] = planted.points[20]
    gallery = planted.gallery()
    sheet = gallery.sheet(one(2))
    assert sum(tile.copies for tile in sheet.nearest) == count
    assert (sheet.diverse, sheet.borderline) == ((), ())
    if count < 3:
        # One face, or copies of one, cannot be divided.
        assert gallery.halves(one(2)) is None
    groups = [one(number) for number in range(5)]
    shown = {group.number for group in gallery.neighbours(one(0), groups)}
    assert count > 0 or 2 not in shown
