"""The sections of a recipe: for each stage its methods, and for each method its keys."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from daskfer.faces import EMOTIONS, UNKNOWN
from daskfer.recipe.categories import MOST_CATEGORIES, categories_of, checked_names, code_of
from daskfer.recipe.expression import Expression, Parts
from daskfer.recipe.values import check

Rule = Literal["parallel-analysis", "gavish-donoho"]
"""How ``reduce.components: auto`` chooses (see `daskfer.components`)."""

NEEDS_A_NUMBER = {
    "hint": "dask-ml's methods need to be told how many; --set reduce.method=pca can choose: auto"
}
"""What a user who gave something else than a whole number is told besides."""


@dataclass(frozen=True)
class Ingest:
    """How faces are read: share of bad rows that is tolerated, what duplicates may do, the size,
    and what labels may be.

    `size` is the side in pixels that faces are brought to. With ``auto``, faces in tables stay
    as they are, and images get the size of these, or 48. `classes` are the labels of a set that
    has others than the seven emotions; in tables, numbers from 0 stand for them too.
    """

    max_bad: float = 0.01
    duplicates: Literal["keep", "drop-from-fit", "keep-one"] = "drop-from-fit"
    size: int | Literal["auto"] = "auto"
    classes: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check(0 <= self.max_bad <= 1, f"ingest.max_bad={self.max_bad}: expected 0 to 1")
        if isinstance(self.size, int):
            check(2 <= self.size <= 1024, f"ingest.size={self.size}: expected 2 to 1024, or auto")
        if self.classes is not None:
            checked_names("ingest.classes", self.classes)

    @property
    def labels(self) -> tuple[str, ...]:
        """What labels may be, in the order of their codes."""
        return EMOTIONS if self.classes is None else self.classes


@dataclass(frozen=True)
class UsageSplit:
    """Training rows are fitted, PublicTest rows validate, PrivateTest rows test."""

    method: Literal["usage"] = "usage"
    test: float = 0.1

    def __post_init__(self) -> None:
        check(0 < self.test < 1, f"split.test={self.test}: expected a share between 0 and 1")


@dataclass(frozen=True)
class RandomSplit:
    """A share of the balanced rows, drawn by seed, is held out for the test."""

    method: Literal["random"] = "random"
    test: float = 0.1

    def __post_init__(self) -> None:
        check(0 < self.test < 1, f"split.test={self.test}: expected a share between 0 and 1")


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
            check(self.per_class >= 1, f"balance.per_class={self.per_class}: expected 1 or more")


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
            check(value >= least, f"represent.{key}={value}: expected {least} or more")
        check(self.orientations <= 180, f"represent.orientations={self.orientations}: at most 180")


@dataclass(frozen=True)
class IncrementalPca:
    """dask-ml's IncrementalPCA; `iterated_power` power passes make its subspace exact."""

    method: Literal["incremental-pca"] = "incremental-pca"
    components: int = field(default=2, metadata=NEEDS_A_NUMBER)
    whiten: bool = False
    iterated_power: int = 4
    batch_rows: int | None = None

    def __post_init__(self) -> None:
        _at_least_one("reduce", self.components)
        check(
            self.iterated_power >= 0,
            f"reduce.iterated_power={self.iterated_power}: expected 0 or more",
        )
        check(
            self.batch_rows is None or self.batch_rows >= self.components,
            f"reduce.batch_rows={self.batch_rows}: expected at least as many as components",
        )


@dataclass(frozen=True)
class Pca:
    """Exact principal components from second moments summed over blocks.

    With ``auto``, `rule` says from the eigenvalues how many (see `daskfer.components`); it is
    not read otherwise.
    """

    method: Literal["pca"] = "pca"
    components: int | Literal["auto"] = 20
    whiten: bool = True
    rule: Rule = "parallel-analysis"

    def __post_init__(self) -> None:
        if isinstance(self.components, int):
            _at_least_one("reduce", self.components)


