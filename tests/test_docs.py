"""The documentation: links lead somewhere, commands parse, code runs, tables are the code's."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import yaml
from pages import PROJECT, Page, commands_in, page, pages
from PIL import Image
from processes import daskfer

import daskfer as package
from daskfer.errors import RecipeError
from daskfer.recipe import Recipe, load_recipe, recipe_from_dict, shipped_recipes
from daskfer.recipe.reading import _SCALARS, _STAGES, SELECTORS
from daskfer.synthetic import write_csv

PAGES = pages()


def named(one: Page) -> str:
    return one.name


# Links


@pytest.mark.parametrize("one", PAGES, ids=named)
def test_links_lead_to_files_and_headings(one):
    for link in one.links():
        if re.match(r"[a-z]+:", link):
            assert link.startswith("https://"), link
            continue
        path, _, anchor = link.partition("#")
        target = (one.path.parent / path).resolve() if path else one.path
        assert target.exists(), f"{one.name}: {link} leads nowhere"
        assert target.is_relative_to(PROJECT)
        if anchor:
            assert anchor in Page(target).anchors(), f"{one.name}: {link} leads to no heading"


def test_every_page_is_listed_in_the_readme_and_in_the_index():
    there = {path.name for path in (PROJECT / "docs").glob("*.md")} - {"index.md"}
    assert there <= {link.removeprefix("docs/") for link in page("README.md").links()}
    assert there <= set(page("docs/index.md").links())
    (tree,) = page("docs/index.md").blocks("{toctree}")
    assert {f"{line}.md" for line in tree.split()} - {":hidden:.md"} == there


def test_pictures_are_small_and_made_by_the_script():
    script = (PROJECT / "scripts" / "make_pictures.py").read_text()
    shown = {link for one in PAGES for link in one.links() if link.endswith(".png")}
    pictures = sorted((PROJECT / "docs" / "pictures").iterdir())
    assert {path.name for path in pictures} == {Path(link).name for link in shown}
    for path in pictures:
        assert path.name in script
        assert path.stat().st_size < 400_000
        with Image.open(path) as picture:
            assert picture.width >= 1000


# Commands


def parsed(arguments: list[str], whole: bool = True) -> str:
    """What is wrong with the arguments of a command, in words; empty where nothing is.

    They are parsed by the real command line, and nothing is run. Where they are not the `whole`
    command but speak of it, something may be missing.
    """
    import typer
    from typer.main import get_command

    from daskfer.cli.app import app

    command: Any = get_command(app)
    name, rest, parent = "daskfer", list(arguments), None
    try:
        while True:
            context = command.make_context(name, rest, parent=parent)
            # A group that can be called alone (cache, models) has nothing left.
            rest = [*getattr(context, "_protected_args", ()), *context.args]
            if not hasattr(command, "commands") or not rest:
                return ""
            parent = context
            name, command, rest = command.resolve_command(context, rest)
    except typer.Exit:
        return ""
    except Exception as error:
        kind = type(error).__name__
        if not whole and kind in ("MissingParameter", "NoArgsIsHelpError", "BadOptionUsage"):
            return ""
        return f"{kind}: {getattr(error, 'message', error)}"


def test_what_is_wrong_with_a_command_is_noticed():
    assert parsed(["run", "faces.csv", "--recipe", "hog", "--set", "cluster.clusters=3"]) == ""
    assert parsed(["jobs", "logs", "ID", "--follow"]) == ""
    assert parsed(["cache"]) == ""
    assert parsed(["predict"], whole=False) == ""
    assert "MissingParameter" in parsed(["predict"])
    assert "NoSuchOption" in parsed(["run", "faces.csv", "--cluster-count", "3"])
    assert "NoSuchOption" in parsed(["jobs", "logs", "ID", "--tail"])
    assert "rum" in parsed(["rum", "faces.csv"])
    assert "rum" in parsed(["jobs", "rum"])
    assert "BadParameter" in parsed(["run", "faces.csv", "--workers", "many"])


@pytest.mark.parametrize("one", PAGES, ids=named)
def test_commands_parse(one):
    for block in one.blocks("", "sh", "bash", "console"):
        for arguments in commands_in(block):
            assert parsed(arguments) == "", f"{one.name}: daskfer {' '.join(arguments)}"
    for code in one.inline():
        for arguments in commands_in(code):
            spoken = [word.split("|") for word in arguments if word not in ("...", "…")]
            for words in itertools.product(*spoken):
                assert parsed(list(words), whole=False) == "", f"{one.name}: `{code}`"


def test_blocks_with_commands_are_found():
    found = [
        arguments for block in page("README.md").blocks("") for arguments in commands_in(block)
    ]
    assert ["demo"] in found
    assert {arguments[0] for arguments in found} >= {"inspect", "run", "name", "train", "predict"}


@pytest.mark.parametrize("one", PAGES, ids=named)
def test_changes_of_recipes_are_known(one):
    for change in re.findall(r"--set\s+([a-z_]+\.[a-z_]+=[^\s`)]+)", one.text):
        change = change.rstrip(",;")
        if change == "stage.key=value":
            continue
        faults = []
        for recipe in shipped_recipes():
            try:
                load_recipe(recipe, [change])
                break
            except RecipeError as error:
                faults.append(str(error))
        assert len(faults) < len(shipped_recipes()), f"{one.name}: --set {change}: {faults}"


@pytest.mark.parametrize("one", PAGES, ids=named)
def test_scripts_and_tests_that_are_named_exist(one):
    for path in re.findall(r"\b((?:scripts|tests|docs|daskfer)/[\w/.-]+\.(?:py|png))", one.text):
        assert (PROJECT / path).is_file(), f"{one.name}: {path}"


# Code


def test_recipes_in_pages_are_recipes():
    blocks = page("docs/recipes.md").blocks("yaml")
    assert blocks
    for block in blocks:
        recipe_from_dict(yaml.safe_load(block))


PYTHON = [(one.name, block) for one in PAGES for block in one.blocks("python")]


@pytest.mark.parametrize(("name", "block"), PYTHON)
def test_python_compiles(name, block):
    compile(block, name, "exec")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with faces and a finished run with every figure, and an environment."""
    folder = tmp_path_factory.mktemp("trained")
    write_csv(folder / "faces.csv", 400, seed=3)
    environment = {**os.environ, "DASKFER_STORE": str(folder / "store"), "COLUMNS": "120"}
    done = daskfer(
        "run", folder / "faces.csv", "--recipe", "hog", "--set", "cluster.method=gmm",
        "--set", "reduce.components=4", "--set", "cluster.restarts=2",
        "--set", "evaluate.folds=2", "--set", "classify.model=logistic",
        "--out", folder / "run", environment=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, environment


@pytest.mark.slow
@pytest.mark.parametrize(("name", "block"), PYTHON)
def test_python_runs(trained, tmp_path, monkeypatch, request, name, block):
    if ".find(" in block:
        request.getfixturevalue("bundle")
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (60, 48, 48), np.uint8)
    Image.fromarray(images[0]).resize((200, 200)).save("photo.jpg")
    block = re.sub(r'"runs/[^"]+"', repr(str(trained[0] / "run")), block)
    exec(compile(block, name, "exec"), {"images": images})


