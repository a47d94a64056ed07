"""What a rule takes and returns, and what the rules are made of.

A rule takes `Bounded` operands (a value, computed in float64, and an elementwise error) and an
`Arithmetic`, and returns the result with

    |what a port computes in its arithmetic - value| <= error.

The error of a result has three parts: the propagated errors of the operands, one rounding in the
port, and one rounding in the float64 value. (The two roundings together are `arithmetic.unit`.) Where
the format only stores, sums and products of many terms round in its accumulator, and their result once
more.
"""

import functools
import operator
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from reference.agreement.arithmetic import Arithmetic, Unbounded
from reference.arrays import Plain

#: The bounds are computed in float64 too. A bound is a sum of products of non-negative numbers, so a
#: chain of m operations on sums of n terms is low by at most a factor 1 - (m + n) * 2**-53: less than
#: 2**-20 for m + n < 2**33. A bound is multiplied by this before a difference is held against it.
#: The terms that `underflow` leaves out are below 2**-40 of the bound.
SLACK = 1 + 2.0**-20

ADVICE = "use smaller weights, data or step size, or a wider dtype."

#: How far off an array may be, elementwise; None for an exact array.
Error: TypeAlias = Any


class Bounded(NamedTuple):
    """A float64 array and how far off it may be.

    `error` has the value's shape; None means exact. `products` is the number of products that the array
    is the sum of: 1 for a product or quotient, k for a dot product of length k, else 0. A compiler may
    contract these into the addition that uses the array.

    Truth values are `Bounded` too: `value` is of dtype bool, and `error` is true where rounding leaves a
    comparison open (None: nowhere).
    """

    value: Any
    error: Error = None
    products: int = 0


# Building blocks of the rules


def total(*errors: Error) -> Error:
    """The sum of errors, None where all are exact."""
    inexact = [error for error in errors if error is not None]
    return added(inexact) if inexact else None


def onto(fresh: Any, *errors: Error) -> Any:
    """Add errors to an array, in place: nothing else may hold the array."""
    for error in errors:
        if error is not None:
            fresh += error
    return fresh


def added(arrays: Iterable[Any]) -> Any:
    """The sum of arrays, which may be made one at a time."""
    return functools.reduce(operator.add, arrays)


def off(x: Bounded) -> Any:
    """The error as a number or an array: 0 for an exact operand."""
    return 0.0 if x.error is None else x.error


def reach(x: Bounded) -> Any:
    """|x| + Ex, the largest magnitude that the port's number may have."""
    return onto(np.abs(x.value), x.error)


def refuse_overflow(what: str, size: Any, arithmetic: Arithmetic) -> None:
    """Raise Unbounded if results of these magnitudes may leave the number range."""
    if size.max(initial=0) > arithmetic.largest:
        raise Unbounded(f"{what} overflows {arithmetic.name}: {ADVICE}")


def underflow(size: Any, arithmetic: Arithmetic, roundings: int = 1) -> Error:
    """The error added by flushing results below the smallest normal number; exact zeros stay exact.

    `size` bounds the results' magnitudes. Where each is 0 or large, the term is below 2**-40 of the
    rounding and is left out.
    """
    flushed = roundings * arithmetic.flush
    limit = flushed * 2.0**40 / arithmetic.roundoff
    return (size > 0) * flushed if any_near_zero(size, limit) else None


def any_near_zero(size: Any, limit: float) -> bool:
    """Whether any of these magnitudes is below the limit and not 0."""
    if size.min(initial=np.inf) >= limit:
        return False
    return int(np.count_nonzero(size < limit)) > int(np.count_nonzero(size == 0))


def rounded(value: Any, propagated: Error, relative: float, arithmetic: Arithmetic) -> Bounded:
    """The result of one operation, with the propagated error and one rounding on top of it."""
    size = onto(np.abs(value), propagated)
    refuse_overflow("a result", size, arithmetic)
    flushed = underflow(size, arithmetic)
    size *= relative
    return Bounded(value, onto(size, propagated, flushed))


def stored(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """What a kernel has computed in its accumulator, rounded to storage."""
    if not arithmetic.stores:
        return x
    return rounded(x.value, x.error, arithmetic.unit, arithmetic)._replace(products=x.products)


def cast(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """A number of a wider format, rounded to this one."""
    return rounded(x.value, x.error, arithmetic.unit, arithmetic)


# Inputs


def exact(value: Plain, arithmetic: Arithmetic) -> Bounded:
    """Numbers that the port holds exactly, except that it may read subnormals as zero."""
    size = np.abs(value)
    if not (arithmetic.flushes and any_near_zero(size, arithmetic.smallest_normal)):
        return Bounded(value)
    return Bounded(value, (size < arithmetic.smallest_normal) * size)


def constant(c: float, arithmetic: Arithmetic) -> Bounded:
    """A number in the code; the port holds the nearest number of its dtype."""
    error = arithmetic.constant(c)
    return Bounded(np.float64(c), np.float64(error) if error else None)


def constants(value: Plain, arithmetic: Arithmetic) -> Bounded:
    """A plain array in the code; the port holds the nearest numbers of its dtype, as in `constant`."""
    if not (np.isfinite(value).all() and np.abs(value).max(initial=0) <= arithmetic.largest):
        raise Unbounded(f"a plain array overflows {arithmetic.name}: use a wider dtype.")
    mantissa = np.frexp(value)[0] / arithmetic.roundoff
    held = exact(value, arithmetic)
    if (mantissa == np.rint(mantissa)).all():
        return held
    rounding = (mantissa != np.rint(mantissa)) * arithmetic.roundoff * np.abs(value)
    return Bounded(value, total(rounding, held.error))


def linspace(start: float, stop: float, num: int, arithmetic: Arithmetic) -> Bounded:
    """np.linspace as the frameworks compute it.

    They compute start + i * ((stop - start) / (num - 1)), or its mirror image from stop: one division,
    one product and two additions, each on numbers no larger than |start| + |stop|.
    """
    relative = arithmetic.division + 3 * arithmetic.unit
    error = relative * (abs(start) + abs(stop)) * (1 + relative)
    return Bounded(np.linspace(start, stop, num), np.full(num, error))
