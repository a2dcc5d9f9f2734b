"""Arrays at addresses that the processor likes, wherever they came from.

What one process sends another arrives in one piece of memory, in which an array may begin at any
byte. NumPy gives such arrays to its own loops rather than to BLAS, whose sums round otherwise: the
last digits of a product would depend on how long the message before it was.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np


def aligned(value: Any) -> Any:
    """The same value, in which every array is aligned.

    Looks into tuples, lists, dictionaries and dataclasses. What is aligned is given back as it is;
    a dataclass is changed in place, because nobody else has one that has just arrived.
    """
    if isinstance(value, np.ndarray):
        return value if value.flags.aligned else value.copy(order="K")
    if type(value) in (tuple, list):
        found = [aligned(item) for item in value]
        same = all(new is old for new, old in zip(found, value, strict=True))
        return value if same else type(value)(found)
    if type(value) is dict:
        return {key: aligned(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            old = getattr(value, field.name, None)
            new = aligned(old)
            if new is not old:
                object.__setattr__(value, field.name, new)
    return value
