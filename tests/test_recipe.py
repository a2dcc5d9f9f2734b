"""Recipes: shipped ones, changes from the command line, checks, and their text."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from daskfer.cli.options import DEFAULT_RECIPE
from daskfer.errors import RecipeError
from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.foresight import check_parts
from daskfer.recipe import (
    BalanceByClass,
    Classify,
    Expression,
    Gmm,
    Hog,
    IncrementalPca,
    KMeansClusters,
    NameByFile,
    NameByPage,
    NoBalance,
    NoNames,
    NoReduction,
    Parts,
    Pca,
    Pixels,
    RandomSplit,
    Recipe,
    Svd,
    categories_of,
    code_of,
    load_recipe,
    recipe_from_dict,
    shipped_recipes,
)


def test_shipped_recipes_are_there() -> None:
    assert {"seed", "hog"} <= set(shipped_recipes())
    assert DEFAULT_RECIPE in shipped_recipes()


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_load_and_are_their_own_text(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe_from_dict(yaml.safe_load(recipe.as_yaml())) == recipe
    order = [field.name for field in dataclasses.fields(Recipe)]
    assert list(yaml.safe_load(recipe.as_yaml())) == order


def test_the_seed_recipe_is_the_original_method() -> None:
    recipe = load_recipe("seed")
    assert recipe.seed == 42
    assert recipe.balance == BalanceByClass("first", 547)
    assert recipe.split == RandomSplit(test=0.1)
    assert recipe.ingest.duplicates == "keep"
    assert recipe.represent == Pixels()
    assert isinstance(recipe.reduce, IncrementalPca)
    assert recipe.reduce.components == 2
    assert (recipe.cluster.method, recipe.cluster.clusters) == ("dask-ml-kmeans", 7)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("# nothing\n")
    assert load_recipe(str(tmp_path / "r.yaml")) == Recipe() == recipe_from_dict({})


# --set


@pytest.mark.parametrize(
    ("change", "stage", "key", "value"),
    [
        ("cluster.clusters=9", "cluster", "clusters", 9),
        ("cluster.clusters=9.0", "cluster", "clusters", 9),
        ("cluster.tolerance=1", "cluster", "tolerance", 1.0),
        ("cluster.tolerance=1e-6", "cluster", "tolerance", 1e-6),
        ("cluster.tolerance=0.5", "cluster", "tolerance", 0.5),
        ("ingest.max_bad = 0.2", "ingest", "max_bad", 0.2),
        ("represent.mirror=false", "represent", "mirror", False),
        ("reduce.whiten=true", "reduce", "whiten", True),
        ("normalize.method=zscore", "normalize", "method", "zscore"),
        ("balance.method=none", "balance", "method", "none"),
        ("balance.method=null", "balance", "method", "none"),
    ],
)
def test_set_gives_typed_values(change: str, stage: str, key: str, value: object) -> None:
    found = getattr(getattr(load_recipe("hog", [change]), stage), key)
    assert found == value
    assert type(found) is type(value)


def test_the_number_of_components_may_be_chosen() -> None:
    assert load_recipe("hog", ["reduce.components=auto"]).reduce == Pca(components="auto")
    recipe = load_recipe("hog", ["reduce.components=auto", "reduce.rule=gavish-donoho"])
    assert recipe.reduce == Pca("pca", "auto", True, "gavish-donoho")
    assert recipe_from_dict(yaml.safe_load(recipe.as_yaml())) == recipe


@pytest.mark.parametrize("method", ["incremental-pca", "svd"])
def test_methods_of_dask_ml_need_a_number_of_components(method: str) -> None:
    message = r"components='auto': expected a whole number \(dask-ml's .*reduce\.method=pca"
    with pytest.raises(RecipeError, match=message):
        load_recipe("seed", [f"reduce.method={method}", "reduce.components=auto"])
    # Also where the word is left over from another method.
    with pytest.raises(RecipeError, match=message):
        load_recipe("hog", ["reduce.components=auto", f"reduce.method={method}"])


def test_the_second_models_rows_may_be_balanced() -> None:
    assert load_recipe("hog").classify.balance == "none"
    recipe = load_recipe("hog", ["classify.balance=cluster", "classify.per_cluster=500"])
    assert recipe.classify == Classify(balance="cluster", per_cluster=500)
    assert load_recipe("hog", ["classify.balance=null"]).classify.balance == "none"
    assert load_recipe("hog", ["classify.per_cluster=min"]).classify.per_cluster == "min"


def test_a_user_may_have_names_of_her_own() -> None:
    assert load_recipe("hog", ["name.how=page"]).name == NameByPage(categories=None)
    recipe = load_recipe("hog", ["name.how=page", "name.categories=[ calm, Happy, 'yes']"])
    assert recipe.name == NameByPage(categories=("calm", "Happy", "yes"))
    assert recipe.as_dict()["name"]["categories"] == ["calm", "Happy", "yes"]
    assert recipe_from_dict(yaml.safe_load(recipe.as_yaml())) == recipe
    both = load_recipe("hog", ["name.how=file", "name.file=n.yaml", "name.categories=[a, b]"])
    assert both.name == NameByFile(file="n.yaml", categories=("a", "b"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("calm", r"name\.categories='calm': expected a list of names"),
        ("yes", r"name\.categories=True: expected a list of names"),
        ("[calm]", r"name\.categories lists 1: expected 2 to 100 names"),
        (str([f"n{number}" for number in range(101)]), "lists 101: expected 2 to 100"),
        ("[calm, yes]", "the name True: YAML takes it for true or false; write it in quotes"),
        ("[calm, 3]", "the name 3: YAML takes it for a number; write it in quotes"),
        ("[calm, null]", "the name None: YAML takes it for no value"),
        ("[calm, [tense]]", "it is a list or a table; expected one name"),
        ("[calm, ' ']", "the name ' ': it is empty"),
        ("[calm, Calm]", "the name 'Calm' is there twice"),
        (f"[calm, {'x' * 61}]", "it has 61 characters; expected at most 60"),
        ('[calm, "a\\tb"]', "it holds a control character"),
        ('[calm, "a\\nb"]', "it holds a control character"),
    ],
)
def test_lists_of_names_that_are_refused(value: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("hog", ["name.how=page", f"name.categories={value}"])


def test_codes_of_names() -> None:
    assert categories_of(None) == EMOTIONS
    categories = categories_of(["Happy", "calm", "sad", "Tense"])
    assert categories == (*EMOTIONS, "calm", "Tense")
    assert [code_of(name, categories) for name in ("HAPPY", " calm", "tense", "bored")] == [
        3, 7, 8, UNKNOWN,
    ]  # fmt: skip


def test_set_of_what_has_no_stage() -> None:
    recipe = load_recipe("hog", ["seed=7", "block_rows=64"])
    assert (recipe.seed, recipe.block_rows) == (7, 64)


def test_set_takes_a_number_or_a_word_where_both_may_be() -> None:
    assert load_recipe("seed", ["balance.per_class=12"]).balance == BalanceByClass("first", 12)
    assert load_recipe("seed", ["balance.per_class=min"]).balance == BalanceByClass("first", "min")
    with pytest.raises(RecipeError, match=r"per_class='most': expected a whole number or min"):
        load_recipe("seed", ["balance.per_class=most"])


def test_the_last_change_counts_and_others_stay() -> None:
    changes = ["cluster.clusters=9", "cluster.restarts=2", "cluster.clusters=8"]
    recipe = load_recipe("hog", changes)
    assert (recipe.cluster.clusters, recipe.cluster.restarts) == (8, 2)
    assert recipe.represent == load_recipe("hog").represent


def test_another_method_drops_the_keys_of_the_old_one() -> None:
    recipe = load_recipe("seed", ["reduce.method=svd"])
    assert recipe.reduce == Svd(components=2, iterated_power=4)
    assert load_recipe("hog", ["represent.method=pixels"]).represent == Pixels()
    assert load_recipe("hog", ["reduce.method=none"]).reduce == NoReduction()
    assert load_recipe("seed", ["balance.method=none"]).balance == NoBalance()
    assert load_recipe("seed", ["name.how=none"]).name == NoNames()
    assert load_recipe("seed", ["name.how=file", "name.file=n.yaml"]).name == NameByFile(
        file="n.yaml"
    )


def test_methods_with_the_same_keys_keep_them() -> None:
    recipe = load_recipe("seed", ["cluster.method=kmeans", "balance.method=random"])
    assert recipe.cluster == KMeansClusters("kmeans", 7, 30)
    assert recipe.balance == BalanceByClass("random", 547)
    assert load_recipe("seed", ["reduce.method=pca"]).reduce == Pca(components=2, whiten=False)


def test_a_mixture_keeps_the_number_of_clusters() -> None:
    changes = ["cluster.method=gmm", "cluster.regularization=1e-4"]
    assert load_recipe("hog", changes).cluster == Gmm(clusters=7, restarts=10, regularization=1e-4)
    back = [*changes[:1], "cluster.method=kmeans"]
    assert load_recipe("hog", back).cluster == KMeansClusters("kmeans", 7, 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("clusters=1", r"cluster\.clusters=1: expected 2 or more"),
        ("restarts=0", r"cluster\.restarts=0: expected 1 or more"),
        ("sample_rows=6", r"sample_rows=6: expected at least as many as clusters"),
        ("max_iterations=0", r"cluster\.max_iterations=0: expected 1 or more"),
        ("tolerance=.nan", r"cluster\.tolerance=nan: expected 0 or more"),
        ("regularization=0", r"cluster\.regularization=0\.0: expected 1e-9 to 1"),
        ("regularization=2", r"cluster\.regularization=2\.0: expected 1e-9 to 1"),
        ("regularization=.nan", r"cluster\.regularization=nan: expected 1e-9 to 1"),
        ("regularization=small", r"cluster\.regularization='small': expected a number"),
        ("covariance=full", r"unknown key cluster\.covariance"),
    ],
)
def test_changes_of_a_mixture_that_are_refused(change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("hog", ["cluster.method=gmm", f"cluster.{change}"])


def test_a_key_given_for_a_method_without_it_is_an_error() -> None:
    with pytest.raises(RecipeError, match=r"unknown key represent\.cell"):
        load_recipe("hog", ["represent.method=pixels", "represent.cell=4"])


# What is refused.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("cluster.clusters", r"--set cluster\.clusters: expected stage\.key=value"),
        ("cluster.cluster=7", r"cluster\.cluster \(did you mean clusters\?\); expected one of"),
        ("clutser.clusters=7", r"--set clutser\.clusters=7: unknown key; expected one of seed"),
        ("cluster=7", "unknown key"),
        ("seed.x=7", "unknown key"),
        ("cluster.clusters=[", "not YAML"),
        ("cluster.clusters=many", r"cluster\.clusters='many': expected a whole number"),
        ("cluster.clusters=7.5", r"cluster\.clusters=7\.5: expected a whole number"),
        ("cluster.clusters=true", r"cluster\.clusters=True: expected a whole number"),
        ("cluster.clusters=", r"cluster\.clusters=None: expected a whole number"),
        ("cluster.clusters=1", r"cluster\.clusters=1: expected 2 or more"),
        ("cluster.tolerance=true", r"cluster\.tolerance=True: expected a number"),
        ("cluster.tolerance=-1", r"cluster\.tolerance=-1\.0: expected 0 or more"),
        ("cluster.tolerance=.nan", r"cluster\.tolerance=nan: expected 0 or more"),
        ("cluster.method=[kmeans]", r"cluster\.method=\['kmeans'\]: expected one of kmeans"),
        ("cluster.method=dbscan", r"cluster\.method='dbscan': expected one of kmeans"),
        ("cluster.regularization=1e-6", r"unknown key cluster\.regularization"),
        ("cluster.sample_rows=3", r"sample_rows=3: expected at least as many as clusters"),
        ("represent.mirror=1", r"represent\.mirror=1: expected true or false"),
        ("represent.cell=1", r"represent\.cell=1: expected 2 or more"),
        ("normalize.method=max", r"normalize\.method='max': expected one of minmax"),
        ("ingest.max_bad=1.5", r"ingest\.max_bad=1\.5: expected 0 to 1"),
        ("split.test=0", r"split\.test=0\.0: expected a share between 0 and 1"),
        ("reduce.components=0", r"reduce\.components=0: expected 1 or more"),
        ("evaluate.folds=1", r"evaluate\.folds=1: expected 0 \(none\) or 2"),
        ("evaluate.null_draws=-1", r"evaluate\.null_draws=-1: expected 0 or more"),
        ("reduce.components=many", r"components='many': expected a whole number or auto$"),
        ("reduce.rule=kaiser", r"reduce\.rule='kaiser': expected one of parallel-analysis"),
        ("classify.balance=class", r"classify\.balance='class': expected one of none, cluster"),
        ("classify.per_cluster=2", r"per_cluster=2: expected at least as many as classify\.folds"),
        ("classify.folds=1", r"classify\.folds=1: expected 2 or more"),
        ("name.how=file", "needs the file too"),
        ("seed=-1", "seed=-1: expected 0 to 4294967295"),
        ("seed=4294967296", "seed=4294967296"),
        ("seed=true", "seed=True: expected a whole number"),
        ("block_rows=63", "block_rows=63: expected 64 or more"),
    ],
)
def test_changes_that_are_refused(change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe("hog", [change])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rows", ["0", "-5", "1"])
def test_batches_hold_at_least_the_components(rows: str) -> None:
    with pytest.raises(RecipeError, match=rf"batch_rows={rows}: expected at least as many"):
        load_recipe("seed", [f"reduce.batch_rows={rows}"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clusters: {}\n", r"section 'clusters' \(did you mean cluster\?\)"),
        ("5: {}\n", "unknown recipe section 5"),
        ("- a\n", "expected sections"),
        ("cluster: 7\n", "section cluster: expected keys and values, got 7"),
        ("cluster: {5: 1}\n", r"unknown key cluster\.5"),
        ("cluster: {clusters: [\n", "is not YAML"),
        ("seed: x\n", "seed='x': expected a whole number"),
    ],
)
def test_files_that_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(text)
    for changes in ([], ["cluster.clusters=9"]):
        with pytest.raises(RecipeError, match=message) as caught:
            load_recipe(str(tmp_path / "r.yaml"), changes)
        assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(b"\x80\xff\xfe\x00")
    with pytest.raises(RecipeError, match="is not YAML"):
        load_recipe(str(tmp_path / "r.yaml"))


def test_an_unknown_recipe_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"'hgo' is neither a file nor one of: .*hog"):
        load_recipe("hgo")
    with pytest.raises(RecipeError, match="neither a file"):
        load_recipe(str(tmp_path))


def test_the_expression_recipe_looks_at_parts() -> None:
    recipe = load_recipe("expression")
    assert recipe.represent == Expression()
    assert recipe.reduce == Parts(blendshapes=24, tokens=20, hog=10)
    assert recipe.classify.features == "face"
    changed = load_recipe("expression", ["represent.model=m.task", "represent.presence=-1e1"])
    assert changed.represent == Expression(model="m.task", presence=-10)
    assert load_recipe("expression", ["represent.model=null"]) == recipe


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("represent.faces=9", r"unknown key represent\.faces \(did you mean face\?\)"),
        ("represent.margin=4", r"unknown key represent\.margin"),
        ("represent.face=63", r"represent\.face=63: expected 64 to 256"),
        ("represent.face=257", r"represent\.face=257: expected 64 to 256"),
        ("represent.mirrored=-1", r"represent\.mirrored=-1: expected 0 or more"),
        ("represent.cell=1", r"represent\.cell=1: expected 2 or more"),
        ("represent.orientations=181", r"orientations=181: at most 180"),
        ("represent.presence=low", r"represent\.presence='low': expected a number"),
        ("represent.model=7", r"represent\.model=7: expected a text or null"),
        ("reduce.components=9", r"unknown key reduce\.components"),
        ("reduce.layer5=9", r"unknown key reduce\.layer5 \(did you mean layer[48]\?\)"),
        ("reduce.tokens=-1", r"reduce\.tokens=-1: expected 0 \(left out\) or more"),
        ("reduce.tokens=auto", r"reduce\.tokens='auto': expected a whole number"),
        ("reduce.tokens_weight=0", r"reduce\.tokens_weight=0\.0: expected above 0, up to 1000"),
        ("reduce.hog_weight=-0.7", r"reduce\.hog_weight=-0\.7: expected above 0, up to 1000"),
        ("reduce.layer4_weight=.nan", r"reduce\.layer4_weight=nan: expected above 0, up to 1000"),
        ("reduce.sides=left", r"reduce\.sides='left': expected one of average, both"),
        ("reduce.scaling=log", r"reduce\.scaling='log': expected one of sqrt, robust"),
        ("classify.components=0", r"classify\.components=0: expected 1 or more"),
    ],
)
def test_changes_of_an_expression_that_are_refused(change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe("expression", [change])
    assert "\n" not in str(caught.value)


def test_some_part_is_left() -> None:
    none = ["reduce.blendshapes=0", "reduce.tokens=0", "reduce.hog=0"]
    with pytest.raises(RecipeError, match="expected a part with 1 or more components"):
        load_recipe("expression", none)
    assert load_recipe("expression", [*none, "reduce.layer8=1"]).reduce.method == "parts"


@pytest.mark.parametrize("represent", ["hog", "pixels"])
def test_parts_are_of_expressions_alone(represent: str) -> None:
    for recipe in (
        load_recipe("hog", ["reduce.method=parts", f"represent.method={represent}"]),
        load_recipe("expression", [f"represent.method={represent}"]),
    ):
        with pytest.raises(RecipeError) as caught:
            check_parts(recipe)
        told = str(caught.value)
        assert told.startswith("reduce.method=parts needs represent.method=expression")
        assert f"the recipe has {represent}" in told
        assert "--set reduce.method=pca" in told
    check_parts(load_recipe("expression"))
    check_parts(load_recipe("expression", ["reduce.method=pca", "reduce.components=5"]))


RECIPES = st.builds(
    Recipe,
    seed=st.integers(0, 2**32 - 1),
    block_rows=st.integers(64, 10**6),
    split=st.builds(RandomSplit, test=st.floats(1e-9, 0.999)),
    balance=st.just(NoBalance())
    | st.builds(
        BalanceByClass, st.sampled_from(["first", "random"]), st.just("min") | st.integers(1, 10**6)
    ),
    represent=st.just(Pixels())
    | st.builds(Hog, mirror=st.booleans(), cell=st.integers(2, 20))
    | st.builds(Expression, model=st.none() | st.text(min_size=1), presence=st.floats(-99, 99)),
    reduce=st.just(NoReduction())
    | st.builds(Svd)
    | st.builds(Parts, hog=st.integers(0, 999), tokens_weight=st.floats(1e-9, 1e3))
    | st.builds(Pca, components=st.just("auto") | st.integers(1, 500), whiten=st.booleans())
    | st.builds(IncrementalPca, batch_rows=st.none() | st.integers(2, 5000)),
    cluster=st.builds(KMeansClusters, tolerance=st.floats(0, 1e3))
    | st.builds(Gmm, regularization=st.floats(1e-9, 1)),
    name=st.just(NoNames()) | st.builds(NameByFile, file=st.text(min_size=1)),
)


@settings(max_examples=60)
@given(RECIPES)
def test_any_recipe_reads_back_from_its_text(recipe: Recipe) -> None:
    assert recipe_from_dict(yaml.safe_load(recipe.as_yaml())) == recipe


def test_a_written_recipe_is_a_recipe_file(tmp_path: Path) -> None:
    recipe = load_recipe("seed", ["cluster.tolerance=0.00001", "seed=3"])
    (tmp_path / "recipe.yaml").write_text(recipe.as_yaml())
    assert load_recipe(str(tmp_path / "recipe.yaml")) == recipe


def test_classes_of_a_set() -> None:
    recipe = load_recipe("hog", ["ingest.classes=[cat, dog]"])
    assert recipe.ingest.labels == ("cat", "dog")
    assert recipe_from_dict(recipe.as_dict()) == recipe
    assert load_recipe("hog").ingest.labels == EMOTIONS


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["ingest.classes=[cat]"], "ingest.classes lists 1: expected 2 to 100 names"),
        (["ingest.classes=[cat, CAT]"], "'CAT' is there twice"),
        (["ingest.classes=[yes, no]"], "write it in quotes"),
        (["ingest.classes=cat"], "expected a list of names"),
        (
            ["ingest.classes=[cat, dog]", "name.how=facs"],
            "none of ingest.classes is one: use --set name.how=page",
        ),
        (
            [
                f"ingest.classes={[f'c{number}' for number in range(100)]}", "name.how=page",
                f"name.categories={[f'n{number}' for number in range(21)]}",
            ],
            "have 121 names together: expected at most 120",
        ),
    ],
)  # fmt: skip
def test_classes_that_are_refused(changes: list[str], words: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(words)):
        load_recipe("hog", changes)


def test_action_units_need_one_emotion_among_the_classes() -> None:
    changes = ["ingest.classes=[contempt, Happy]", "name.how=facs"]
    assert load_recipe("hog", changes).name.how == "facs"
