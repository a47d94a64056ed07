"""The frameworks of the lesson: their libraries' own functions, by name, and their ports by hand."""

from importlib import import_module
from typing import Any

import numpy as np

from ports.contract import Framework, Port
from ports.registry import FRAMEWORKS, PORTS
from reference.arrays import Plain

#: Where each framework keeps its functions of arrays.
LIBRARIES = {"numpy": "numpy", "torch": "torch", "jax": "jax.numpy"}
#: The port of each framework that has the note's own lines.
BY_HAND = {"numpy": "numpy", "torch": "torch_manual", "jax": "jax_manual"}


def frameworks_here() -> dict[str, Framework]:
    """The frameworks of the lesson whose packages are installed."""
    return {name: FRAMEWORKS[name] for name in LIBRARIES if not FRAMEWORKS[name].absence()}


def ports_by_hand() -> list[Port]:
    """The port of each of these frameworks that has the note's own lines."""
    return [PORTS[BY_HAND[name]] for name in frameworks_here()]


def in_library(framework: Framework, function: str, array: Plain) -> Plain:
    """What a framework's own function makes of an array, on the CPU, in the array's dtype."""
    host = framework.host
    with host.exact_settings():
        compute: Any = getattr(import_module(LIBRARIES[framework.name]), function)
        return np.array(host.get(compute(host.put(array, "cpu", array.dtype.name))))
