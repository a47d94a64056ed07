"""NumPy's functions that move numbers, with NumPy's signatures: nothing is rounded in any of them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from reference.agreement import blocks, rules
from reference.agreement.blocks import last_axis
from reference.agreement.rounded.array import Rounded, bounded_of
from reference.agreement.rounded.operands import stacks_of
from reference.agreement.rounded.reductions import Axis
from reference.arrays import Plain


def shape(a: Rounded) -> tuple[int, ...]:
    """The shape."""
    return a.shape


def ndim(a: Rounded) -> int:
    """The number of axes."""
    return a.ndim


def size(a: Rounded) -> int:
    """The number of elements."""
    return a.size


def copy(a: Rounded) -> Any:
    """A copy, which may be assigned to."""
    return a.copy()


# The same numbers in another shape or order


def reshape(a: Rounded, shape: int | Sequence[int]) -> Any:
    """In another shape, in C's order; one length may be -1."""
    whole = np.broadcast_to(0, a.shape).reshape(shape).shape
    return a.view(lambda array: array.reshape(array.shape[: a.stacked] + whole))


def ravel(a: Any) -> Any:
    """As one axis."""
    return reshape(a, -1)


def transpose(a: Rounded, axes: Sequence[int] | None = None) -> Any:
    """With its axes in another order, or in reverse."""
    own = range(a.ndim)[::-1] if axes is None else normalize_axis_tuple(axes, a.ndim)
    order = (*range(a.stacked), *(a.stacked + axis for axis in own))
    return a.view(lambda array: array.transpose(order))


def swapaxes(a: Rounded, axis1: int, axis2: int) -> Any:
    """With two axes exchanged."""
    last = [last_axis(axis, a.ndim) for axis in (axis1, axis2)]
    return a.view(lambda array: np.swapaxes(array, *last))


def moveaxis(a: Rounded, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """With some axes moved."""
    last = [blocks.last_axes(axes, a.ndim) for axes in (source, destination)]
    return a.view(lambda array: np.moveaxis(array, *last))


def expand_dims(a: Rounded, axis: int | Sequence[int]) -> Any:
    """With new axes of length 1."""
    new = np.atleast_1d(axis)
    places = [a.stacked + one for one in normalize_axis_tuple(new, a.ndim + len(new))]
    return a.view(lambda array: np.expand_dims(array, places))


def squeeze(a: Rounded, axis: Axis = None) -> Any:
    """Without axes of length 1."""
    ones = [i for i, length in enumerate(a.shape) if length == 1]
    last = blocks.last_axes(ones if axis is None else axis, a.ndim)
    return a.view(lambda array: np.squeeze(array, last))


def broadcast_to(array: Rounded, shape: int | Sequence[int]) -> Any:
    """Repeated along new axes, and along those of length 1."""
    whole = (shape,) if isinstance(shape, int) else tuple(shape)
    ones, own = (1,) * (len(whole) - array.ndim), array.shape

    def spread(numbers: Plain) -> Plain:
        front = numbers.shape[: array.stacked]
        return np.broadcast_to(numbers.reshape(front + ones + own), front + whole)

    return array.view(spread)


def diagonal(a: Rounded, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal, along a new last axis."""
    last = [last_axis(axis, a.ndim) for axis in (axis1, axis2)]
    return a.view(lambda array: np.diagonal(array, offset, *last))


def flip(m: Rounded, axis: Axis = None) -> Any:
    """In reverse order along some axes."""
    last = blocks.last_axes(axis, m.ndim)
    return m.view(lambda array: np.flip(array, last))


def triangle(keep: Callable[..., Plain]) -> Callable[..., Any]:
    """np.tril or np.triu: zeros beyond a diagonal of the last two axes."""
    return lambda m, k=0: m.like(blocks.each(m.bounded, lambda array: keep(array, k)))


# Some of the numbers, or several times the same


def split(ary: Rounded, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Cut into parts along an axis."""
    place = normalize_axis_index(axis, ary.ndim)
    parts = np.split(np.arange(ary.shape[place]), indices_or_sections)
    pieces = [slice(part[0], part[-1] + 1) if len(part) else slice(0, 0) for part in parts]
    return [ary[(slice(None),) * place + (piece,)] for piece in pieces]


def take(a: Rounded, indices: Any, axis: int | None = None) -> Any:
    """The numbers at some places along an axis."""
    if axis is None:
        a, axis = ravel(a), 0
    last = last_axis(axis, a.ndim)
    return a.view(lambda array: np.take(array, _places(indices), axis=last))


def take_along_axis(arr: Rounded, indices: Any, axis: int = -1) -> Any:
    """The numbers at other places in each row."""
    last, places = last_axis(axis, arr.ndim), _places(indices)
    behind = places[(None,) * arr.stacked]
    return arr.view(lambda array: np.take_along_axis(array, behind, axis=last))


def _places(indices: Any) -> Plain:
    if isinstance(indices, Rounded):
        raise TypeError("an index that depends on the data cannot be followed: pass it as a plain array")
    return np.asarray(indices)


def repeat(a: Rounded, repeats: Any, axis: int | None = None) -> Any:
    """Each number several times."""
    if axis is None:
        a, axis = ravel(a), 0
    last = last_axis(axis, a.ndim)
    return a.view(lambda array: np.repeat(array, repeats, axis=last))


def tile(A: Rounded, reps: int | Sequence[int]) -> Any:
    """The whole array several times."""
    times = (reps,) if isinstance(reps, int) else tuple(reps)
    A = reshape(A, (1,) * (len(times) - A.ndim) + A.shape)
    own = (1,) * (A.ndim - len(times)) + times
    return A.view(lambda array: np.tile(array, (1,) * A.stacked + own))


def pad(array: Rounded, pad_width: Any, mode: str = "constant") -> Any:
    """Surrounded by zeros."""
    if mode != "constant":
        raise TypeError(f"np.pad has a rule for zeros around an array, not for mode={mode!r}")
    own = np.broadcast_to(pad_width, (array.ndim, 2)).tolist()
    widths = [(0, 0)] * array.stacked + own
    return array.like(blocks.each(array.bounded, lambda numbers: np.pad(numbers, widths)))


# One array from several


def joined(join: Callable[..., Plain]) -> Callable[..., Any]:
    """np.stack or np.concatenate."""

    def rule(arrays: Sequence[Any], axis: int = 0) -> Any:
        some = next(x for x in arrays if isinstance(x, Rounded))
        leading = stacks_of(arrays)
        bounded = blocks.led([bounded_of(x, some.arithmetic) for x in arrays], leading)
        dimensions = bounded[0].value.ndim - max(leading) + (join is np.stack)
        last = last_axis(axis, dimensions)
        return Rounded.of(rules.joined(join, bounded, last), some.arithmetic, max(leading))

    return rule


# Arrays of the same kind


def filled(number: float) -> Callable[..., Any]:
    """np.zeros_like or np.ones_like; `shape` is that of each member of the stack."""
    return lambda a, *, shape=None: full_like(a, number, shape=shape)


def full_like(a: Rounded, fill_value: Any, *, shape: int | Sequence[int] | None = None) -> Any:
    """One number everywhere; `shape` is that of each member of the stack."""
    own = a.shape if shape is None else np.empty(shape).shape
    whole = a.value.shape[: a.stacked] + own
    number = bounded_of(fill_value, a.arithmetic)
    copies = blocks.each(number, lambda array: np.array(np.broadcast_to(array, whole)))
    return Rounded.of(copies, a.arithmetic, a.stacked)
