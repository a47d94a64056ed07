"""The types that the whole project passes around, and an array's numbers as a dtype holds them."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: A plain array: numbers of any float dtype, or integer labels.
Plain: TypeAlias = NDArray[Any]
#: Anything the reference's code runs on: a plain array, or `Rounded`.
Array: TypeAlias = Any
Params: TypeAlias = Mapping[str, Array]
#: A step's other inputs by name: arrays of floats, arrays of integers (labels, indices), and numbers.
Batch: TypeAlias = Mapping[str, Any]
#: tap(name, value) -> the value that the step goes on with.
Tap: TypeAlias = Callable[[str, Array], Array]
#: NumPy's random sources, old and new.
Rng: TypeAlias = np.random.RandomState | np.random.Generator


def packages_of(dtype: str) -> tuple[str, ...]:
    """What NumPy knows a dtype by once it is imported. (It has no bfloat16; JAX brings the package.)"""
    return ("ml_dtypes",) if dtype == "bfloat16" else ()


def numpy_dtype(name: str) -> np.dtype[Any]:
    """NumPy's dtype of that name. Raises ValueError, in a sentence, if it needs an absent package."""
    for package in packages_of(name):
        try:
            importlib.import_module(package)
        except ModuleNotFoundError:
            why = f"{name} needs {package}, not installed here: pip install {package}"
            raise ValueError(why) from None
    return np.dtype(name)


def holder(dtype: str) -> np.dtype[Any]:
    """NumPy's dtype of the arrays that hold a port's numbers.

    Without ml_dtypes, only a recording has bfloat16 numbers. They are held in float32.
    """
    try:
        return numpy_dtype(dtype)
    except ValueError:
        return np.dtype(np.float32)


def is_floats(value: Any) -> bool:
    """Whether an input of a step is an array of floats, not of labels or indices, nor a number."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def is_integers(value: Any) -> bool:
    """Whether an input of a step is an array of integers: labels or indices."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "iu"


def held_as(dtype: str, array: Plain) -> Plain:
    """Return the numbers that a port of that dtype holds, as float64."""
    if dtype == "bfloat16":
        return _held_as_bfloat16(array)
    return array if dtype == "float64" else array.astype(numpy_dtype(dtype)).astype(np.float64)


def _held_as_bfloat16(array: Plain) -> Plain:
    """The upper half of each float32, rounded to nearest, ties to even. NaN stays NaN."""
    single = array.astype(np.float32)
    bits = single.view(np.uint32)
    upper = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    rounded = upper.astype(np.uint32).view(np.float32)
    return np.where(np.isnan(single), single, rounded).astype(np.float64)
