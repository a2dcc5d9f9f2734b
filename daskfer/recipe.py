"""Recipes: what is computed, never where.

A recipe is a YAML file with one section a stage. Each section names a method, and each method
has keys of its own, listed here as a frozen dataclass. The same recipe and seed give the same
labels on any number of workers.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from daskfer.errors import RecipeError

DEFAULT_RECIPE = "hog"


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise RecipeError(message)


@dataclass(frozen=True)
class Ingest:
    """How faces are read: share of bad rows that is tolerated, and what duplicates may do."""

    max_bad: float = 0.01
    duplicates: Literal["keep", "drop-from-fit", "keep-one"] = "drop-from-fit"

    def __post_init__(self) -> None:
        _check(0 <= self.max_bad <= 1, f"ingest.max_bad={self.max_bad}: expected 0 to 1")


@dataclass(frozen=True)
class UsageSplit:
    """Training rows are fitted, PublicTest rows validate, PrivateTest rows test."""

    method: Literal["usage"] = "usage"
    test: float = 0.1

    def __post_init__(self) -> None:
        _check(0 < self.test < 1, f"split.test={self.test}: expected a share between 0 and 1")


@dataclass(frozen=True)
class RandomSplit:
    """A share of the balanced rows, drawn by seed, is held out for the test."""

    method: Literal["random"] = "random"
    test: float = 0.1

    def __post_init__(self) -> None:
        _check(0 < self.test < 1, f"split.test={self.test}: expected a share between 0 and 1")


@dataclass(frozen=True)
class NoSplit:
    """All rows are fitted and none are held out."""

    method: Literal["none"] = "none"


@dataclass(frozen=True)
class Normalize:
    """Grey values of each face brought to a common range (see `daskfer.normalize`)."""

    method: Literal["minmax", "zscore", "unit"] = "minmax"


@dataclass(frozen=True)
class NoBalance:
    """All rows are kept."""

    method: Literal["none"] = "none"


@dataclass(frozen=True)
class BalanceByClass:
    """The same number of rows of each class: the first in file order, or drawn by seed."""

    method: Literal["first", "random"] = "first"
    per_class: int | Literal["min"] = "min"

    def __post_init__(self) -> None:
        if isinstance(self.per_class, int):
            _check(self.per_class >= 1, f"balance.per_class={self.per_class}: expected 1 or more")


@dataclass(frozen=True)
class Pixels:
    """The normalized grey values themselves."""

    method: Literal["pixels"] = "pixels"


@dataclass(frozen=True)
class Hog:
    """Histograms of oriented gradients (see `daskfer.represent.hog`)."""

    method: Literal["hog"] = "hog"
    cell: int = 8
    orientations: int = 8
    block: int = 2
    margin: int = 4
    mirror: bool = True

    def __post_init__(self) -> None:
        for key, least in {"cell": 2, "orientations": 2, "block": 1, "margin": 0}.items():
            value = getattr(self, key)
            _check(value >= least, f"represent.{key}={value}: expected {least} or more")


@dataclass(frozen=True)
class IncrementalPca:
    """dask-ml's IncrementalPCA; `iterated_power` power passes make its subspace exact."""

    method: Literal["incremental-pca"] = "incremental-pca"
    components: int = 2
    whiten: bool = False
    iterated_power: int = 8
    batch_rows: int | None = None

    def __post_init__(self) -> None:
        _at_least_one("reduce", self.components)
        _check(
            self.iterated_power >= 0,
            f"reduce.iterated_power={self.iterated_power}: expected 0 or more",
        )
        _check(
            self.batch_rows is None or self.batch_rows >= self.components,
            f"reduce.batch_rows={self.batch_rows}: expected at least as many as components",
        )


@dataclass(frozen=True)
class Pca:
    """Exact principal components from second moments summed over blocks."""

    method: Literal["pca"] = "pca"
    components: int = 20
    whiten: bool = True

    def __post_init__(self) -> None:
        _at_least_one("reduce", self.components)


@dataclass(frozen=True)
class Svd:
    """dask-ml's TruncatedSVD: principal axes of the rows without centring them."""

    method: Literal["svd"] = "svd"
    components: int = 2
    iterated_power: int = 8

    def __post_init__(self) -> None:
        _at_least_one("reduce", self.components)
        _check(
            self.iterated_power >= 0,
            f"reduce.iterated_power={self.iterated_power}: expected 0 or more",
        )


@dataclass(frozen=True)
class NoReduction:
    """The representation is clustered as it is."""

    method: Literal["none"] = "none"


@dataclass(frozen=True)
class KMeansClusters:
    """KMeans, by daskfer's own blocks or by dask-ml, from the best of several restarts."""

    method: Literal["kmeans", "dask-ml-kmeans"] = "kmeans"
    clusters: int = 7
    restarts: int = 10
    sample_rows: int = 32_768
    max_iterations: int = 300
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        _check(self.clusters >= 2, f"cluster.clusters={self.clusters}: expected 2 or more")
        _check(self.restarts >= 1, f"cluster.restarts={self.restarts}: expected 1 or more")
        _check(
            self.sample_rows >= self.clusters,
            f"cluster.sample_rows={self.sample_rows}: expected at least as many as clusters",
        )
        _check(
            self.max_iterations >= 1,
            f"cluster.max_iterations={self.max_iterations}: expected 1 or more",
        )
        _check(self.tolerance >= 0, f"cluster.tolerance={self.tolerance}: expected 0 or more")


@dataclass(frozen=True)
class NameByDominant:
    """Each cluster gets the most frequent true emotion of its fitted faces."""

    how: Literal["dominant"] = "dominant"


