"""Names for the types that the whole project passes around."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: Plain float64 or float32 numbers, integer labels.
Plain: TypeAlias = NDArray[Any]
#: Anything the reference's code runs on: a plain array, or `Rounded`.
Array: TypeAlias = Any
Params: TypeAlias = Mapping[str, Array]
#: tap(name, value) -> the value to go on with.
Tap: TypeAlias = Callable[[str, Array], Array]
#: NumPy's random sources, old and new.
Rng: TypeAlias = np.random.RandomState | np.random.Generator
