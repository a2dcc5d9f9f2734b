"""Simulate: how good the second model gets with so many looks at clusters, and beside what.

Clusters and classifiers are kept in the store as those of runs are, so that a simulation that
was killed goes on with what is missing. What they are fitted on never includes the labels of
held-out rows, and of the others only those that a person is said to have looked at.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from daskfer import balance, simulate
from daskfer.balance import Selection, drawn
from daskfer.classify import balanced_chance_accuracy, chance_accuracy
from daskfer.cluster import check_clusters
from daskfer.engine import Engine
from daskfer.errors import InputError, RecipeError
from daskfer.faces import UNKNOWN, FaceTable
from daskfer.foresight import check_feasible
from daskfer.ingest.sources import Source
from daskfer.mixture import check_columns
from daskfer.naming import Names
from daskfer.recipe import Cluster, Expression, Gmm, KMeansClusters, NameByFacs, NoNames, Recipe
from daskfer.simulate import Person
from daskfer.stages.classify import Learned, learn, learn_labels, score, seen_rows
from daskfer.stages.cluster import Clusters, cluster
from daskfer.stages.context import Context, Methods, Watch
from daskfer.stages.ingest import ingest
from daskfer.stages.name import name
from daskfer.stages.parts import DEFAULT_RANGE
from daskfer.stages.reduce import ALL_PARTS, Reduced, reduce, reduce_face
from daskfer.stages.represent import Represented, represent
from daskfer.store import Store

MOST_COMPONENTS = 50
"""Clusters above which those of a recipe with mixtures are fitted by KMeans: a mixture of full
covariances has hundreds of numbers to learn for each."""


@dataclass(frozen=True)
class Plan:
    """What to simulate.

    Attributes
    ----------
    looks : tuple of int
        Numbers of clusters to look at, ascending; 0 is naming without a person.
    seeds : int
        How many seeds, counted from the recipe's.
    person : Person
    on : {"test", "validation"}
        The held-out rows whose labels the scores are of.
    ceiling : bool
        Whether to train on all labels of the fitted rows too.
    """

    looks: tuple[int, ...]
    seeds: int = 3
    person: Person = field(default_factory=Person)
    on: str = "test"
    ceiling: bool = True


@dataclass(frozen=True)
class Figure:
    """Accuracies on the held-out rows (None without a model), and how many labels were read."""

    accuracy: float | None
    balanced_accuracy: float | None
    labels: int


@dataclass(frozen=True)
class Trial:
    """One number of looks with one seed, and beside it as many labels of random faces.

    `named` is how many clusters got a name, and `wrong` how many of the looks the error rate
    made wrong. `reused` says that the store had all of it.
    """

    looks: int
    seed: int
    named: int
    wrong: int
    found: Figure
    random: Figure | None
    seconds: float
    reused: bool


@dataclass(frozen=True)
class Simulation:
    """All trials, what stands beside them, and notes for a person."""

    trials: tuple[Trial, ...]
    ceiling: Figure | None
    chance: float | None
    balanced_chance: float | None
    fitted: int
    scored: int
    labels_used: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Ground:
    """What all trials share: the rows and all that is fitted without clusters."""

    context: Context
    table: FaceTable
    selection: Selection
    represented: Represented
    reduced: Reduced
    seen: Reduced
    held_out: np.ndarray
    choosing: np.ndarray

    def seeded(self, seed: int, clusters: Cluster) -> Context:
        """The context of a trial."""
        recipe = replace(self.context.recipe, seed=seed, cluster=clusters)
        return replace(self.context, recipe=recipe)

    def figure(self, learned: Learned | None, labels: int) -> Figure:
        """What a second model is worth that so many labels were read for."""
        if learned is None:
            return Figure(None, None, labels)
        scores = score(self.context, self.table, learned, self.held_out)
        return Figure(scores.accuracy, scores.balanced_accuracy, labels)


def simulate_sources(
    recipe: Recipe,
    sources: list[Source],
    store: Store,
    engine: Engine,
    watch: Watch,
    methods: Methods,
    plan: Plan,
    range_bytes: int = DEFAULT_RANGE,
) -> Simulation:
    """Simulate on the faces of these sources, in a store, on an engine (see `simulate_naming`)."""
    return simulate_naming(
        Context(recipe, store, engine, methods, watch), sources, plan, range_bytes
    )


def simulate_naming(
    context: Context, sources: list[Source], plan: Plan, range_bytes: int = DEFAULT_RANGE
) -> Simulation:
    """Cluster, look, name, train and score for every number of looks and every seed.

    Raises
    ------
    DaskferError
        When the recipe has no second model, rows have no labels to look at or to score beside,
        or a number of clusters cannot be fitted.
    """
    recipe = context.recipe
    check_plan(recipe, plan)
    # How the run named its clusters plays no part here, nor may what that needs be missing.
    unnamed = replace(context, recipe=replace(recipe, name=NoNames()))
    faces = ingest(unnamed, sources, range_bytes)
    table = faces.table
    with context.watch.stage("balance", len(table)):
        selection = balance.select(table, recipe)
        memory = context.engine.memory()
        check_feasible(unnamed.recipe, table, selection, faces.side, memory)
        _check_labels(table, selection, plan)
    represented = represent(context, faces, selection)
    selection = represented.among(selection)
    reduced = reduce(context, represented, selection.fit)
    for looks in plan.looks:
        check_clusters(clusters_of(recipe, looks), len(selection.fit))
        check_columns(clusters_of(recipe, looks), reduced.reducer.components)
    with context.watch.stage("classify", len(table)):
        seen = seen_rows(context, represented, reduced, selection.fit)
    held_out = _held_out(selection, plan)
    # Rows that scores are told of choose nothing.
    choosing = selection.validation if plan.on == "test" else held_out[:0]
    choosing = choosing[table.emotion[choosing] != UNKNOWN]
    ground = _Ground(context, table, selection, represented, reduced, seen, held_out, choosing)
    tested = table.emotion[held_out]
    trials = tuple(_trials(ground, plan))
    ceiling = None
    if plan.ceiling:
        with context.watch.stage("ceiling", len(_labelled(ground))):
            ceiling = _ceiling(ground)
    return Simulation(
        trials,
        ceiling,
        chance_accuracy(tested),
        balanced_chance_accuracy(tested),
        len(selection.fit),
        int((tested != UNKNOWN).sum()),
        _labels_used(selection, trials, ceiling, plan, tested, len(choosing)),
        (*faces.notes, *selection.notes, *_notes(recipe, plan, trials)),
    )


def check_plan(recipe: Recipe, plan: Plan) -> None:
    """Refuse what cannot be simulated, before any work.

    Raises
    ------
    RecipeError
    """
    simulate.check_person(plan.person)
    if 1 in plan.looks:
        raise RecipeError("--looks 1: expected 2 or more, because a look is at one of the clusters")
    if plan.on not in ("test", "validation"):
        raise RecipeError(f"--on {plan.on}: expected test or validation")
    if recipe.classify.model == "none":
        raise RecipeError(
            "classify.model=none: there is no second model whose accuracy could be told; use "
            "--set classify.model=auto"
        )
    if recipe.seed + plan.seeds > 2**32:
        raise RecipeError(
            f"--seeds {plan.seeds}: seeds are counted from the recipe's, {recipe.seed}, and end "
            "before 4294967296: use fewer, or --set seed=42"
        )
    for looks in plan.looks:
        clusters_of(recipe, looks)


def clusters_of(recipe: Recipe, looks: int) -> Cluster:
    """The recipe's section of clusters, with one for each look; with 0 looks as it is."""
    if looks == 0:
        return recipe.cluster
    if isinstance(recipe.cluster, Gmm) and looks > MOST_COMPONENTS:
        return KMeansClusters(clusters=looks)
    return replace(recipe.cluster, clusters=looks)


