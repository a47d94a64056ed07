"""Rounded: an array and how far any conforming evaluation of it may stray.

A `Rounded` is a NumPy duck array (NEP 13 and NEP 18): `value`, computed in float64, and
`error`, an elementwise bound with

    |what a port computes in its arithmetic - value| <= error.

The reference's own code runs on it. This file only dispatches: it turns operands into `Bounded`
ones, has `blocks.py` apply the rule (`rules.py`) and wraps the result. Only the functions that the
reference uses have a rule; anything else is refused by name, never silently unbounded.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reference.agreement import blocks, rules
from reference.agreement.arithmetic import Arithmetic
from reference.agreement.rules import Bounded, Comparison, Error
from reference.arrays import Plain


class Rounded:
    """A float64 array with an elementwise error bound.

    Assignment may write into its arrays, as in NumPy. Slices and the transposed matrix share them, so
    assign only to a computed result or to a copy.

    Attributes:
        bounded: value (float64), error (of the same shape; None for an exact array) and `products`, the
            number of products that it is the sum of (see `rules.Bounded`).
        base: what the port promises.
        format: what it is stored in where that is narrower, in mixed precision; else None.
        stacked: the number of leading axes: 0, 1 (steps) or 2 (ports, steps). See `blocks.py`.
        summand: for a row sum, what was summed.
    """

    __slots__ = ("base", "bounded", "format", "stacked", "summand")

    def __init__(
        self,
        value: Any,
        error: Error,
        arithmetic: Arithmetic,
        products: int = 0,
        stacked: int = 0,
    ) -> None:
        self.bounded = Bounded(value, error, products)
        self.base = arithmetic
        self.format: Arithmetic | None = None
        self.stacked = stacked
        self.summand: Bounded | None = None

    @classmethod
    def of(
        cls, bounded: Bounded, base: Arithmetic, stacked: int = 0, format: Arithmetic | None = None
    ) -> "Rounded":
        """Wrap what a rule returns."""
        made = cls.__new__(cls)
        made.bounded, made.base, made.stacked, made.format = bounded, base, stacked, format
        made.summand = None
        return made

    @classmethod
    def exact(cls, value: Any, arithmetic: Arithmetic, stacked: int = 0) -> "Rounded":
        """An input that the port holds exactly, except that it may read subnormals as zero."""
        array = np.asarray(value, dtype=np.float64)
        return cls.of(blocks.exact(array, arithmetic), arithmetic, stacked)

    @property
    def arithmetic(self) -> Arithmetic:
        """What operations on it are computed in (see `Mixture`)."""
        narrow = self.format and self.base.mixture and self.base.mixture.is_narrow
        return self.format if narrow else self.base  # type: ignore[return-value]

    @property
    def value(self) -> Any:
        """The float64 array."""
        return self.bounded.value

    @property
    def error(self) -> Error:
        """How far off it may be; None if it is exact."""
        return self.bounded.error

    @property
    def products(self) -> int:
        """How many products it is the sum of."""
        return self.bounded.products

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape behind the leading axes."""
        shape: tuple[int, ...] = self.value.shape[self.stacked :]
        return shape

    @property
    def is_exact(self) -> bool:
        """Whether there is no error at all."""
        return self.error is None

    @property
    def T(self) -> "Rounded":  # noqa: N802 (NumPy's name)
        """The transposed matrix."""
        return self._each(lambda array: np.swapaxes(array, -1, -2))

    def errors(self) -> Plain:
        """The error as an array of the value's shape."""
        return np.broadcast_to(rules.off(self.bounded), self.value.shape)

    def copy(self) -> "Rounded":
        """A copy that may be assigned to."""
        return self._each(np.copy)

    def with_error(self, error: Error) -> "Rounded":
        """The same values with another error."""
        return self._like(Bounded(self.value, error, self.products))

    def at(self, place: tuple[int, ...]) -> "Rounded":
        """The array of one (port, step); what has no axis of ports, or none at all, is shared."""
        own = place[len(place) - self.stacked :]
        own_numbers = blocks.each(self.bounded, lambda array: array[own])
        return Rounded.of(own_numbers, self.base, format=self.format)

    def of_ports(self, ports: Sequence[int]) -> "Rounded":
        """The same stack with some of its ports."""
        return self._each(lambda array: array[list(ports)])

    def _each(self, change: Callable[[Any], Any]) -> "Rounded":
        return self._like(blocks.each(self.bounded, change))

    def _like(self, bounded: Bounded) -> "Rounded":
        return Rounded.of(bounded, self.base, self.stacked, self.format)

    def __getitem__(self, index: Any) -> "Rounded":
        place = blocks.behind(index, self.stacked)
        return self._each(lambda array: array[place])

    def __setitem__(self, index: Any, new: Any) -> None:
        assigned = _bounded(new, self.arithmetic)
        if isinstance(index, Comparison):
            self.bounded = blocks.assign_where(self.bounded, index, assigned)
        else:
            self.bounded = rules.assign(self.bounded, blocks.behind(index, self.stacked), assigned)

    # Operators, so that reference code reads as on plain arrays. In-place forms make new arrays.
    def __add__(self, other: Any) -> "Rounded":
        return _apply(rules.add, self, other)

    def __radd__(self, other: Any) -> "Rounded":
        return _apply(rules.add, other, self)

    def __sub__(self, other: Any) -> "Rounded":
        return _apply(rules.subtract, self, other)

    def __rsub__(self, other: Any) -> "Rounded":
        return _apply(rules.subtract, other, self)

    def __mul__(self, other: Any) -> "Rounded":
        return _apply(rules.multiply, self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Rounded":
        return _divide(self, other)

    def __rtruediv__(self, other: Any) -> "Rounded":
        return _divide(other, self)

    def __neg__(self) -> "Rounded":
        return self._like(rules.negative(self.bounded))

    def __le__(self, other: Any) -> Comparison:
        return _less_equal(self, other)

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise TypeError("no error bound is known for ==; add a rule")

    def __bool__(self) -> bool:
        raise TypeError("a Rounded array has no truth value")

    def __array__(self, dtype: Any = None, copy: Any = None) -> Plain:
        raise TypeError("a Rounded array does not convert to a plain one: its error would be lost")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        rule = _UFUNCS.get(ufunc)
        if rule is None or method != "__call__" or kwargs:
            raise TypeError(f"no error bound is known for np.{ufunc.__name__} ({method}); add a rule")
        return rule(*inputs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        rule = _FUNCTIONS.get(func)
        if rule is None:
            raise TypeError(f"no error bound is known for np.{func.__name__}; add a rule")
        return rule(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Rounded({self.value!r} ± {self.error!r}, {self.arithmetic.name})"


# Operands


def _common(operands: Sequence[Any]) -> Arithmetic:
    """What an elementwise operation on these is computed in: the narrower format, if there are two."""
    each = [x.arithmetic for x in operands if isinstance(x, Rounded)]
    return next((arithmetic for arithmetic in each if not arithmetic.mixture), each[0])


def _lifted(
    operands: Sequence[Any], arithmetic: Arithmetic | None = None
) -> tuple[list[Bounded], Arithmetic, int]:
    """The operands as `Bounded`, their arithmetic, and how many leading axes the result has."""
    arithmetic = arithmetic or _common(operands)
    bounded = [_bounded(x, arithmetic) for x in operands]
    leading = [x.stacked if isinstance(x, Rounded) else 0 for x in operands]
    return blocks.aligned(bounded, leading), arithmetic, max(leading)


def _bounded(x: Any, arithmetic: Arithmetic) -> Bounded:
    """Convert any operand. A plain array is an exact input; a plain number may be rounded.

    In mixed precision, a number of the wider format is rounded to the narrower one.
    """
    if isinstance(x, Rounded):
        is_wider = x.base.mixture and not (x.format or arithmetic.mixture)
        return rules.cast(x.bounded, arithmetic) if is_wider else x.bounded
    if isinstance(x, (int, float, np.integer)):
        return rules.constant(float(x), arithmetic)
    return blocks.exact(np.asarray(x, dtype=np.float64), arithmetic)


# Operations


def _apply(rule: Callable[..., Bounded], *operands: Any) -> Rounded:
    """Apply an elementwise rule."""
    bounded, arithmetic, stacked = _lifted(operands)
    return Rounded.of(blocks.by_rows(rule, bounded, arithmetic), arithmetic, stacked)


def _elementwise(rule: Callable[..., Bounded]) -> Callable[..., Rounded]:
    return lambda *operands: _apply(rule, *operands)


def _divide(x: Any, y: Any) -> Rounded:
    """Divide; `rules.share` applies where non-negative numbers are divided by their own row sum."""
    own_sum = isinstance(x, Rounded) and isinstance(y, Rounded) and y.summand is x.bounded
    is_share = own_sum and np.min(x.value - rules.off(x.bounded), initial=0) >= 0
    return _apply(rules.share if is_share else rules.divide, x, y)


def _less_equal(x: Any, y: Any) -> Comparison:
    (left, right), _, _ = _lifted((x, y))
    return blocks.less_equal(left, right)


def _dot(a: Any, b: Any) -> Rounded:
    # A gradient may be scaled, what it is multiplied by is not: the product is scaled as well.
    each = [x.format or x.base.of_products for x in (a, b) if isinstance(x, Rounded)]
    unscaled, within = (one(each, key=lambda format: format.scale) for one in (min, max))
    (left, right), _, stacked = _lifted((a, b), unscaled)
    result = blocks.dot(left, right, within)
    return Rounded.of(result, _going_on_in(_common((a, b)), within), stacked)


def _going_on_in(common: Arithmetic, within: Arithmetic) -> Arithmetic:
    """What a product or sum is used in that was computed within a narrower format."""
    return common if common.mixture and not common.mixture.is_narrow else within


def _sum(x: Rounded, axis: int | None = None, keepdims: bool = False) -> Rounded:
    axes, within = blocks.last_axes(axis, len(x.shape)), x.format or x.arithmetic
    summed = blocks.sum_of(x.bounded, axes, keepdims, within)
    result = Rounded.of(summed, _going_on_in(x.arithmetic, within), x.stacked)
    if axes == (-1,) and keepdims:
        result.summand = x.bounded
    return result


def _joined(join: Callable[..., Plain]) -> Callable[..., Rounded]:
    def rule(arrays: Sequence[Any], axis: int = 0) -> Rounded:
        bounded, arithmetic, stacked = _lifted(arrays)
        return Rounded.of(rules.joined(join, bounded, axis + stacked), arithmetic, stacked)

    return rule


_UFUNCS: dict[Any, Callable[..., Any]] = {
    np.add: _elementwise(rules.add),
    np.subtract: _elementwise(rules.subtract),
    np.multiply: _elementwise(rules.multiply),
    np.divide: _divide,
    np.negative: Rounded.__neg__,
    np.exp: _elementwise(rules.exp),
    np.log: _elementwise(rules.log),
    np.sin: _elementwise(rules.sin),
    np.cos: _elementwise(rules.cos),
    np.maximum: _elementwise(rules.maximum),
    np.less_equal: _less_equal,
}

_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.dot: _dot,
    np.sum: _sum,
    np.stack: _joined(np.stack),
    np.concatenate: _joined(np.concatenate),
}


def linspace(arithmetic: Arithmetic) -> Callable[[float, float, int], Rounded]:
    """`rules.linspace` with the signature of `np.linspace(start, stop, num)`."""
    return lambda start, stop, num: Rounded.of(rules.linspace(start, stop, num, arithmetic), arithmetic)
