"""The two duck arrays (NEP 13 and NEP 18): numbers with error bounds, and truth values that may be open.

What NumPy's protocols and the operators do stands in `protocols.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from reference.agreement import blocks, rules
from reference.agreement.arithmetic import FLOAT64_ROUNDOFF, Arithmetic
from reference.agreement.rounded.protocols import (
    FUNCTIONS,
    NOT_PLAIN,
    UFUNCS,
    called,
)
from reference.agreement.rules import Bounded, Error
from reference.arrays import Plain

CONTROL_FLOW = (
    "data-dependent control flow: a Rounded array has no truth value, since rounding may leave it open; "
    "write `if` and `while` over sizes alone, and choose between numbers with np.where"
)
CHANGES_SHAPE = (
    "the shape of x[mask] would depend on the data: choose with np.where(mask, x, 0), or assign a "
    "number with x[mask] = 0"
)
IS_VIEW = (
    "this array may share its numbers with the one that it is a part of: assign to that one, "
    "or to a .copy() of this"
)


class Origin(NamedTuple):
    """What an array was made from, where a rule can use that."""

    kind: str
    of: Bounded
    axes: tuple[int, ...]


#: Kinds of origins: the sum or the largest of some numbers, along axes that are kept; truth values.
SUM, LARGEST, TRUTH = "sum", "largest", "truth"
#: What somebody else holds: it is copied before anything is written into it.
GIVEN = Origin("given", Bounded(None), ())


def _operator(ufunc: Any) -> Callable[[Any, Any], "Rounded"]:
    return lambda x, y: UFUNCS[ufunc](x, y)


def _reflected(ufunc: Any) -> Callable[[Any, Any], "Rounded"]:
    return lambda x, y: UFUNCS[ufunc](y, x)


def _method(function: Any) -> Callable[..., Any]:
    return lambda x, *args, **kwargs: called(function, FUNCTIONS, args=(x, *args), kwargs=kwargs)


class Rounded:
    """A float64 array with an elementwise error bound.

    Assignment writes into its arrays, as in NumPy. A slice and the transposed matrix share them, and
    refuse it. What an array was made from is left as it is.

    Attributes:
        bounded: value (float64), error (of the same shape; None for an exact array) and `products`, the
            number of products that it is the sum of (see `rules.Bounded`).
        base: what the port promises.
        format: what it is stored in where that is narrower, in mixed precision; else None.
        stacked: the number of leading axes: 0, 1 (steps) or 2 (ports, steps). See `blocks.py`.
        origin: for a sum, a maximum or truth values, of what; for a view, the numbers that it may share.
    """

    __slots__ = ("base", "bounded", "format", "origin", "stacked")

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
        self.origin: Origin | Bounded | None = GIVEN

    @classmethod
    def of(
        cls, bounded: Bounded, base: Arithmetic, stacked: int = 0, format: Arithmetic | None = None
    ) -> Self:
        """Wrap what a rule returns."""
        made = cls.__new__(cls)
        made.bounded, made.base, made.stacked, made.origin = bounded, base, stacked, None
        made.format = format
        return made

    @classmethod
    def exact(cls, value: Any, arithmetic: Arithmetic, stacked: int = 0) -> Self:
        """An input that the port holds exactly, except that it may read subnormals as zero."""
        array = np.asarray(value, dtype=np.float64)
        made = cls.of(blocks.exact(array, arithmetic), arithmetic, stacked)
        made.origin = GIVEN
        return made

    @property
    def arithmetic(self) -> Arithmetic:
        """What elementwise operations on it are computed in (see `Mixture`)."""
        if self.format and self.base.mixture and self.base.mixture.is_narrow:
            return self.format
        return self.base

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
    def ndim(self) -> int:
        """The number of axes behind the leading ones."""
        return int(self.value.ndim - self.stacked)

    @property
    def size(self) -> int:
        """The number of elements of one member of the stack."""
        return int(np.prod(self.shape))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of its values: float64, or bool for truth values."""
        dtype: np.dtype[Any] = self.value.dtype
        return dtype

    @property
    def is_exact(self) -> bool:
        """Whether there is no error at all."""
        return self.error is None

    @property
    def T(self) -> Self:  # noqa: N802 (NumPy's name)
        """With its axes in reverse order."""
        if self.ndim == 2:
            return self.view(lambda array: np.swapaxes(array, -1, -2))
        transposed: Self = FUNCTIONS[np.transpose](self)
        return transposed

    def errors(self) -> Plain:
        """The error as an array of the value's shape."""
        return np.broadcast_to(rules.off(self.bounded), self.value.shape)

    def copy(self) -> Self:
        """A copy that may be assigned to."""
        return self._holding(blocks.each(self.bounded, np.copy))

    def with_error(self, error: Error) -> Self:
        """The same values with another error."""
        return self._holding(Bounded(self.value, error, self.products))

    def at(self, place: tuple[int, ...]) -> Self:
        """The array of one (port, step); what has no axis of ports, or none at all, is shared."""
        own = place[len(place) - self.stacked :]
        own_numbers = blocks.each(self.bounded, lambda array: array[own])
        return self.of(own_numbers, self.base, format=self.format)

    def of_ports(self, ports: Sequence[int]) -> Self:
        """The same stack with some of its ports."""
        return self.view(lambda array: array[list(ports)])

    def view(self, change: Callable[[Any], Any]) -> Self:
        """The same change made to the value and to the error, whose numbers may then be shared."""
        made = self._holding(blocks.each(self.bounded, change))
        made.origin = self.bounded
        return made

    def like(self, bounded: Bounded) -> Self:
        """Another array of the same kind, arithmetic and stack, which was computed from this one."""
        return self.of(bounded, self.arithmetic, self.stacked)

    def _holding(self, bounded: Bounded) -> Self:
        """Some of the same numbers, which are stored as these are."""
        return self.of(bounded, self.base, self.stacked, self.format)

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """A copy, if the dtype is that of its values already."""
        if np.dtype(dtype) != self.dtype:
            raise TypeError(
                f"a Rounded array stays {self.dtype}: its arithmetic says what a port rounds to, so "
                f"leave .astype({np.dtype(dtype)}) out"
            )
        return self.copy()

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a number has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Self:
        if isinstance(index, Mask):
            raise TypeError(CHANGES_SHAPE)
        if blocks.is_split(index):
            flat: Self = self.reshape(-1)
            return flat[np.arange(self.size).reshape(self.shape)[index]]
        place = blocks.behind(index, self.stacked)
        return self.view(lambda array: array[place])

    def __setitem__(self, index: Any, new: Any) -> None:
        self._make_its_own()
        if isinstance(index, Mask):
            self._assign_where(index, bounded_of(new, self.arithmetic))
            return
        assigned = self._fitting(index, new)
        self.bounded = rules.assign(self.bounded, blocks.behind(index, self.stacked), assigned)

    def add_at(self, index: Any, new: Any) -> None:
        """np.add.at: add numbers at an index, which may name a place more than once."""
        self._make_its_own()
        terms, place = self._fitting(index, new), blocks.behind(index, self.stacked)
        self.bounded = rules.added_at(self.bounded, place, terms, self.arithmetic)

    def _fitting(self, index: Any, new: Any) -> Bounded:
        """What is assigned at an index, with as many axes as it has there; leading axes are taken on."""
        if blocks.is_split(index):
            raise TypeError(
                "an index with a slice between two arrays cannot be assigned to: use two steps"
            )
        assigned = bounded_of(new, self.arithmetic)
        if not (isinstance(new, Rounded) and new.stacked):
            return assigned
        self._stack_as(new)
        target = blocks.dimensions_at(index, self.ndim)
        return blocks.aligned([assigned], [new.stacked], least=target)[0]

    def _make_its_own(self) -> None:
        """Copy numbers that somebody else holds, and forget the origin. Raises TypeError for a view."""
        source = self.origin
        if isinstance(source, Bounded) and np.may_share_memory(self.value, source.value):
            raise TypeError(IS_VIEW)
        if source is GIVEN:
            self.bounded = blocks.each(self.bounded, np.copy)
        self.origin = None

    def _assign_where(self, mask: "Mask", assigned: Bounded) -> None:
        """Write a number where a mask is true."""
        if assigned.value.ndim:
            raise TypeError(CHANGES_SHAPE)
        self.bounded = blocks.assign_where(self.bounded, mask.bounded, assigned)
        self.stacked = max(self.stacked, mask.stacked)

    def _stack_as(self, other: "Rounded") -> None:
        """Take on leading axes that another array has and this one has not."""
        front = self.value.shape[: self.stacked]
        if front == other.value.shape[: other.stacked]:
            return
        own, _ = blocks.led([self.bounded, other.bounded], [self.stacked, other.stacked])
        self.stacked = max(self.stacked, other.stacked)
        if own.value.shape[: self.stacked] != front:
            self.bounded = blocks.each(own, np.copy)

    # Operators, so that reference code reads as on plain arrays. In-place forms make new arrays.
    __add__, __radd__ = _operator(np.add), _reflected(np.add)
    __sub__, __rsub__ = _operator(np.subtract), _reflected(np.subtract)
    __mul__, __rmul__ = _operator(np.multiply), _reflected(np.multiply)
    __truediv__, __rtruediv__ = _operator(np.divide), _reflected(np.divide)
    __pow__, __rpow__ = _operator(np.power), _reflected(np.power)
    __matmul__, __rmatmul__ = _operator(np.matmul), _reflected(np.matmul)
    __le__, __lt__ = _operator(np.less_equal), _operator(np.less)
    __ge__, __gt__ = _operator(np.greater_equal), _operator(np.greater)
    __eq__ = _operator(np.equal)  # type: ignore[assignment]
    __ne__ = _operator(np.not_equal)  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]

    def __neg__(self) -> Self:
        negated: Self = UFUNCS[np.negative](self)
        return negated

    def __abs__(self) -> Any:
        return UFUNCS[np.absolute](self)

    # Methods that are the functions of the same names.
    sum, mean, var, std = (_method(f) for f in (np.sum, np.mean, np.var, np.std))
    max, min, argmax = (_method(f) for f in (np.max, np.min, np.argmax))
    cumsum, clip, dot, trace = (_method(f) for f in (np.cumsum, np.clip, np.dot, np.trace))
    ravel, squeeze, swapaxes = (_method(f) for f in (np.ravel, np.squeeze, np.swapaxes))
    repeat, take, diagonal = (_method(f) for f in (np.repeat, np.take, np.diagonal))

    def flatten(self) -> Any:
        """As one axis."""
        return self.reshape(-1)

    def reshape(self, *shape: Any) -> Any:
        """As np.reshape; the lengths may be arguments of their own."""
        return FUNCTIONS[np.reshape](self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Any:
        """As np.transpose; the axes may be arguments of their own."""
        return FUNCTIONS[np.transpose](self, (axes[0] if len(axes) == 1 else axes) or None)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no error bound is known for .{name}; docs/rules.md lists what has one")

    def __bool__(self) -> bool:
        raise TypeError(CONTROL_FLOW)

    def __float__(self) -> float:
        raise TypeError(NOT_PLAIN)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Plain:
        raise TypeError(NOT_PLAIN)

    def __array_ufunc__(self, ufunc: Any, kind: str, *inputs: Any, **kwargs: Any) -> Any:
        function = ufunc if kind == "__call__" else getattr(ufunc, kind)
        return called(function, UFUNCS, args=inputs, kwargs=kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return called(func, FUNCTIONS, args=args, kwargs=kwargs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r} ± {self.error!r}, {self.arithmetic.name})"


class Mask(Rounded):
    """Truth values, as a comparison gives them; in a sum or product they count as 1 and 0.

    Attributes:
        true: where it is true, by the float64 values.
        undecided: where rounding leaves it open; None: nowhere.
    """

    __slots__ = ()

    @property
    def true(self) -> Any:
        """The truth values (bool)."""
        return self.value

    @property
    def undecided(self) -> Any:
        """Where they are open (bool); None: nowhere."""
        return self.error

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """As 1 and 0, unless the dtype is bool. A product with these still rounds nothing."""
        if np.dtype(dtype) == np.bool_:
            return self.copy()
        numbers = Rounded.of(rules.as_number(self.bounded), self.arithmetic, self.stacked)
        numbers.origin = Origin(TRUTH, numbers.bounded, ())
        return numbers

    def __setitem__(self, index: Any, new: Any) -> None:
        raise TypeError("a mask cannot be assigned to: combine masks with &, | and ~")

    __and__, __rand__ = _operator(np.logical_and), _operator(np.logical_and)
    __or__, __ror__ = _operator(np.logical_or), _operator(np.logical_or)

    def __invert__(self) -> Any:
        return UFUNCS[np.logical_not](self)


class Index(Rounded):
    """Indices, as np.argmax gives them: off by as many places as rounding leaves open.

    Attributes:
        candidates: along one more axis, the last, which indices are right on some machine (bool); None
            for what is computed from indices.
    """

    candidates: Any = None


def bounded_of(x: Any, arithmetic: Arithmetic) -> Bounded:
    """Convert any operand. What is plain may be rounded to the port's dtype.

    In mixed precision, a number of the wider format is rounded to the narrower one.
    """
    if type(x) is Rounded:
        is_wider = x.base.mixture and not (x.format or arithmetic.mixture)
        return rules.cast(x.bounded, arithmetic) if is_wider else x.bounded
    if isinstance(x, Rounded):
        return rules.as_number(x.bounded)
    if isinstance(x, (int, float, np.integer)):
        return rules.constant(float(x), arithmetic)
    array = np.asarray(x, dtype=np.float64)
    if arithmetic.roundoff == FLOAT64_ROUNDOFF:
        return blocks.exact(array, arithmetic)
    return rules.constants(array, arithmetic)