def _held_out(selection: Selection, plan: Plan) -> np.ndarray:
    return selection.test if plan.on == "test" else selection.validation


def _check_labels(table: FaceTable, selection: Selection, plan: Plan) -> None:
    """Refuse faces without the labels that a simulation stands on."""
    if not (table.emotion[selection.fit] != UNKNOWN).any():
        raise InputError(
            "no fitted face has an emotion label, so nobody's looks can be simulated: expected an "
            "input with labels"
        )
    if not (table.emotion[_held_out(selection, plan)] != UNKNOWN).any():
        others = "validation" if plan.on == "test" else "test"
        raise InputError(
            f"--on {plan.on}: no {plan.on} row has an emotion label to score beside; expected an "
            f"input with such rows, or --on {others}"
        )


def _trials(ground: _Ground, plan: Plan) -> Iterator[Trial]:
    recipe, watch = ground.context.recipe, ground.context.watch
    for looks in plan.looks:
        if looks == 0 and not isinstance(recipe.represent, Expression):
            continue
        for seed in range(recipe.seed, recipe.seed + plan.seeds):
            with watch.stage(f"{looks} looks"):
                trial = _trial(ground, looks, seed, plan)
            watch.say(_told(trial))
            yield trial


def _told(trial: Trial) -> str:
    """What a person at the terminal is told of a trial."""
    text = f"  {trial.looks} looks, seed {trial.seed}: accuracy {_number(trial.found)}"
    if trial.random is not None:
        text += f", {trial.looks} random labels {_number(trial.random)}"
    return text + (" (from the store)" if trial.reused else "")


