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
"""

import operator

import numpy as np

from reference.agreement.arithmetic import Unbounded

#: A computed bound is a sum of products of non-negative numbers, so a chain of m operations on
#: sums of n terms is low by at most a factor 1 - (m + n) * 2**-53: less than 2**-20 for m + n < 2**33.
#: Underflow terms left out (see `_underflow`) are below 2**-73 of the bound's own terms.
SLACK = 1 + 2.0**-20

ADVICE = "use smaller weights, data or step size, or a wider dtype."


class Rounded:
    """A float64 array with an elementwise error bound.

    Attributes:
        value: float64 array.
        error: float64 array of the same shape, or the scalar 0.0 for an exact value.
        arithmetic: what the port promises.
        product: how many products it is the sum of, which a compiler may contract into the
            addition that consumes it: 1 for a product or quotient, k for a dot product, else 0.
    """

    __slots__ = ("arithmetic", "error", "product", "summand", "value")

    def __init__(self, value, error, arithmetic, product=0, summand=None):
        self.value = value
        self.error = error
        self.arithmetic = arithmetic
        self.product = product
        self.summand = summand  # for a row sum: the array that was summed

    @classmethod
    def exact(cls, value, arithmetic):
        """An input that the port holds exactly, except that it may read subnormals as zero."""
        value = np.asarray(value, dtype=np.float64)
        subnormal = np.abs(value) < arithmetic.smallest_normal
        error = np.where(subnormal, np.abs(value), 0.0) if np.any(value[subnormal]) else 0.0
        return cls(value, error, arithmetic)

    @property
    def shape(self):
        return self.value.shape

    @property
    def is_exact(self):
        return type(self.error) is float  # np.float64, the error of a scalar result, is a subclass

    @property
    def T(self):  # noqa: N802 (NumPy's name)
        error = self.error if self.is_exact else self.error.T
        return Rounded(self.value.T, error, self.arithmetic, self.product)

    def copy(self):
        error = self.error if self.is_exact else self.error.copy()
        return Rounded(self.value.copy(), error, self.arithmetic, self.product)

    def errors(self):
        """The error as an array of the value's shape."""
        return np.broadcast_to(self.error, self.value.shape) if self.is_exact else self.error

    def __getitem__(self, index):
        error = self.error if self.is_exact else self.error[index]
        return Rounded(self.value[index], error, self.arithmetic, self.product)

    def __setitem__(self, index, new):
        if isinstance(index, Comparison):
            self._assign_where(index, new)
            return
        if not isinstance(new, Rounded):
            new = _lifted(new, self.arithmetic)
        if self.is_exact:
            self.error = np.zeros_like(self.value)
        self.value[index] = new.value
        self.error[index] = new.error
        self.product = min(self.product, new.product)

    def _assign_where(self, mask, constant):
        """Assign under a comparison: where it is undecided the bound covers both branches."""
        either = None
        if mask.undecided is not None:
            kept = self.value[mask.undecided]
            either = np.abs(kept - constant) + self.errors()[mask.undecided]
            either += self.arithmetic.constant(constant)
        self.value[mask.true] = constant
        held = self.arithmetic.constant(constant)
        if held:
            self.error = np.array(self.errors())
        if not self.is_exact:
            self.error[mask.true] = held
        if either is not None:
            self.error = np.array(self.errors())
            self.error[mask.undecided] = either

    # Operators, so that reference code reads as on plain arrays. In-place forms make new arrays.
    def __add__(self, other):
        return _add(*_lift(self, other))

    def __radd__(self, other):
        return _add(*_lift(other, self))

    def __sub__(self, other):
        return _subtract(*_lift(self, other))

    def __rsub__(self, other):
        return _subtract(*_lift(other, self))

    def __mul__(self, other):
        return _multiply(*_lift(self, other))

    __rmul__ = __mul__

    def __truediv__(self, other):
        return _divide(*_lift(self, other))

    def __rtruediv__(self, other):
        return _divide(*_lift(other, self))

    def __neg__(self):
        error = self.error if self.is_exact else self.error.copy()
        return Rounded(-self.value, error, self.arithmetic, self.product)

    def __le__(self, other):
        return _less_equal(*_lift(self, other))

    __hash__ = None

    def __eq__(self, other):
        raise TypeError("no error bound is known for ==; add a rule")

    def __bool__(self):
        raise TypeError("a Rounded array has no truth value")

    def __array__(self, dtype=None, copy=None):
        raise TypeError("a Rounded array does not convert to a plain one: its error would be lost")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        rule = _UFUNCS.get(ufunc)
        if rule is None or method != "__call__" or kwargs:
            raise TypeError(f"no error bound is known for np.{ufunc.__name__} ({method}); add a rule")
        return rule(*_lift(*inputs))

    def __array_function__(self, func, types, args, kwargs):
        rule = _FUNCTIONS.get(func)
        if rule is None:
            raise TypeError(f"no error bound is known for np.{func.__name__}; add a rule")
        return rule(*args, **kwargs)

    def __repr__(self):
        return f"Rounded({self.value!r} ± {self.error!r}, {self.arithmetic.name})"


