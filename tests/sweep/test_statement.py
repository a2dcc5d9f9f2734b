"""The rule, on figures made up for it."""

from __future__ import annotations

from daskfer.sweep.choices import Cell
from daskfer.sweep.results import Result, result_of
from daskfer.sweep.statement import judge, state


def result(clusters: int = 4, **figures: float | int | str | None) -> Result:
    """A cell that is far above noise and stable, but for what is given."""
    values = {
        "represent": "pixels", "components": 2, "clusters": clusters, "rows": 500,
        "explained_variance": 0.5, "silhouette": 0.5, "null": 0.3, "null_spread": 0.01,
        "null_draws": 3, "stability": 0.98, "null_stability": 0.6, "cv_mean": 0.5, "cv_std": 0.01,
        "held_out_mean": 0.49, "held_out_std": 0.02, "davies_bouldin": 0.8,
        "calinski_harabasz": 900.0, "inertia": 10.0,
    }  # fmt: skip
    return Result(**(values | figures))  # type: ignore[arg-type]


def test_both_conditions_must_hold() -> None:
    one, low, shaky, wobbly = judge(
        [
            result(),
            result(silhouette=0.32),
            result(stability=0.85),
            result(cv_std=0.1),
        ]
    )
    assert one.supported
    assert (low.above, low.stable) == (False, True)
    assert (shaky.above, shaky.stable) == (True, False)
    assert (wobbly.above, wobbly.supported) == (False, False)


def test_stability_counts_beside_that_of_noise() -> None:
    (two,) = judge([result(2, stability=1.0, null_stability=0.97)])
    assert two.stable
    (other,) = judge([result(2, stability=0.98, null_stability=0.97)])
    assert not other.stable


def test_draws_that_happen_to_lie_together_do_not_count_alone() -> None:
    lucky = result(3, silhouette=0.32, null_spread=0.0001, cv_std=0.0001)
    assert judge([lucky])[0].above
    others = [result(k, null_spread=0.02) for k in (4, 5, 6)]
    assert not judge([lucky, *others])[0].above
    elsewhere = [result(k, null_spread=0.02, components=3) for k in (4, 5, 6)]
    assert judge([lucky, *elsewhere])[0].above


def test_the_furthest_above_noise_is_chosen() -> None:
    found = state(judge([result(3, silhouette=0.6), result(4, silhouette=0.7), result(5)]))
    assert found.choice == Cell("pixels", 2, 4)
    assert len(found.supported) == 3
    assert found.text == (
        "The evidence supports pixels, 2 components, 4 clusters (3 of 3 choices are supported): "
        "silhouette 0.7000, noise 0.3000 ± 0.0100; stability 0.98, noise 0.60."
    )


def test_of_equally_good_ones_the_most_stable_is_chosen() -> None:
    found = state(judge([result(3, silhouette=0.7, stability=0.95), result(4, silhouette=0.695)]))
    assert found.choice == Cell("pixels", 2, 4)


def test_none_is_above_noise() -> None:
    found = state(judge([result(3, silhouette=0.31), result(4, silhouette=0.305)]))
    assert found.choice is None
    assert found.supported == ()
    assert found.text == (
        "The evidence supports none of these choices: no silhouette is above that of structureless "
        "noise by more than chance. The furthest above is pixels, 2 components, 3 clusters: "
        "silhouette 0.3100, noise 0.3000 ± 0.0100; stability 0.98, noise 0.60."
    )


def test_none_is_stable() -> None:
    found = state(judge([result(3, stability=0.7), result(4, silhouette=0.45, stability=0.6)]))
    assert found.choice is None
    assert "2 of 2 silhouettes are above that of Gaussian noise" in found.text
    assert "pixels, 2 components, 3 clusters" in found.text


def test_nothing_is_said_without_noise() -> None:
    without = {"null": None, "null_spread": None, "stability": None, "null_stability": None}
    found = state(judge([result(3, **without), result(4, silhouette=0.6, **without)]))
    assert found.choice is None
    assert "0.6000 (pixels, 2 components, 4 clusters)" in found.text
    assert "not known" in found.text


def test_clusterings_without_a_silhouette() -> None:
    found = state(judge([result(3, silhouette=None)]))
    assert "no clustering has a silhouette" in found.text


def test_parts_are_joined() -> None:
    fit = {
        "rows": 9, "explained_variance": None, "silhouette": 0.4, "davies_bouldin": 1.0,
        "calinski_harabasz": None, "inertia": 3.0,
    }  # fmt: skip
    noise = {"stability": 0.9, "null_silhouettes": [0.1, 0.3, None], "null_stabilities": [0.4, 0.6]}
    folds = {"fitted": [0.4, 0.6], "held_out": [None, 0.2]}
    found = result_of(Cell("hog", None, 3), fit, noise, folds)
    assert (found.null, found.null_stability, found.cv_mean) == (0.2, 0.5, 0.5)
    assert found.null_spread is not None
    assert abs(found.null_spread - 0.02**0.5) < 1e-12
    assert abs((found.cv_std or 0) - 0.1) < 1e-12
    assert found.held_out_mean == 0.2
    assert found.excess == 0.2
    bare = result_of(Cell("hog", None, 3), fit, None, None)
    assert (bare.null, bare.excess, bare.stability, bare.cv_mean) == (None, None, None, None)
