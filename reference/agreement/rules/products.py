"""Products, of two numbers and of matrices, and powers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from reference.agreement.arithmetic import POWER_ULPS, Arithmetic, Unbounded
from reference.agreement.rules.bounded import (
    ADVICE,
    Bounded,
    added,
    off,
    onto,
    reach,
    refuse_overflow,
    rounded,
    stored,
    total,
    underflow,
)


def multiply(x: Bounded, y: Bounded, arithmetic: Arithmetic) -> Bounded:
    """fl(x * y), with |x' y' - x y| <= |x| Ey + Ex (|y| + Ey)."""
    of_x = None if x.error is None else x.error * reach(y)
    of_y = None if y.error is None else np.abs(x.value) * y.error
    result = rounded(x.value * y.value, total(of_x, of_y), arithmetic.unit, arithmetic)
    return Bounded(result.value, result.error, products=1)


def square(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """fl(x * x), with |x'^2 - x^2| <= Ex (2|x| + Ex)."""
    return multiply(x, x, arithmetic)


def integer_power(x: Bounded, n: int, arithmetic: Arithmetic) -> Bounded:
    """x**n for a whole n >= 2, by n - 1 multiplications in any order, or by a library's power.

    |(x + d)^n - x^n| <= n |d| (|x| + |d|)^(n-1), by the mean value theorem. NumPy multiplies for n = 2,
    PyTorch for n = 2 and 3, JAX always (lax.integer_pow); the others call a power function.
    """
    value, size = x.value**n, reach(x)
    propagated = None if x.error is None else n * x.error * size ** (n - 1)
    relative = max(arithmetic.gamma(n - 1), arithmetic.ulps(POWER_ULPS) if n > 2 else 0.0)
    lost = underflow(size**n, arithmetic, roundings=n - 2)
    result = rounded(value, propagated, relative, arithmetic)
    return Bounded(value, total(result.error, lost), products=1)


def power(x: Bounded, y: Bounded, arithmetic: Arithmetic) -> Bounded:
    """x**y for x > 0, by a library's power: |y' log x' - y log x| = L moves it by at most expm1(L).

    L <= (|y| + Ey) |log(x - Ex) - log(x)| + Ey |log(x)|. A machine that computes exp(y log(x)) instead
    errs by about |y log(x)| more roundings; that does not conform, unless the reference writes it so.
    """
    if not (x.value - off(x)).min(initial=1) > 0:
        raise Unbounded(f"the base of a power may be 0 in {arithmetic.name}: {ADVICE}")
    value = x.value**y.value
    of_x = None if x.error is None else -np.log1p(-x.error / x.value) * reach(y)
    of_y = None if y.error is None else y.error * np.abs(np.log(x.value))
    moved = total(of_x, of_y)
    propagated = None if moved is None else value * np.expm1(moved)
    result = rounded(value, propagated, arithmetic.ulps(POWER_ULPS), arithmetic)
    return Bounded(value, result.error + arithmetic.flush)


def dot(parts: Sequence[tuple[Bounded, Bounded]], arithmetic: Arithmetic) -> Bounded:
    """Matrix product in any order of summation, fused or not: Higham (3.13).

    |fl(AB) - AB| <= c |A||B| with c = gamma_k, plus what rounding of the inputs adds (TF32).
    Factors may come in parts, columns of A with the rows of B that they meet; the products are added.
    """
    k = sum(a.value.shape[-1] for a, _ in parts)
    c = arithmetic.dot(k)
    value = added(a.value @ b.value for a, b in parts)
    size = added(_size_of_product(a, b, c) for a, b in parts)
    if size.max(initial=0) > arithmetic.inside.largest:  # then the partial sums may be too large
        sizes = added(reach(a) @ reach(b) for a, b in parts)
        refuse_overflow("a dot product", sizes, arithmetic.inside)
    flushed = underflow(size, arithmetic.inside, roundings=2 * k)
    size *= c
    return stored(Bounded(value, onto(size, flushed), products=k), arithmetic)


def _size_of_product(a: Bounded, b: Bounded, c: float) -> Any:
    """The error over c: |A|(|B| + (1 + c)/c Eb) + (1 + c)/c Ea (|B| + Eb), with errors in A and B."""
    propagate = (1 + c) / c
    if b.error is None:
        left = onto(np.abs(a.value), None if a.error is None else propagate * a.error)
        return left @ np.abs(b.value)
    of_a = None if a.error is None else a.error @ (propagate * reach(b))
    return onto(np.abs(a.value) @ onto(np.abs(b.value), propagate * b.error), of_a)
