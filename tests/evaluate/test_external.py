"""Agreement with labels, by hand, and the verdict on it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from daskfer.evaluate.external import (
    CHANCE_DRAWS,
    Agreement,
    agreement,
    as_metrics,
    contingency,
    majority_share,
    matched_share,
    normalized_information,
    random_tables,
    verdict,
)
from daskfer.faces import UNKNOWN


def codes(*values: int) -> np.ndarray:
    return np.array(values, np.int8)


def test_contingency_by_hand() -> None:
    table = contingency(np.array([0, 0, 2, 2, 2]), codes(3, 3, 0, UNKNOWN, 6), 3)
    assert table.tolist() == [
        [0, 0, 0, 2, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 1],
    ]


def test_matched_and_majority_by_hand() -> None:
    # Both clusters are mostly of the first emotion, but only one of them may have it.
    table = np.array([[5, 3, 0], [4, 1, 0], [0, 0, 2]])
    assert matched_share(table) == pytest.approx((3 + 4 + 2) / 15)
    assert majority_share(table) == pytest.approx((5 + 4 + 2) / 15)


def test_more_clusters_than_emotions_and_fewer() -> None:
    assert matched_share(np.array([[3, 0], [2, 0], [0, 1]])) == pytest.approx(4 / 6)
    assert matched_share(np.array([[3, 0, 2]])) == pytest.approx(3 / 5)


def test_perfect_clusters() -> None:
    emotion = np.repeat(np.arange(7), 20).astype(np.int8)
    found = agreement((emotion[:].astype(np.int32) + 3) % 7, emotion, 7, 0)
    assert found is not None
    for score in (found.nmi, found.ari, found.hungarian_accuracy, found.majority_accuracy):
        assert score == pytest.approx(1)
    assert found.hungarian_p == pytest.approx(1 / (CHANCE_DRAWS + 1))
    assert 1 / 7 < found.hungarian_chance < 0.35
    assert found.hungarian_chance <= found.chance_accuracy < 0.4
    assert verdict(found, 7).startswith("These clusters follow emotion better than chance")
    assert "1.000" in verdict(found, 7)


def test_random_clusters_are_no_better_than_chance() -> None:
    random = np.random.default_rng(0)
    emotion = random.integers(0, 7, 2000).astype(np.int8)
    found = agreement(random.integers(0, 7, 2000).astype(np.int32), emotion, 7, 0)
    assert found is not None
    assert found.hungarian_accuracy == pytest.approx(found.hungarian_chance, abs=0.03)
    assert found.majority_accuracy == pytest.approx(found.chance_accuracy, abs=0.03)
    assert abs(found.ari) < 0.01
    assert "no better than chance" in verdict(found, 7)


def test_clusters_that_follow_emotion_a_little() -> None:
    random = np.random.default_rng(0)
    emotion = random.integers(0, 7, 20_000).astype(np.int8)
    cluster = np.where(random.random(20_000) < 0.03, emotion, random.integers(0, 7, 20_000))
    found = agreement(cluster, emotion, 7, 0)
    assert found is not None
    assert "hardly better than chance" in verdict(found, 7)


def test_faces_without_a_label_do_not_count() -> None:
    random = np.random.default_rng(1)
    emotion = random.integers(0, 7, 300).astype(np.int8)
    cluster = random.integers(0, 5, 300).astype(np.int32)
    more = np.concatenate([emotion, np.full(50, UNKNOWN, np.int8)])
    found = agreement(np.concatenate([cluster, np.zeros(50, np.int32)]), more, 5, 0)
    assert found == agreement(cluster, emotion, 5, 0)
    assert found is not None
    assert found.nmi == pytest.approx(normalized_mutual_info_score(emotion, cluster))
    assert found.ari == pytest.approx(adjusted_rand_score(emotion, cluster))


def test_faces_without_a_cluster_are_misses_also_by_chance() -> None:
    random = np.random.default_rng(1)
    emotion = random.integers(0, 7, 300).astype(np.int8)
    cluster = random.integers(0, 5, 300).astype(np.int32)
    whole = agreement(cluster, emotion, 5, 0)
    # A fifth of the faces with a label have no cluster; what has neither counts nowhere.
    more = np.concatenate([emotion, np.zeros(75, np.int8), np.full(40, UNKNOWN, np.int8)])
    found = agreement(np.concatenate([cluster, np.full(115, UNKNOWN, np.int32)]), more, 5, 0)
    assert whole is not None
    assert found is not None
    for share in (
        "hungarian_accuracy", "majority_accuracy", "chance_accuracy", "hungarian_chance"
    ):  # fmt: skip
        assert getattr(found, share) == pytest.approx(0.8 * getattr(whole, share)), share
    # They are no cluster of their own, and no less likely by chance.
    for same in ("nmi", "ari", "nmi_chance", "hungarian_p", "majority_p"):
        assert getattr(found, same) == pytest.approx(getattr(whole, same)), same


def test_faces_without_a_cluster_by_hand() -> None:
    cluster = np.array([0, 0, 1, UNKNOWN, UNKNOWN])
    emotion = codes(3, 3, 4, 4, UNKNOWN)
    table = contingency(cluster, emotion, 2)
    assert (table.sum(), table[0, 3], table[1, 4]) == (3, 2, 1)
    found = agreement(cluster, emotion, 2, 0)
    assert found is not None
    assert found.majority_accuracy == found.hungarian_accuracy == pytest.approx(3 / 4)


def test_where_no_labelled_face_has_a_cluster_there_is_no_agreement() -> None:
    assert agreement(np.array([UNKNOWN, 0]), codes(3, UNKNOWN), 2, 0) is None


def test_without_labels_there_is_no_agreement() -> None:
    found = agreement(np.array([0, 1]), codes(UNKNOWN, UNKNOWN), 2, 0)
    assert found is None
    fields = [field.name for field in dataclasses.fields(Agreement)]
    assert as_metrics(found) == dict.fromkeys(fields)


def test_many_clusters_are_judged_by_their_majorities() -> None:
    # Each emotion in ten clusters: one to one, nine in ten faces are without a match.
    emotion = np.tile(np.repeat(np.arange(7), 10), 10).astype(np.int8)
    cluster = (emotion * 10 + np.tile(np.arange(10), 70)).astype(np.int32)
    found = agreement(cluster, emotion, 70, 0)
    assert found is not None
    assert found.majority_accuracy == 1
    assert found.hungarian_accuracy < 0.2
    assert "better than chance (majority accuracy 1.000" in verdict(found, 70)


def test_normalized_information_is_scikit_learns() -> None:
    random = np.random.default_rng(2)
    emotion, cluster = random.integers(0, 7, 400).astype(np.int8), random.integers(0, 9, 400)
    table = contingency(cluster, emotion, 9)
    assert normalized_information(table) == pytest.approx(
        normalized_mutual_info_score(emotion, cluster)
    )
    assert normalized_information(np.array([[5, 0], [0, 0]])) == 0
    assert normalized_information(np.eye(7) * 5) == pytest.approx(1)
    assert normalized_information(np.ones((3, 7))) == pytest.approx(0)
    # Random clusters share information by chance alone, and more of it the more they are.
    found = agreement(cluster, emotion, 9, 0)
    assert found is not None
    assert found.nmi_chance == pytest.approx(found.nmi, abs=0.02)


def test_one_emotion_in_one_cluster_proves_nothing() -> None:
    # Whatever the clusters, they match: chance is 1 too, and there is no way from it to 1.
    found = agreement(np.zeros(30, np.int32), np.full(30, 3, np.int8), 4, 0)
    assert found is not None
    assert found.hungarian_chance == 1
    assert "no better than chance" in verdict(found, 7)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(30, 200))
def test_random_tables_keep_the_margins_and_shares_are_ordered(seed: int, k: int, n: int) -> None:
    random = np.random.default_rng(seed)
    table = contingency(random.integers(0, k, n), random.integers(0, 7, n).astype(np.int8), k)
    draws = random_tables(table, seed)
    assert draws.shape == (CHANCE_DRAWS, k, 7)
    assert (draws.sum(axis=2) == table.sum(axis=1)).all()
    assert (draws.sum(axis=1) == table.sum(axis=0)).all()
    assert (draws == random_tables(table, seed)).all()
    assert 0 < matched_share(table) <= majority_share(table) <= 1
    order = random.permutation(k)
    assert matched_share(table[order]) == pytest.approx(matched_share(table))


def test_other_numbers_of_classes():
    cluster = np.array([0, 0, 1, 1, 2, UNKNOWN], np.int32)
    emotion = np.array([8, 8, 0, 1, UNKNOWN, 3], np.int8)
    table = contingency(cluster, emotion, 3, 9)
    assert table.shape == (3, 9)
    assert (table[0, 8], table[1, 0], table[1, 1], table.sum()) == (2, 1, 1, 4)
    scores = agreement(cluster, emotion, 3, 42, 9)
    assert scores.majority_accuracy == pytest.approx(3 / 5)


def test_the_verdict_speaks_of_classes():
    cluster = np.repeat([0, 1], 50).astype(np.int32)
    emotion = np.repeat([0, 1], 50).astype(np.int8)
    scores = agreement(cluster, emotion, 2, 42, 2)
    assert verdict(scores, 2, ("cat", "dog")).startswith(
        "These clusters follow the classes better than chance (one-to-one accuracy 1.000"
    )
    # With more clusters than classes it goes by the majority.
    assert "majority accuracy" in verdict(scores, 3, ("cat", "dog"))
