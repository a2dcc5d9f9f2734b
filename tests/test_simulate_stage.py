"""The simulation as a stage: what labels may change, what the store keeps, and what is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from alone import Silent, context_of

from daskfer.balance import split_randomly
from daskfer.errors import DaskferError
from daskfer.ingest.finding import find_sources
from daskfer.pipeline import METHODS
from daskfer.recipe import (
    Classify,
    Gmm,
    KMeansClusters,
    NameByFile,
    Pca,
    Pixels,
    RandomSplit,
    Recipe,
    UsageSplit,
)
from daskfer.simulate import Person
from daskfer.stages import simulate
from daskfer.stages.context import Context
from daskfer.stages.simulate import Plan, Simulation, clusters_of, simulate_naming

KINDS = 4
RECIPE = Recipe(
    split=RandomSplit(test=0.25),
    represent=Pixels(),
    reduce=Pca(components=5),
    cluster=KMeansClusters(clusters=KINDS, restarts=2),
    classify=Classify(model="logistic"),
)


def write_faces(path: Path, emotion: np.ndarray, kinds: int = KINDS, usage: str = "") -> Path:
    """Faces of so many kinds, well apart (of none: noise), with these labels."""
    random = np.random.default_rng(0)
    faces = random.normal(128, 20, (len(emotion), 100))
    if kinds:
        faces += random.normal(0, 30, (kinds, 100))[np.arange(len(emotion)) % kinds]
    faces[:, 0], faces[:, 1] = 0, 255
    lines = [
        f"{'' if code < 0 else code},{' '.join(map(str, face))}" + (f",{usage}" if usage else "")
        for code, face in zip(emotion, faces.clip(0, 255).astype(int).tolist(), strict=True)
    ]
    path.write_text("emotion,pixels" + (",Usage\n" if usage else "\n") + "\n".join(lines) + "\n")
    return path


def kinds_of(rows: int) -> np.ndarray:
    """An emotion for each kind of face, as `write_faces` mixes them."""
    return np.array([3, 4, 5, 0])[np.arange(rows) % KINDS]


def context_in(folder: Path, recipe: Recipe = RECIPE) -> Context:
    methods = replace(METHODS, search=lambda search, points, labels: search.fit(points, labels))
    return replace(context_of(recipe, str(folder)), methods=methods)


def simulated(folder: Path, faces: Path, plan: Plan, recipe: Recipe = RECIPE) -> Simulation:
    return simulate_naming(context_in(folder, recipe), find_sources([str(faces)]), plan)


def fitted_files(store: Path) -> dict[str, bytes]:
    """What reducers and clusters left in a store, by its name there."""
    return {
        str(path.relative_to(store)): path.read_bytes()
        for stage in ("represent", "reduce", "cluster")
        for path in sorted(store.glob(f"{stage}/*/*"))
    }


def test_looks_find_the_kinds_and_cost_few_labels(tmp_path: Path) -> None:
    faces = write_faces(tmp_path / "faces.csv", kinds_of(320))
    found = simulated(tmp_path / "store", faces, Plan((2, 4), seeds=2))
    assert [(trial.looks, trial.seed) for trial in found.trials] == [
        (2, 42), (2, 43), (4, 42), (4, 43),
    ]  # fmt: skip
    for trial in found.trials:
        assert trial.random is not None
        assert trial.found.labels == 24 * trial.looks
        assert trial.random.labels == trial.looks
        assert trial.found.accuracy == (1 if trial.looks == 4 else pytest.approx(0.5, abs=0.1))
        assert trial.named == trial.looks
    assert (found.fitted, found.scored) == (240, 80)
    assert found.ceiling is not None
    assert (found.ceiling.accuracy, found.ceiling.labels) == (1, 240)
    assert found.balanced_chance == 1 / KINDS
    assert [stage for stage, _ in found.labels_used] == [
        "looks", "random labels", "ceiling", "scores",
    ]  # fmt: skip
    assert "96 with 4 looks" in dict(found.labels_used)["looks"]


def test_labels_that_are_shuffled_change_nothing_that_is_fitted_without_them(
    tmp_path: Path,
) -> None:
    emotion = kinds_of(320)
    shuffled = np.random.default_rng(1).permutation(emotion)
    files = []
    for name, labels in (("true", emotion), ("shuffled", shuffled)):
        faces = write_faces(tmp_path / f"{name}.csv", labels)
        simulated(tmp_path / name, faces, Plan((2, 5), seeds=2))
        files.append(fitted_files(tmp_path / name))
    assert len([name for name in files[0] if name.endswith("clusters.npz")]) == 4
    assert files[0] == files[1]


def test_labels_of_held_out_faces_reach_no_classifier(tmp_path: Path) -> None:
    emotion = kinds_of(320)
    faces = write_faces(tmp_path / "faces.csv", emotion)
    plan = Plan((4, 8), seeds=1)
    found = simulated(tmp_path / "one", faces, plan)
    _, test = split_randomly(np.arange(320), 0.25, RECIPE.seed)
    other = emotion.copy()
    other[test] = 6
    again = simulated(tmp_path / "two", write_faces(tmp_path / "other.csv", other), plan)
    names = [
        sorted(path.name for path in (tmp_path / store / "classify").iterdir())
        for store in ("one", "two")
    ]
    # A classifier's folder is named after all that it learnt from.
    assert names[0] == names[1]
    assert found.trials[0].found.accuracy == 1
    assert again.trials[0].found.accuracy == 0


@pytest.mark.slow
def test_a_thousand_looks_at_noise_do_no_better_than_chance(tmp_path: Path) -> None:
    """Were a cluster of one face named by it, its name would be right wherever it was fitted."""
    random = np.random.default_rng(2)
    emotion = random.choice(7, 1600, p=[0.14, 0.02, 0.14, 0.25, 0.17, 0.11, 0.17])
    faces = write_faces(tmp_path / "faces.csv", emotion, kinds=0)
    recipe = replace(RECIPE, cluster=KMeansClusters(clusters=7, restarts=1))
    found = simulated(tmp_path / "store", faces, Plan((1000,), seeds=1), recipe)
    (trial,) = found.trials
    assert found.chance is not None
    assert trial.found.accuracy is not None
    noise = (found.chance * (1 - found.chance) / found.scored) ** 0.5
    assert trial.found.accuracy < found.chance + 3 * noise


class Ended(Exception):
    pass


class Ending(Silent):
    """A watch whose person ends the work after the first trial."""

    def say(self, text: str) -> None:
        if "looks, seed" in text:
            raise Ended


def test_a_simulation_that_was_ended_goes_on(tmp_path: Path) -> None:
    faces = write_faces(tmp_path / "faces.csv", kinds_of(320))
    plan = Plan((2, 4), seeds=1)
    context = replace(context_in(tmp_path / "store"), watch=Ending())
    with pytest.raises(Ended):
        simulate_naming(context, find_sources([str(faces)]), plan)
    found = simulated(tmp_path / "store", faces, plan)
    assert [trial.reused for trial in found.trials] == [True, False]
    again = simulated(tmp_path / "store", faces, plan)
    assert [trial.reused for trial in again.trials] == [True, True]
    fresh = simulated(tmp_path / "fresh", faces, plan)
    assert [trial.reused for trial in fresh.trials] == [False, False]
    for one, two, three in zip(found.trials, again.trials, fresh.trials, strict=True):
        assert one.found == two.found == three.found
        assert one.random == two.random == three.random


def test_a_person_who_errs_names_worse(tmp_path: Path) -> None:
    faces = write_faces(tmp_path / "faces.csv", kinds_of(320))
    sure = simulated(tmp_path / "store", faces, Plan((20,), 1, ceiling=False))
    unsure = simulated(tmp_path / "store", faces, Plan((20,), 1, Person(error=0.5), ceiling=False))
    assert unsure.trials[0].wrong == 10
    assert (unsure.trials[0].found.accuracy or 0) < (sure.trials[0].found.accuracy or 0)
    assert unsure.ceiling is None
    assert "50% of the looks are answered wrongly, drawn by seed" in unsure.notes


def test_where_all_sheets_are_mixed_there_is_no_model(tmp_path: Path) -> None:
    emotion = np.random.default_rng(3).integers(0, 7, 320)
    faces = write_faces(tmp_path / "faces.csv", emotion)
    found = simulated(tmp_path / "store", faces, Plan((2,), 1, Person(mixed=0.9)))
    assert found.trials[0].named == 0
    assert found.trials[0].found.accuracy is None
    assert "where no cluster got a name, there is no second model and no accuracy" in found.notes


def test_without_a_face_model_nobody_can_name(tmp_path: Path) -> None:
    faces = write_faces(tmp_path / "faces.csv", kinds_of(320))
    found = simulated(tmp_path / "store", faces, Plan((0, 2), 1, ceiling=False))
    assert [trial.looks for trial in found.trials] == [2]
    assert found.notes[-1].startswith("0 looks were left out")


def test_how_the_run_named_its_clusters_plays_no_part(tmp_path: Path) -> None:
    faces = write_faces(tmp_path / "faces.csv", kinds_of(320))
    recipe = replace(RECIPE, name=NameByFile(file=str(tmp_path / "gone.yaml")))
    assert simulated(tmp_path / "store", faces, Plan((2,), 1), recipe).trials


def test_faces_without_labels_are_passed_over(tmp_path: Path) -> None:
    emotion = kinds_of(320)
    emotion[::3] = -1
    found = simulated(
        tmp_path / "store", write_faces(tmp_path / "faces.csv", emotion), Plan((4,), 1)
    )
    assert found.trials[0].found.accuracy == 1
    assert found.ceiling is not None
    assert found.ceiling.labels < found.fitted


def test_clusters_are_those_of_the_recipe_but_for_mixtures_of_too_many() -> None:
    recipe = replace(RECIPE, cluster=Gmm(clusters=9, restarts=2))
    assert clusters_of(recipe, 0) == Gmm(clusters=9, restarts=2)
    assert clusters_of(recipe, 50) == Gmm(clusters=50, restarts=2)
    assert clusters_of(recipe, 51) == KMeansClusters(clusters=51)
    assert clusters_of(RECIPE, 51) == KMeansClusters(clusters=51, restarts=2)


@pytest.mark.parametrize(
    ("plan", "recipe", "words"),
    [
        (Plan((0, 1)), RECIPE, "--looks 1: expected 2 or more"),
        (Plan((2,), on="train"), RECIPE, "--on train: expected test or validation"),
        (Plan((2,), on="validation"), RECIPE, "--on validation: no validation row has an emotion"),
        (Plan((999,)), RECIPE, "cluster.clusters=999: only 240 rows are fitted"),
        (Plan((2,)), replace(RECIPE, classify=Classify(model="none")), "classify.model=none"),
    ],
)
def test_what_cannot_be_simulated(plan: Plan, recipe: Recipe, words: str, tmp_path: Path) -> None:
    faces = write_faces(tmp_path / "faces.csv", kinds_of(320))
    with pytest.raises(DaskferError, match=words):
        simulated(tmp_path / "store", faces, plan, recipe)


def test_without_any_label_nobody_can_look(tmp_path: Path) -> None:
    faces = write_faces(tmp_path / "faces.csv", np.full(320, -1), usage="Training")
    with pytest.raises(DaskferError, match="no fitted face has an emotion label"):
        simulated(tmp_path / "store", faces, Plan((2,)), replace(RECIPE, split=UsageSplit()))


@pytest.mark.parametrize(
    ("rows", "expected"), [([0, 1], "a"), ([], "b")], ids=["validation", "cross-validation"]
)
def test_scored_rows_do_not_choose_the_features(monkeypatch, rows, expected):
    """Of two models the test rows would take the one that neither choice takes."""
    accuracy = {"a": {"choosing": 0.9, "test": 0.1}, "b": {"choosing": 0.2, "test": 0.8}}
    agreement = {"a": 0.3, "b": 0.6}
    if expected == "b":
        accuracy["b"]["test"], accuracy["a"]["test"] = 0.1, 0.8
    choosing, held_out = np.array(rows, np.int64), np.array([2, 3])

    def learn_labels(context, space, rows, labels):
        classifier = SimpleNamespace(pseudo_label_accuracy=agreement[space.key])
        return SimpleNamespace(name=space.key, rows=len(rows), classifier=classifier)

    def score(context, table, learned, positions):
        found = accuracy[learned.name]["choosing" if positions is choosing else "test"]
        return SimpleNamespace(accuracy=found, balanced_accuracy=found)

    monkeypatch.setattr(simulate, "learn_labels", learn_labels)
    monkeypatch.setattr(simulate, "score", score)
    table = SimpleNamespace(emotion=np.zeros(5, np.int8))
    ground = simulate._Ground(None, table, None, None, None, None, held_out, choosing)
    spaces = (SimpleNamespace(key="a"), SimpleNamespace(key="b"))
    found = simulate._best(ground, None, np.array([4]), spaces)
    assert found.accuracy == accuracy[expected]["test"] == 0.1
