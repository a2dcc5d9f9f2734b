"""A graph of the action units in which the clusters of expressions differ most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daskfer.randomness import generator
from daskfer.report.graphs.sample import Sample
from daskfer.report.graphs.style import CHANCE, FILL, Graph, canvas, house_style
from daskfer.report.words import emotion_name

if TYPE_CHECKING:
    from daskfer.pipeline import Result

SHOWN = 10


def action_units(result: Result, sample: Sample) -> Graph | None:
    """Action units by how much clusters differ in them; None where none were measured."""
    from daskfer.represent.expression.features import ExpressionFeatures

    features = result.features
    if not isinstance(features, ExpressionFeatures):
        return None
    from daskfer.facs import ACTION_UNITS, normal_scores
    from daskfer.represent.expression.blendshapes import AVERAGED

    blendshapes = features.part("blendshapes").rows(sample.positions)
    normal = normal_scores(blendshapes, np.sort(blendshapes, axis=0))
    spread = _between(normal, sample.cluster)
    random = generator(result.recipe.seed, "report-units").permutation(sample.cluster)
    by_chance = _between(normal, random)
    # Two units that one blendshape tells are told once, as elsewhere.
    units = {unit: known for unit, known in ACTION_UNITS.items() if unit != 16}
    names = [f"AU{unit} {name}" for unit, (name, _) in units.items()]
    columns = np.array([AVERAGED.index(shape) for _, shape in units.values()])
    order = np.argsort(-spread[columns], kind="stable")[:SHOWN]
    with house_style():
        figure, axes = canvas(250, left=146, top=26)
        places = np.arange(len(order))
        axes.barh(places, spread[columns[order]], 0.62, color=FILL, label="these clusters")
        axes.plot(by_chance[columns[order]], places, "|", color=CHANCE, markersize=13,
                  markeredgewidth=2.5, label="random clusters of the same sizes")  # fmt: skip
        axes.set_yticks(places, [names[number] for number in order])
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.set_xlabel("spread of the clusters’ means, in standard deviations")
        axes.legend(loc="lower left", bbox_to_anchor=(-0.4, 1.0), ncols=2, handlelength=1.2)
    first = int(order[0])
    means = _means(normal[:, columns[first]], sample.cluster, len(result.names.emotion))
    top = int(np.nanargmax(means))
    named = emotion_name(int(result.names.emotion[top]), result.names.categories)
    return Graph(
        "action-units",
        "Action units that tell the clusters apart",
        "How much the clusters’ means of each action unit differ, beside what random clusters of "
        f"the same sizes give, among {len(sample):,} fitted faces drawn by seed.",
        f"They differ most in {names[first]} ({spread[columns[first]]:.2f}, random clusters "
        f"{by_chance[columns[first]]:.2f}), of which cluster {top} ({named}) shows most.",
        figure,
    )


def _means(values: np.ndarray, cluster: np.ndarray, k: int) -> np.ndarray:
    """Mean of each cluster, float64 (k,); NaN of those without a face."""
    counts = np.bincount(cluster, minlength=k)
    sums = np.bincount(cluster, values, minlength=k)
    return np.divide(sums, counts, out=np.full(k, np.nan), where=counts > 0)


def _between(normal: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Standard deviation of the clusters' means, each weighted by its faces, float64 (c,)."""
    _, inverse, counts = np.unique(cluster, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), normal.shape[1]))
    np.add.at(sums, inverse, normal)
    away = sums / counts[:, None] - normal.mean(axis=0)
    return np.sqrt((counts[:, None] * away**2).sum(axis=0) / len(normal))
