"""Stacks and tiles: how the rules meet arrays that hold several steps, or that are large.

Several steps of several ports are certified in one pass: a *stacked* array has leading axes, of ports
and steps, that the code running on it does not see. What all ports share is stacked by step alone.
The rules are written for the last axes, so only shapes, axes and indices must be moved behind the
leading ones.

A large matrix is computed in *tiles* of some rows each, which stay in the processor's cache. The
intermediate results of a rule are then only as large as a tile.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from reference.agreement import rules
from reference.agreement.arithmetic import Arithmetic
from reference.agreement.rules import Bounded, Error
from reference.arrays import Plain

#: A matrix of more elements than this is large: its memory matters more than a microsecond of overhead.
LARGE = 1 << 17
#: A tile has about this many elements.
TILE = 1 << 16
#: All rows, as a tile.
WHOLE = slice(None)


# Stacks


def behind(index: Any, stacked: int) -> tuple[Any, ...]:
    """Apply an index behind the leading axes."""
    parts = index if isinstance(index, tuple) else (index,)
    return (slice(None),) * stacked + tuple(_as_array(part) for part in parts)


def _as_array(part: Any) -> Any:
    """Turn a range into an array; NumPy itself would do so element by element."""
    return np.arange(part.start, part.stop, part.step) if isinstance(part, range) else part


def last_axes(axis: int | Sequence[int] | None, dimensions: int) -> tuple[int, ...]:
    """Count an axis, several, or all of them for None, backwards from the last.

    Raises numpy.exceptions.AxisError if there is no such axis.
    """
    if type(axis) is int and -dimensions <= axis < dimensions:
        return (axis % dimensions - dimensions,)
    axes = range(dimensions) if axis is None else normalize_axis_tuple(axis, dimensions)
    return tuple(one - dimensions for one in axes)


def last_axis(axis: int, dimensions: int) -> int:
    """Count an axis backwards from the last."""
    return last_axes(axis, dimensions)[0]


def is_split(index: Any) -> bool:
    """Whether NumPy puts the axes of this index in front: it has arrays on both sides of a slice."""
    if not isinstance(index, tuple) or len(index) < 3:
        return False
    picks = [not (part is None or part is Ellipsis or isinstance(part, slice)) for part in index]
    if not any(pick and np.ndim(part) for part, pick in zip(index, picks, strict=True)):
        return False
    first, last = picks.index(True), len(picks) - picks[::-1].index(True)
    return not all(picks[first:last])


def dimensions_at(index: Any, dimensions: int) -> int:
    """How many axes an array of so many axes has at an index."""
    parts = index if isinstance(index, tuple) else (index,)
    slices = sum(isinstance(part, slice) for part in parts)
    new = sum(part is None for part in parts)
    picks = [p for p in parts if not (p is None or p is Ellipsis or isinstance(p, slice))]
    masks = [np.ndim(p) for p in picks if _is_mask(p)]
    arrays = [1 if isinstance(p, range) else np.ndim(p) for p in picks if not _is_mask(p)]
    left = dimensions - slices - len(arrays) - sum(masks)
    return slices + new + left + max([*arrays, *(1 for _ in masks)], default=0)


def _is_mask(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype == np.bool_


def aligned(operands: Sequence[Bounded], leading: Sequence[int], least: int = 0) -> list[Bounded]:
    """Keep the leading axes in front where the operands differ in their dimensions behind them.

    All are given as many as the one that has most, and at least `least`.
    """
    dimensions = [x.value.ndim - n for x, n in zip(operands, leading, strict=True)]
    most = max(least, *dimensions)
    if min(dimensions) == most:
        return list(operands)
    return [
        _spread(x, n, most) if n else x  # without leading axes it broadcasts by itself
        for x, n in zip(operands, leading, strict=True)
    ]


def led(operands: Sequence[Bounded], leading: Sequence[int]) -> list[Bounded]:
    """Give all operands the same leading axes, for what does not broadcast by itself."""
    most = max(leading)
    if min(leading) == most == 0:
        return list(operands)
    shapes = [x.value.shape for x in operands]
    front = np.broadcast_shapes(*(shape[:n] for shape, n in zip(shapes, leading, strict=True)))
    whole = [front + shape[n:] for shape, n in zip(shapes, leading, strict=True)]
    return [each(x, partial(np.broadcast_to, shape=s)) for x, s in zip(operands, whole, strict=True)]


def _spread(x: Bounded, leading: int, dimensions: int) -> Bounded:
    """Insert axes of length 1 between its leading axes and its own."""
    shape = x.value.shape
    ones = (1,) * (leading + dimensions - len(shape))
    return each(x, lambda array: array.reshape(shape[:leading] + ones + shape[leading:]))


def each(x: Bounded, change: Callable[[Any], Any]) -> Bounded:
    """Make the same change to the value and to the error."""
    return Bounded(change(x.value), None if x.error is None else change(x.error), x.products)


# Tiles


def is_large(shape: Sequence[int]) -> bool:
    """Whether this is the shape of a large matrix, or of a stack of large matrices."""
    return len(shape) >= 2 and shape[-2] * shape[-1] > LARGE


def tiles_of(shape: Sequence[int], arrays: int = 1) -> list[slice]:
    """Cut the rows of a matrix or stack into tiles; `arrays` arrays together make up one tile."""
    rows = max(1, TILE // arrays * shape[-2] // max(math.prod(shape), 1))
    return [slice(start, start + rows) for start in range(0, shape[-2], rows)]


def some_rows(array: Plain, tile: slice) -> Plain:
    """A view of some rows of a matrix. A single row, which broadcasts, or a vector is returned whole."""
    whole = tile == WHOLE or array.ndim < 2 or array.shape[-2] == 1
    return array if whole else array[..., tile, :]


def rows(x: Bounded, tile: slice) -> Bounded:
    """`some_rows` of a value and its error."""
    return each(x, lambda array: some_rows(array, tile))


def columns(x: Bounded, tile: slice) -> Bounded:
    """A view of some columns of a matrix, and of their error."""
    return each(x, lambda array: array[..., tile])


def in_tiles(
    shape: tuple[int, ...], part_of: Callable[[slice], Bounded], dtype: type = np.float64
) -> Bounded:
    """Assemble a large result from the tiles that `part_of` computes."""
    value: Plain = np.empty(shape, dtype)
    error: Error = None
    for tile in tiles_of(shape):
        part = part_of(tile)
        value[..., tile, :] = part.value
        if part.error is not None:
            error = np.zeros(shape, dtype) if error is None else error
            error[..., tile, :] = part.error
    return Bounded(value, error, part.products)


# The rules on large matrices


def by_rows(
    rule: Callable[..., Bounded],
    operands: Sequence[Bounded],
    arithmetic: Arithmetic,
    dtype: type = np.float64,
) -> Bounded:
    """Apply an elementwise rule; to a large matrix tile by tile. The result has that dtype."""
    if not any(is_large(x.value.shape) for x in operands):
        return rule(*operands, arithmetic)
    shape = np.broadcast_shapes(*(x.value.shape for x in operands))
    return in_tiles(shape, lambda tile: rule(*(rows(x, tile) for x in operands), arithmetic), dtype)


def exact(value: Plain, arithmetic: Arithmetic) -> Bounded:
    """`rules.exact`. A large matrix that has no error is not copied."""
    if not is_large(value.shape):
        return rules.exact(value, arithmetic)
    tiles = tiles_of(value.shape)
    errors = [rules.exact(value[..., tile, :], arithmetic).error for tile in tiles]
    if all(error is None for error in errors):
        return Bounded(value)
    return in_tiles(value.shape, lambda tile: rules.exact(value[..., tile, :], arithmetic))


def assign_where(x: Bounded, comparison: Bounded, c: Bounded) -> Bounded:
    """x after `rules.assign_where`; large matrices tile by tile. It writes into the arrays of x."""
    shape = np.broadcast_shapes(x.value.shape, comparison.value.shape)
    if x.value.shape != shape:
        x = each(x, lambda array: np.array(np.broadcast_to(array, shape)))
    if x.error is None and (c.error is not None or comparison.error is not None):
        x = x._replace(error=np.zeros(shape))
    for tile in tiles_of(shape) if is_large(shape) else [WHOLE]:
        rules.assign_where(rows(x, tile), rows(comparison, tile), c)
    return x._replace()  # another object: it no longer is what it was


def sum_of(x: Bounded, axis: tuple[int, ...], keepdims: bool, arithmetic: Arithmetic) -> Bounded:
    """`rules.sum_of` by tiles. Sums along their rows are joined; other sums are added up."""
    if not is_large(x.value.shape):
        return rules.sum_of([x], axis, keepdims, arithmetic)
    parts = [rows(x, tile) for tile in tiles_of(x.value.shape)]
    if -2 in axis:
        return rules.sum_of(parts, axis, keepdims, arithmetic)
    sums = [rules.sum_of([part], axis, keepdims, arithmetic) for part in parts]
    return rules.joined(np.concatenate, sums, axis=-2 if keepdims else -1)


def dot(a: Bounded, b: Bounded, arithmetic: Arithmetic) -> Bounded:
    """`rules.dot`: a large product in tiles of rows, a small product of large factors in parts."""
    shape = (
        *np.broadcast_shapes(a.value.shape[:-2], b.value.shape[:-2]),
        a.value.shape[-2],
        b.value.shape[-1],
    )
    if is_large(shape):
        return in_tiles(shape, lambda tile: rules.dot(parts_of_product(rows(a, tile), b), arithmetic))
    return rules.dot(parts_of_product(a, b), arithmetic)


def parts_of_product(a: Bounded, b: Bounded) -> list[tuple[Bounded, Bounded]]:
    """Pair columns of A with the rows of B that they meet, one tile of the larger factor at a time."""
    if not (is_large(a.value.shape) or is_large(b.value.shape)):
        return [(a, b)]
    longer = np.swapaxes(a.value, -1, -2) if a.value.size > b.value.size else b.value
    return [(columns(a, tile), rows(b, tile)) for tile in tiles_of(longer.shape)]
