"""Gaussian mixtures over blocks.

What is guaranteed is as for KMeans: the same pieces in the same order give the same mixture bit
for bit, whatever files the rows lie in and whoever computes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from daskfer import storage
from daskfer.blocks import BlockFiles, cut, starts_of
from daskfer.cluster import assign, best_of
from daskfer.clusterers import fit_points as fit_any
from daskfer.clusterers import from_arrays
from daskfer.em import (
    Standard,
    best_mixture,
    expect,
    fit_mixture,
    fit_points,
    log_terms,
    maximize,
    products,
    products_count,
    starting_mixture,
)
from daskfer.engine import InProcess
from daskfer.errors import RecipeError
from daskfer.mixture import Mixture, check_columns
from daskfer.recipe import Gmm, KMeansClusters
from daskfer.store import StageFolder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Products of small matrices by several threads wait for one another on a busy machine."""
    with threadpool_limits(1):
        yield


ASIS = Standard(np.zeros(1), np.ones(1))
NEVER_ENDING = Gmm(clusters=3, tolerance=0.0, max_iterations=12)


def stripes(rows: int = 900, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points (float32) of three long thin Gaussians side by side, and which one each is of."""
    random = np.random.default_rng(seed)
    kind = random.choice(3, rows, p=[0.5, 0.3, 0.2])
    points = random.normal(size=(rows, 2)) * [4, 0.5]
    points[:, 1] += 4 * kind
    turned = points @ np.array([[0.8, 0.6], [-0.6, 0.8]])
    return turned.astype(np.float32), kind


def overlapping(rows: int, columns: int, k: int, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    centers = random.normal(size=(k, columns)) * 1.5
    points = centers[random.integers(0, k, rows)]
    points += random.normal(size=(rows, columns)) @ random.normal(size=(columns, columns)) * 0.5
    return ((points - points.mean(axis=0)) / points.std(axis=0)).astype(np.float32)


def in_files(folder: Path, values: np.ndarray, sizes: list[int]) -> BlockFiles:
    files = BlockFiles(StageFolder(str(folder)), "points.npy", starts_of(sizes))
    for number in range(files.count):
        a, b = files.starts[number : number + 2]
        storage.write_array(files.path(number), values[a:b])
    return files


def any_mixture(random: np.random.Generator, k: int, columns: int) -> Mixture:
    roots = random.normal(size=(k, columns, columns)) + 2 * np.eye(columns)
    weights = random.random(k) + 0.1
    return Mixture(
        weights / weights.sum(),
        random.normal(size=(k, columns)),
        roots @ roots.transpose(0, 2, 1),
    )


def scikit_learns(of: Mixture, **settings: object) -> GaussianMixture:
    """scikit-learn's mixture with these parameters, or started from them."""
    model = GaussianMixture(
        len(of.weights),
        weights_init=of.weights,
        means_init=of.means,
        precisions_init=np.linalg.inv(of.covariances),
        init_params="random_from_data",
        **settings,
    )
    model.weights_, model.means_, model.covariances_ = of.weights, of.means, of.covariances
    factors = np.linalg.cholesky(of.covariances)
    model.precisions_cholesky_ = np.linalg.inv(factors).transpose(0, 2, 1)
    return model


# Worked out by hand.


def test_products_by_hand() -> None:
    found = products(np.array([[2.0], [3]]), np.empty((products_count(2), 1)))
    assert found.ravel().tolist() == [1, 2, 3, 4, 6, 9]
    assert products_count(20) == 231


def test_an_e_step_by_hand() -> None:
    of = Mixture(np.array([0.5, 0.5]), np.array([[0.0], [2]]), np.ones((2, 1, 1)))
    found = expect(np.array([[1.0], [0]]), ASIS, log_terms(of))
    # Half of the point between both belongs to each; of the other, 1 / (1 + e^-2) to the first.
    most = 1 / (1 + np.exp(-2))
    assert found.sums[0] == pytest.approx([0.5 + most, 0.5, 0.5])
    assert found.sums[1] == pytest.approx([1.5 - most, 0.5, 0.5])
    log = -0.5 * np.log(2 * np.pi)
    expected = (log - 0.5) + (log + np.log(0.5 + 0.5 * np.exp(-2)))
    assert found.log_likelihood == pytest.approx(expected)


def test_an_m_step_by_hand() -> None:
    # Rows 0 and 2 in the first component, 10 in the second, none in the third.
    sums = np.array([[2, 2, 4.0], [1, 10, 100], [0, 0, 0]])
    before = Mixture(np.full(3, 1 / 3), np.array([[0.0], [0], [7]]), np.full((3, 1, 1), 5.0))
    found = maximize(sums, before, 0.25)
    assert found.weights == pytest.approx([2 / 3, 1 / 3, 0])
    assert found.means.ravel().tolist() == [1, 10, 7]
    assert found.covariances.ravel().tolist() == [1.25, 0.25, 5]


def test_an_assignment_by_hand() -> None:
    of = Mixture(
        np.array([0.8, 0.2]),
        np.array([[0.0, 0], [4, 0]]),
        np.array([np.eye(2), np.diag([4.0, 1])]),
    )
    found = of.assign(np.array([[0, 0], [4, 3], [3, 0]], np.float32))
    # The last one is nearer to the second mean, and by its spread nearer still.
    assert found.cluster.tolist() == [0, 1, 1]
    assert found.cluster.dtype == np.int32
    assert found.nearest == pytest.approx([0, 9, 0.25])
    density = np.array([0.8 * np.exp(-4.5), 0.1 * np.exp(-0.125)]) / (2 * np.pi)
    assert found.confidence[2] == pytest.approx(density[1] / density.sum())
    assert found.confidence.dtype == np.float32
    assert found.log_density[2] == pytest.approx(np.log(density.sum()))


def test_bic_by_hand() -> None:
    of = Mixture(np.ones(3) / 3, np.zeros((3, 2)), np.zeros((3, 2, 2)), 1, -2.5)
    # 2 weights, 6 numbers of means and 9 of covariances.
    assert of.bic(100) == pytest.approx(500 + 17 * np.log(100))


# Against scikit-learn's.


@pytest.mark.parametrize(
    ("rows", "columns", "k", "block_rows"),
    [(900, 2, 3, 900), (900, 2, 3, 64), (3000, 6, 7, 256), (3000, 20, 7, 1000), (500, 1, 2, 99)],
)
def test_equals_scikit_learn_from_the_same_start(
    rows: int, columns: int, k: int, block_rows: int, tmp_path: Path
) -> None:
    points = overlapping(rows, columns, k)
    files = in_files(tmp_path, points, [rows // 3, 0, rows - rows // 3])
    method = Gmm(clusters=k, tolerance=0.0, max_iterations=15, regularization=1e-6)
    start = fit_points(points, Gmm(clusters=k, max_iterations=1), 0)
    found = fit_mixture(InProcess(), files, cut(np.arange(rows), block_rows), method, start)
    theirs = scikit_learns(start, tol=0, max_iter=15, reg_covar=1e-6).fit(points.astype(float))
    assert found.iterations == theirs.n_iter_ == 15
    # What moved shows that there was something to agree on.
    assert np.abs(found.means - start.means).max() > 0.01
    assert found.weights == pytest.approx(theirs.weights_, abs=1e-9)
    assert np.abs(found.means - theirs.means_).max() < 1e-8
    assert np.abs(found.covariances - theirs.covariances_).max() < 1e-8
    assert found.bic(rows) == pytest.approx(theirs.bic(points.astype(float)), rel=1e-9)
    same = scikit_learns(found)
    assert found.bic(rows) == pytest.approx(same.bic(points.astype(float)), rel=1e-12)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4])
def test_ends_at_the_iteration_at_which_scikit_learn_ends(tolerance: float, tmp_path: Path) -> None:
    points = overlapping(1500, 4, 3)
    files = in_files(tmp_path, points, [1500])
    start = fit_points(points, Gmm(clusters=3, max_iterations=1), 0)
    method = Gmm(clusters=3, tolerance=tolerance, regularization=1e-6)
    found = fit_mixture(InProcess(), files, cut(np.arange(1500), 200), method, start)
    theirs = scikit_learns(start, tol=tolerance, max_iter=300, reg_covar=1e-6)
    assert found.iterations == theirs.fit(points.astype(float)).n_iter_ > 1


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 50), st.integers(1, 5), st.integers(1, 6))
def test_assignment_equals_scikit_learns(seed: int, rows: int, k: int, columns: int) -> None:
    random = np.random.default_rng(seed)
    of, points = any_mixture(random, k, columns), 3 * random.normal(size=(rows, columns))
    found, theirs = of.assign(points), scikit_learns(of)
    posterior = theirs.predict_proba(points)
    assert found.confidence == pytest.approx(posterior.max(axis=1), abs=1e-6)
    assert posterior[np.arange(rows), found.cluster] == pytest.approx(posterior.max(axis=1))
    assert found.log_density == pytest.approx(theirs.score_samples(points))
    away = points - of.means[found.cluster]
    inverse = np.linalg.inv(of.covariances)[found.cluster]
    assert found.nearest == pytest.approx(np.einsum("na,nab,nb->n", away, inverse, away))
    # The E-step, which takes another way, finds the same densities.
    one = Standard(np.zeros(columns), np.ones(columns))
    found_by_products = expect(points, one, log_terms(of))
    assert found_by_products.log_likelihood == pytest.approx(found.log_density.sum())
    assert found_by_products.sums[:, 0] == pytest.approx(posterior.sum(axis=0))