@dataclass(frozen=True)
class Svd:
    """dask-ml's TruncatedSVD: principal axes of the rows without centring them."""

    method: Literal["svd"] = "svd"
    components: int = field(default=2, metadata=NEEDS_A_NUMBER)
    iterated_power: int = 4

    def __post_init__(self) -> None:
        _at_least_one("reduce", self.components)
        check(
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
        _check_clusters(self)


@dataclass(frozen=True)
class Gmm:
    """A mixture of Gaussians with full covariances, by EM over blocks from several restarts.

    `tolerance` is of the mean log-likelihood of a row. `regularization` is added to the
    covariances' diagonals as a share of each column's variance (see `daskfer.em`).
    """

    method: Literal["gmm"] = "gmm"
    clusters: int = 7
    restarts: int = 5
    sample_rows: int = 32_768
    max_iterations: int = 300
    tolerance: float = 1e-3
    regularization: float = 1e-6

    def __post_init__(self) -> None:
        _check_clusters(self)
        check(
            1e-9 <= self.regularization <= 1,
            f"cluster.regularization={self.regularization}: expected 1e-9 to 1",
        )


def _check_clusters(section: KMeansClusters | Gmm) -> None:
    check(section.clusters >= 2, f"cluster.clusters={section.clusters}: expected 2 or more")
    check(section.restarts >= 1, f"cluster.restarts={section.restarts}: expected 1 or more")
    check(
        section.sample_rows >= section.clusters,
        f"cluster.sample_rows={section.sample_rows}: expected at least as many as clusters",
    )
    check(
        section.max_iterations >= 1,
        f"cluster.max_iterations={section.max_iterations}: expected 1 or more",
    )
    check(section.tolerance >= 0, f"cluster.tolerance={section.tolerance}: expected 0 or more")


@dataclass(frozen=True)
class NameByDominant:
    """Each cluster gets the most frequent true emotion of its fitted faces."""

    how: Literal["dominant"] = "dominant"


@dataclass(frozen=True)
class NameByFile:
    """Each cluster gets the emotion that a file (cluster → emotion) states.

    The file may also use the names in `categories`.
    """

    how: Literal["file"] = "file"
    file: str = ""
    categories: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check(
            bool(self.file),
            "name.how=file needs the file too: --set name.file=names.yaml (cluster: emotion)",
        )
        if self.categories is not None:
            checked_names("name.categories", self.categories)


@dataclass(frozen=True)
class NameByPage:
    """Clusters stay unnamed until a person names them, after the run (``daskfer name``).

    `categories` are the names that are offered there; by default what labels may be.
    """

    how: Literal["page"] = "page"
    categories: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.categories is not None:
            checked_names("name.categories", self.categories)


@dataclass(frozen=True)
class NameByFacs:
    """Each cluster gets the emotion that its faces' action units tell (see `daskfer.facs`).

    One whose emotion is not told by `margin` more than the next stays unnamed, and so does one
    whose emotion is none of the set's classes. Reads no label.
    """

    how: Literal["facs"] = "facs"
    margin: float = 0.2

    def __post_init__(self) -> None:
        check(0 <= self.margin <= 1, f"name.margin={self.margin}: expected 0 to 1")


@dataclass(frozen=True)
class NoNames:
    """Clusters keep their numbers."""

    how: Literal["none"] = "none"


@dataclass(frozen=True)
class Classify:
    """The second model, trained on pseudo-labels; `auto` compares several.

    With ``balance: cluster`` it is trained on no more than `per_cluster` rows of each cluster,
    drawn by seed; ``min`` is as many as the smallest named cluster has. That reads no label. Of
    more than `train_rows` it learns from so many, drawn by seed. It sees what the clusters are
    made from, or with ``features: face`` all that is known of a face: of each part (see
    `daskfer.stages.reduce`) at most `components` components. It learns from the share `nearest`
    of each cluster's rows that are nearest to its centre.
    """

    model: Literal["auto", "logistic", "nystroem", "svm", "boosting", "mlp", "none"] = "auto"
    folds: int = 3
    search_rows: int = 8_192
    train_rows: int = 100_000
    balance: Literal["none", "cluster"] = "none"
    per_cluster: int | Literal["min"] = "min"
    features: Literal["clusters", "face"] = "clusters"
    components: int = 300
    nearest: float = 1.0

    def __post_init__(self) -> None:
        check(self.components >= 1, f"classify.components={self.components}: expected 1 or more")
        check(0 < self.nearest <= 1, f"classify.nearest={self.nearest}: expected above 0, up to 1")
        check(self.folds >= 2, f"classify.folds={self.folds}: expected 2 or more")
        if isinstance(self.per_cluster, int):
            check(
                self.per_cluster >= self.folds,
                f"classify.per_cluster={self.per_cluster}: expected at least as many as "
                f"classify.folds ({self.folds})",
            )
        for key in ("search_rows", "train_rows"):
            value = getattr(self, key)
            check(value >= 50, f"classify.{key}={value}: expected 50 or more")


@dataclass(frozen=True)
class Evaluate:
    """Cross-validation folds of the silhouette, and draws for its null and the stability.

    Nothing is computed of what there are 0 draws for; one draw alone agrees with nothing. The
    silhouette is of all fitted rows up to `silhouette_rows`; of more, up to 16,384 are drawn by
    seed, and its standard error is told.
    """

    folds: int = 0
    silhouette_rows: int = 65_536
    null_draws: int = 3
    null_rows: int = 4_096
    stability_draws: int = 5

    def __post_init__(self) -> None:
        check(
            self.folds == 0 or self.folds >= 2,
            f"evaluate.folds={self.folds}: expected 0 (none) or 2 and more",
        )
        for key, least in {"silhouette_rows": 100, "null_draws": 0, "null_rows": 1}.items():
            value = getattr(self, key)
            check(value >= least, f"evaluate.{key}={value}: expected {least} or more")
        check(
            self.stability_draws == 0 or self.stability_draws >= 2,
            f"evaluate.stability_draws={self.stability_draws}: expected 0 (none) or 2 and more",
        )


Split = UsageSplit | RandomSplit | NoSplit
Balance = NoBalance | BalanceByClass
Represent = Pixels | Hog | Expression
Reduce = IncrementalPca | Pca | Svd | Parts | NoReduction
Cluster = KMeansClusters | Gmm
Name = NameByDominant | NameByFile | NameByFacs | NameByPage | NoNames


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
        check(0 <= self.seed < 2**32, f"seed={self.seed}: expected 0 to 4294967295")
        check(self.block_rows >= 64, f"block_rows={self.block_rows}: expected 64 or more")
        self._check_classes()

    def _check_classes(self) -> None:
        """Refuse names that cannot come together with the set's classes."""
        classes = self.ingest.labels
        if isinstance(self.name, NameByFacs):
            check(
                any(code_of(name, classes) != UNKNOWN for name in EMOTIONS),
                "name.how=facs tells the seven emotions, and none of ingest.classes is one: use "
                "--set name.how=page, or name.how=dominant",
            )
        names = categories_of(getattr(self.name, "categories", None), classes)
        check(
            len(names) <= MOST_CATEGORIES,
            f"ingest.classes and name.categories have {len(names)} names together: expected at "
            f"most {MOST_CATEGORIES}",
        )

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain values, in the order of the stages."""
        return dataclasses.asdict(self, dict_factory=_plain)

    def as_yaml(self) -> str:
        """The recipe as the text of a YAML file."""
        return yaml.safe_dump(self.as_dict(), sort_keys=False)


def _plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """A section with lists for tuples, as YAML reads them back."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in items}


def _at_least_one(stage: str, components: int) -> None:
    check(components >= 1, f"{stage}.components={components}: expected 1 or more")
