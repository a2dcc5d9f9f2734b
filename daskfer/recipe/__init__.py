"""Recipes: what is computed, never where.

A recipe is a YAML file with one section a stage. Each section names a method, and each method
has keys of its own, a frozen dataclass in `sections`. The same recipe and seed give the same
labels on any number of workers.
"""

from __future__ import annotations

from daskfer.recipe.categories import categories_of, code_of, fault_of
from daskfer.recipe.expression import PARTS, Expression, Parts
from daskfer.recipe.reading import load_recipe, recipe_from_dict, shipped_recipes
from daskfer.recipe.sections import (
    Balance,
    BalanceByClass,
    Classify,
    Cluster,
    Evaluate,
    Gmm,
    Hog,
    IncrementalPca,
    Ingest,
    KMeansClusters,
    Name,
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
    Reduce,
    Represent,
    Rule,
    Split,
    Svd,
    UsageSplit,
)

__all__ = [
    "PARTS",
    "Balance",
    "BalanceByClass",
    "Classify",
    "Cluster",
    "Evaluate",
    "Expression",
    "Gmm",
    "Hog",
    "IncrementalPca",
    "Ingest",
    "KMeansClusters",
    "Name",
    "NameByDominant",
    "NameByFacs",
    "NameByFile",
    "NameByPage",
    "NoBalance",
    "NoNames",
    "NoReduction",
    "NoSplit",
    "Normalize",
    "Parts",
    "Pca",
    "Pixels",
    "RandomSplit",
    "Recipe",
    "Reduce",
    "Represent",
    "Rule",
    "Split",
    "Svd",
    "UsageSplit",
    "categories_of",
    "code_of",
    "fault_of",
    "load_recipe",
    "recipe_from_dict",
    "shipped_recipes",
]