def test_many_rows_are_assigned_in_slices() -> None:
    points = overlapping(9000, 3, 4)
    of = fit_points(points[:1000], Gmm(clusters=4, max_iterations=5), 0)
    whole, theirs = of.assign(points), scikit_learns(of).predict_proba(points.astype(float))
    assert (whole.cluster == theirs.argmax(axis=1)).all()
    assert of.assign(points[8500:]).confidence == pytest.approx(whole.confidence[8500:], abs=1e-6)


# What a mixture finds.


def test_finds_long_thin_clusters_that_kmeans_cuts_across(tmp_path: Path) -> None:
    points, kind = stripes()
    files = in_files(tmp_path, points, [300, 600])
    fit, method = np.arange(900), Gmm(clusters=3, restarts=10)
    start = starting_mixture(InProcess(), files, fit, method, 0)
    found = fit_mixture(InProcess(), files, cut(fit, 128), method, start)
    assert adjusted_rand_score(kind, found.assign(points).cluster) > 0.97
    centers = best_of(points, KMeansClusters(clusters=3, restarts=10), 0, "test")
    assert adjusted_rand_score(kind, assign(points, centers).cluster) < 0.3
    order = np.argsort(-found.weights)
    assert found.weights[order] == pytest.approx([0.5, 0.3, 0.2], abs=0.05)
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]])
    planted = turn.T @ np.diag([16, 0.25]) @ turn
    assert found.covariances[order[0]] == pytest.approx(planted, abs=0.2 * 16)


