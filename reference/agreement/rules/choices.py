"""What picks among numbers: nothing is rounded, but a comparison may be open."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference.agreement.arithmetic import Arithmetic
from reference.agreement.rules.bounded import SLACK, Bounded, off, total
from reference.arrays import Plain


def negative(x: Bounded) -> Bounded:
    """Exact in itself: only a sign changes."""
    return x._replace(value=-x.value, error=None if x.error is None else x.error.copy())


def absolute(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """Exact in itself: | |x'| - |x| | <= Ex."""
    return Bounded(np.abs(x.value), None if x.error is None else x.error.copy())


def sign(x: Bounded, arithmetic: Arithmetic) -> Bounded:
    """-1, 0 or 1; any of them where the error reaches 0."""
    value = np.sign(x.value)
    if x.error is None:
        return Bounded(value)
    return Bounded(value, (np.abs(x.value) < x.error * SLACK) * (1 + np.abs(value)))


def maximum(x: Bounded, y: Bounded, arithmetic: Arithmetic) -> Bounded:
    """Exact in itself. Errors can move m = max(x, y) by at most max(Ex - (m - x), Ey - (m - y))."""
    value = np.maximum(x.value, y.value)
    # The difference may cancel, which magnifies the rounding in the errors: apply SLACK first.
    reaches = [z.error * SLACK - (value - z.value) for z in (x, y) if z.error is not None]
    return Bounded(value, functools.reduce(np.maximum, reaches, 0.0) if reaches else None)


def minimum(x: Bounded, y: Bounded, arithmetic: Arithmetic) -> Bounded:
    """min(x, y) = -max(-x, -y)."""
    return negative(maximum(negative(x), negative(y), arithmetic))


def largest(x: Bounded, axis: tuple[int, ...], keepdims: bool) -> Bounded:
    """The largest of many, as in `maximum`: each reaches at most Ex - (m - x) beyond m."""
    value = np.max(x.value, axis=axis, keepdims=True)
    error = None
    if x.error is not None:
        error = np.max(x.error * SLACK - (value - x.value), axis=axis, keepdims=keepdims)
    return Bounded(value if keepdims else np.squeeze(value, axis), error)


def less_own_largest(
    x: Bounded, axis: tuple[int, ...], difference: Bounded, arithmetic: Arithmetic
) -> Bounded:
    """x - max(x), which is exactly 0 where x is the largest on every machine.

    Not if x is a product, which may be contracted into the subtraction but not into the maximum.
    """
    if x.products or not _is_one_number(x, arithmetic):
        return difference
    return Bounded(difference.value, np.where(_is_decided_largest(x, axis), 0.0, difference.error))


def equals_own_largest(
    x: Bounded, axis: tuple[int, ...], comparison: Bounded, arithmetic: Arithmetic
) -> Bounded:
    """x == max(x), which is true where x is the largest on every machine, and nowhere else."""
    if comparison.error is None or not _is_one_number(x, arithmetic):
        return comparison
    undecided = comparison.error & ~_is_decided_largest(x, axis)
    return Bounded(comparison.value, undecided if undecided.any() else None)


def _is_one_number(x: Bounded, arithmetic: Arithmetic) -> bool:
    """Whether two uses of an inexact x see the same numbers; a fused kernel may store it in between."""
    return x.error is not None and not arithmetic.fuses


def _is_decided_largest(x: Bounded, axis: tuple[int, ...]) -> Any:
    """Where x is the largest on every machine: alone within reach, or one of equal exact numbers."""
    top = np.max(x.value, axis=axis, keepdims=True)
    its_error = np.max(np.where(x.value == top, x.error, 0), axis=axis, keepdims=True)
    within_reach = top - x.value <= (x.error + its_error) * SLACK
    alone = np.sum(within_reach, axis=axis, keepdims=True) == 1
    all_exact = np.max(within_reach * x.error, axis=axis, keepdims=True) == 0
    return within_reach & (alone | all_exact)


def index_of_largest(x: Bounded, axis: int, keepdims: bool) -> Bounded:
    """The first index of the largest number; as far off as the farthest index that may have it."""
    value, indices = np.argmax(x.value, axis=axis, keepdims=True), _indices(x, axis)
    error = None
    if x.error is not None:
        distances = may_be_largest(x, axis) * np.abs(indices - value)
        error = np.max(distances, axis=axis, keepdims=keepdims).astype(np.float64)
        error = error if error.any() else None
    value = value.astype(np.float64)
    return Bounded(value if keepdims else np.squeeze(value, axis), error)


