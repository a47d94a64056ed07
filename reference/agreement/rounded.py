"""Rounded: an array and how far any conforming evaluation of it may stray.

A `Rounded` is a NumPy duck array (NEP 13 and NEP 18): `value`, computed in float64, and
`error`, an elementwise bound with

    |what a port computes in its arithmetic - value| <= error.

Each rule below derives the error of its result from three parts: the operands' errors
propagated, one rounding in the port, one rounding in the float64 value (the two roundings
together are `arithmetic.unit`), following Higham, *Accuracy and Stability of Numerical
Algorithms*, 2nd ed., chapters 2 and 3. Only the functions the reference uses have a rule;
anything else is refused, never silently unbounded.

The bounds are themselves computed in float64, whose rounding `SLACK` covers.

Several steps of several ports are certified in one pass: a *stacked* `Rounded` has leading axes,
of ports and steps, that the code running on it does not see (shapes, axes and indices are those
behind them). What all ports share is stacked by step alone, and is computed once.
"""

import functools
import math
import operator
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from reference.agreement.arithmetic import FLOAT64_ROUNDOFF, Arithmetic, Unbounded
from reference.arrays import Plain

#: A computed bound is a sum of products of non-negative numbers, so a chain of m operations on
#: sums of n terms is low by at most a factor 1 - (m + n) * 2**-53: less than 2**-20 for m + n < 2**33.
#: Underflow terms left out (see `_underflow`) are below 2**-40 of the bound that they are left out of.
SLACK = 1 + 2.0**-20

ADVICE = "use smaller weights, data or step size, or a wider dtype."

#: An error bound: an array, or the plain float 0.0 of an exact value.
Error: TypeAlias = Any
#: Tensors of more elements than this are large: their memory counts, a microsecond more does not.
LARGE = 1 << 17
#: They are computed in tiles of about this many, which stay in the processor's cache meanwhile.
TILE = 1 << 16
#: All rows, as a tile.
WHOLE = slice(None)
#: A matrix of at most this many rows or columns is multiplied vector by vector.
THIN = 4


class Known(dict[tuple[Any, ...], tuple[tuple["Rounded", ...], "Rounded"]]):
    """What follows from a step's inputs alone: operands and result, by rule and operands.

    It ends with the certification that holds it: the arrays in it refer to it weakly.
    """


