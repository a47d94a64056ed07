"""The gallery of wrong ports: each has one realistic wrong line, and declares what must be found."""

from ports.traps.gallery import STEPS, Stale, Trap, run, wrong_module, wrong_port, wrong_source
from ports.traps.jax_traps import JAX_TRAPS
from ports.traps.numpy_traps import NUMPY_TRAPS
from ports.traps.torch_traps import TORCH_TRAPS

__all__ = [
    "GALLERY",
    "STEPS",
    "Stale",
    "Trap",
    "register",
    "run",
    "wrong_module",
    "wrong_port",
    "wrong_source",
]

GALLERY: dict[str, Trap] = {}


def register(trap: Trap) -> None:
    """Add a trap to the gallery. Raises ValueError if its name is taken."""
    if trap.name in GALLERY:
        raise ValueError(f"there is a trap called {trap.name} already: give this one another name")
    GALLERY[trap.name] = trap


for _trap in (*TORCH_TRAPS, *JAX_TRAPS, *NUMPY_TRAPS):
    register(_trap)
