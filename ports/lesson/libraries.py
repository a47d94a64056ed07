"""The functions of each framework's own library, by name."""

from importlib import import_module
from typing import Any

import numpy as np

from ports.contract import Framework
from ports.registry import FRAMEWORKS
from reference.arrays import Plain

#: Where each framework keeps its functions of arrays.
LIBRARIES = {"numpy": "numpy", "torch": "torch", "jax": "jax.numpy"}


def frameworks_here() -> dict[str, Framework]:
    """The frameworks of the lesson whose packages are installed."""
    return {name: FRAMEWORKS[name] for name in LIBRARIES if not FRAMEWORKS[name].absence()}


def in_library(framework: Framework, function: str, array: Plain) -> Plain:
    """What a framework's own function makes of an array, on the CPU, in the array's dtype."""
    host = framework.host
    with host.exact_settings():
        compute: Any = getattr(import_module(LIBRARIES[framework.name]), function)
        return np.array(host.get(compute(host.put(array, "cpu", array.dtype.name))))