class Comparison:
    """An elementwise comparison: where the values make it true, and where rounding leaves it open.

    `undecided` is None when nothing is open.
    """

    def __init__(self, true, undecided):
        self.true = true
        self.undecided = undecided

    def __bool__(self):
        raise TypeError("a comparison of Rounded arrays may be undecided: it has no truth value")


def _lift(*operands):
    """Make every operand Rounded: arrays are exact inputs, constants what the port can hold."""
    arithmetic = next(x.arithmetic for x in operands if isinstance(x, Rounded))
    return [_lifted(x, arithmetic) for x in operands]


def _lifted(x, arithmetic):
    if isinstance(x, Rounded):
        return x
    if isinstance(x, (int, float)):
        error = arithmetic.constant(x)
        return Rounded(np.float64(x), np.float64(error) if error else 0.0, arithmetic)
    return Rounded.exact(x, arithmetic)


def _underflow(size, arithmetic, roundings=1):
    """What flushing results below the smallest normal number adds; exact zeros stay exact.

    `size` bounds the results' magnitudes. Where all sizes are large, the term is negligible
    (below 2**-73 of them, which SLACK covers) and 0 is returned.
    """
    flushed = roundings * arithmetic.smallest_normal
    if size.size == 0 or size.min() > flushed * 2.0**73:
        return 0.0
    return np.where(size > 0, flushed, 0.0)


def _refuse_overflow(what, size, arithmetic):
    """`size` bounds the magnitudes of results."""
    if size.size and size.max() > arithmetic.largest:
        raise Unbounded(f"{what} overflows {arithmetic.name}: {ADVICE}")


def _rounding(value, propagated, relative, arithmetic):
    """The error of one operation: propagated, plus rounding of a result as far off as that."""
    size = np.abs(value) + propagated
    _refuse_overflow("a result", size, arithmetic)
    return propagated + relative * size + _underflow(size, arithmetic)


def _add(x, y):
    return _sum_of_two(x, y, operator.add)


def _subtract(x, y):
    return _sum_of_two(x, y, operator.sub)


def _sum_of_two(x, y, op):
    """fl(x + y): Higham (2.4). A product inside may be contracted, which rounds less.

    A dot product inside may be contracted too: its sum may start from the other operand.
    """
    value = op(x.value, y.value)
    propagated = x.error + y.error + _added_early(x, y) + _added_early(y, x)
    return Rounded(value, _rounding(value, propagated, x.arithmetic.unit, x.arithmetic), x.arithmetic)


def _added_early(dot, bias):
    """Of the k additions in dot + bias, all but the last may round a partial sum that has the bias in."""
    if dot.product < 2:
        return 0.0
    return dot.arithmetic.gamma(dot.product - 1) * (np.abs(bias.value) + bias.error)


