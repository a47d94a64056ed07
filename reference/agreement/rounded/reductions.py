"""NumPy's reductions of `Rounded` arrays, with NumPy's signatures, and what is made of them."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from reference.agreement import blocks, rules
from reference.agreement.rounded.array import LARGEST, SUM, Index, Mask, Origin, Rounded
from reference.agreement.rounded.operands import apply, going_on_in

Axis: TypeAlias = int | Sequence[int] | None


def as_numbers(x: Rounded) -> Rounded:
    """The array, a mask as 1 and 0."""
    if isinstance(x, Mask):
        return Rounded.of(rules.as_number(x.bounded), x.arithmetic, x.stacked)
    return x


def sum_of(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """np.sum, in any order."""
    x = as_numbers(a)
    axes, within = blocks.last_axes(axis, x.ndim), x.format or x.arithmetic
    summed = blocks.sum_of(x.bounded, axes, keepdims, within)
    result = Rounded.of(summed, going_on_in(x.arithmetic, within), x.stacked)
    if keepdims:
        result.origin = Origin(SUM, x.bounded, axes)
    return result


def mean(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The sum over the number of terms, or times the reciprocal of that."""
    return apply(rules.divide, sum_of(a, axis, keepdims), count(a, axis))


def count(x: Rounded, axis: Axis) -> int:
    """How many numbers are reduced to one."""
    return int(np.prod([x.shape[one] for one in blocks.last_axes(axis, x.ndim)]))


def var(a: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """The mean of the squared distances from the mean, which is taken first."""
    x = as_numbers(a)
    squares = apply(rules.square, apply(rules.subtract, x, mean(x, axis, keepdims=True)))
    return apply(rules.divide, sum_of(squares, axis, keepdims), count(x, axis) - ddof)


def std(a: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """The square root of the variance."""
    return apply(rules.sqrt, var(a, axis, ddof, keepdims))


def largest(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """np.max."""
    x = as_numbers(a)
    axes = blocks.last_axes(axis, x.ndim)
    result = x.like(rules.largest(x.bounded, axes, keepdims))
    if keepdims:
        result.origin = Origin(LARGEST, x.bounded, axes)
    return result


def smallest(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """np.min, which is -max(-x)."""
    return -largest(-a, axis, keepdims)


def argmax(a: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the first largest number, off by as much as rounding leaves it open."""
    x = as_numbers(a)
    if axis is None:
        x, axis = x.reshape(-1), 0
    last = blocks.last_axis(axis, x.ndim)
    place = Index.of(rules.index_of_largest(x.bounded, last, keepdims), x.arithmetic, x.stacked)
    may_be = np.moveaxis(rules.may_be_largest(x.bounded, last), last, -1)
    place.candidates = may_be.reshape(*place.value.shape, may_be.shape[-1])
    return place


def cumsum(a: Any, axis: int | None = None) -> Any:
    """The partial sums."""
    x = as_numbers(a)
    if axis is None:
        x, axis = x.reshape(-1), 0
    return x.like(rules.cumulative_sum(x.bounded, blocks.last_axis(axis, x.ndim), x.arithmetic))


def norm(x: Rounded, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """The root of the sum of squares: of a vector, along an axis, or Frobenius's of a matrix."""
    along = len(blocks.last_axes(axis, x.ndim))
    if not (ord is None or (ord == 2 and along == 1) or (ord == "fro" and along == 2)):
        raise TypeError(
            f"np.linalg.norm has a rule for the root of the sum of squares, not for ord={ord!r}"
        )
    return apply(rules.sqrt, sum_of(apply(rules.square, x), axis, keepdims))


def trace(a: Any) -> Any:
    """The sum of the diagonal."""
    return sum_of(np.diagonal(a), -1)


def add_at(a: Any, indices: Any, b: Any, /) -> None:
    """np.add.at, which changes its first argument."""
    if not isinstance(a, Rounded):
        raise TypeError("np.add.at cannot add to a plain array: make it with np.zeros_like(x)")
    a.add_at(indices, b)