def test_bic_tells_how_many_were_planted() -> None:
    points, _ = stripes(2000)
    bic = {
        k: best_mixture(points, Gmm(clusters=k, restarts=6), 0, "test").bic(2000) for k in (2, 3, 4)
    }
    assert min(bic, key=bic.__getitem__) == 3


def test_the_likelihood_never_falls(tmp_path: Path) -> None:
    points = overlapping(800, 3, 5)
    files = in_files(tmp_path, points, [800])
    start = fit_points(points, Gmm(clusters=5, max_iterations=1), 0)
    likelihoods = [
        fit_mixture(
            InProcess(),
            files,
            cut(np.arange(800), 100),
            Gmm(clusters=5, tolerance=0.0, max_iterations=most, regularization=1e-9),
            start,
        ).log_likelihood
        for most in (1, 2, 3, 5, 8, 20, 40)
    ]
    assert (np.diff(likelihoods) > -1e-12).all()
    assert likelihoods[-1] > likelihoods[0] + 0.01


def test_a_lost_component_keeps_its_place(tmp_path: Path) -> None:
    points, _ = stripes()
    files = in_files(tmp_path, points, [900])
    two = fit_points(points, Gmm(clusters=2), 0)
    far = Mixture(
        np.array([*two.weights * 0.9, 0.1]),
        np.vstack([two.means, [1e4, 1e4]]),
        np.concatenate([two.covariances, [np.eye(2)]]),
    )
    pieces = cut(np.arange(900), 100)
    found = fit_mixture(InProcess(), files, pieces, NEVER_ENDING, far)
    without = fit_mixture(InProcess(), files, pieces, NEVER_ENDING, two)
    assert found.means[2] == pytest.approx([1e4, 1e4])
    assert found.covariances[2] == pytest.approx(np.eye(2))
    assert found.weights[2] == 0
    assert found.means[:2] == pytest.approx(without.means)
    assert found.log_likelihood == pytest.approx(without.log_likelihood)
    assert (found.assign(points).cluster == without.assign(points).cluster).all()


# Sameness.


def test_the_same_pieces_give_the_same_bits_whatever_the_files(tmp_path: Path) -> None:
    points, _ = stripes()
    pieces = cut(np.arange(0, 900, 2), 60)
    start = fit_points(points[:300], Gmm(clusters=3), 0)
    found = [
        fit_mixture(
            InProcess(), in_files(tmp_path / str(i), points, sizes), pieces, NEVER_ENDING, start
        )
        for i, sizes in enumerate([[900], [1, 899], [100, 300, 0, 500]])
    ]
    for other in found[1:]:
        assert (other.means == found[0].means).all()
        assert (other.covariances == found[0].covariances).all()
        assert other.log_likelihood == found[0].log_likelihood