def _multiply(x, y):
    """fl(x * y), |x' y' - x y| <= |x| Ey + Ex |y| + Ex Ey."""
    value = x.value * y.value
    propagated = np.abs(x.value) * y.error + x.error * (np.abs(y.value) + y.error)
    error = _rounding(value, propagated, x.arithmetic.unit, x.arithmetic)
    return Rounded(value, error, x.arithmetic, product=1)


def _divide(x, y):
    """fl(x / y), possibly as x * fl(1 / y), whose reciprocal may be flushed to zero."""
    if y.summand is x and x.value.min() >= 0:
        return _divide_by_own_sum(x, y)
    value, smallest = _quotient(x, y)
    propagated = (x.error + np.abs(value) * y.error) / smallest
    return _rounded_quotient(x, y, value, propagated)


def _divide_by_own_sum(x, total):
    """p = x / sum(x), where an error in x moves numerator and denominator together.

    x'_j / s' - x_j / s = (d_j (s - x_j) - x_j sum_{k != j} d_k) / (s s'), so the errors d of the
    summands count (1 - p_j) Ex_j + p_j sum_{k != j} Ex_k over s', not twice in full. The
    rounding of the sum itself, gamma_{n-1} sum|x'|, is common to the row. Requires x >= 0.
    """
    value, smallest = _quotient(x, total)
    summand_error = x.errors()
    all_errors = np.sum(summand_error, axis=1, keepdims=True)
    others = all_errors - summand_error
    n, arithmetic = x.shape[1], x.arithmetic
    rounding = arithmetic.gamma(n - 1) * (total.value + all_errors) + n * arithmetic.smallest_normal
    of_sum = rounding / smallest
    if np.max(of_sum) >= 0.5:
        raise Unbounded(f"the exponentials of a row underflow in {arithmetic.name}: {ADVICE}")
    correlated = ((1 - value) * summand_error + value * others) / smallest
    propagated = correlated + of_sum / (1 - of_sum) * (value + correlated)
    return _rounded_quotient(x, total, value, propagated)


def _quotient(x, y):
    """The quotient's value and the smallest magnitude its divisor may have."""
    smallest = np.abs(y.value) - y.error
    if not np.all(smallest > 0):
        raise Unbounded(f"a divisor may be 0 in {x.arithmetic.name}: {ADVICE}")
    return x.value / y.value, smallest


def _rounded_quotient(x, y, value, propagated):
    arithmetic = x.arithmetic
    error = _rounding(value, propagated, arithmetic.division, arithmetic)
    largest_divisor = np.max(np.abs(y.value) + y.error)
    if largest_divisor * arithmetic.smallest_normal > 2.0**-73:  # its reciprocal nears underflow
        error = error + (np.abs(x.value) + x.error) * arithmetic.smallest_normal
    return Rounded(value, error, arithmetic, product=1)


def _exp(x):
    """|exp(x') - exp(x)| <= exp(x) (exp(Ex) - 1). No exp is exactly 0, so all may underflow."""
    value = np.exp(x.value)
    propagated = 0.0 if x.is_exact else value * np.expm1(x.error)
    error = propagated + x.arithmetic.exp * (value + propagated) + x.arithmetic.smallest_normal
    _refuse_overflow(f"exp({np.max(x.value):.6g})", value + error, x.arithmetic)
    return Rounded(value, error, x.arithmetic)


def _log(x):
    """|log(x') - log(x)| <= log(x / (x - Ex)), the steep side."""
    if not np.all(x.value - x.error > 0):
        raise Unbounded(
            f"the probability {np.min(x.value):.3g} may be 0 in {x.arithmetic.name}, and its log "
            f"infinite: {ADVICE}"
        )
    value = np.log(x.value)
    propagated = 0.0 if x.is_exact else -np.log1p(-x.error / x.value)
    error = _rounding(value, propagated, x.arithmetic.function, x.arithmetic)
    return Rounded(value, error, x.arithmetic)


def _sine(function):
    def rule(x):
        """|sin(x') - sin(x)| <= Ex, and the same for cos."""
        value = function(x.value)
        error = _rounding(value, x.error, x.arithmetic.function, x.arithmetic)
        return Rounded(value, error, x.arithmetic)

    return rule


