"""Names that came after the run, in the pipeline: the same figures, divided clusters, the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alone import context_of
from test_simulate_stage import RECIPE, context_in, kinds_of, write_faces

from daskfer import pipeline, simulate, storage
from daskfer.clusterers import Divided
from daskfer.errors import InputError, RunFolderError
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.ingest.finding import find_sources
from daskfer.model import FORMAT, read_clusters
from daskfer.naming import Given
from daskfer.pipeline import Result
from daskfer.recipe import Evaluate, Gmm, NoNames, Recipe
from daskfer.report import write_report
from daskfer.run_folder import RunFolder
from daskfer.simulate import Person
from daskfer.splits import Split, divide
from daskfer.stages.simulate import Plan, simulate_naming
from daskfer.store import Store

QUICK = replace(RECIPE, name=NoNames(), evaluate=Evaluate(folds=0, null_draws=0, stability_draws=0))


@pytest.fixture(autouse=True)
def without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search over parameters runs here."""
    methods = replace(
        pipeline.METHODS, search=lambda search, points, labels: search.fit(points, labels)
    )
    monkeypatch.setattr(pipeline, "METHODS", methods)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces of four kinds, with labels."""
    return write_faces(tmp_path_factory.mktemp("faces") / "faces.csv", kinds_of(320))


def ran(folder: Path, faces: Path, given: Given | None, recipe: Recipe = QUICK) -> Result:
    context = context_of(recipe, str(folder))
    return pipeline.run(
        recipe, find_sources([str(faces)]), Store(str(folder)), context.engine, context.watch,
        given=given,
    )  # fmt: skip


def given_of(emotion: np.ndarray, **more: Any) -> Given:
    names = {"categories": EMOTIONS, "by": ()} | more
    return Given("page", int((emotion != UNKNOWN).sum()), emotion=emotion.astype(np.int8), **names)


def points_of(result: Result, positions: np.ndarray) -> np.ndarray:
    return result.reduced.points.rows(positions)


def split_of(result: Result, of: int, new: int) -> Split:
    """A division of one of the run's clusters by its fitted faces."""
    fit = result.selection.fit
    centers = divide(points_of(result, fit[result.clusters.cluster[fit] == of]))
    assert centers is not None
    return Split(of, new, centers)


@pytest.mark.parametrize("looks", [4, 9])
def test_what_a_simulated_person_says_is_worth_as_much_as_the_simulation_says(
    looks: int, faces: Path, tmp_path: Path
) -> None:
    recipe = replace(QUICK, cluster=replace(RECIPE.cluster, clusters=looks))
    person = Person(error=0.3)
    plan = Plan((looks,), 1, person, ceiling=False)
    told = simulate_naming(context_in(tmp_path, recipe), find_sources([str(faces)]), plan)
    there = set(tmp_path.glob("classify/*"))
    run = ran(tmp_path, faces, None, recipe)
    assert run.trained is None
    fit = run.selection.fit
    shown = simulate.sheets(
        run.clusters.cluster[fit], run.clusters.nearest[fit], run.faces.table.emotion[fit], looks,
        person.faces,
    )  # fmt: skip
    emotion = simulate.answers(shown, person, recipe.seed).emotion
    found = ran(tmp_path, faces, given_of(emotion), recipe)
    assert found.trained is not None
    (trial,) = told.trials
    assert found.figures["classifier"]["test_accuracy"] == trial.found.accuracy
    assert found.figures["classifier"]["test_balanced_accuracy"] == trial.found.balanced_accuracy
    # The very same second model: all that was added is that the run without names has none.
    assert len(set(tmp_path.glob("classify/*")) - there) == 1
    assert found.clusters.key == run.clusters.key
    assert found.figures["cluster"] == run.figures["cluster"]
    assert found.figures["naming"] == {"how": "page", "looks": looks}


@pytest.mark.parametrize("kind", ["kmeans", "gmm"])
def test_divided_clusters(kind: str, faces: Path, tmp_path: Path) -> None:
    # Two clusters of four kinds of faces.
    recipe = replace(QUICK, cluster=replace(RECIPE.cluster, clusters=2))
    if kind == "gmm":
        recipe = replace(QUICK, cluster=Gmm(clusters=2, restarts=1))
    store = tmp_path / "store"
    run = ran(store, faces, None, recipe)
    splits = (split_of(run, 0, 2), split_of(run, 1, 3))
    given = given_of(np.array([3, 4, 5, UNKNOWN]), splits=splits, by=("page", "facs", "page", None))
    found = ran(store, faces, given, recipe)
    cluster = found.clusters.cluster
    assert isinstance(found.clusters.model, Divided)
    assert found.clusters.key != run.clusters.key
    assert set(cluster.tolist()) == {0, 1, 2, 3}
    assert (run.clusters.cluster % 2 == cluster % 2).all()
    assert found.names.rows.tolist() == np.bincount(cluster[found.selection.fit]).tolist()
    assert found.names.rows[0] >= found.names.rows[2]
    assert found.figures["cluster"] == run.figures["cluster"]
    assert found.figures["cluster"]["k"] == 2
    assert found.figures["verdict"] == run.figures["verdict"]
    assert found.figures["notes"][-2:] == [
        "clusters were divided after the run, which made 4 of 2: the figures of the clusters are "
        "of those before",
        "1 of 4 clusters have no name, nor their faces",
    ]
    folder = RunFolder(str(tmp_path / "run"))
    storage.write_json(folder.file("run.json"), {"identity": "this one"})
    folder.write(found, {**found.figures, "seconds": {}}, "this one")
    again = read_clusters(folder.file("model")).assign(points_of(found, np.arange(320)))
    assert again.cluster.tolist() == cluster.tolist()
    page = (tmp_path / "run" / "report.html").read_text()
    assert "in 4 clusters" in page
    assert "a person who looked at 3 sheets; 1 of 3 names were kept from action units." in page
    names = (tmp_path / "run" / "names.yaml").read_text()
    assert "of: 0" in names
    assert "by: facs" in names