def test_other_pieces_agree_to_rounding(tmp_path: Path) -> None:
    points, _ = stripes()
    files = in_files(tmp_path, points, [900])
    start = fit_points(points, Gmm(clusters=3), 0)
    one, other = (
        fit_mixture(InProcess(), files, cut(np.arange(900), rows), NEVER_ENDING, start)
        for rows in (900, 64)
    )
    assert one.means == pytest.approx(other.means, abs=1e-9)
    assert one.covariances == pytest.approx(other.covariances, abs=1e-8)


def test_a_mixture_read_back_assigns_the_same(tmp_path: Path) -> None:
    points, _ = stripes()
    of = fit_points(points, NEVER_ENDING, 0)
    order = np.array([2, 0, 1])
    moved = of.in_order(order)
    assert (order[moved.assign(points).cluster] == of.assign(points).cluster).all()
    storage.write_arrays(str(tmp_path / "clusters.npz"), **moved.arrays(), other=np.arange(3))
    again = from_arrays(storage.read_arrays(str(tmp_path / "clusters.npz")))
    assert isinstance(again, Mixture)
    assert again.log_likelihood == of.log_likelihood
    for key in ("cluster", "confidence", "nearest", "log_density"):
        found = getattr(again.assign(points), key)
        assert (found == getattr(moved.assign(points), key)).all()


def test_centres_read_back_assign_the_same(tmp_path: Path) -> None:
    points, _ = stripes()
    of = fit_any(points, KMeansClusters(clusters=3, restarts=2), 0, "test")
    storage.write_arrays(str(tmp_path / "clusters.npz"), **of.arrays())
    again = from_arrays(storage.read_arrays(str(tmp_path / "clusters.npz")))
    assert again.kind == of.kind == "kmeans"
    assert (again.assign(points).cluster == of.assign(points).cluster).all()


def test_starts_are_the_likeliest_restart_on_all_rows_or_a_sample(tmp_path: Path) -> None:
    points = overlapping(600, 3, 6)
    files = in_files(tmp_path, points, [250, 350])
    fit, many = np.arange(10, 590), Gmm(clusters=6, restarts=5)
    found = starting_mixture(InProcess(), files, fit, many, seed=1)
    one = starting_mixture(InProcess(), files, fit, Gmm(clusters=6, restarts=1), seed=1)
    assert found.log_likelihood >= one.log_likelihood
    assert (starting_mixture(InProcess(), files, fit, many, seed=1).means == found.means).all()
    other = starting_mixture(InProcess(), files, fit, many, seed=2)
    assert not np.array_equal(other.means, found.means)
    few = Gmm(clusters=6, restarts=2, sample_rows=100)
    sampled = starting_mixture(InProcess(), files, fit, few, seed=1)
    assert sampled.means.shape == (6, 3)
    assert not np.allclose(sampled.means, found.means)
    # Fitted in memory, as noise and halves are: the same restarts by the same name.
    same = best_mixture(points[fit], many, 1, "cluster-restart")
    assert (same.means == found.means).all()


# Awkward data.


def test_a_large_mean_costs_no_digits(tmp_path: Path) -> None:
    # In steps of 2**-10, so that float32 holds the moved values exactly.
    points = (np.round(stripes()[0] * 1024) / 1024).astype(np.float32)
    moved = points + np.float32(4096)
    assert (moved - np.float32(4096) == points).all()
    pieces, start = cut(np.arange(900), 100), fit_points(points, Gmm(clusters=3), 0)
    there = Mixture(start.weights, start.means + 4096, start.covariances)
    one = fit_mixture(
        InProcess(), in_files(tmp_path / "a", points, [900]), pieces, NEVER_ENDING, start
    )
    other = fit_mixture(
        InProcess(), in_files(tmp_path / "b", moved, [900]), pieces, NEVER_ENDING, there
    )
    assert other.means - 4096 == pytest.approx(one.means, abs=1e-8)
    assert other.covariances == pytest.approx(one.covariances, abs=1e-8)
    assert other.log_likelihood == pytest.approx(one.log_likelihood, rel=1e-9)
    assert (other.assign(moved).cluster == one.assign(points).cluster).all()