def _number(figure: Figure) -> str:
    return "unknown" if figure.accuracy is None else f"{figure.accuracy:.3f}"


def _trial(ground: _Ground, looks: int, seed: int, plan: Plan) -> Trial:
    begin = time.monotonic()
    quiet = _Quiet(ground.context.watch)
    ground = replace(ground, context=replace(ground.context, watch=quiet))
    context = ground.seeded(seed, clusters_of(ground.context.recipe, looks))
    found = cluster(context, ground.reduced, ground.selection.fit, ground.represented.placed)
    if looks == 0:
        names, wrong, labels = _by_nobody(ground, context, found), 0, 0
    else:
        names, wrong, labels = _by_looks(ground, found, plan.person, seed)
    learned = learn(context, ground.selection, ground.seen, found, names)
    figure = ground.figure(learned, labels)
    random = _random_labels(ground, context, looks) if looks else None
    return Trial(
        looks,
        seed,
        int((names.emotion != UNKNOWN).sum()),
        wrong,
        figure,
        random,
        time.monotonic() - begin,
        # Clusters, classifier, and those of the random labels.
        quiet.reuses == 2 + (len({ground.reduced.key, ground.seen.key}) if looks else 0),
    )


def _by_looks(
    ground: _Ground, clusters: Clusters, person: Person, seed: int
) -> tuple[Names, int, int]:
    """Names as a person gives them, how many are wrong on purpose, and how many labels it took."""
    fit, k = ground.selection.fit, len(clusters.centers)
    cluster = clusters.cluster[fit]
    shown = simulate.sheets(
        cluster, clusters.nearest[fit], ground.table.emotion[fit], k, person.faces
    )
    classes = ground.context.recipe.ingest.labels
    said = simulate.answers(shown, person, seed, len(classes))
    rows = np.bincount(cluster, minlength=k).astype(np.int64)
    # Purity is not known: it would take a look at every face.
    names = Names(
        said.emotion, "looks", said.looks, rows, np.full(k, np.nan),
        categories=classes, classes=classes,
    )  # fmt: skip
    return names, int(said.wrong.sum()), int(said.seen.sum())


def _by_nobody(ground: _Ground, context: Context, clusters: Clusters) -> Names:
    """Names as the pipeline gives them without a person, from a table without a label."""
    method = context.recipe.name
    if not isinstance(method, NameByFacs):
        method = NameByFacs()
    unlabelled = replace(ground.table, emotion=np.full_like(ground.table.emotion, UNKNOWN))
    context = replace(context, recipe=replace(context.recipe, name=method))
    return name(context, unlabelled, ground.selection, ground.represented, clusters)


def _random_labels(ground: _Ground, context: Context, count: int) -> Figure:
    """As many labels as there are looks, of fitted faces drawn by seed."""
    known = _labelled(ground)
    rows = known[drawn(known, count, context.recipe.seed, "simulate-labels")]
    return _best(ground, context, rows, (ground.reduced, ground.seen))


def _ceiling(ground: _Ground) -> Figure:
    """All labels of the fitted faces."""
    rows = _labelled(ground)
    everything = ground.seen
    if isinstance(ground.context.recipe.represent, Expression):
        fit = ground.selection.fit
        everything = reduce_face(ground.context, ground.represented, fit, ALL_PARTS)
    return _best(ground, ground.context, rows, (ground.seen, everything))