# Tables


def default_of(value: Any) -> str:
    """A default as the tables write it."""
    if value is None or value == "":
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def values_of(kind: Any) -> str:
    """The values that a key takes, as the tables write them."""
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if kind == tuple[str, ...] | None:
        return "list of names"
    if options := get_args(kind):
        return ", ".join(values_of(option) for option in options if option is not type(None))
    return {int: "whole number", float: "number", bool: "`true`, `false`", str: "text"}[kind]


def keys_of_recipes() -> list[tuple[str, ...]]:
    """Methods, key, default and values of every key of a recipe, in order."""
    usual = Recipe()
    rows: list[tuple[str, ...]] = [
        ("", f"`{key}`", default_of(getattr(usual, key)), values_of(kind))
        for key, kind in _SCALARS.items()
    ]
    for stage, sections in _STAGES.items():
        selector = SELECTORS.get(stage, "method")
        for section in sections:
            hints = get_type_hints(section)
            methods = ", ".join(f"`{one}`" for one in get_args(hints.get(selector)))
            for field in dataclasses.fields(section):
                default = field.default
                if field.name == selector and default != getattr(getattr(usual, stage), selector):
                    default = None
                rows.append((
                    methods if len(sections) > 1 else "", f"`{stage}.{field.name}`",
                    default_of(default), values_of(hints[field.name]),
                ))  # fmt: skip
    return rows