def test_the_scale_of_a_column_does_not_matter(tmp_path: Path) -> None:
    points, _ = stripes()
    scale = np.array([2.0**10, 2.0**-10])
    pieces, start = cut(np.arange(900), 100), fit_points(points, Gmm(clusters=3), 0)
    there = Mixture(start.weights, start.means * scale, start.covariances * np.outer(scale, scale))
    one = fit_mixture(
        InProcess(), in_files(tmp_path / "a", points, [900]), pieces, NEVER_ENDING, start
    )
    scaled = (points * scale).astype(np.float32)
    other = fit_mixture(
        InProcess(), in_files(tmp_path / "b", scaled, [900]), pieces, NEVER_ENDING, there
    )
    assert other.means / scale == pytest.approx(one.means, rel=1e-6, abs=1e-6)
    assert (other.assign(scaled).cluster == one.assign(points).cluster).all()


@pytest.mark.parametrize("value", [0.0, 1 / 7, 1e6])
def test_a_constant_column_changes_nothing(value: float) -> None:
    points, _ = stripes()
    wider = np.column_stack([points, np.full(900, value, np.float32)])
    # To the end: KMeans, whose tolerance counts columns, starts the two a little apart.
    method = replace(NEVER_ENDING, max_iterations=300)
    one, other = fit_points(points, method, 0), fit_points(wider, method, 0)
    assert (one.assign(points).cluster == other.assign(wider).cluster).all()
    assert other.means[:, 2] == pytest.approx(np.full(3, np.float32(value)))
    assert one.means == pytest.approx(other.means[:, :2], abs=1e-6)


def test_collinear_columns_are_regularized(tmp_path: Path) -> None:
    points, kind = stripes()
    wider = np.column_stack([points, 2 * points[:, 0]])
    files = in_files(tmp_path, wider, [900])
    for regularization in (1e-2, 1e-4, 1e-9):
        method = Gmm(clusters=3, restarts=8, regularization=regularization)
        start = starting_mixture(InProcess(), files, np.arange(900), method, 0)
        found = fit_mixture(InProcess(), files, cut(np.arange(900), 100), method, start)
        scale = wider.astype(float).std(axis=0)
        least = np.linalg.eigvalsh(found.covariances / np.outer(scale, scale)).min()
        assert least == pytest.approx(regularization, rel=0.05)
        assert adjusted_rand_score(kind, found.assign(wider).cluster) > 0.9


@pytest.mark.parametrize(("distinct", "k"), [(1, 2), (1, 5), (3, 5), (4, 4)])
def test_fewer_distinct_rows_than_clusters(distinct: int, k: int, tmp_path: Path) -> None:
    kinds = np.array([[0, 0, 1], [5, 1, 0], [-3, 8, 2], [1, 1, 1]], np.float32)[:distinct]
    points = np.repeat(kinds, 12, axis=0)
    files, rows = in_files(tmp_path, points, [len(points)]), np.arange(len(points))
    method = Gmm(clusters=k, restarts=3)
    start = starting_mixture(InProcess(), files, rows, method, 0)
    found = fit_mixture(InProcess(), files, cut(rows, 64), method, start)
    assert np.isfinite(found.means).all()
    assert np.isfinite(found.covariances).all()
    assert np.isfinite(found.log_likelihood)
    assert found.weights.sum() == pytest.approx(1)
    cluster = found.assign(points).cluster.reshape(distinct, 12)
    assert (cluster == cluster[:, :1]).all()
    assert len(np.unique(cluster)) == distinct


def test_as_many_clusters_as_rows(tmp_path: Path) -> None:
    points = overlapping(9, 2, 3)
    files, method = in_files(tmp_path, points, [9]), Gmm(clusters=9, restarts=2)
    start = starting_mixture(InProcess(), files, np.arange(9), method, 0)
    found = fit_mixture(InProcess(), files, [np.arange(9)], method, start)
    assert sorted(found.assign(points).cluster.tolist()) == list(range(9))


def test_one_far_row_leaves_the_others_their_clusters() -> None:
    points, kind = stripes()
    points[17] = 1e3
    found = best_mixture(points, Gmm(clusters=4, restarts=10), 0, "test")
    cluster = np.delete(found.assign(points).cluster, 17)
    assert np.isfinite(found.log_likelihood)
    assert adjusted_rand_score(np.delete(kind, 17), cluster) > 0.9


def test_a_singular_covariance_is_an_error_with_a_way_out() -> None:
    flat = Mixture(np.ones(1), np.zeros((1, 2)), np.zeros((1, 2, 2)))
    with pytest.raises(RecipeError, match=r"singular covariance: .* cluster\.regularization"):
        flat.assign(np.zeros((3, 2)))


def test_too_many_columns_are_refused() -> None:
    check_columns(Gmm(), 256)
    check_columns(KMeansClusters(), 2304)
    with pytest.raises(RecipeError, match=r"gmm: rows of 2,304 columns .*reduce\.components"):
        check_columns(Gmm(), 2304)
