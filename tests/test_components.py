"""How many components: values from the papers, spectra made by hand, and noise."""

from __future__ import annotations

import itertools
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from daskfer.components import (
    choose,
    gavish_donoho_edge,
    marchenko_pastur_median,
    optimal_threshold,
    parallel_analysis_edge,
)
from daskfer.recipe import Rule

RULES = get_args(Rule)


def test_the_optimal_threshold_of_square_matrices_is_the_papers_title() -> None:
    assert optimal_threshold(1.0) == pytest.approx(4 / np.sqrt(3))
    assert optimal_threshold(1e-12) == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize(
    ("ratio", "factor"), [(0.05, 1.5194), (0.1, 1.6089), (0.2, 1.7650), (0.5, 2.1711), (1, 2.8582)]
)
def test_the_threshold_over_the_median_is_that_of_the_papers_table(
    ratio: float, factor: float
) -> None:
    found = optimal_threshold(ratio) / np.sqrt(marchenko_pastur_median(ratio))
    assert found == pytest.approx(factor, abs=3e-4)
    # And of their cubic, as good as they say.
    cubic = 0.56 * ratio**3 - 0.95 * ratio**2 + 1.82 * ratio + 1.43
    assert found == pytest.approx(cubic, abs=0.02)


@pytest.mark.parametrize("ratio", [1e-4, 0.01, 0.3, 0.8, 0.97, 1.0])
def test_half_of_the_law_lies_below_its_median(ratio: float) -> None:
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2

    def density(value: float) -> float:
        root = np.sqrt(max((high - value) * (value - low), 0.0))
        return float(root / (2 * np.pi * ratio * value))

    below, _ = quad(density, low, marchenko_pastur_median(ratio), limit=500)
    assert below == pytest.approx(0.5, abs=1e-6)


def test_the_edge_of_equal_variances_is_marchenko_and_pasturs() -> None:
    assert parallel_analysis_edge(np.full(50, 3.0), 201) == pytest.approx(3 * 1.5**2)
    assert parallel_analysis_edge(np.full(200, 1.0), 201) == pytest.approx(4)
    # Features that never vary are none.
    padded = np.concatenate([np.full(50, 3.0), np.zeros(30)])
    assert parallel_analysis_edge(padded, 201) == pytest.approx(3 * 1.5**2)


def test_the_edge_of_unequal_variances_is_that_of_drawn_noise() -> None:
    random = np.random.default_rng(0)
    variances = np.repeat([1.0, 5.0], 100)
    drawn = [
        np.linalg.eigvalsh(np.cov((random.normal(size=(1000, 200)) * np.sqrt(variances)).T))[-1]
        for _ in range(10)
    ]
    # Finite samples lie a little below the limit.
    assert np.mean(drawn) == pytest.approx(parallel_analysis_edge(variances, 1000), rel=0.03)


def spectrum(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    covariance = np.cov(values.T)
    return np.linalg.eigvalsh(covariance), np.diag(covariance)


def factors(strength: float, count: int, rows: int, features: int, seed: int = 0) -> np.ndarray:
    """White noise of variance 1, and so many factors that add `strength` to an eigenvalue each."""
    random = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(random.normal(size=(features, count)))
    scores = random.normal(size=(rows, count)) * np.sqrt(strength)
    return np.asarray(random.normal(size=(rows, features)) + scores @ axes.T)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("rows", "features"), [(2000, 100), (500, 400), (300, 900)])
@pytest.mark.parametrize("count", [1, 4, 12])
def test_strong_factors_in_white_noise_are_counted(
    rule: Rule, rows: int, features: int, count: int
) -> None:
    values = factors(60 * (1 + features / rows), count, rows, features)
    assert choose(*spectrum(values), rows, rule) == count


@pytest.mark.parametrize("rule", RULES)
def test_noise_alone_leaves_one_component(rule: Rule) -> None:
    values = np.random.default_rng(1).normal(size=(1000, 100))
    assert choose(*spectrum(values), 1000, rule) <= 2


def test_the_cut_by_hand() -> None:
    # Median 1, and 1.6089² = 2.5885 times it for a tenth as many features as rows.
    eigenvalues = np.array([9.0, 2.7, 2.5, 1, 1, 1, 1, 1, 1, 1])
    assert gavish_donoho_edge(eigenvalues, 10, 101) == pytest.approx(1.6089**2, abs=1e-3)
    assert choose(eigenvalues[::-1], np.full(10, eigenvalues.mean()), 101, "gavish-donoho") == 2


@pytest.mark.parametrize("rule", RULES)
def test_directions_without_variance_are_no_noise(rule: Rule) -> None:
    # Ten features repeated thirty times: most eigenvalues are 0, or the rounding of float32.
    few = factors(40, 2, 800, 10).astype(np.float32)
    scatter = (np.tile(few, 30).T @ np.tile(few, 30)).astype(np.float64) / 799
    once = choose(*spectrum(few), 800, rule)
    assert 1 <= choose(np.linalg.eigvalsh(scatter), np.diag(scatter), 800, rule) <= 10
    assert once == 2


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("rows", [1, 2, 3, 50])
def test_without_variance_or_rows_one_is_kept(rule: Rule, rows: int) -> None:
    assert choose(np.zeros(8), np.zeros(8), rows, rule) == 1


@settings(max_examples=60)
@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=30),
    st.integers(1, 200),
    st.sampled_from(RULES),
)
def test_a_number_between_one_and_what_there_is(
    eigenvalues: list[float], rows: int, rule: Rule
) -> None:
    values = np.array(eigenvalues)
    variances = np.full(len(values), values.mean())
    found = choose(values, variances, rows, rule)
    assert 1 <= found <= max(1, min(len(values), rows - 1))
    # The order of the eigenvalues does not count.
    assert choose(values[::-1], variances, rows, rule) == found


@settings(max_examples=30)
@given(st.integers(0, 5), st.sampled_from(RULES), st.sampled_from([1e-3, 0.1, 7.0, 1e4]))
def test_the_unit_of_the_features_does_not_count(seed: int, rule: Rule, scale: float) -> None:
    eigenvalues, variances = spectrum(factors(5, 3, 300, 40, seed))
    found = choose(eigenvalues, variances, 300, rule)
    assert choose(eigenvalues * scale, variances * scale, 300, rule) == found


def test_edges_rise_with_the_features_for_each_row() -> None:
    edges = [parallel_analysis_edge(np.ones(50), rows) for rows in (10, 100, 1000, 10**6)]
    assert all(more > less for more, less in itertools.pairwise(edges))
    assert edges[-1] == pytest.approx(1, abs=0.02)
