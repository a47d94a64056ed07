"""The rules: how far each operation's result may stray, one pure function per operation.

A rule takes `Bounded` operands (a value, computed in float64, and an elementwise error) and an
`Arithmetic`, and returns the result with

    |what a port computes in its arithmetic - value| <= error.

The error of a result has three parts: the propagated errors of the operands, one rounding in the
port, and one rounding in the float64 value. (The two roundings together are `arithmetic.unit`.) Where
the format only stores, sums and products of many terms round in its accumulator, and their result once
more. The rules follow Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., chapters 2 and
3; docs/bounds.md derives them at more length. A rule raises `Unbounded` where there is no finite bound.

Rules are written for the last axes of an array: leading axes broadcast. They know nothing of stacks
or tiles (`blocks.py`), nor of NumPy's protocols (`rounded.py`).
"""

import functools
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from reference.agreement.arithmetic import FLOAT64_ROUNDOFF, Arithmetic, Unbounded
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
    """

    value: Any
    error: Error = None
    products: int = 0


class Comparison(NamedTuple):
    """Where an elementwise comparison is true, and where rounding leaves it open (None: nowhere)."""

    true: Plain
    undecided: Plain | None = None

    def __bool__(self) -> bool:
        raise TypeError("a comparison of Rounded arrays may be undecided: it has no truth value")


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


def linspace(start: float, stop: float, num: int, arithmetic: Arithmetic) -> Bounded:
    """np.linspace as the frameworks compute it.

    They compute start + i * ((stop - start) / (num - 1)), or its mirror image from stop: one division,
    one product and two additions, each on numbers no larger than |start| + |stop|.
    """
    relative = arithmetic.division + 3 * arithmetic.unit
    error = relative * (abs(start) + abs(stop)) * (1 + relative)
    return Bounded(np.linspace(start, stop, num), np.full(num, error))


def cast(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """A number of a wider format, rounded to this one."""
    return rounded(x.value, x.error, arithmetic.unit, arithmetic)


# Sums, differences, products


def negative(x: Bounded) -> Bounded:
    """Exact in itself: only a sign changes."""
    return x._replace(value=-x.value, error=None if x.error is None else x.error.copy())


def add(x: Bounded, y: Bounded, arithmetic: Arithmetic) -> Bounded:
    """fl(x + y): Higham (2.4). A product inside may be contracted, which rounds less.

    A dot product inside may be contracted too: its sum may start from the other operand.
    """
    return _sum_of_two(x.value + y.value, x, y, arithmetic)


def subtract(x: Bounded, y: Bounded, arithmetic: Arithmetic) -> Bounded:
    """fl(x - y), likewise."""
    return _sum_of_two(x.value - y.value, x, y, arithmetic)


def _sum_of_two(value: Any, x: Bounded, y: Bounded, arithmetic: Arithmetic) -> Bounded:
    early = _added_early(x, y, arithmetic), _added_early(y, x, arithmetic)
    return rounded(value, total(*early, x.error, y.error), arithmetic.unit, arithmetic)


def _added_early(dot: Bounded, bias: Bounded, arithmetic: Arithmetic) -> Error:
    """All but one of the k additions in dot + bias may round a partial sum that contains the bias."""
    if dot.products < 2:
        return None
    stored = arithmetic.stored_products(dot.products)
    additions = (dot.products - 1) * arithmetic.product_roundings
    return arithmetic.gamma(stored, additions=additions) * reach(bias)


def multiply(x: Bounded, y: Bounded, arithmetic: Arithmetic) -> Bounded:
    """fl(x * y), with |x' y' - x y| <= |x| Ey + Ex (|y| + Ey)."""
    of_x = None if x.error is None else x.error * reach(y)
    of_y = None if y.error is None else np.abs(x.value) * y.error
    result = rounded(x.value * y.value, total(of_x, of_y), arithmetic.unit, arithmetic)
    return Bounded(result.value, result.error, products=1)


# Quotients


def divide(x: Bounded, y: Bounded, arithmetic: Arithmetic) -> Bounded:
    """fl(x / y), with |x' / y' - x / y| <= (Ex + |x / y| Ey) / (|y| - Ey)."""
    smallest = _smallest_divisor(y, arithmetic)
    value = x.value / y.value
    of_x = None if x.error is None else x.error / smallest
    of_y = None if y.error is None else np.abs(value) * y.error / smallest
    return _rounded_quotient(x, y, value, total(of_x, of_y), arithmetic)


def share(x: Bounded, row_sum: Bounded, arithmetic: Arithmetic) -> Bounded:
    """p = x / sum(x) of each row, where an error in x moves numerator and denominator together.

    x'_j / s' - x_j / s = (d_j (s - x_j) - x_j sum_{k != j} d_k) / (s s'), so the errors d of the
    summands contribute ((1 - p_j) Ex_j + p_j sum_{k != j} Ex_k) / s': none is counted twice in full.
    The rounding of the sum, gamma_{n-1} s' and what is flushed, is common to the row. Requires x >= 0.
    A kernel may sum what it has not stored yet, and divide what it has: then the numerator rounds alone.
    """
    smallest = _smallest_divisor(row_sum, arithmetic)
    value, error, n = x.value / row_sum.value, np.broadcast_to(off(x), x.value.shape), x.value.shape[-1]
    # The difference may cancel, and its rounding may have made the sum too low.
    others = sum_over(error, (-1,), True) * (1 + 2 * n * FLOAT64_ROUNDOFF) - error
    within = n * arithmetic.inside.flush + arithmetic.stores * arithmetic.flush
    of_sum = arithmetic.gamma(arithmetic.stores, terms=n) + within / smallest
    if of_sum.max(initial=0) >= 0.5:
        raise Unbounded(f"the exponentials of a row underflow in {arithmetic.name}: {ADVICE}")
    correlated = ((1 - value) * error + value * others) / smallest
    apart = of_sum / (1 - of_sum) + arithmetic.gamma(arithmetic.stores)
    propagated = correlated + apart * (value + correlated)
    return _rounded_quotient(x, row_sum, value, propagated, arithmetic)


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


# Functions


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
    if not (x.value - off(x)).min(initial=1) > 0:
        raise Unbounded(
            f"the probability {np.min(x.value):.3g} may be 0 in {arithmetic.name}, and its log "
            f"infinite: {ADVICE}"
        )
    propagated = None if x.error is None else -np.log1p(-x.error / x.value)
    return rounded(np.log(x.value), propagated, arithmetic.function, arithmetic)


def sin(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """|sin(x') - sin(x)| <= Ex."""
    return rounded(np.sin(x.value), x.error, arithmetic.function, arithmetic)


def cos(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """|cos(x') - cos(x)| <= Ex."""
    return rounded(np.cos(x.value), x.error, arithmetic.function, arithmetic)


# Choices


def maximum(x: Bounded, y: Bounded, arithmetic: Arithmetic) -> Bounded:
    """Exact in itself. Errors can move m = max(x, y) by at most max(Ex - (m - x), Ey - (m - y))."""
    value = np.maximum(x.value, y.value)
    # The difference may cancel, which magnifies the rounding in the errors: apply SLACK first.
    reaches = [z.error * SLACK - (value - z.value) for z in (x, y) if z.error is not None]
    return Bounded(value, functools.reduce(np.maximum, reaches, 0.0) if reaches else None)


def less_equal(x: Bounded, y: Bounded) -> Comparison:
    """x <= y; undecided where the operands' errors overlap. Equal exact numbers are decided."""
    error = total(x.error, y.error)
    if error is None:
        return Comparison(x.value <= y.value)
    gap = y.value - x.value
    undecided = np.abs(gap) < error * SLACK  # SLACK includes a gap equal to the error
    return Comparison(gap >= 0, undecided if undecided.any() else None)


# Assignments, which write into the arrays


def assign(x: Bounded, index: Any, new: Bounded) -> Bounded:
    """Write other numbers into x at an index, and return the result."""
    error = np.zeros_like(x.value) if x.error is None else x.error
    x.value[index], error[index] = new.value, off(new)
    return Bounded(x.value, error, min(x.products, new.products))


def assign_where(x: Bounded, comparison: Comparison, c: Bounded) -> None:
    """Write the constant c into x where a comparison is true; where it is undecided, x holds either.

    x has an error if c has one or something is undecided. Multiplying by 0 and 1 has no unpredictable
    branch, which np.copyto and np.where have.
    """
    kept = (~comparison.true).astype(np.float64)
    if comparison.undecided is not None:
        either = np.abs(x.value - c.value) + x.error + off(c)
    for array, number in ((x.value, c.value), (x.error, off(c))):
        if array is not None:
            array *= kept
        if number:
            array += number * (1 - kept)
    if comparison.undecided is not None:
        np.copyto(x.error, either, where=comparison.undecided)


# Sums and products of many terms


def sum_of(
    parts: Sequence[Bounded], axis: tuple[int, ...], keepdims: bool, arithmetic: Arithmetic
) -> Bounded:
    """Sum of n terms in any order: gamma_{n-1} sum |x| plus the terms' own errors (Higham (4.4)).

    It is summed in the accumulator, and stored.

    An array may come in parts, whose sums along `axis` are added.
    """

    def summed(arrays: Iterable[Any]) -> Any:
        return added(sum_over(array, axis, keepdims) for array in arrays)

    value = summed(part.value for part in parts)
    propagated = None if parts[0].error is None else summed(part.error for part in parts)
    size = onto(summed(np.abs(part.value) for part in parts), propagated)
    n = sum(part.value.size for part in parts) // max(value.size, 1)
    refuse_overflow("a sum", size, arithmetic.inside)
    flushed = underflow(size, arithmetic.inside, roundings=n - 1)
    size *= arithmetic.gamma(terms=n)
    result = Bounded(value, onto(size, propagated, flushed), parts[0].products if n == 1 else 0)
    return result if n == 1 else stored(result, arithmetic)


def sum_over(array: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """np.sum over some of the last axes; over a single one, a product with ones is faster."""
    if axis == (-1,):
        summed = array @ np.ones(array.shape[-1])
        return summed[..., None] if keepdims else summed
    if axis == (-2,):
        summed = np.ones(array.shape[-2]) @ array
        return summed[..., None, :] if keepdims else summed
    return np.sum(array, axis=axis, keepdims=keepdims)


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


def joined(join: Callable[..., Plain], arrays: Sequence[Bounded], axis: int) -> Bounded:
    """Stack or concatenate arrays; nothing is rounded."""
    value = join([x.value for x in arrays], axis=axis)
    if all(x.error is None for x in arrays):
        return Bounded(value)
    return Bounded(value, join([np.broadcast_to(off(x), x.value.shape) for x in arrays], axis=axis))
