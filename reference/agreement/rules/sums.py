"""Sums and differences, of two numbers and of many."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from reference.agreement.arithmetic import Arithmetic
from reference.agreement.rules.bounded import (
    Bounded,
    Error,
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


def cumulative_sum(x: Bounded, axis: int, arithmetic: Arithmetic) -> Bounded:
    """The sums of the first 1, 2, ..., n terms, each in any order, so also by a parallel scan.

    The sum of k terms is off by gamma_{k-1} times the sum of their magnitudes. gamma_{k-1} is convex in
    k, and so at most (k - 1)/(n - 1) gamma_{n-1}. Where partial sums may be stored, gamma_{n-1} serves
    for all k.
    """
    n = x.value.shape[axis]
    value, size = (np.cumsum(array, axis=axis) for array in (x.value, np.abs(x.value)))
    propagated = None if x.error is None else np.cumsum(x.error, axis=axis)
    size = onto(size, propagated)
    refuse_overflow("a sum", size, arithmetic.inside)
    flushed = underflow(size, arithmetic.inside, roundings=max(n - 1, 0))
    roundings = np.ones(n) if arithmetic.stores else np.arange(n) / max(n - 1, 1)
    size *= arithmetic.gamma(terms=n) * np.expand_dims(roundings, tuple(range(1, -axis)))
    return stored(Bounded(value, onto(size, propagated, flushed)), arithmetic)


def added_at(x: Bounded, index: Any, new: Bounded, arithmetic: Arithmetic) -> Bounded:
    """np.add.at: numbers added into a copy of x at an index, in any order where it names a place twice.

    A place that is named m times holds a sum of m + 1 terms.
    """

    def scattered(start: Any, terms: Any) -> Any:
        result = np.array(np.broadcast_to(start, x.value.shape), dtype=np.float64)
        np.add.at(result, index, terms)
        return result

    most = int(scattered(0.0, 1.0).max(initial=0))
    value, size = scattered(x.value, new.value), scattered(np.abs(x.value), np.abs(new.value))
    propagated = None
    if x.error is not None or new.error is not None:
        propagated = scattered(off(x), off(new))
    size = onto(size, propagated)
    refuse_overflow("a sum", size, arithmetic)
    flushed = underflow(size, arithmetic, roundings=most)
    size *= arithmetic.gamma(most)
    return Bounded(value, onto(size, propagated, flushed))