def test_two_divisions_tell_four_kinds_apart_where_two_clusters_were_fitted(
    faces: Path, tmp_path: Path
) -> None:
    recipe = replace(QUICK, cluster=replace(RECIPE.cluster, clusters=2))
    run = ran(tmp_path, faces, None, recipe)
    # The larger cluster has three of the kinds, so that its larger part has two of them.
    one = split_of(run, 0, 2)
    once = ran(tmp_path, faces, given_of(np.array([3, 4, 5]), splits=(one,)), recipe)
    splits = (one, split_of(once, 0, 3))
    kinds = np.arange(320) % 4
    parts = ran(tmp_path, faces, given_of(np.array([3, 4, 5, 0]), splits=splits), recipe).clusters
    kind_of = [set(kinds[parts.cluster == number].tolist()) for number in range(4)]
    assert sorted(map(list, kind_of)) == [[0], [1], [2], [3]]
    names = kinds_of(4)[[kind.pop() for kind in kind_of]]
    found = ran(tmp_path, faces, given_of(names, splits=splits), recipe)
    assert found.figures["classifier"]["test_accuracy"] == 1
    assert (found.names.purity == 1).all()
    # An older division is divided further, and not changed.
    assert (once.clusters.cluster == 2).tolist() == (parts.cluster == 2).tolist()


def test_other_divisions_are_other_clusters(faces: Path, tmp_path: Path) -> None:
    run = ran(tmp_path, faces, None)
    one = split_of(run, 0, 4)
    two = replace(one, centers=one.centers + 1)
    names = np.array([3, 4, 5, 0, 6])
    keys = {ran(tmp_path, faces, given_of(names, splits=(s,))).clusters.key for s in (one, two)}
    assert len(keys) == 2


def test_trust_calibrates_and_makes_another_second_model(faces: Path, tmp_path: Path) -> None:
    names = np.array([3, 4, 5, 0])
    sure = ran(tmp_path, faces, given_of(names)).trained
    unsure = ran(tmp_path, faces, given_of(names, trust=np.array([0.6, 0.6, 0.6, 1.0]))).trained
    assert sure is not None
    assert unsure is not None
    assert unsure.confidence.mean() < sure.confidence.mean()


def test_names_of_other_clusters_are_refused(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="3 names were given, and there are 4 clusters"):
        ran(tmp_path, faces, given_of(np.array([3, 4, 5])))


def test_a_model_of_a_newer_format_is_not_misread(faces: Path, tmp_path: Path) -> None:
    folder = RunFolder(str(tmp_path / "run"))
    found = ran(tmp_path / "store", faces, given_of(np.array([3, 4, 5, 0])))
    storage.write_json(folder.file("run.json"), {"identity": "this one"})
    folder.write(found, {**found.figures, "seconds": {}}, "this one")
    model = storage.read_json(folder.file("model/model.json"))
    assert model["format"] == FORMAT
    storage.write_json(folder.file("model/model.json"), {**model, "format": FORMAT + 1})
    with pytest.raises(
        RunFolderError, match=f"has format {FORMAT + 1} and this daskfer reads up to {FORMAT}"
    ):
        read_clusters(folder.file("model"))


def test_names_of_ones_own_alone(faces: Path, tmp_path: Path) -> None:
    categories = (*EMOTIONS, "calm", "tense")
    found = ran(tmp_path / "store", faces, given_of(np.array([7, 8, 7, 8]), categories=categories))
    assert found.trained is not None
    assert np.isnan(found.names.purity).all()
    assert found.figures["classifier"]["test_accuracy"] is None
    assert found.figures["classifier"]["test_confusion"] is None
    assert found.figures["notes"][-1] == (
        "names beyond the seven emotions are in use, so the labels of the faces cannot score the "
        "second model"
    )
    # The clusters are scored as ever.
    assert found.figures["cluster"]["majority_accuracy"] == 1
    write_report(str(tmp_path / "report.html"), found, {**found.figures, "seconds": {}})
    page = (tmp_path / "report.html").read_text()
    assert "What it is worth cannot be said: names beyond the seven emotions are in use" in page
