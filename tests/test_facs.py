"""Emotions told from action units: worked-out values, and faces drawn from the prototypes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from daskfer import facs
from daskfer.errors import RecipeError
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.foresight import check_parts
from daskfer.recipe import NameByFacs, Recipe
from daskfer.represent.expression.blendshapes import AVERAGED


def drawn(emotion: str, rows: int, seed: int) -> np.ndarray:
    """Faces (n, 31) that show the first variant of an emotion; nothing for neutral."""
    random = np.random.default_rng(seed)
    scores = random.uniform(0.02, 0.3, (rows, len(AVERAGED)))
    for unit in facs.PROTOTYPES.get(emotion, ((),))[0]:
        scores[:, AVERAGED.index(facs.ACTION_UNITS[unit][1])] = random.uniform(0.6, 0.9, rows)
    return scores


@pytest.fixture(scope="module")
def crowd():
    told = [emotion for emotion in EMOTIONS if emotion != "disgust"]
    counts = {emotion: 300 if emotion != "neutral" else 900 for emotion in told}
    scores = np.vstack([drawn(name, counts[name], seed) for seed, name in enumerate(told)])
    return scores, np.repeat([EMOTIONS.index(name) for name in told], list(counts.values()))


def test_every_unit_of_a_prototype_is_told_by_a_blendshape():
    for table in (facs.PROTOTYPES, {name: (units,) for name, units in facs.EXCLUDED.items()}):
        assert set(table) == set(EMOTIONS) - {"neutral"}
        for variants in table.values():
            for variant in variants:
                assert all(facs.ACTION_UNITS[unit][1] in AVERAGED for unit in variant)


def test_no_emotion_excludes_all_of_what_it_shows():
    for name, variants in facs.PROTOTYPES.items():
        for variant in variants:
            assert set(variant) - set(facs.EXCLUDED[name])


def test_normal_scores_are_those_of_quantiles():
    ordered = np.array([[0.1], [0.2], [0.3]])
    found = facs.normal_scores(np.array([[0.05], [0.2], [0.25], [0.9]]), ordered)
    # None, one, two and all three of the three are below.
    assert found[:, 0] == pytest.approx(norm.ppf([0.125, 0.375, 0.625, 0.875]))


def test_extreme_scores_end_somewhere():
    ordered = np.linspace(0, 1, 100_000)[:, None]
    found = facs.normal_scores(np.array([[-1.0], [2.0]]), ordered)
    assert found[:, 0] == pytest.approx(norm.ppf([facs.CLIP, 1 - facs.CLIP]))


def test_faces_that_show_a_prototype_are_told(crowd):
    scores, emotion = crowd
    reader = facs.read_prototypes(scores, np.ones(len(scores), bool))
    shares = reader.shares(reader.normal_scores(scores))
    assert shares.sum(axis=1) == pytest.approx(1)
    assert (shares.argmax(axis=1) == emotion).mean() > 0.7


def test_clusters_of_them_are_named_with_their_reasons(crowd):
    scores, emotion = crowd
    reader = facs.read_prototypes(scores, np.ones(len(scores), bool))
    told = facs.tell(facs.cluster_sums(scores, emotion, reader, len(EMOTIONS)), 0.1)
    for code, name in enumerate(EMOTIONS):
        if name == "disgust":
            assert told.emotion[code] == UNKNOWN  # no face is in it
        else:
            assert told.emotion[code] == code
            assert told.margin[code] >= 0.1
            assert told.score[code] <= 1
    assert "AU12 lip corner puller" in told.reasons[EMOTIONS.index("happy")]


def test_what_is_not_told_clearly_has_no_name(crowd):
    scores, _ = crowd
    reader = facs.read_prototypes(scores, np.ones(len(scores), bool))
    mixed = np.arange(len(scores)) % 3
    told = facs.tell(facs.cluster_sums(scores, mixed, reader, 3), 0.5)
    assert (told.emotion == UNKNOWN).all()
    assert (told.margin < 0.5).all()


def test_disgust_is_never_a_name():
    sums = np.zeros((1, 1 + len(EMOTIONS) + len(AVERAGED)))
    sums[0, 0], sums[0, 1 + EMOTIONS.index("disgust")] = 10, 10
    told = facs.tell(sums, 0.1)
    assert told.emotion.tolist() == [UNKNOWN]
    assert told.margin.tolist() == [1.0]
    assert told.reasons == ("",)


def test_scores_that_hardly_move_count_for_nothing(crowd):
    scores, _ = crowd
    still = scores.copy()
    column = AVERAGED.index("cheekSquint")
    still[:, column] = np.random.default_rng(0).uniform(0, facs.STILL / 2, len(scores))
    one = facs.read_prototypes(still, np.ones(len(scores), bool))
    still[:, column] = still[::-1, column]
    other = facs.read_prototypes(still, np.ones(len(scores), bool))
    assert one.mixture.weights == pytest.approx(other.mixture.weights)


def test_no_face_beyond_doubt_is_no_error(crowd):
    scores, _ = crowd
    none = facs.read_prototypes(scores, np.zeros(len(scores), bool))
    every = facs.read_prototypes(scores, np.ones(len(scores), bool))
    assert np.array_equal(none.mixture.means, every.mixture.means)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 2099))
def test_sums_add_up_in_any_pieces_and_order(crowd, seed, cut):
    scores, emotion = crowd
    reader = facs.read_prototypes(scores, np.ones(len(scores), bool))
    order = np.random.default_rng(seed).permutation(len(scores))
    whole = facs.cluster_sums(scores, emotion, reader, 7)
    parts = [facs.cluster_sums(scores[rows], emotion[rows], reader, 7)
             for rows in (order[:cut], order[cut:])]  # fmt: skip
    assert parts[0] + parts[1] == pytest.approx(whole)


def test_needs_what_tells_action_units():
    with pytest.raises(RecipeError, match=r"name\.how=facs needs action units"):
        check_parts(Recipe(name=NameByFacs()))


@pytest.mark.parametrize("margin", [-0.1, 1.1])
def test_a_margin_is_a_difference_of_shares(margin):
    with pytest.raises(RecipeError, match=r"name\.margin"):
        NameByFacs(margin=margin)
