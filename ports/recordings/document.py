"""The inputs of the note's run, as another machine may have drawn them.

The draws are the same everywhere up to rounding: logarithms, sines and cosines differ in their last bits
between machines. How far they may be apart is derived as everything else is: the note's own lines run on
draws that carry their error.
"""

from typing import Any, cast

import numpy as np

from reference.agreement.arithmetic import ARITHMETICS, FLOAT64
from reference.agreement.judge import END_TO_END, compare
from reference.agreement.rounded import Rounded
from reference.arrays import Plain
from reference.runs import Draws, draw


class DrawnElsewhere:
    """NumPy's RandomState, whose normal draws carry how far another machine's may be from them.

    RandomState draws x and z exactly and returns g = x * sqrt(-2 log(r) / r) with r = x*x + z*z
    (Marsaglia's polar method; numpy/random/src/legacy/legacy-distributions.c). The two roundings in r
    move log(r) by gamma_2, which is at most 2 gamma_2 / g**2 of it, since g**2 <= -2 log(r). The root
    halves that. The logarithm's own error and six more roundings are relative to g.
    """

    def __init__(self, seed: int) -> None:
        self.source = np.random.RandomState(seed)

    def standard_normal(self, size: Any) -> Rounded:
        """Standard normal draws of that shape."""
        drawn = self.source.standard_normal(size)
        relative = FLOAT64.function + FLOAT64.gamma(6)
        with np.errstate(divide="ignore"):
            return Rounded(drawn, FLOAT64.gamma(2) / np.abs(drawn) + relative * np.abs(drawn), FLOAT64)


def drawn_elsewhere(seed: int, points: int) -> Draws:
    """The note's draws, each array but the labels with the error that another machine's may have."""
    return draw(cast(Any, DrawnElsewhere(seed)), points)


def difference(name: str, recorded: Plain, expected: Rounded | Plain, dtype: str) -> str:
    """Say where an input is not the note's, as a dtype holds it, or nothing."""
    bound = expected if isinstance(expected, Rounded) else Rounded.exact(expected, FLOAT64)
    held = ARITHMETICS[dtype]
    rounding = held.roundoff * np.maximum(np.abs(bound.value), held.smallest_normal)
    allowed = bound.errors() * (1 + held.roundoff) + (rounding if dtype != "float64" else 0.0)
    found = compare(name, END_TO_END, recorded, bound.with_error(allowed))
    if found.agrees:
        return ""
    at = f"{name}{list(found.index)}" if found.index else name
    return f"{at} is {found.got!r}, the document's is {found.expected!r}"
