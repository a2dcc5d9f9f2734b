"""Reading recipes: shipped ones and files, with changes from the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from daskfer.errors import RecipeError, one_line
from daskfer.recipe.expression import Expression, Parts
from daskfer.recipe.sections import (
    BalanceByClass,
    Classify,
    Evaluate,
    Gmm,
    Hog,
    IncrementalPca,
    Ingest,
    KMeansClusters,
    NameByDominant,
    NameByFacs,
    NameByFile,
    NameByPage,
    NoBalance,
    NoNames,
    NoReduction,
    Normalize,
    NoSplit,
    Pca,
    Pixels,
    RandomSplit,
    Recipe,
    Svd,
    UsageSplit,
)
from daskfer.recipe.values import checked, suggest

SELECTORS = {"name": "how", "classify": "model"}
"""The key that chooses a stage's method, where it is not `method`."""

_STAGES: dict[str, tuple[type, ...]] = {
    "ingest": (Ingest,),
    "split": (UsageSplit, RandomSplit, NoSplit),
    "normalize": (Normalize,),
    "balance": (NoBalance, BalanceByClass),
    "represent": (Pixels, Hog, Expression),
    "reduce": (IncrementalPca, Pca, Svd, Parts, NoReduction),
    "cluster": (KMeansClusters, Gmm),
    "name": (NameByDominant, NameByFile, NameByFacs, NameByPage, NoNames),
    "classify": (Classify,),
    "evaluate": (Evaluate,),
}
_SCALARS = {"seed": int, "block_rows": int}


def shipped_recipes() -> list[str]:
    """Names of the recipes in the package."""
    folder = resources.files("daskfer") / "recipes"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if ".yaml" in entry.name)


def load_recipe(name_or_file: str, changes: Iterable[str] = ()) -> Recipe:
    """Read a shipped recipe or a recipe file, with changes of the form ``stage.key=value``.

    Parameters
    ----------
    name_or_file : str
        A name that `shipped_recipes` lists, or the path of a YAML file.
    changes : iterable of str
        What ``--set`` was given. A change of method drops those keys of the recipe that the new
        method does not have; a key that the user gives must exist.

    Raises
    ------
    RecipeError
        For an unknown recipe, key, method or value; the message lists the known ones.
    """
    sections = _read_sections(name_or_file)
    changed = _parse_changes(changes)
    for stage, keys in changed.items():
        if stage in _SCALARS:
            sections[stage] = keys
        else:
            sections[stage] = _switch_method(stage, sections.get(stage, {}), keys)
    return recipe_from_dict(sections)


def recipe_from_dict(sections: Mapping[str, Any]) -> Recipe:
    """Build a recipe from plain values, checking every key, type and range."""
    known = [*_SCALARS, *_STAGES]
    for stage in sections:
        if stage not in known:
            raise RecipeError(f"unknown recipe section {stage!r}{suggest(str(stage), known)}")
    values: dict[str, Any] = {}
    for key, kind in _SCALARS.items():
        if key in sections:
            values[key] = checked(key, sections[key], kind)
    for stage in _STAGES:
        if stage in sections:
            values[stage] = _stage_from_dict(stage, sections[stage])
    return Recipe(**values)


def _read_sections(name_or_file: str) -> dict[str, Any]:
    if name_or_file in shipped_recipes():
        text = (resources.files("daskfer") / "recipes" / f"{name_or_file}.yaml").read_bytes()
    else:
        path = Path(name_or_file)
        if not path.is_file():
            names = ", ".join(shipped_recipes())
            raise RecipeError(f"recipe {name_or_file!r} is neither a file nor one of: {names}")
        text = path.read_bytes()
    try:
        sections = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = one_line(error)
        raise RecipeError(f"recipe {name_or_file} is not YAML: {reason}") from error
    if sections is None:
        sections = {}
    if not isinstance(sections, dict):
        raise RecipeError(f"recipe {name_or_file}: expected sections, got {sections!r}")
    return sections


def _parse_changes(changes: Iterable[str]) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise RecipeError(f"--set {change}: expected stage.key=value")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise RecipeError(f"--set {change}: the value is not YAML") from error
        stage, dot, name = key.strip().partition(".")
        if dot and stage in _STAGES:
            parsed.setdefault(stage, {})[name] = value
        elif not dot and stage in _SCALARS:
            parsed[stage] = value
        else:
            known = [*_SCALARS, *(f"{stage}.key" for stage in _STAGES)]
            raise RecipeError(f"--set {change}: unknown key; expected one of {', '.join(known)}")
    return parsed


def _switch_method(stage: str, base: Any, changed: dict[str, Any]) -> dict[str, Any]:
    """The section with the changes, less what another method leaves behind."""
    if base is not None and not isinstance(base, Mapping):
        raise RecipeError(f"recipe section {stage}: expected keys and values, got {base!r}")
    base = dict(base or {})
    selector = SELECTORS.get(stage, "method")
    if selector in changed and changed[selector] != base.get(selector):
        keys = _keys_of(_class_of(stage, changed))
        base = {key: value for key, value in base.items() if key in keys}
    return base | changed


def _stage_from_dict(stage: str, section: Any) -> Any:
    if not isinstance(section, Mapping):
        raise RecipeError(f"recipe section {stage}: expected keys and values, got {section!r}")
    chosen = _class_of(stage, section)
    types = get_type_hints(chosen)
    hints = {field.name: field.metadata.get("hint") for field in dataclasses.fields(chosen)}
    values = {}
    for key, value in section.items():
        if key not in types:
            raise RecipeError(f"unknown key {stage}.{key}{suggest(str(key), list(types))}")
        try:
            values[key] = checked(f"{stage}.{key}", value, types[key])
        except RecipeError as error:
            hint = hints.get(key)
            if hint is None:
                raise
            raise RecipeError(f"{error} ({hint})") from None
    return chosen(**values)


def _class_of(stage: str, section: Mapping[str, Any]) -> type:
    """The dataclass of the method that a section chooses (its first one by default)."""
    selector = SELECTORS.get(stage, "method")
    known: dict[str, type] = {}
    for candidate in _STAGES[stage]:
        for method in get_args(get_type_hints(candidate).get(selector, None)):
            known[method] = candidate
    if not known:
        return _STAGES[stage][0]
    default = _default_section(stage)
    method = section.get(selector, default)
    if method is None:
        method = "none"
    if not isinstance(method, str) or method not in known:
        raise RecipeError(f"{stage}.{selector}={method!r}: expected one of {', '.join(known)}")
    return known[method]


def _default_section(stage: str) -> str:
    selector = SELECTORS.get(stage, "method")
    return str(getattr(getattr(Recipe(), stage), selector))


def _keys_of(chosen: type) -> set[str]:
    return set(get_type_hints(chosen))