def test_the_tables_of_recipes_are_those_of_the_code():
    found = []
    for table in page("docs/recipes.md").tables():
        header, *rows = table
        for row in rows:
            found.append(tuple(row[:4]) if header[0] == "method" else ("", *row[:3]))
            assert len(row[-1]) > 3, f"nothing says what {row} does"
    assert found == keys_of_recipes()


def test_every_shipped_recipe_is_told():
    told = re.findall(r"^- \*\*`(\S+?)`\*\*", page("docs/recipes.md").text, re.MULTILINE)
    assert sorted(told) == shipped_recipes()


ONE_ROW = ("labels_used", "notes", "verdict", "seconds", "reused", "tasks", "peak_memory",
           "peak_memory_bytes", "versions", "cluster.silhouette_cv")  # fmt: skip
"""Keys of metrics.json that one row tells of, whatever is in them."""


def keys_of_metrics(value: dict[str, Any], prefix: str = "") -> set[str]:
    """Keys of metrics.json, those within others behind a dot."""
    found = set()
    for key, one in value.items():
        name = f"{prefix}{key}"
        if name in ONE_ROW or not isinstance(one, dict):
            found.add(name)
        if isinstance(one, dict) and (name not in ONE_ROW or name == "cluster.silhouette_cv"):
            found |= keys_of_metrics(one, f"{name}.")
    return found


@pytest.mark.slow
def test_every_key_of_metrics_is_told_with_its_chance(trained):
    metrics = json.loads((trained[0] / "run" / "metrics.json").read_text())
    assert metrics["cluster"]["silhouette_cv"]["folds"] == 2
    told: dict[str, str | None] = {}
    for header, *rows in page("docs/figures.md").tables():
        for row in rows:
            key = row[0].strip("`")
            assert key not in told
            told[key] = row[2] if header[-1] == "chance" else None
            for other in re.findall(r"`([a-z]+\.[a-z_]+)`", " ".join(row[1:])):
                stage, _, name = other.partition(".")
                keys = {*metrics.get(stage, ()), *dir(getattr(Recipe(), stage, None))}
                assert name in keys or name in ("csv", "json"), other
    assert set(told) == keys_of_metrics(metrics)
    for key in ("silhouette", "nmi", "hungarian_accuracy", "majority_accuracy"):
        assert "`cluster." in str(told[f"cluster.{key}"])
    for key in ("test_accuracy", "test_balanced_accuracy"):
        assert "`classifier." in str(told[f"classifier.{key}"])


def test_columns_of_predictions_are_told():
    from daskfer.predicted_file import COLUMNS

    (table,) = [rows for rows in page("docs/predicting.md").tables() if rows[0][0] == "column"]
    assert tuple(re.findall(r"`(\w+)`", " ".join(row[0] for row in table[1:]))) == COLUMNS


