"""Functions of one number.

Each has the error that the worst library in use documents, in units in the last place
(`arithmetic.py` has the sources), and the propagated error at the function's steepest point.
"""

import numpy as np

from reference.agreement.arithmetic import EXPM1_ULPS, TANH_ULPS, Arithmetic, Unbounded
from reference.agreement.rules.bounded import (
    ADVICE,
    Bounded,
    off,
    onto,
    reach,
    refuse_overflow,
    rounded,
    total,
)
from reference.arrays import Plain


def exp(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """|exp(x') - exp(x)| <= exp(x) (exp(Ex) - 1). No exp is exactly 0, so all may underflow."""
    value = np.exp(x.value)
    propagated = None if x.error is None else value * np.expm1(x.error)
    size = total(value, propagated)
    error = onto(arithmetic.exp * size, arithmetic.flush, propagated)
    if arithmetic.exp_per_unit:
        error += arithmetic.exp_per_unit * reach(x) * size
    refuse_overflow(f"exp({x.value.max(initial=-np.inf):.6g})", value + error, arithmetic)
    return Bounded(value, error)


def log(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """|log(x') - log(x)| <= log(x / (x - Ex)), the steeper side."""
    _refuse_zero("log", x, arithmetic)
    propagated = None if x.error is None else -np.log1p(-x.error / x.value)
    return rounded(np.log(x.value), propagated, arithmetic.function, arithmetic)


def sin(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """|sin(x') - sin(x)| <= Ex."""
    return rounded(np.sin(x.value), x.error, arithmetic.function, arithmetic)


def cos(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """|cos(x') - cos(x)| <= Ex."""
    return rounded(np.cos(x.value), x.error, arithmetic.function, arithmetic)


def _refuse_zero(name: str, x: Bounded, arithmetic: Arithmetic) -> None:
    """Raise Unbounded if x may be 0, which has no logarithm."""
    if not (x.value - off(x)).min(initial=1) > 0:
        least, dtype = np.min(x.value), arithmetic.name
        raise Unbounded(
            f"{name}({least:.3g}) may be infinite: its argument may be 0 in {dtype}: {ADVICE}"
        )


def log2(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """As `log`, whose propagated error it has, over log 2."""
    _refuse_zero("log2", x, arithmetic)
    propagated = None if x.error is None else -np.log1p(-x.error / x.value) / np.log(2)
    return rounded(np.log2(x.value), propagated, arithmetic.function, arithmetic)


def log1p(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """|log(1 + x') - log(1 + x)| <= -log(1 - Ex / (1 + x)), the steeper side."""
    if not (1 + (x.value - off(x))).min(initial=1) > 0:
        raise Unbounded(f"the argument of log1p may be -1 in {arithmetic.name}: {ADVICE}")
    propagated = None if x.error is None else -np.log1p(-x.error / (1 + x.value))
    return rounded(np.log1p(x.value), propagated, arithmetic.function, arithmetic)


def expm1(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """|exp(x') - exp(x)| <= exp(x) (exp(Ex) - 1)."""
    propagated = None if x.error is None else np.exp(x.value) * np.expm1(x.error)
    return rounded(np.expm1(x.value), propagated, arithmetic.ulps(EXPM1_ULPS), arithmetic)


def tanh(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """|tanh(x') - tanh(x)| <= Ex / cosh(z)^2, where z is as near to 0 as x' may be."""
    propagated = None
    if x.error is not None:
        nearest = np.clip(np.abs(x.value) - x.error, 0, 350)  # beyond 350, cosh^2 would overflow
        propagated = x.error / np.cosh(nearest) ** 2
    return rounded(np.tanh(x.value), propagated, arithmetic.ulps(TANH_ULPS), arithmetic)


def sqrt(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """|sqrt(x') - sqrt(x)| <= Ex / (sqrt(x) + sqrt(x - Ex)), the steeper side if x >= Ex.

    Where Ex > x, the port's radicand counts as 0 or more: NaN is no number that a bound could cover,
    and it disagrees with every one.
    """
    if x.value.min(initial=0) < 0:
        raise Unbounded(f"a square root of {x.value.min():.3g} is no number")
    value, propagated = np.sqrt(x.value), None
    if x.error is not None:
        lowest, highest = np.sqrt(np.maximum(x.value - x.error, 0)), np.sqrt(x.value + x.error)
        below = _over(np.minimum(x.error, x.value), value + lowest)
        propagated = np.maximum(below, _over(x.error, value + highest))
    return rounded(value, propagated, arithmetic.root, arithmetic)


def _over(x: Plain, y: Plain) -> Plain:
    """x / y, and 0 where y is 0."""
    quotient: Plain = np.divide(x, y, out=np.zeros(np.shape(y)), where=y > 0)
    return quotient
