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


def held_as(dtype: str, array: Plain) -> Plain:
    """Return the numbers that a port of that dtype holds, as float64."""
    return array if dtype == "float64" else array.astype(numpy_dtype(dtype)).astype(np.float64)