def test_figures_that_stand_in_several_pages_are_equal():
    """Rows of tables with the same header and first cell; and sentences' figures by their words."""
    rows: dict[tuple[str, ...], dict[str, list[str]]] = defaultdict(dict)
    for one in PAGES:
        for header, *body in one.tables():
            for row in body:
                if any(re.search(r"\d", cell) for cell in row[1:]):
                    rows[*header, row[0]].setdefault(one.name, row)
    shared = {key: found for key, found in rows.items() if len(found) > 1}
    assert len(shared) >= 3
    for key, found in shared.items():
        assert len({tuple(row) for row in found.values()}) == 1, f"{key}: {found}"


FIGURES = {
    "all labels": r"With\s+all\s+27,191\s+labels[^.]*?(0\.\d{3})\s+\(balanced\s+(0\.\d{3})",
    "most frequent": r"most\s+frequent\s+emotion\s+is\s+(0\.\d{3})",
    "people": r"agree\s+with\s+these\s+labels\s+on\s+about\s+(\d+)\s+%",
    "seconds of expression": r"(?:\| `expression` \| |takes )(\d+) s\b",
    "seconds of hog": r"(?:\| `hog` \| |, )(\d+\.\d) s(?: with `hog`| \()",
}


def test_figures_in_sentences_are_equal():
    for what, pattern in FIGURES.items():
        found = {
            one.name: match.groups() for one in PAGES if (match := re.search(pattern, one.text))
        }
        assert len(found) >= 2, f"{what}: {found}"
        assert len(set(found.values())) == 1, f"{what}: {found}"


def test_what_looks_are_worth_is_as_it_was_measured():
    """README's table against that of BENCHMARKS.md, whose rows are its columns."""
    (short,) = [rows for rows in page("README.md").tables() if rows[0][0] == "looks"]
    (long,) = [rows for rows in page("BENCHMARKS.md").tables() if rows[0][0] == "looks"]
    measured = {row[0]: [cell.split(" ")[0] for cell in row[1:4]] for row in long[1:]}
    for number, *figures in zip(*short, strict=True):
        if number != "looks":
            looks = number.split(" ")[0]
            assert [figure.replace("–", "") for figure in figures] == measured[looks], number


# What is built of it


@pytest.mark.slow
def test_sphinx_builds_the_pages_without_a_warning(tmp_path):
    for needed in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(needed, reason=f"{needed} is not installed (the extra docs)")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html",
         "-d", str(tmp_path / "trees"), str(PROJECT / "docs"), str(tmp_path / "site")],
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    for path in (PROJECT / "docs").glob("*.md"):
        assert (tmp_path / "site" / f"{path.stem}.html").exists()


def test_the_tests_install_what_the_pages_are_built_with():
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = extras["optional-dependencies"]
    assert set(extras["docs"]) <= set(extras["test"])
    tested = (PROJECT / "constraints.txt").read_text().lower()
    for each in extras["docs"]:
        assert f"{re.split('[<>=]', each)[0]}==" in tested


def test_the_citation_has_what_its_format_requires():
    content = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
    assert content["cff-version"] == "1.2.0"
    assert isinstance(content["message"], str)
    assert isinstance(content["title"], str)
    assert all({"name"} <= set(one) or {"family-names"} <= set(one) for one in content["authors"])
    assert content["type"] == "software"
    assert str(content["version"]) == package.__version__
    assert content["license"] == "MIT"
    known = {
        "abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi",
        "identifiers", "keywords", "license", "license-url", "message", "preferred-citation",
        "references", "repository", "repository-artifact", "repository-code", "title", "type",
        "url", "version",
    }  # fmt: skip
    assert set(content) <= known
    assert len(set(content["keywords"])) == len(content["keywords"])


def test_the_readme_has_the_two_commands_that_ci_greps():
    lines = re.findall(r"^python3 -m venv .*$", page("README.md").text, re.MULTILINE)
    assert len(lines) == 2
    assert lines[0].endswith("daskfer demo")
    assert "-m pytest -n logical --dist loadfile" in lines[1]
