"""Quotients, and shares of a sum."""

import math
from typing import Any

import numpy as np

from reference.agreement.arithmetic import FLOAT64_ROUNDOFF, Arithmetic, Unbounded
from reference.agreement.rules.bounded import ADVICE, Bounded, Error, off, reach, rounded, total
from reference.agreement.rules.sums import sum_over


def divide(x: Bounded, y: Bounded, arithmetic: Arithmetic) -> Bounded:
    """fl(x / y), with |x' / y' - x / y| <= (Ex + |x / y| Ey) / (|y| - Ey)."""
    smallest = _smallest_divisor(y, arithmetic)
    value = x.value / y.value
    of_x = None if x.error is None else x.error / smallest
    of_y = None if y.error is None else np.abs(value) * y.error / smallest
    return _rounded_quotient(x, y, value, total(of_x, of_y), arithmetic)


def share(
    x: Bounded, own_sum: Bounded, arithmetic: Arithmetic, axes: tuple[int, ...] = (-1,)
) -> Bounded:
    """p = x / sum(x) of each row, where an error in x moves numerator and denominator together.

    x'_j / s' - x_j / s = (d_j (s - x_j) - x_j sum_{k != j} d_k) / (s s'), so the errors d of the
    summands contribute ((1 - p_j) Ex_j + p_j sum_{k != j} Ex_k) / s': none is counted twice in full.
    The rounding of the sum, gamma_{n-1} s' and what is flushed, is common to the row. Requires x >= 0.
    A kernel may sum what it has not stored yet, and divide what it has: then the numerator rounds alone.
    """
    smallest = _smallest_divisor(own_sum, arithmetic)
    value, error = x.value / own_sum.value, np.broadcast_to(off(x), x.value.shape)
    n = math.prod(x.value.shape[axis] for axis in axes)
    # The difference may cancel, and its rounding may have made the sum too low.
    others = sum_over(error, axes, True) * (1 + 2 * n * FLOAT64_ROUNDOFF) - error
    within = n * arithmetic.inside.flush + arithmetic.stores * arithmetic.flush
    of_sum = arithmetic.gamma(arithmetic.stores, terms=n) + within / smallest
    if of_sum.max(initial=0) >= 0.5:
        raise Unbounded(f"the exponentials of a row underflow in {arithmetic.name}: {ADVICE}")
    correlated = ((1 - value) * error + value * others) / smallest
    apart = of_sum / (1 - of_sum) + arithmetic.gamma(arithmetic.stores)
    propagated = correlated + apart * (value + correlated)
    return _rounded_quotient(x, own_sum, value, propagated, arithmetic)


def _smallest_divisor(y: Bounded, arithmetic: Arithmetic) -> Any:
    """|y| - Ey, the smallest magnitude that the divisor may have."""
    smallest = np.abs(y.value) - off(y)
    if not smallest.min(initial=1) > 0:
        raise Unbounded(f"a divisor may be 0 in {arithmetic.name}: {ADVICE}")
    return smallest


def _rounded_quotient(
    x: Bounded, y: Bounded, value: Any, propagated: Error, arithmetic: Arithmetic
) -> Bounded:
    """The quotient rounded, possibly as x * fl(1 / y), whose reciprocal may be flushed to zero."""
    error = rounded(value, propagated, arithmetic.division, arithmetic).error
    huge = reach(y) * arithmetic.smallest_normal > 0.5  # its reciprocal may be subnormal
    if huge.any():
        error = error + huge * reach(x) * arithmetic.flush
    return Bounded(value, error, products=1)
