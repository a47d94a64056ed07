"""The types that the whole project passes around, and an array's numbers as a dtype holds them."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: A plain array: float64 or float32 numbers, or integer labels.
Plain: TypeAlias = NDArray[Any]
#: Anything the reference's code runs on: a plain array, or `Rounded`.
Array: TypeAlias = Any
Params: TypeAlias = Mapping[str, Array]
#: tap(name, value) -> the value that the step goes on with.
Tap: TypeAlias = Callable[[str, Array], Array]
#: NumPy's random sources, old and new.
Rng: TypeAlias = np.random.RandomState | np.random.Generator


def held_as(dtype: str, array: Plain) -> Plain:
    """Return the numbers that a port of that dtype holds, as float64."""
    return array if dtype == "float64" else array.astype(dtype).astype(np.float64)
