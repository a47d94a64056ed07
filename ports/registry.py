"""The registry of frameworks and ports, which the command, the engines and the tests use.

The registry is explicit and lazy: a framework is imported when one of its ports runs.
"""

from ports.contract import Framework, Port
from ports.in_jax import JAX
from ports.in_numpy import NUMPY
from ports.in_torch import TORCH

FRAMEWORKS: dict[str, Framework] = {}
PORTS: dict[str, Port] = {}


def register(framework: Framework) -> None:
    """Add a framework and its ports to the registry.

    Raises ValueError where the framework's name, or a port's, is taken.
    """
    ports = {port.name: port for port in framework.ports}
    taken = [name for name in ports if name in PORTS]
    if framework.name in FRAMEWORKS or taken:
        name = taken[0] if taken else framework.name
        raise ValueError(f"{name} is registered already: give this one another name")
    FRAMEWORKS[framework.name] = framework
    PORTS.update(ports)


for _framework in (NUMPY, TORCH, JAX):
    register(_framework)

#: The project's own frameworks: every process knows them.
OWN_FRAMEWORKS = frozenset(FRAMEWORKS)