def _maximum(x, y):
    """Exact in itself; the smaller operand's error does not count where it is out of reach."""
    value = np.maximum(x.value, y.value)
    if x.is_exact and y.is_exact:
        return Rounded(value, 0.0, x.arithmetic)
    gap, reach = x.value - y.value, (x.error + y.error) * SLACK
    x_wins = gap > reach
    y_wins = gap <= -reach
    open_error = np.maximum(x.error, y.error)
    error = np.where(x_wins, x.error, np.where(y_wins, y.error, open_error))
    return Rounded(value, error, x.arithmetic)


def _less_equal(x, y):
    if x.is_exact and y.is_exact:
        return Comparison(x.value <= y.value, None)
    gap, error = y.value - x.value, x.error + y.error
    undecided = (np.abs(gap) <= error * SLACK) & (error > 0)
    return Comparison(gap >= 0, undecided if np.any(undecided) else None)


def _dot(a, b):
    """Matrix product in any order of summation, fused or not: Higham (3.13).

    |fl(AB) - AB| <= c |A||B| with c = gamma_k, plus what rounding of the inputs adds (TF32);
    with errors in A and B: |A|(c |B| + (1 + c) Eb) + (1 + c) Ea (|B| + Eb).
    """
    a, b = _lift(a, b)
    k, arithmetic = a.shape[1], a.arithmetic
    c = arithmetic.dot(k)
    abs_a, abs_b = np.abs(a.value), np.abs(b.value)
    propagate = (1 + c) / c
    size = np.dot(abs_a, abs_b if b.is_exact else abs_b + propagate * b.error)
    if not a.is_exact:
        size += np.dot(a.error, propagate * (abs_b + b.error))
    if size.max() > arithmetic.largest:  # the partial sums, then, may be too large
        _refuse_overflow("a dot product", np.dot(abs_a + a.error, abs_b + b.error), arithmetic)
    error = c * size + _underflow(size, arithmetic, roundings=2 * k)
    return Rounded(np.dot(a.value, b.value), error, arithmetic, product=k)


def _sum(x, axis=None, keepdims=False):
    """Sum of n terms in any order: gamma_{n-1} sum |x| plus the terms' own errors (Higham (4.4))."""
    value = np.sum(x.value, axis=axis, keepdims=keepdims)
    n = x.value.size // max(value.size, 1)
    c = x.arithmetic.gamma(n - 1)
    size = np.sum(np.abs(x.value) + x.error, axis=axis, keepdims=keepdims)
    _refuse_overflow("a sum", size, x.arithmetic)
    error = c * size + np.sum(x.errors(), axis=axis, keepdims=keepdims)
    error = error + _underflow(size, x.arithmetic, roundings=n - 1)
    result = Rounded(value, error, x.arithmetic, product=x.product if n == 1 else 0)
    if axis == 1 and keepdims:
        result.summand = x
    return result


def _joined(join):
    def rule(arrays, axis=0):
        arrays = _lift(*arrays)
        value = join([x.value for x in arrays], axis=axis)
        return Rounded(value, join([x.errors() for x in arrays], axis=axis), arrays[0].arithmetic)

    return rule


_UFUNCS = {
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

_FUNCTIONS = {
    np.dot: _dot,
    np.sum: _sum,
    np.stack: _joined(np.stack),
    np.concatenate: _joined(np.concatenate),
}


def linspace(arithmetic):
    """np.linspace as the frameworks compute it, in the manner of `np.linspace(start, stop, num)`.

    start + i * ((stop - start) / (num - 1)), or the mirror image from stop: one division, one
    product and two additions, each on numbers no larger than |start| + |stop|.
    """

    def rounded_linspace(start, stop, num):
        value = np.linspace(start, stop, num)
        relative = arithmetic.division + 3 * arithmetic.unit
        error = np.full(num, relative * (abs(start) + abs(stop)) * (1 + relative))
        return Rounded(value, error, arithmetic)

    return rounded_linspace