def may_be_largest(x: Bounded, axis: int) -> Any:
    """Where the first of the largest numbers may be, on some machine."""
    place = np.argmax(x.value, axis=axis, keepdims=True)
    is_here = _indices(x, axis) == place
    if x.error is None:
        return is_here
    top, its_error = (np.take_along_axis(array, place, axis) for array in (x.value, x.error))
    within_reach = top - x.value <= (x.error + its_error) * SLACK
    return is_here | (within_reach & ((x.error > 0) | (its_error > 0)))


def _indices(x: Bounded, axis: int) -> Any:
    """0, 1, 2, ... along an axis, counted from the last."""
    return np.expand_dims(np.arange(x.value.shape[axis]), tuple(range(1, -axis)))


# Comparisons


def less_equal(x: Bounded, y: Bounded, arithmetic: Arithmetic) -> Bounded:
    """x <= y; undecided where the operands' errors overlap. Equal exact numbers are decided."""
    return _compared(x, y, np.greater_equal)


def less(x: Bounded, y: Bounded, arithmetic: Arithmetic) -> Bounded:
    """x < y, likewise."""
    return _compared(x, y, np.greater)


def equal(x: Bounded, y: Bounded, arithmetic: Arithmetic) -> Bounded:
    """x == y: false where the errors do not overlap, true between equal exact numbers."""
    return _compared(x, y, np.equal)


def _compared(x: Bounded, y: Bounded, with_0: Any) -> Bounded:
    """y - x compared with 0."""
    error, gap = total(x.error, y.error), y.value - x.value
    if error is None:
        return Bounded(with_0(gap, 0))
    undecided = np.abs(gap) < error * SLACK  # SLACK includes a gap equal to the error
    return Bounded(with_0(gap, 0), undecided if undecided.any() else None)


def negation(c: Bounded) -> Bounded:
    """~c, open where c is."""
    return c._replace(value=~c.value)


def conjunction(c: Bounded, d: Bounded) -> Bounded:
    """c & d, open where one is open and the other is not false for sure."""
    if c.error is None and d.error is None:
        return Bounded(c.value & d.value)
    c_open, d_open = (np.zeros_like(z.value) if z.error is None else z.error for z in (c, d))
    undecided = (c_open | d_open) & (c.value | c_open) & (d.value | d_open)
    return Bounded(c.value & d.value, undecided if undecided.any() else None)


def as_number(c: Bounded) -> Bounded:
    """1 where it is true, and 0 where it is not."""
    return Bounded(c.value.astype(np.float64), None if c.error is None else c.error.astype(np.float64))


def where(c: Bounded, x: Bounded, y: Bounded, arithmetic: Arithmetic) -> Bounded:
    """x where c (1 or 0) is true, else y; where c is open, as far off as either may be.

    A product that is chosen may still be contracted into an addition.
    """
    true = c.value != 0
    value = np.where(true, x.value, y.value)
    products = max(x.products, y.products)
    if c.error is None and x.error is None and y.error is None:
        return Bounded(value, None, products)
    error = np.where(true, off(x), np.broadcast_to(off(y), value.shape))
    if c.error is not None:
        either = np.abs(x.value - y.value) + np.where(true, off(y), off(x))
        error = np.where(c.error != 0, np.maximum(error, either), error)
    return Bounded(value, error, products)


# Assignments, which write into the arrays


def assign(x: Bounded, index: Any, new: Bounded) -> Bounded:
    """Write other numbers into x at an index, and return the result."""
    error = np.zeros_like(x.value) if x.error is None else x.error
    x.value[index], error[index] = new.value, off(new)
    return Bounded(x.value, error, min(x.products, new.products))


def assign_where(x: Bounded, comparison: Bounded, c: Bounded) -> None:
    """Write the constant c into x where a comparison is true; where it is undecided, x holds either.

    x has an error if c has one or something is undecided. Multiplying by 0 and 1 has no unpredictable
    branch, which np.copyto and np.where have.
    """
    kept = (~comparison.value).astype(np.float64)
    if comparison.error is not None:
        either = np.abs(x.value - c.value) + x.error + off(c)
    for array, number in ((x.value, c.value), (x.error, off(c))):
        if array is not None:
            array *= kept
        if number:
            array += number * (1 - kept)
    if comparison.error is not None:
        np.copyto(x.error, either, where=comparison.error)


# Arrays out of arrays


def joined(join: Callable[..., Plain], arrays: Sequence[Bounded], axis: int) -> Bounded:
    """Stack or concatenate arrays; nothing is rounded."""
    value = join([x.value for x in arrays], axis=axis)
    if all(x.error is None for x in arrays):
        return Bounded(value)
    return Bounded(value, join([np.broadcast_to(off(x), x.value.shape) for x in arrays], axis=axis))