def _best(
    ground: _Ground, context: Context, rows: np.ndarray, spaces: tuple[Reduced, ...]
) -> Figure:
    """The figure of a model that learns true labels, in the better one of these spaces.

    Few labels want few features, and many want all: what looks are compared with should not lose
    for want of the right ones. Which is better, labels of validation rows tell; where there are
    none, or figures are of these, cross-validation on the labels that were learned.
    """
    labels = ground.table.emotion[rows]
    models = [
        learn_labels(context, space, rows, labels)
        for space in {one.key: one for one in spaces}.values()
    ]
    best = max(models, key=lambda learned: _promise(ground, learned))
    return ground.figure(best, len(rows) if best is None else best.rows)


def _promise(ground: _Ground, learned: Learned | None) -> float:
    """How good a model seems without a look at the rows that it is scored on."""
    if learned is None:
        return -1.0
    if len(ground.choosing):
        return score(ground.context, ground.table, learned, ground.choosing).accuracy or 0.0
    return float(np.nan_to_num(learned.classifier.pseudo_label_accuracy))


def _labelled(ground: _Ground) -> np.ndarray:
    fit = ground.selection.fit
    return fit[ground.table.emotion[fit] != UNKNOWN]


def _labels_used(
    selection: Selection,
    trials: tuple[Trial, ...],
    ceiling: Figure | None,
    plan: Plan,
    tested: np.ndarray,
    chosen: int,
) -> tuple[tuple[str, str], ...]:
    used = [*selection.labels_used]
    asked = [trial for trial in trials if trial.looks]
    if asked:
        most, looks = max(trial.found.labels for trial in asked), asked[-1].looks
        sheets = f"at most {plan.person.faces} faces a look, {most:,} with {looks:,} looks"
        used.append(("looks", f"the true emotions on the sheets: {sheets}"))
        most = max(trial.random.labels for trial in asked if trial.random is not None)
        used.append(("random labels", f"those of as many fitted rows as looks: at most {most:,}"))
    if ceiling is not None:
        used.append(("ceiling", f"those of all labelled fitted rows: {ceiling.labels:,}"))
    count = int((tested != UNKNOWN).sum())
    used.append(("scores", f"{count:,} {plan.on} rows; nothing is fitted to them"))
    if chosen and (asked or ceiling is not None):
        why = f"{chosen:,} validation rows: which features models of random or all labels see"
        used.append(("choice", why))
    return tuple(used)


def _notes(recipe: Recipe, plan: Plan, trials: tuple[Trial, ...]) -> list[str]:
    """What a reader of the figures would otherwise wonder about."""
    notes = []
    if 0 in plan.looks and not isinstance(recipe.represent, Expression):
        notes.append(
            f"0 looks were left out: without a person only faces with represent.method=expression "
            f"can be named, and the recipe has {recipe.represent.method}"
        )
    elif 0 in plan.looks:
        notes.append(
            f"with 0 looks, action units name the recipe's {recipe.cluster.clusters:,} clusters"
        )
    many = [looks for looks in plan.looks if looks > MOST_COMPONENTS]
    if isinstance(recipe.cluster, Gmm) and many:
        listed = ", ".join(f"{looks:,}" for looks in many)
        notes.append(
            f"cluster.method=gmm: for {listed} looks KMeans made the clusters, because a mixture "
            f"of more than {MOST_COMPONENTS} has too much to learn"
        )
    if any(trial.found.accuracy is None for trial in trials):
        notes.append("where no cluster got a name, there is no second model and no accuracy")
    if plan.person.error:
        notes.append(f"{plan.person.error:.0%} of the looks are answered wrongly, drawn by seed")
    if plan.person.mixed:
        notes.append(
            f"sheets whose majority has less than {plan.person.mixed:.0%} are answered mixed; "
            "their clusters have no name"
        )
    return notes


class _Quiet:
    """A watch for stages within a stage: it counts what was reused, and shows nothing."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self.reuses = 0

    def stage(self, name: str, rows: int | None = None) -> AbstractContextManager[Any]:
        return nullcontext()

    def advance(self, rows: int) -> None:
        self._watch.advance(rows)

    def reused(self) -> None:
        self.reuses += 1

    def say(self, text: str) -> None:
        self._watch.say(text)
