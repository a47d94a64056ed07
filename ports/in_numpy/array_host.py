"""NumPy arrays in, anything that NumPy can read out: the host of a user's port.

A port in a framework without a host of its own is given NumPy arrays, makes its tensors from
them, and returns them as they are: `__array__` brings them back.
"""

from typing import Any

import numpy as np

from ports.in_numpy.host import (
    IMMUTABLE,
    MODES,
    NATURAL_MODE,
    arithmetic,
    compile,
    compiler_absence,
    devices,
    dtypes,
    exact_settings,
    put,
    put_labels,
    settings,
)
from reference.arrays import Plain

__all__ = [
    "IMMUTABLE",
    "MODES",
    "NATURAL_MODE",
    "arithmetic",
    "compile",
    "compiler_absence",
    "devices",
    "dtypes",
    "exact_settings",
    "get",
    "put",
    "put_labels",
    "settings",
]


def get(tensor: Any) -> Plain:
    """The tensor as NumPy reads it. Plain Python numbers and lists are refused: they have no dtype."""
    kind = type(tensor).__name__
    if not isinstance(tensor, np.generic) and not hasattr(tensor, "__array__"):
        raise TypeError(f"is a {kind}, expected an array or a tensor")
    try:
        array = np.asarray(tensor)
    except Exception as why:
        raise TypeError(f"is a {kind} that NumPy cannot read: {why}") from None
    if array.dtype.kind not in "biufc":
        raise TypeError(f"is a {kind} of {array.dtype}, expected an array of numbers")
    return array
