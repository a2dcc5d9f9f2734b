"""Reduction by parts: what a face and its mirror image share, weights, and the file."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from daskfer import storage
from daskfer.blocks import BlockFiles, cut, starts_of
from daskfer.engine import InProcess, fold_pairs
from daskfer.parts import (
    MIRROR_RIDGE,
    PartsReducer,
    Wish,
    fit_parts,
    interquartile_ranges,
    load_reducer,
    symmetric_components,
    wishes_of,
)
from daskfer.recipe import Expression, Parts
from daskfer.reduce import Reducer, merge_moments, moments
from daskfer.represent.expression.blendshapes import NAMES, average_sides
from daskfer.represent.expression.features import ExpressionFeatures
from daskfer.store import StageFolder

COLUMNS = 12
TURN = np.array([1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 10, 11])
"""Which column of a face a column of its mirror image is."""


def rows_of(count: int, seed: int = 0, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Rows, and those of the mirror images, which are a known permutation of their columns."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(COLUMNS, COLUMNS))
    rows = random.normal(size=(count, COLUMNS)) @ mixing + np.arange(COLUMNS)
    images = rows[:, TURN] + noise * random.normal(size=rows.shape)
    return rows.astype(np.float32), images.astype(np.float32)


def upright(axes: np.ndarray) -> np.ndarray:
    largest = np.abs(axes).argmax(axis=1)
    return np.asarray(axes * np.sign(axes[np.arange(len(axes)), largest])[:, None])


def mirror_distance(reducer: Reducer, rows: np.ndarray, images: np.ndarray) -> float:
    """How far a row is from its image, beside how far rows are from one another."""
    here, there = (reducer.transform(part).astype(float) for part in (rows, images))
    there = there - there.mean(axis=0) + here.mean(axis=0)
    return float(np.abs(here - there).mean() / np.abs(here - np.roll(here, 1, axis=0)).mean())


def test_of_an_exactly_linear_mirror_it_is_the_pca_of_both_halves() -> None:
    rows, images = rows_of(4000)
    found = symmetric_components(moments(rows), rows, images, 5)
    both = (rows.astype(float) + images) / 2
    theirs = PCA(5, svd_solver="full").fit(both)
    wanted = (both - both.mean(axis=0)) @ theirs.components_.T
    got = found.transform(rows).astype(float)
    # The ridge takes little off; a sign may be another, because the axes see one half alone.
    for column in range(5):
        assert abs(np.corrcoef(got[:, column], wanted[:, column])[0, 1]) > 0.999
    assert found.explained_variance == pytest.approx(theirs.explained_variance_, rel=0.02)
    assert got.var(axis=0, ddof=1) == pytest.approx(found.explained_variance, rel=1e-3)
    assert np.abs(np.corrcoef(got.T) - np.eye(5)).max() < 1e-3


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_mirror_images_nearly_have_the_components_of_their_faces(noise: float) -> None:
    rows, images = rows_of(3000, noise=noise)
    # Learned from some, and told of others.
    found = symmetric_components(moments(rows), rows[:2000], images[:2000], 4)
    plain = moments_reducer(rows, 4)
    here = mirror_distance(found, rows[2000:], images[2000:])
    assert here < 0.1
    assert here < 0.2 * mirror_distance(plain, rows[2000:], images[2000:])


def test_without_the_penalty_an_exact_mirror_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("daskfer.parts.MIRROR_RIDGE", 1e-12)
    rows, _ = rows_of(2000)
    # About one mean: the regression has no constant of its own.
    rows -= rows.mean(axis=0)
    images = rows[:, TURN]
    found = symmetric_components(moments(rows), rows[:200], images[:200], 6)
    assert mirror_distance(found, rows, images) < 1e-4


def moments_reducer(rows: np.ndarray, components: int) -> Reducer:
    from daskfer.reduce import principal_components

    return principal_components(moments(rows), components, whiten=False)


def test_faces_that_are_their_own_images_have_plain_components() -> None:
    rows, _ = rows_of(2000)
    found = symmetric_components(moments(rows), rows, rows, 6)
    plain = moments_reducer(rows, 6)
    # But for the ridge, by which small components are predicted a little too small.
    assert found.explained_variance == pytest.approx(plain.explained_variance, rel=0.05)
    assert found.axes == pytest.approx(plain.axes, abs=0.05)
    least = plain.explained_variance[0] / plain.explained_variance.sum()
    shrink = 1 - MIRROR_RIDGE / least
    assert found.explained_variance[0] / plain.explained_variance[0] == pytest.approx(
        ((1 + shrink) / 2) ** 2, rel=1e-3
    )


def test_the_sign_is_fixed() -> None:
    rows, images = rows_of(500)
    found = symmetric_components(moments(rows), rows, images, 6)
    assert found.axes == pytest.approx(upright(found.axes))


def test_a_constant_column_is_left_alone() -> None:
    rows, images = rows_of(500)
    rows[:, 10] = images[:, 10] = 7
    found = symmetric_components(moments(rows), rows, images, COLUMNS)
    assert np.isfinite(found.axes).all()
    assert np.abs(found.axes[:4, 10]).max() < 1e-6
    assert np.isfinite(found.transform(rows)).all()


def test_faces_that_are_all_alike_are_no_error() -> None:
    rows = np.full((20, 5), 3, np.float32)
    found = symmetric_components(moments(rows), rows, rows, 3)
    assert np.isfinite(found.axes).all()
    assert np.abs(found.transform(rows)).max() < 1e-6


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=6),
    st.integers(1, COLUMNS),
    st.integers(0, 1000),
)
def test_blocks_change_no_symmetric_component(sizes: list[int], components: int, seed: int) -> None:
    rows, images = rows_of(sum(sizes) + 30, seed, noise=0.1)
    sizes = [*sizes, 30]
    edges = starts_of(sizes)
    merged = fold_pairs([moments(rows[a:b]) for a, b in itertools.pairwise(edges)], merge_moments)
    found = symmetric_components(merged, rows, images, components)
    whole = symmetric_components(moments(rows), rows, images, components)
    scale = np.sqrt(whole.explained_variance[0])
    assert len(found.axes) == components
    assert found.explained_variance == pytest.approx(whole.explained_variance, abs=1e-4 * scale**2)
    assert (np.diff(found.explained_variance) <= 0).all()
    # Axes of nearly equal variances may turn; the subspace of all of them does not.
    if components == COLUMNS:
        products = [part.axes.T @ part.axes for part in (found, whole)]
        assert products[0] == pytest.approx(products[1], abs=1e-3)


# Whole reductions, of made-up measures in a store.


def made_up(rows: int, seed: int = 0, tokens: int = 64) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    person = random.normal(size=(rows, 6))
    layer = person @ np.random.default_rng(1).normal(size=(6, 2048)) / 4
    return {
        "blendshapes": (random.random((rows, 52)) ** 2).astype(np.float32),
        "tokens": (random.normal(size=(rows, tokens)) * np.linspace(2, 0.2, tokens) + 5).astype(
            np.float32
        ),
        "hog": random.random((rows, 1568)).astype(np.float16),
        "layer4": (layer + 0.01 * random.normal(size=(rows, 2048))).astype(np.float16),
    }


def kept(folder: Path, measures: dict[str, np.ndarray], sizes: list[int]) -> dict[str, BlockFiles]:
    found = {}
    for part, values in measures.items():
        files = BlockFiles(StageFolder(str(folder)), f"{part}.npy", starts_of(sizes))
        for number in range(files.count):
            start, stop = files.starts[number : number + 2]
            storage.write_array(files.path(number), values[start:stop])
        found[part] = files
    return found


def features_of(
    folder: Path, measures: dict[str, np.ndarray], sizes: list[int], sample: int = 0
) -> ExpressionFeatures:
    """Measures in a store; of the first `sample` faces there are mirror images."""
    positions = np.arange(sample)
    images = {part: values[:sample, ::-1].copy() for part, values in measures.items()}
    turned = kept(folder / "images", images, [sample]) if sample else {}
    return ExpressionFeatures(
        kept(folder / "faces", measures, sizes), turned, positions, 48, Expression()
    )


def fit(
    features: ExpressionFeatures, rows: int, wishes: list[Wish], ready: Parts, block: int = 10**6
) -> PartsReducer:
    return fit_parts(InProcess(), features, cut(np.arange(rows), block), wishes, ready)


def points_of(reducer: PartsReducer, features: ExpressionFeatures, blocks: int) -> np.ndarray:
    return np.concatenate([reducer.block(features, number) for number in range(blocks)])


def wish(part: str, components: int, weight: float = 1.0, whiten: bool = False) -> Wish:
    return Wish(part, components, weight, whiten)


def test_wishes_are_those_of_the_recipe() -> None:
    method = Parts(blendshapes=3, tokens=0, hog=5, layer8=7, hog_weight=0.25, whiten=True)
    assert wishes_of(method) == [
        Wish("blendshapes", 3, 1.0, True),
        Wish("hog", 5, 0.25, True),
        Wish("layer8", 7, 0.7, True),
    ]
    assert method.components == 15


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("sample", [0, 150])
def test_a_parts_variances_sum_to_its_weight(whiten: bool, sample: int, tmp_path: Path) -> None:
    features = features_of(tmp_path, made_up(300), [100, 200], sample)
    wishes = [
        wish("blendshapes", 8, 1.0, whiten),
        wish("tokens", 5, 0.5, whiten),
        wish("layer4", 4, 2.0, whiten),
    ]
    found = fit(features, 300, wishes, Parts())
    assert (found.components, found.explained_share) == (17, None)
    points = points_of(found, features, 2).astype(float)
    assert (points.shape, points_of(found, features, 2).dtype) == ((300, 17), np.float32)
    start = 0
    for part in wishes:
        columns = points[:, start : start + part.components]
        start += part.components
        assert columns.mean(axis=0) == pytest.approx(0, abs=1e-4)
        variances = columns.var(axis=0, ddof=1)
        assert variances.sum() == pytest.approx(part.weight**2, rel=1e-3)
        reducer = found.reducers[part.part]
        assert reducer.explained_variance == pytest.approx(variances, rel=1e-2)
        if whiten:
            each = part.weight**2 / part.components
            assert variances == pytest.approx(each, rel=1e-2)
        else:
            assert (np.diff(variances) < 0).all()


def test_a_part_without_images_has_plain_components(tmp_path: Path) -> None:
    measures = made_up(200)
    features = features_of(tmp_path, measures, [200])
    found = fit(features, 200, [wish("tokens", 6)], Parts()).reducers["tokens"]
    theirs = PCA(6, svd_solver="full").fit(measures["tokens"].astype(float))
    total = np.sqrt(theirs.explained_variance_.sum())
    assert found.axes * total == pytest.approx(upright(theirs.components_), abs=1e-3)
    assert found.mean == pytest.approx(theirs.mean_)


def test_a_part_with_images_has_what_both_share(tmp_path: Path) -> None:
    measures = made_up(800)
    measures["tokens"] = np.random.default_rng(5).normal(size=(800, 64)).astype(np.float32)
    distances = []
    for name, sample in (("both", 600), ("plain", 0)):
        features = features_of(tmp_path / name, measures, [350, 450], sample)
        found = fit(features, 800, [wish("tokens", 8)], Parts()).reducers["tokens"]
        # The images are made of the columns in reverse order.
        tokens = measures["tokens"]
        distances.append(mirror_distance(found, tokens, tokens[:, ::-1]))
    assert distances[0] < 0.1
    assert distances[1] > 0.5


def test_interquartile_ranges_by_hand() -> None:
    values = np.array([[0, 5, 1], [1, 5, 1], [2, 5, 1], [3, 5, 1], [4, 5, 9]], np.float32)
    # The third has a range, but not within the middle half.
    assert interquartile_ranges(values).tolist() == [2, 1, 1]


@pytest.mark.parametrize("sides", ["average", "both"])
def test_robust_scaling_divides_by_the_ranges(sides: str, tmp_path: Path) -> None:
    measures = made_up(300)
    scores = measures["blendshapes"]
    scores[:, NAMES.index("jawOpen")] *= 0.01
    # A score that never changes.
    scores[:, NAMES.index("cheekPuff")] = 0.25
    features = features_of(tmp_path, measures, [300])
    ready = Parts(sides=sides, scaling="robust")  # type: ignore[arg-type]
    found = fit(features, 300, [wish("blendshapes", 20)], ready)
    values = (average_sides(scores) if sides == "average" else scores[:, 1:]).astype(float)
    scaled = values / interquartile_ranges(values)
    theirs = PCA(20, svd_solver="full").fit(scaled)
    wanted = theirs.transform(scaled) / np.sqrt(theirs.explained_variance_.sum())
    got = points_of(found, features, 1)
    for column in range(5):
        assert abs(np.corrcoef(got[:, column], wanted[:, column])[0, 1]) > 0.999
    assert got.var(axis=0, ddof=1).sum() == pytest.approx(1, rel=1e-3)
    assert found.reducers["blendshapes"].axes.shape == (20, 31 if sides == "average" else 51)


@pytest.mark.parametrize(
    ("sides", "scaling"), list(itertools.product(["average", "both"], ["sqrt", "robust"]))
)
def test_what_is_saved_reads_back_equal(sides: str, scaling: str, tmp_path: Path) -> None:
    features = features_of(tmp_path, made_up(120), [50, 70], sample=60)
    ready = Parts(sides=sides, scaling=scaling)  # type: ignore[arg-type]
    wishes = [wish("blendshapes", 5), wish("tokens", 3, 0.7), wish("layer4", 2, 0.7)]
    found = fit(features, 120, wishes, ready)
    path = str(tmp_path / "reducer.npz")
    found.save(path)
    again = load_reducer(path)
    assert isinstance(again, PartsReducer)
    assert list(again.reducers) == ["blendshapes", "tokens", "layer4"]
    assert (again.ready.sides, again.ready.scaling) == (sides, scaling)
    for number in range(2):
        assert (again.block(features, number) == found.block(features, number)).all()
    for part, reducer in found.reducers.items():
        for name, array in reducer.arrays().items():
            assert np.array_equal(again.reducers[part].arrays()[name], array), (part, name)


def test_a_plain_reducer_reads_back_as_one(tmp_path: Path) -> None:
    rows, _ = rows_of(100)
    reducer = moments_reducer(rows, 3)
    reducer.save(str(tmp_path / "reducer.npz"))
    again = load_reducer(str(tmp_path / "reducer.npz"))
    assert isinstance(again, Reducer)
    assert (again.transform(rows) == reducer.transform(rows)).all()


@pytest.mark.parametrize("block", [64, 100, 333])
def test_pieces_change_nothing_but_rounding(block: int, tmp_path: Path) -> None:
    measures = made_up(400)
    features = features_of(tmp_path, measures, [170, 0, 230], sample=200)
    wishes = [wish("blendshapes", 6), wish("tokens", 4), wish("hog", 3)]
    whole = points_of(fit(features, 400, wishes, Parts()), features, 3)
    pieces = points_of(fit(features, 400, wishes, Parts(), block), features, 3)
    for column in range(10):
        assert abs(np.corrcoef(whole[:, column], pieces[:, column])[0, 1]) > 0.999
    assert pieces == pytest.approx(whole, abs=5e-3)


def test_other_blocks_in_the_store_give_the_same_bits(tmp_path: Path) -> None:
    measures = made_up(300)
    wishes = [wish("tokens", 4), wish("layer4", 3)]
    found = [
        fit(features_of(tmp_path / name, measures, sizes, sample=100), 300, wishes, Parts(), 128)
        for name, sizes in (("one", [300]), ("three", [7, 93, 200]))
    ]
    for part in ("tokens", "layer4"):
        one, three = (reducer.reducers[part].arrays() for reducer in found)
        assert all(np.array_equal(one[name], three[name]) for name in one)


@pytest.mark.parametrize("sample", [0, 12])
@pytest.mark.parametrize("whiten", [False, True])
def test_too_many_components_are_as_many_as_there_are(
    sample: int, whiten: bool, tmp_path: Path
) -> None:
    # 12 rows span 11 dimensions; of blendshapes there are 31 columns.
    few = features_of(tmp_path / "few", made_up(12), [12], sample)
    found = fit(few, 12, [wish("tokens", 64, 1, whiten), wish("layer4", 9999, 1, whiten)], Parts())
    assert [reducer.components for reducer in found.reducers.values()] == [11, 11]
    assert np.isfinite(points_of(found, few, 1)).all()
    many = features_of(tmp_path / "many", made_up(100), [100], sample)
    found = fit(many, 100, [wish("blendshapes", 300, 1, whiten)], Parts())
    assert found.components == 31


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("sample", [0, 1])
def test_one_row_or_two_are_no_error(rows: int, sample: int, tmp_path: Path) -> None:
    """Presence may leave so few; what is then missing is said of the clusters."""
    features = features_of(tmp_path, made_up(5), [5], sample)
    wishes = [wish("blendshapes", 4), wish("tokens", 4, whiten=True)]
    found = fit(features, rows, wishes, Parts())
    assert found.components == 2
    assert np.isfinite(points_of(found, features, 1)).all()


@pytest.mark.parametrize("sample", [0, 80])
@pytest.mark.parametrize("whiten", [False, True])
def test_what_does_not_vary_does_not_count(whiten: bool, sample: int, tmp_path: Path) -> None:
    measures = made_up(100)
    # Three of 64 columns vary, and more components are asked for.
    measures["tokens"][:, 3:] = np.linspace(-7, 7, 61, dtype=np.float32)
    features = features_of(tmp_path, measures, [100], sample)
    if sample:
        # Faces that are their own images.
        storage.write_array(features.mirrored["tokens"].path(0), measures["tokens"][:80])
    found = fit(features, 100, [wish("tokens", 20, 1.0, whiten)], Parts())
    points = points_of(found, features, 1).astype(float)
    variances = np.sort(points.var(axis=0, ddof=1))[::-1]
    # Rounding is not blown up to count like what varies.
    assert variances[3:].max() < 1e-6
    assert variances.sum() == pytest.approx(1, rel=1e-3)


def test_a_part_that_is_the_same_of_all_is_no_error(tmp_path: Path) -> None:
    measures = made_up(40)
    measures["tokens"][:] = 2
    for whiten in (False, True):
        features = features_of(tmp_path / str(whiten), measures, [40], sample=20)
        found = fit(features, 40, [wish("tokens", 3, 1, whiten), wish("hog", 2)], Parts())
        points = points_of(found, features, 1)
        assert np.abs(points[:, :3]).max() < 1e-5
        assert points[:, 3:].var(axis=0, ddof=1).sum() == pytest.approx(1, rel=1e-3)