@dataclass(frozen=True)
class NameByFile:
    """Each cluster gets the emotion that a file (cluster → emotion) states."""

    how: Literal["file"] = "file"
    file: str = ""

    def __post_init__(self) -> None:
        _check(
            bool(self.file),
            "name.how=file needs the file too: --set name.file=names.yaml (cluster: emotion)",
        )


@dataclass(frozen=True)
class NoNames:
    """Clusters keep their numbers."""

    how: Literal["none"] = "none"


@dataclass(frozen=True)
class Classify:
    """The second model, trained on pseudo-labels; `auto` compares several."""

    model: Literal["auto", "logistic", "nystroem", "svm", "boosting", "mlp", "none"] = "auto"
    folds: int = 3
    search_rows: int = 8_192

    def __post_init__(self) -> None:
        _check(self.folds >= 2, f"classify.folds={self.folds}: expected 2 or more")
        _check(self.search_rows >= 50, f"classify.search_rows={self.search_rows}: expected >= 50")


@dataclass(frozen=True)
class Evaluate:
    """Cross-validation folds of the silhouette, and draws for its null and the stability."""

    folds: int = 0
    null_draws: int = 3
    null_rows: int = 4_096
    stability_draws: int = 5

    def __post_init__(self) -> None:
        _check(
            self.folds == 0 or self.folds >= 2,
            f"evaluate.folds={self.folds}: expected 0 (none) or 2 and more",
        )
        for key in ("null_draws", "null_rows", "stability_draws"):
            value = getattr(self, key)
            _check(value >= 1, f"evaluate.{key}={value}: expected 1 or more")


Split = UsageSplit | RandomSplit | NoSplit
Balance = NoBalance | BalanceByClass
Represent = Pixels | Hog
Reduce = IncrementalPca | Pca | Svd | NoReduction
Cluster = KMeansClusters
Name = NameByDominant | NameByFile | NoNames


@dataclass(frozen=True)
class Recipe:
    """A recipe as resolved: every stage with every key."""

    seed: int = 42
    block_rows: int = 2048
    ingest: Ingest = field(default_factory=Ingest)
    split: Split = field(default_factory=UsageSplit)
    normalize: Normalize = field(default_factory=Normalize)
    balance: Balance = field(default_factory=NoBalance)
    represent: Represent = field(default_factory=Hog)
    reduce: Reduce = field(default_factory=Pca)
    cluster: Cluster = field(default_factory=KMeansClusters)
    name: Name = field(default_factory=NameByDominant)
    classify: Classify = field(default_factory=Classify)
    evaluate: Evaluate = field(default_factory=Evaluate)

    def __post_init__(self) -> None:
        _check(0 <= self.seed < 2**32, f"seed={self.seed}: expected 0 to 4294967295")
        _check(self.block_rows >= 64, f"block_rows={self.block_rows}: expected 64 or more")

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain values, in the order of the stages."""
        return dataclasses.asdict(self)

    def as_yaml(self) -> str:
        """The recipe as the text of a YAML file."""
        return yaml.safe_dump(self.as_dict(), sort_keys=False)


def _at_least_one(stage: str, components: int) -> None:
    _check(components >= 1, f"{stage}.components={components}: expected 1 or more")


SELECTORS = {"name": "how", "classify": "model"}
"""The key that chooses a stage's method, where it is not `method`."""

_STAGES: dict[str, tuple[type, ...]] = {
    "ingest": (Ingest,),
    "split": (UsageSplit, RandomSplit, NoSplit),
    "normalize": (Normalize,),
    "balance": (NoBalance, BalanceByClass),
    "represent": (Pixels, Hog),
    "reduce": (IncrementalPca, Pca, Svd, NoReduction),
    "cluster": (KMeansClusters,),
    "name": (NameByDominant, NameByFile, NoNames),
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
            raise RecipeError(f"unknown recipe section {stage!r}{_suggest(str(stage), known)}")
    values: dict[str, Any] = {}
    for key, kind in _SCALARS.items():
        if key in sections:
            values[key] = _checked(key, sections[key], kind)
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
        reason = " ".join(str(error).split())
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
    values = {}
    for key, value in section.items():
        if key not in types:
            raise RecipeError(f"unknown key {stage}.{key}{_suggest(str(key), list(types))}")
        values[key] = _checked(f"{stage}.{key}", value, types[key])
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


T = TypeVar("T")


def _checked(key: str, value: Any, kind: Any) -> Any:
    """The value if it is of the kind, with whole floats and numbers in text brought over."""
    options = get_args(kind) if get_origin(kind) is not Literal else ()
    if get_origin(kind) is Literal:
        if value is None and "none" in get_args(kind):
            return "none"
        if value not in get_args(kind):
            expected = ", ".join(map(str, get_args(kind)))
            raise RecipeError(f"{key}={value!r}: expected one of {expected}")
        return value
    if options:
        for option in options:
            try:
                return _checked(key, value, option)
            except RecipeError:
                continue
        names = " or ".join(_kind_name(option) for option in options)
        raise RecipeError(f"{key}={value!r}: expected {names}")
    if kind in (int, float) and isinstance(value, str):
        value = _number_in(value)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind is type(None) and value is None:
        return None
    if kind is int and isinstance(value, bool):
        raise RecipeError(f"{key}={value!r}: expected a whole number")
    if isinstance(value, kind):
        return value
    raise RecipeError(f"{key}={value!r}: expected {_kind_name(kind)}")


def _number_in(text: str) -> float | str:
    """The number that a text states (YAML takes ``1e-4`` for a text), or the text."""
    try:
        return float(text)
    except ValueError:
        return text


def _kind_name(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return names.get(kind, "null")


def _suggest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{hint}; expected one of {', '.join(known)}"
