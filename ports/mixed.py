"""Mixed precision: what a port declares of numbers that are narrower than its parameters.

The parameters are float32. Two names in the port's module say the rest:

    quantity_dtypes = {"hidden_layer": "bfloat16", "scores": "bfloat16", ...}
    quantity_scales = {"dscores": 1024.0, ...}

A quantity that is named in `quantity_dtypes` is stored, and shown, in that 16-bit dtype. Matrix products
are computed in it, too; the name "products" alone declares just that. Everything else is float32. A
quantity that is named in `quantity_scales` is stored times that power of 2, as gradients are where the
loss is scaled; the port shows it divided by that, in float32.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from ports.messages import did_you_mean, either
from reference.agreement.arithmetic import ARITHMETICS, FLOAT32, Arithmetic, Mixture

#: The names of the declaration in a port's module.
DTYPES_NAME, SCALES_NAME = "quantity_dtypes", "quantity_scales"
#: What stands for the matrix products among the quantities.
PRODUCTS = "products"
#: The dtype of the parameters.
OWN_DTYPE = FLOAT32.name


@dataclass(frozen=True)
class Mixed:
    """A declaration.

    Attributes:
        dtype: the dtype of matrix products and of the quantities in `stored`.
        stored: the names of these quantities.
        scales: what some of them are multiplied by before they are stored.
    """

    dtype: str
    stored: tuple[str, ...]
    scales: Mapping[str, float]

    def applied(self, own: Arithmetic, narrow: Arithmetic) -> Arithmetic:
        """What the port keeps to, from what its framework promises in float32 and in 16 bits."""
        stored = tuple((name, narrow.scaled(self.scales.get(name, 1.0))) for name in self.stored)
        return replace(own, mixture=Mixture(narrow, stored))

    def dtype_of(self, name: str) -> str:
        """The dtype that a quantity, or a parameter, is shown in."""
        return self.dtype if name in self.stored and self.scales.get(name, 1.0) == 1 else OWN_DTYPE

    @property
    def dtypes(self) -> dict[str, str]:
        """The declaration as a port's module has it."""
        return dict.fromkeys([PRODUCTS, *self.stored], self.dtype)


def declared(dtypes: Mapping[str, str], scales: Mapping[str, float]) -> Mixed | None:
    """What these say; None if they say nothing."""
    if not dtypes:
        return None
    stored = tuple(name for name in dtypes if name != PRODUCTS)
    return Mixed(next(iter(dtypes.values())), stored, dict(scales))


def declared_by(module: ModuleType) -> Mixed | None:
    """What a port's module declares, or None."""
    return declared(getattr(module, DTYPES_NAME, {}), getattr(module, SCALES_NAME, {}))


def problem_of(dtypes: Any, scales: Any, quantities: Iterable[str]) -> str | None:
    """Say in a sentence what is wrong with a declaration, or return None.

    `quantities` are the names that there are.
    """
    known = [*quantities, PRODUCTS]
    narrow = [name for name, arithmetic in ARITHMETICS.items() if arithmetic.stores]
    for said, value in ((DTYPES_NAME, dtypes), (SCALES_NAME, scales)):
        if not isinstance(value, Mapping):
            return f"{said} is of type {type(value).__name__}, expected a dict by quantity"
    for name, dtype in dtypes.items():
        if name not in known:
            near = did_you_mean(str(name), known)
            return (
                f"{DTYPES_NAME} names {name!r}, which is no quantity: {near}there are {', '.join(known)}"
            )
        if dtype not in narrow:
            return (
                f"{DTYPES_NAME} says {name} is {dtype!r}, expected {either(narrow)}: "
                f"what it does not name is {OWN_DTYPE}"
            )
    if len(set(dtypes.values())) > 1:
        return f"{DTYPES_NAME} has {either(sorted(set(dtypes.values())))}, expected one 16-bit dtype"
    for name, scale in scales.items():
        if name not in dtypes or name == PRODUCTS:
            return (
                f"{SCALES_NAME} names {name!r}, which is not among {DTYPES_NAME}: declare its dtype, too"
            )
        if not is_power_of_2(scale):
            return f"{SCALES_NAME} says {name} is stored times {scale!r}, expected a power of 2"
    return None


def is_power_of_2(scale: Any) -> bool:
    """Whether multiplying by it rounds nothing."""
    if not isinstance(scale, int | float) or not 0 < scale < math.inf:
        return False
    return math.frexp(scale)[0] == 0.5
