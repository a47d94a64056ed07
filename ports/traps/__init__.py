"""The gallery of wrong ports: realistic, one line wrong each, and what must be found."""

from ports.traps.gallery import STEPS, Stale, Trap, run, wrong_port, wrong_source
from ports.traps.jax_traps import JAX_TRAPS
from ports.traps.torch_traps import TORCH_TRAPS

__all__ = ["GALLERY", "STEPS", "Stale", "Trap", "run", "wrong_port", "wrong_source"]

GALLERY = {trap.name: trap for trap in (*TORCH_TRAPS, *JAX_TRAPS)}