class Rounded:
    """A float64 array with an elementwise error bound.

    Attributes:
        value: float64 array.
        error: float64 array of the same shape, or the scalar 0.0 for an exact value.
        arithmetic: what the port promises.
        product: how many products it is the sum of, which a compiler may contract into the
            addition that consumes it: 1 for a product or quotient, k for a dot product, else 0.
        summand: for a row sum, the array that was summed, as it was then.
        stacked: how many leading axes there are: 0, 1 (steps) or 2 (ports, steps).
        known: of a step's inputs, and of what follows from them alone: what is `Known`.
    """

    __slots__ = ("_magnitude", "arithmetic", "error", "known", "product", "stacked", "summand", "value")

    def __init__(
        self,
        value: Plain,
        error: Error,
        arithmetic: Arithmetic,
        product: int = 0,
        stacked: int = 0,
    ) -> None:
        self.value = value
        self.error = error
        self.arithmetic = arithmetic
        self.product = product
        self.stacked = stacked
        self.summand: Rounded | None = None
        self.known: weakref.ref[Known] | None = None
        self._magnitude: Plain | None = None

    @classmethod
    def exact(cls, value: Any, arithmetic: Arithmetic, stacked: int = 0) -> "Rounded":
        """An input that the port holds exactly, except that it may read subnormals as zero."""
        value = np.asarray(value, dtype=np.float64)
        exact = cls(value, 0.0, arithmetic, stacked=stacked)
        if any(exact.rows(tile)._has_subnormal() for tile in exact.tiles()):
            magnitude = exact.magnitude
            exact.error = np.where(magnitude < arithmetic.smallest_normal, magnitude, 0.0)
        return exact

    def _has_subnormal(self) -> bool:
        tiny = np.count_nonzero(self.magnitude < self.arithmetic.smallest_normal)
        return int(tiny) != np.count_nonzero(self.value == 0)

    def at(self, place: tuple[int, ...]) -> "Rounded":
        """The array of one port and step; what is not stacked by port, or at all, is shared."""
        place = place[len(place) - self.stacked :]
        error = self.error if self.is_exact else self.error[place]
        return Rounded(self.value[place], error, self.arithmetic, self.product)

    def of_ports(self, ports: Sequence[int]) -> "Rounded":
        """The stack of some of the ports."""
        error = self.error if self.is_exact else self.error[list(ports)]
        return self._like(self.value[list(ports)], error)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape behind the leading axes."""
        return self.value.shape[self.stacked :]

    @property
    def is_large(self) -> bool:
        """Whether the memory of one of the tensors counts, even stacked with others."""
        return self.value.size > LARGE and math.prod(self.shape) > LARGE

    def tiles(self) -> list[slice]:
        """The rows of a large matrix, some at a time; of anything else, all in one."""
        if not self.is_large or len(self.shape) != 2:
            return [WHOLE]
        return tiles_of(self.value.shape)

    def rows(self, tile: slice) -> "Rounded":
        """Some rows of a matrix, not copied; what is one row for all, or no matrix, as it is."""
        if tile == WHOLE or len(self.shape) < 2 or self.shape[0] == 1:
            return self
        error = self.error if self.is_exact else self.error[..., tile, :]
        part = self._like(self.value[..., tile, :], error)
        if self._magnitude is not None:
            part._magnitude = self._magnitude[..., tile, :]
        return part

    @property
    def is_exact(self) -> bool:
        """Whether there is no error at all."""
        return type(self.error) is float  # np.float64, the error of a scalar result, is a subclass

    @property
    def T(self) -> "Rounded":  # noqa: N802 (NumPy's name)
        """The transposed matrix."""
        error = self.error if self.is_exact else np.swapaxes(self.error, -1, -2)
        transposed = self._like(np.swapaxes(self.value, -1, -2), error)
        if self._magnitude is not None:
            transposed._magnitude = np.swapaxes(self._magnitude, -1, -2)
        return transposed

    @property
    def magnitude(self) -> Plain:
        """|value|, which several rules need. It is kept unless large, and not to be written to."""
        magnitude = _absolute(self.value) if self._magnitude is None else self._magnitude
        if not self.is_large:
            self._magnitude = magnitude
        return magnitude

    def copy(self) -> "Rounded":
        """A copy that can be assigned to."""
        return self._like(self.value.copy(), self.error if self.is_exact else self.error.copy())

    def is_same(self, other: "Rounded") -> bool:
        """Whether it is the other one under another name: the same arrays, not only the same numbers."""
        return self.value is other.value and self.error is other.error

    def constant(self) -> tuple[float, float, int]:
        """All that tells one number of shape () from another."""
        return float(self.value), float(self.error), self.product

    def errors(self) -> Plain:
        """The error as an array of the value's shape."""
        return np.broadcast_to(self.error, self.value.shape) if self.is_exact else self.error

    def _like(self, value: Plain, error: Error) -> "Rounded":
        return Rounded(value, error, self.arithmetic, self.product, self.stacked)

    def _place(self, index: Any) -> Any:
        """An index behind the leading axes."""
        parts = index if isinstance(index, tuple) else (index,)
        return (slice(None),) * self.stacked + tuple(
            _positions(part) if isinstance(part, range) else part for part in parts
        )

    def __getitem__(self, index: Any) -> "Rounded":
        place = self._place(index)
        return self._like(self.value[place], self.error if self.is_exact else self.error[place])

    def __setitem__(self, index: Any, new: Any) -> None:
        self._magnitude = None
        self.value = self.value.view()  # the same memory, but no longer the array that it was
        self._forget()
        if isinstance(index, Comparison):
            self._assign_where(index, new)
            return
        new = _lifted(new, self.arithmetic)
        if self.is_exact:
            self.error = np.zeros_like(self.value)
        place = self._place(index)
        self.value[place] = new.value
        self.error[place] = new.error
        self.product = min(self.product, new.product)

    def _forget(self) -> None:
        """Before it is assigned to: it no longer is what it was known as."""
        known = self.known() if self.known else None
        self.known = None
        if known is not None:
            for key in [key for key, (_, result) in known.items() if result is self]:
                del known[key]

    def _assign_where(self, mask: "Comparison", constant: float) -> None:
        """Assign under a comparison: where it is undecided the bound covers both branches."""
        held = self.arithmetic.constant(constant)
        if self.is_exact and (held or mask.undecided is not None):
            self.error = np.zeros_like(self.value)
        for tile in self.tiles():
            part, chosen = self.rows(tile), mask.rows(tile)
            kept = (~chosen.true).astype(np.float64)
            if chosen.undecided is not None:
                either = np.abs(part.value - constant) + part.errors() + held
            _choose(kept, part.value, constant)
            if not part.is_exact:
                _choose(kept, part.error, held)
            if chosen.undecided is not None:
                np.copyto(part.error, either, where=chosen.undecided)

    # Operators, so that reference code reads as on plain arrays. In-place forms make new arrays.
    def __add__(self, other: Any) -> "Rounded":
        return _add(*_lift(self, other))

    def __radd__(self, other: Any) -> "Rounded":
        return _add(*_lift(other, self))

    def __sub__(self, other: Any) -> "Rounded":
        return _subtract(*_lift(self, other))

    def __rsub__(self, other: Any) -> "Rounded":
        return _subtract(*_lift(other, self))

    def __mul__(self, other: Any) -> "Rounded":
        return _multiply(*_lift(self, other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Rounded":
        return _divide(*_lift(self, other))

    def __rtruediv__(self, other: Any) -> "Rounded":
        return _divide(*_lift(other, self))

    def __neg__(self) -> "Rounded":
        return self._like(-self.value, self.error if self.is_exact else self.error.copy())

    def __le__(self, other: Any) -> "Comparison":
        return _less_equal(*_lift(self, other))

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
        return rule(*_lift(*inputs))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        rule = _FUNCTIONS.get(func)
        if rule is None:
            raise TypeError(f"no error bound is known for np.{func.__name__}; add a rule")
        return rule(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Rounded({self.value!r} ± {self.error!r}, {self.arithmetic.name})"


class Comparison:
    """An elementwise comparison: where the values make it true, and where rounding leaves it open.

    `undecided` is None when nothing is open.
    """

    def __init__(self, true: Plain, undecided: Plain | None) -> None:
        self.true = true
        self.undecided = undecided

    def rows(self, tile: slice) -> "Comparison":
        """Some rows of a matrix."""
        if tile == WHOLE:
            return self
        undecided = None if self.undecided is None else self.undecided[..., tile, :]
        return Comparison(self.true[..., tile, :], undecided)

    def __bool__(self) -> bool:
        raise TypeError("a comparison of Rounded arrays may be undecided: it has no truth value")


def tiles_of(shape: tuple[int, ...]) -> list[slice]:
    """The rows of a large matrix, stacked or not, some at a time."""
    rows = max(1, TILE * shape[-2] // math.prod(shape))
    return [slice(start, start + rows) for start in range(0, shape[-2], rows)]


def _in_tiles(shape: tuple[int, ...], part_of: Callable[[slice], Rounded]) -> Rounded:
    """Put together a large result, whose rows `part_of` computes some at a time."""
    value = np.empty(shape)
    error: Error = 0.0
    for tile in tiles_of(shape):
        part = part_of(tile)
        value[..., tile, :] = part.value
        if not part.is_exact:
            if type(error) is float:
                error = np.zeros(shape)
            error[..., tile, :] = part.error
    return Rounded(value, error, part.arithmetic, part.product, part.stacked)


def _by_rows(rule: Callable[..., Rounded]) -> Callable[..., Rounded]:
    """An elementwise rule, applied to the rows of a large matrix some at a time."""

    @functools.wraps(rule)
    def tiled(*operands: Rounded) -> Rounded:
        if not any(x.is_large for x in operands):
            return rule(*operands)
        shape = np.broadcast_shapes(*(x.value.shape for x in operands))
        if len(shape) - max(x.stacked for x in operands) != 2:
            return rule(*operands)
        return _in_tiles(shape, lambda tile: rule(*(x.rows(tile) for x in operands)))

    return tiled


def _absolute(array: Plain) -> Plain:
    """np.abs, or the array itself where nothing in it is negative: then nothing need be written."""
    return array if array.size and array.min() >= 0 else np.abs(array)


def _choose(kept: Plain, array: Plain, constant: float) -> None:
    """Leave the array where kept is 1, set the constant where it is 0.

    This is np.copyto without its unpredictable branch.
    """
    array *= kept
    if constant:
        array += constant * (1 - kept)


@functools.lru_cache(maxsize=64)
def _positions(index: range) -> Plain:
    return np.arange(index.start, index.stop, index.step)


def _lift(*operands: Any) -> list[Rounded]:
    """Make every operand Rounded: arrays are exact inputs, constants what the port can hold."""
    arithmetic = next(x.arithmetic for x in operands if isinstance(x, Rounded))
    lifted = [_lifted(x, arithmetic) for x in operands]
    dimensions = [x.value.ndim - x.stacked for x in lifted]
    most = max(dimensions)
    if min(dimensions) == most:
        return lifted
    return [
        _spread(x, most) if x.stacked and n < most else x
        for x, n in zip(lifted, dimensions, strict=True)
    ]


def _lifted(x: Any, arithmetic: Arithmetic) -> Rounded:
    if isinstance(x, Rounded):
        return x
    if isinstance(x, (int, float, np.integer)):
        error = arithmetic.constant(float(x))
        return Rounded(np.float64(x), np.float64(error) if error else 0.0, arithmetic)  # type: ignore[arg-type]
    return Rounded.exact(x, arithmetic)


def _spread(x: Rounded, dimensions: int) -> Rounded:
    """Keep the leading axes in front when an array meets one of more dimensions."""
    shape = x.value.shape[: x.stacked] + (1,) * (dimensions - len(x.shape)) + x.shape
    return x._like(x.value.reshape(shape), x.error if x.is_exact else x.error.reshape(shape))


def _stacked(*operands: Rounded) -> int:
    return max(x.stacked for x in operands)


def _underflow(size: Any, arithmetic: Arithmetic, roundings: int = 1) -> Error:
    """What flushing results below the smallest normal number adds; exact zeros stay exact.

    `size` bounds the results' magnitudes. Where each is 0 or large, the term is negligible (below
    2**-40 of the rounding), and 0 is returned.
    """
    flushed = roundings * arithmetic.smallest_normal
    limit = flushed * 2.0**40 / arithmetic.roundoff
    if not size.size or size.min() >= limit:
        return 0.0
    if np.count_nonzero(size < limit) == np.count_nonzero(size == 0):
        return 0.0
    return (size > 0) * flushed


def _total(*errors: Error) -> Error:
    """The sum of error terms, without a pass over an array for one that is exactly 0."""
    inexact = [error for error in errors if type(error) is not float]
    return functools.reduce(operator.add, inexact) if inexact else 0.0


def _refuse_overflow(what: str, size: Any, arithmetic: Arithmetic) -> None:
    """`size` bounds the magnitudes of results."""
    if size.size and size.max() > arithmetic.largest:
        raise Unbounded(f"{what} overflows {arithmetic.name}: {ADVICE}")


def _rounding(value: Any, propagated: Error, relative: float, arithmetic: Arithmetic) -> Error:
    """The error of one operation: propagated, plus rounding of a result as far off as that."""
    size = np.abs(value)
    if type(propagated) is not float:
        size += propagated
    _refuse_overflow("a result", size, arithmetic)
    return _scaled(size, relative, propagated, _underflow(size, arithmetic))


def _scaled(size: Any, relative: float, *others: Error) -> Error:
    """relative * size + others. It uses up `size`: one array less is written."""
    size *= relative
    for error in others:
        if type(error) is not float:
            size += error
    return size


def _once(rule: Callable[..., Rounded]) -> Callable[..., Rounded]:
    """Both certificates of a step begin alike: what depends on its inputs alone is computed once.

    A large result is not kept.
    """

    @functools.wraps(rule)
    def found(*operands: Rounded, **options: Any) -> Rounded:
        arrays = [x for x in operands if x.value.ndim]
        reference = arrays[0].known if arrays else None
        known = reference() if reference else None
        if known is None or any(x.known is not reference for x in arrays):
            return rule(*operands, **options)
        key = (rule, *(id(x) if x.value.ndim else x.constant() for x in operands), *options.items())
        if key not in known:
            result = rule(*operands, **options)
            if result.is_large:
                return result
            result.known = reference
            known[key] = operands, result  # the operands are kept, so that their ids remain theirs
        return known[key][1]

    return found


@_once
@_by_rows
def _add(x: Rounded, y: Rounded) -> Rounded:
    return _sum_of_two(x, y, operator.add)


@_by_rows
def _subtract(x: Rounded, y: Rounded) -> Rounded:
    return _sum_of_two(x, y, operator.sub)


def _sum_of_two(x: Rounded, y: Rounded, op: Callable[[Any, Any], Any]) -> Rounded:
    """fl(x + y): Higham (2.4). A product inside may be contracted, which rounds less.

    A dot product inside may be contracted too: its sum may start from the other operand.
    """
    value = op(x.value, y.value)
    propagated = _total(_added_early(x, y), _added_early(y, x), x.error, y.error)
    error = _rounding(value, propagated, x.arithmetic.unit, x.arithmetic)
    return Rounded(value, error, x.arithmetic, stacked=_stacked(x, y))


def _added_early(dot: Rounded, bias: Rounded) -> Error:
    """Of the k additions in dot + bias, all but one may round a partial sum that holds the bias."""
    if dot.product < 2:
        return 0.0
    return dot.arithmetic.gamma(dot.product - 1) * _total(np.abs(bias.value), bias.error)


@_once
@_by_rows
def _multiply(x: Rounded, y: Rounded) -> Rounded:
    """fl(x * y), |x' y' - x y| <= |x| Ey + Ex |y| + Ex Ey."""
    value = x.value * y.value
    propagated: Error = 0.0
    if not (x.is_exact and y.is_exact):
        propagated = np.abs(x.value) * y.error + x.error * (np.abs(y.value) + y.error)
    error = _rounding(value, propagated, x.arithmetic.unit, x.arithmetic)
    return Rounded(value, error, x.arithmetic, product=1, stacked=_stacked(x, y))


def _divide(x: Rounded, y: Rounded) -> Rounded:
    """fl(x / y), possibly as x * fl(1 / y), whose reciprocal may be flushed to zero."""
    if y.summand is not None and y.summand.is_same(x) and (x.value - x.error).min() >= 0:
        return _divide_by_own_sum(x, y)
    return _divide_by_another(x, y)


@_by_rows
def _divide_by_another(x: Rounded, y: Rounded) -> Rounded:
    value, smallest = _quotient(x, y)
    propagated: Error = 0.0
    if not (x.is_exact and y.is_exact):
        propagated = (x.error + np.abs(value) * y.error) / smallest
    return _rounded_quotient(x, y, value, propagated)


@_by_rows
def _divide_by_own_sum(x: Rounded, total: Rounded) -> Rounded:
    """p = x / sum(x), where an error in x moves numerator and denominator together.

    x'_j / s' - x_j / s = (d_j (s - x_j) - x_j sum_{k != j} d_k) / (s s'), so the errors d of the
    summands count (1 - p_j) Ex_j + p_j sum_{k != j} Ex_k over s', not twice in full. The
    rounding of the sum itself, gamma_{n-1} s' and what is flushed, is the row's. Requires x >= 0.
    """
    value, smallest = _quotient(x, total)
    summand_error = x.errors()
    all_errors = _summed(summand_error, 1, True, x.stacked)
    n, arithmetic = x.shape[1], x.arithmetic
    # The difference may cancel, and the sum be low by its rounding.
    others = all_errors * (1 + 2 * n * FLOAT64_ROUNDOFF) - summand_error
    of_sum = arithmetic.gamma(n - 1) + n * arithmetic.smallest_normal / smallest
    if np.max(of_sum) >= 0.5:
        raise Unbounded(f"the exponentials of a row underflow in {arithmetic.name}: {ADVICE}")
    correlated = ((1 - value) * summand_error + value * others) / smallest
    propagated = correlated + of_sum / (1 - of_sum) * (value + correlated)
    return _rounded_quotient(x, total, value, propagated)


def _quotient(x: Rounded, y: Rounded) -> tuple[Any, Any]:
    """The quotient's value and the smallest magnitude its divisor may have."""
    smallest = y.magnitude - y.error
    if not np.min(smallest, initial=1) > 0:
        raise Unbounded(f"a divisor may be 0 in {x.arithmetic.name}: {ADVICE}")
    return x.value / y.value, smallest


def _rounded_quotient(x: Rounded, y: Rounded, value: Any, propagated: Error) -> Rounded:
    arithmetic = x.arithmetic
    error = _rounding(value, propagated, arithmetic.division, arithmetic)
    huge = (y.magnitude + y.error) * arithmetic.smallest_normal > 0.5  # its reciprocal may be subnormal
    if np.any(huge):
        error = error + huge * (np.abs(x.value) + x.error) * arithmetic.smallest_normal
    return Rounded(value, error, arithmetic, product=1, stacked=_stacked(x, y))


@_by_rows
def _exp(x: Rounded) -> Rounded:
    """|exp(x') - exp(x)| <= exp(x) (exp(Ex) - 1). No exp is exactly 0, so all may underflow."""
    value = np.exp(x.value)
    propagated: Error = 0.0 if x.is_exact else value * _above(np.expm1, x.error)
    relative: Error = x.arithmetic.exp
    if x.arithmetic.exp_per_unit:
        relative = relative + x.arithmetic.exp_per_unit * (np.abs(x.value) + x.error)
    error = propagated + relative * (value + propagated) + x.arithmetic.smallest_normal
    _refuse_overflow(f"exp({np.max(x.value):.6g})", value + error, x.arithmetic)
    return Rounded(value, error, x.arithmetic, stacked=x.stacked)


@_by_rows
def _log(x: Rounded) -> Rounded:
    """|log(x') - log(x)| <= log(x / (x - Ex)), the steep side."""
    if not np.min(x.value - x.error, initial=1) > 0:
        raise Unbounded(
            f"the probability {np.min(x.value):.3g} may be 0 in {x.arithmetic.name}, and its log "
            f"infinite: {ADVICE}"
        )
    value = np.log(x.value)
    propagated: Error = 0.0 if x.is_exact else _above(lambda t: -np.log1p(-t), x.error / x.value)
    error = _rounding(value, propagated, x.arithmetic.function, x.arithmetic)
    return Rounded(value, error, x.arithmetic, stacked=x.stacked)


def _above(function: Callable[[Any], Any], t: Any) -> Any:
    """Bound exp(t) - 1 or -log(1 - t), t >= 0: up to a half both are at most t + t**2, which is fast."""
    return t * (1 + t) if np.max(t, initial=0) <= 0.5 else function(t)


def _sine(function: Callable[[Any], Any]) -> Callable[[Rounded], Rounded]:
    def rule(x: Rounded) -> Rounded:
        """|sin(x') - sin(x)| <= Ex, and the same for cos."""
        value = function(x.value)
        error = _rounding(value, x.error, x.arithmetic.function, x.arithmetic)
        return Rounded(value, error, x.arithmetic, stacked=x.stacked)

    return rule


@_once
@_by_rows
def _maximum(x: Rounded, y: Rounded) -> Rounded:
    """Exact in itself. m = max(x, y) moves as far as x or y reaches: max(Ex - (m - x), Ey - (m - y))."""
    value = np.maximum(x.value, y.value)
    error: Error = 0.0
    for operand in (x, y):
        if not operand.is_exact:
            reach = operand.error * SLACK
            reach -= value - operand.value
            error = np.maximum(error, reach)
    return Rounded(value, error, x.arithmetic, stacked=_stacked(x, y))


def _less_equal(x: Rounded, y: Rounded) -> Comparison:
    if x.is_exact and y.is_exact:
        return Comparison(x.value <= y.value, None)
    tiles = (x if x.is_large else y).tiles()
    parts = [_decided(x.rows(tile), y.rows(tile)) for tile in tiles]
    if len(parts) == 1:
        return parts[0]
    undecided = None
    if any(part.undecided is not None for part in parts):
        each = [np.zeros_like(p.true) if p.undecided is None else p.undecided for p in parts]
        undecided = np.concatenate(each, axis=-2)
    return Comparison(np.concatenate([part.true for part in parts], axis=-2), undecided)


def _decided(x: Rounded, y: Rounded) -> Comparison:
    gap, reach = y.value - x.value, _total(x.error, y.error) * SLACK
    undecided = np.abs(gap) < reach  # SLACK takes in the case of equality; an exact 0 is decided
    return Comparison(gap >= 0, undecided if np.any(undecided) else None)


@_once
def _dot(a: Rounded, b: Rounded) -> Rounded:
    """Matrix product in any order of summation, fused or not: Higham (3.13).

    |fl(AB) - AB| <= c |A||B| with c = gamma_k, plus what rounding of the inputs adds (TF32).
    """
    rows, columns = a.shape[0], b.shape[1]
    if rows * columns > LARGE:
        stack = np.broadcast_shapes(a.value.shape[:-2], b.value.shape[:-2])
        return _in_tiles((*stack, rows, columns), lambda tile: _product(a.rows(tile), b))
    return _product(a, b)


def _product(a: Rounded, b: Rounded) -> Rounded:
    k, arithmetic = a.shape[1], a.arithmetic
    c = arithmetic.dot(k)
    parts = [(a, b)]
    if a.is_large or b.is_large:  # sums of products of tiles
        longer = a.T if a.value.size > b.value.size else b
        parts = [(a.T.rows(tile).T, b.rows(tile)) for tile in tiles_of(longer.value.shape)]
    value = functools.reduce(operator.add, (_matmul(left.value, right.value) for left, right in parts))
    size = functools.reduce(operator.add, (_size_of_product(left, right, c) for left, right in parts))
    if size.size and size.max() > arithmetic.largest:  # the partial sums, then, may be too large
        reach = _matmul(a.magnitude + a.error, b.magnitude + b.error)
        _refuse_overflow("a dot product", reach, arithmetic)
    error = _scaled(size, c, _underflow(size, arithmetic, roundings=2 * k))
    return Rounded(value, error, arithmetic, product=k, stacked=_stacked(a, b))


def _size_of_product(a: Rounded, b: Rounded, c: float) -> Any:
    """The error over c: |A|(|B| + (1 + c)/c Eb) + (1 + c)/c Ea (|B| + Eb), with errors in A and B."""
    left, right = a.magnitude, b.magnitude
    propagate = (1 + c) / c
    if b.is_exact:
        return _matmul(_total(left, propagate * a.error), right)
    size = _matmul(left, right + propagate * b.error)
    if not a.is_exact:
        size += _matmul(a.error, propagate * (right + b.error))
    return size


def _matmul(a: Plain, b: Plain) -> Any:
    """np.matmul; with a matrix of few rows or columns, vector by vector.

    BLAS copies both matrices to multiply them, which for a thin one costs more than its few vectors.
    """
    if a.shape[-2] <= THIN < b.shape[-2]:
        return np.matmul(a[..., None, :], b[..., None, :, :])[..., 0, :]
    if b.shape[-1] <= THIN < a.shape[-1]:
        columns = np.swapaxes(b, -1, -2)[..., None]
        return np.swapaxes(np.matmul(a[..., None, :, :], columns)[..., 0], -1, -2)
    return np.matmul(a, b)


@_once
def _sum(x: Rounded, axis: int | None = None, keepdims: bool = False) -> Rounded:
    """Sum of n terms in any order: gamma_{n-1} sum |x| plus the terms' own errors (Higham (4.4))."""
    value = _summed(x.value, axis, keepdims, x.stacked)
    n = x.value.size // max(value.size, 1)
    size = _sum_of_magnitudes(x, axis, keepdims)
    propagated: Error = 0.0
    if not x.is_exact:
        propagated = _summed(x.error, axis, keepdims, x.stacked)
        size = size + propagated
    _refuse_overflow("a sum", size, x.arithmetic)
    underflow = _underflow(size, x.arithmetic, roundings=n - 1)
    error = _scaled(size, x.arithmetic.gamma(n - 1), propagated, underflow)
    result = Rounded(value, error, x.arithmetic, product=x.product if n == 1 else 0, stacked=x.stacked)
    if axis == 1 and keepdims and len(x.shape) == 2:
        result.summand = x._like(x.value, x.error)
    return result


def _sum_of_magnitudes(x: Rounded, axis: int | None, keepdims: bool) -> Any:
    if axis == 1:
        return _summed(x.magnitude, axis, keepdims, x.stacked)
    parts = (_summed(x.rows(tile).magnitude, axis, keepdims, x.stacked) for tile in x.tiles())
    return functools.reduce(operator.add, parts)


def _summed(array: Plain, axis: int | None, keepdims: bool, stacked: int) -> Any:
    """np.sum behind the leading axes; of a matrix, as a product with ones, which is faster."""
    if axis is None:
        return np.sum(array, axis=tuple(range(stacked, array.ndim)), keepdims=keepdims)
    if array.ndim != stacked + 2:
        return np.sum(array, axis=axis + stacked, keepdims=keepdims)
    ones = np.ones((1, array.shape[-2])) if axis == 0 else np.ones((array.shape[-1], 1))
    total = _matmul(ones, array) if axis == 0 else _matmul(array, ones)
    return total if keepdims else np.squeeze(total, axis=axis + stacked)


def _joined(join: Callable[..., Any]) -> Callable[..., Rounded]:
    def rule(arrays: Sequence[Any], axis: int = 0) -> Rounded:
        lifted = _lift(*arrays)
        value = join([x.value for x in lifted], axis=axis)
        return Rounded(value, join([x.errors() for x in lifted], axis=axis), lifted[0].arithmetic)

    return rule


_UFUNCS: dict[Any, Callable[..., Any]] = {
    np.add: _add,
    np.subtract: _subtract,
    np.multiply: _multiply,
    np.divide: _divide,
    np.negative: operator.neg,
    np.exp: _exp,
    np.log: _log,
    np.sin: _sine(np.sin),
    np.cos: _sine(np.cos),
    np.maximum: _maximum,
    np.less_equal: _less_equal,
}

_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.dot: lambda a, b: _dot(*_lift(a, b)),
    np.sum: _sum,
    np.stack: _joined(np.stack),
    np.concatenate: _joined(np.concatenate),
}


def linspace(arithmetic: Arithmetic) -> Callable[[float, float, int], Rounded]:
    """np.linspace as the frameworks compute it, in the manner of `np.linspace(start, stop, num)`.

    start + i * ((stop - start) / (num - 1)), or the mirror image from stop: one division, one
    product and two additions, each on numbers no larger than |start| + |stop|.
    """

    def rounded_linspace(start: float, stop: float, num: int) -> Rounded:
        value = np.linspace(start, stop, num)
        relative = arithmetic.division + 3 * arithmetic.unit
        error = np.full(num, relative * (abs(start) + abs(stop)) * (1 + relative))
        return Rounded(value, error, arithmetic)

    return rounded_linspace
