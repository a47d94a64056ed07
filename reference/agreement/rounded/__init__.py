"""Rounded: an array and how far any conforming evaluation of it may stray.

A `Rounded` is a NumPy duck array: `value`, computed in float64, and `error`, an elementwise bound with

    |what a port computes in its arithmetic - value| <= error.

NumPy code runs on it. `array.py` has the arrays, `table.py` says which function has which rule. The
other files have NumPy's signatures: they turn operands into `Bounded` ones, have `blocks.py` apply the
rule (`rules`) and wrap the result. A function that has no rule is refused by name, never silently
unbounded.
"""

from collections.abc import Callable

from reference.agreement import rules
from reference.agreement.arithmetic import Arithmetic
from reference.agreement.rounded import table as table
from reference.agreement.rounded.array import Index, Mask, Rounded
from reference.agreement.rounded.protocols import known

__all__ = ["Index", "Mask", "Rounded", "known", "linspace"]


def linspace(arithmetic: Arithmetic) -> Callable[[float, float, int], Rounded]:
    """`rules.linspace` with the signature of `np.linspace(start, stop, num)`."""
    return lambda start, stop, num: Rounded.of(rules.linspace(start, stop, num, arithmetic), arithmetic)
