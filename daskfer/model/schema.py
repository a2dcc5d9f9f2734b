"""What a classifier's file may hold, told from its description before any of it is made.

skops trusts all of scikit-learn's estimators, and what it trusts it makes. A classifier of
daskfer's is made of few kinds of things; whatever else a file describes, it is not read.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from daskfer.npy import BROKEN_ZIP, check_unpacked

SCHEMA = "schema.json"

ESTIMATORS = (
    "StandardScaler", "LogisticRegression", "Nystroem", "SVC", "HistGradientBoostingClassifier",
    "MLPClassifier", "DummyClassifier", "Pipeline",
)  # fmt: skip
"""Estimators that daskfer trains. Others are not read: to predict is to run their code."""

KINDS = {
    "JsonNode": {"builtins": {"str"}},
    "TypeNode": {"builtins": {"str"}},
    "DictNode": {"builtins": {"dict"}},
    "ListNode": {"builtins": {"list"}},
    "TupleNode": {"builtins": {"tuple"}},
    "NdArrayNode": {"numpy": {"ndarray", "float64", "float32", "int64", "uint64"}},
    "RandomStateNode": {"numpy": {"RandomState"}},
    "RandomGeneratorNode": {"numpy": {"Generator"}},
    "LossNode": {"sklearn": {"CyHalfBinomialLoss", "CyHalfMultinomialLoss"}},
    "ObjectNode": {
        "sklearn": {
            *ESTIMATORS,
            # What boosting, the perceptron and their losses are made of.
            "AdamOptimizer", "HalfBinomialLoss", "HalfMultinomialLoss", "Interval",
            "LabelBinarizer", "LabelEncoder", "LogitLink", "MultinomialLogit", "TreePredictor",
            "_BinMapper",
        }
    },
}  # fmt: skip
"""By how skops makes a thing: the packages and the names of what may be made so.

Functions, methods and partial calls have makers of their own, which are missing here.
"""

SHARED = 4
"""Times the file's size that arrays may take, of which some are referred to more than once."""


def check_schema(data: bytes) -> None:
    """Refuse a file in skops's format that describes anything but a classifier of daskfer's.

    Parameters
    ----------
    data : bytes
        The whole file.

    Raises
    ------
    ValueError
        When it is no such file, describes other kinds of things, or states arrays that it does
        not have the bytes of.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            check_unpacked(archive, len(data))
            schema = json.loads(archive.read(SCHEMA))
            sizes = {
                name: _array_bytes(name, archive.read(name))
                for name in archive.namelist()
                if name != SCHEMA
            }
        nodes = list(_nodes(schema))
    except RecursionError:
        # A kind of RuntimeError, which is among those of broken archives.
        raise ValueError("it is nested too deeply") from None
    except (*BROKEN_ZIP, KeyError) as error:
        raise ValueError(f"not in skops's format: {error}") from error
    unknown = sorted({_name(node) for node in nodes if not _is_known(node)})
    if unknown:
        raise ValueError(f"it holds types that are not trusted: {', '.join(unknown[:5])}")
    used = sum(sizes.get(str(node["file"]), 0) for node in nodes if "file" in node)
    if used > SHARED * len(data):
        raise ValueError(f"its arrays would take {used:,} bytes and it has {len(data):,}")


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """All things that a description says how to make."""
    if isinstance(schema, dict):
        if "__loader__" in schema or "__class__" in schema:
            yield schema
        for value in schema.values():
            yield from _nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _nodes(value)


def _is_known(node: dict[str, Any]) -> bool:
    loader, module, name = (str(node.get(key)) for key in ("__loader__", "__module__", "__class__"))
    return name in KINDS.get(loader, {}).get(module.partition(".")[0], set())


def _name(node: dict[str, Any]) -> str:
    return f"{node.get('__module__')}.{node.get('__class__')} ({node.get('__loader__')})"


def _array_bytes(name: str, member: bytes) -> int:
    """Bytes of the values in a member, which must be a plain array's .npy and have all of them."""
    file = io.BytesIO(member)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError(f"{name} is not a .npy of format 1.0")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    stated = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or stated != len(member) - file.tell():
        raise ValueError(f"{name} is not a whole .npy of plain values")
    return stated
