"""Simulated ports: duck arrays that are rounded after every operation, as a machine may do it.

A `Machine` draws, for every single operation, one of the things that its `Arithmetic` promises:
an order of summation, a contraction, a reciprocal, a flush to zero, an error of exp. The reference's
own step runs on `Simulated` arrays as it runs on plain ones. Their values are kept in float64:
its 53 digits hold the exact product of two float32 numbers, and a sum or quotient rounded to
float64 and then to float32 is the float32 one.

A machine whose format only stores computes in the accumulator, `machine.inside`, and rounds the result.
What uses the result may take it as it was before.

In mixed precision there is a machine of each format. They share a `Mixing`, which says where an
operation is computed.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reference.agreement.arithmetic import (
    DIVISION_ROUNDINGS,
    FLOAT64,
    SPLIT_PRODUCT_TERMS,
    TENSOR_CORE_ROUNDINGS,
    Arithmetic,
)

#: The error of CUDA's div.full.f32, in ulps.
ACCELERATOR_DIVISION_ULPS = 2.0
BFLOAT16_ROUNDOFF = 2.0**-8
ORDERS = ("sequential", "shuffled", "pairwise", "blocked")
#: The formats that NumPy rounds to by itself; the tests hold `rounded_to` to it.
NUMPYS = ("float16", "float32")


def rounded_to(x, roundoff, smallest_normal, largest):
    """The nearest number with that roundoff and exponent range, ties to even."""
    _, exponent = np.frexp(x)
    with np.errstate(over="ignore", invalid="ignore"):
        spacing = np.maximum(np.ldexp(roundoff, exponent), 2 * roundoff * smallest_normal)
        nearest = np.rint(x / spacing) * spacing
    return np.where(np.isfinite(x) & (np.abs(nearest) <= largest), nearest, np.copysign(np.inf, x))


def cut_off(x, relative, smallest_normal, largest):
    """x without the digits that are smaller than it by that factor: less than it, or equal."""
    _, exponent = np.frexp(x)
    spacing = np.ldexp(relative, exponent - 1)
    return np.where(np.abs(x) <= largest, np.trunc(x / spacing) * spacing, np.copysign(np.inf, x))


def in_two(x, arithmetic):
    """x as the sum of two bfloat16 numbers, as far as that goes."""
    first = rounded_to(x, BFLOAT16_ROUNDOFF, arithmetic.smallest_normal, arithmetic.largest)
    second = rounded_to(x - first, BFLOAT16_ROUNDOFF, arithmetic.smallest_normal, arithmetic.largest)
    return first, second


@dataclass
class Machine:
    """A port's arithmetic. A feature that is on is used in half of the operations, or in all of them.

    Attributes:
        orders: which orders of summation are drawn from. Partial sums may be stored if "blocked" is one.
        fused: multiply-adds may be contracted, a bias may be the first term of a dot product. Kernels
            may be fused: a result may be used before it is stored.
        reciprocal: x / y may be x * fl(1 / y).
        flushing: subnormals may be read or written as zero.
        always: the features above are used in every operation.
        sloppy: exp, log, sin, cos and an accelerator's quotient are off by up to the promised ulps.
        roundoff_factor, ulps: set by negative controls, to break the promise.
        overflowed: whether a result has left the number range; then nothing is promised.
        mixing: what it shares with the machines of the other formats in mixed precision.
    """

    arithmetic: Arithmetic
    rng: np.random.Generator
    orders: tuple[str, ...] = ("sequential",)
    fused: bool = False
    reciprocal: bool = False
    flushing: bool = False
    always: bool = False
    sloppy: bool = False
    roundoff_factor: float = 1.0
    ulps: float | None = None
    overflowed: bool = False
    mixing: "Mixing | None" = None

    def array(self, value):
        """Put numbers on the machine."""
        return Simulated(self.round(np.asarray(value, dtype=np.float64)), self)

    @property
    def inside(self):
        """What a kernel computes in: a machine of the accumulator, or this one."""
        within = self.arithmetic.accumulator
        return replace(self, arithmetic=within) if within else self

    def result(self, exact, terms=None):
        """The result of one operation: rounded within the kernel, then stored."""
        return self.stored(self.inside.round(exact), terms)

    def stored(self, value, terms=None):
        """What a kernel has computed, stored."""
        kept = self.round(value) if self.arithmetic.stores else value
        return Simulated(np.asarray(kept), self, terms, unstored=np.asarray(value))

    def chance(self):
        """Whether to use a feature this time."""
        return self.always or self.rng.random() < 0.5

    def round(self, x):
        """The machine's nearest number."""
        a = self.arithmetic
        if a.name in NUMPYS and self.roundoff_factor == a.scale == 1:
            with np.errstate(over="ignore"):
                x = np.asarray(x, dtype=a.name).astype(np.float64)  # `rounded_to`, a few times faster
        elif a.name != "float64":
            x = rounded_to(x, a.roundoff * self.roundoff_factor, a.smallest_normal, a.largest)
        self.overflowed |= bool(np.isinf(x).any())
        return self.flush(x)

    def flush(self, x):
        """Subnormals become zero, some of the time."""
        if not (self.flushing and self.arithmetic.flushes and self.chance()):
            return x
        return np.where(np.abs(x) < self.arithmetic.smallest_normal, 0.0, x)

    def kernel_total(self, terms, partial):
        """Sum over the first axis within a kernel, which may store partial sums."""
        terms = list(terms)
        if not partial or "blocked" not in self.orders or not self.chance():
            return self.inside.total(terms)
        while len(terms) > partial.window:
            size = partial.window
            windows = [terms[i : i + size] for i in range(0, len(terms), size)]
            terms = [self.window_total(window, partial) for window in windows]
        return self._sequential(terms) if partial.each_addition else self.inside.total(terms)

    def window_total(self, terms, partial):
        """The sum of a window, as it is stored."""
        return self._sequential(terms) if partial.each_addition else self.round(self.inside.total(terms))

    def total(self, terms):
        """Sum over the first axis, rounding each partial sum. Terms may be unrounded products."""
        terms = list(terms)
        order = self.rng.choice(self.orders)
        if order != "sequential":
            self.rng.shuffle(terms)
        if order == "blocked":
            size = int(self.rng.integers(1, len(terms) + 1))
            blocks = [terms[i : i + size] for i in range(0, len(terms), size)]
            terms = [self._sequential(block) for block in blocks]
        return self._pairwise(terms) if order == "pairwise" else self._sequential(terms)

    def _sequential(self, terms):
        result = self.round(terms[0])
        for term in terms[1:]:
            result = self.round(result + term)
        return result

    def _pairwise(self, terms):
        terms = [self.round(term) for term in terms]
        while len(terms) > 1:
            pairs = [self.round(x + y) for x, y in zip(terms[::2], terms[1::2], strict=False)]
            terms = pairs + terms[2 * len(pairs) :]
        return terms[0]

    def products(self, x, y):
        """Products, either rounded or left exact for a fused addition."""
        return x * y if self.fused and self.chance() else self.round(x * y)

    def dot_terms(self, a, b):
        """The products that each element of a matrix product is the sum of, along the first axis."""
        r, arithmetic = self.arithmetic.product_input_roundoff, self.arithmetic
        if r and arithmetic.product_roundings % SPLIT_PRODUCT_TERMS == 0 and self.chance():
            (a1, a2), (b1, b2) = (in_two(x, arithmetic) for x in (a, b))
            return np.concatenate([self.dot_products(*pair) for pair in ((a1, b1), (a1, b2), (a2, b1))])
        if r:
            lose = cut_off if self.chance() else rounded_to
            a, b = (lose(x, r, arithmetic.smallest_normal, arithmetic.largest) for x in (a, b))
        return self.dot_products(a, b)

    def dot_products(self, a, b):
        """The k products of each element, first axis k."""
        return self.inside.products(a.T[:, :, None], b[:, None, :])

    def dot_total(self, terms):
        """The sum of products within a kernel: on a tensor core, or in any order."""
        arithmetic = self.arithmetic
        if arithmetic.product_roundings >= TENSOR_CORE_ROUNDINGS and self.chance():
            return self.inside.tensor_core_total(list(terms), size=int(self.rng.choice((4, 8, 16))))
        return self.kernel_total(terms, arithmetic.partial_products)

    def tensor_core_total(self, terms, size):
        """Blocks of products and a partial sum, each cut off at the last digit of the largest number."""
        total, a = np.zeros_like(terms[0]), self.arithmetic
        for i in range(0, len(terms), size):
            added = [total, *terms[i : i + size]]
            _, exponent = np.frexp(np.max(np.abs(added), axis=0))
            spacing = np.ldexp(a.roundoff, exponent)
            exact = np.sum([np.trunc(x / spacing) * spacing for x in added], axis=0)
            total = cut_off(exact, 2 * a.roundoff, a.smallest_normal, a.largest)
        return total

    def function(self, exact, ulps):
        """A function's value, off by at most its ulps in all."""
        if not self.sloppy and self.ulps is None:
            return self.round(exact)
        ulps = (self.ulps or ulps) - (1.5 if self.arithmetic.name == "float64" else 0.5)
        _, exponent = np.frexp(exact)
        shift = self.rng.uniform(-1, 1, np.shape(exact))
        if self.chance():
            shift = np.sign(shift)
        off = shift * ulps * np.ldexp(self.arithmetic.roundoff, exponent)
        return self.round(np.where(exact == 0, 0.0, exact + off))


@dataclass
class Mixing:
    """The machines of a mixture of formats.

    Attributes:
        wide: the machine of the parameters' format.
        narrow: those of the narrower formats, by arithmetic. The first is that of products.
        stored: by quantity, the arithmetic that it is stored in, if that is narrower.
        is_narrow: whether the quantity that is being computed is stored in a narrower format.
    """

    wide: Machine
    narrow: dict
    stored: dict
    is_narrow: Any = False

    def announce(self, name):
        """Say which quantity is computed next."""
        self.is_narrow = name in self.stored

    def elementwise(self, inputs):
        """The machine of an elementwise operation."""
        narrow = [x.machine for x in inputs if isinstance(x, Simulated) and x.machine is not self.wide]
        return narrow[0] if narrow and self.is_narrow else self.wide

    def of_product(self, inputs):
        """The machine to which the operands of a product are cast, and the one that computes it."""
        products = next(iter(self.narrow.values()))
        each = [x.machine if x.machine is not self.wide else products for x in inputs]
        return products, max(each, key=lambda machine: machine.arithmetic.scale)

    def used(self, result):
        """The result of a product or a sum, where what is computed with it is."""
        return result if self.is_narrow else Simulated(result.value, self.wide)

    def kept(self, name, computed):
        """A quantity, stored in its format."""
        if name not in self.stored:
            return computed
        machine = self.narrow[self.stored[name]]
        return computed if computed.machine is machine else machine.array(computed.value)


class Simulated(np.lib.mixins.NDArrayOperatorsMixin):
    """A machine's array.

    `terms`: the unrounded products that it is the sum of, if any. `unstored`: the value before it was
    rounded to storage.
    """

    __slots__ = ("machine", "terms", "unstored", "value")

    def __init__(self, value, machine, terms=None, unstored=None):
        self.value = value
        self.machine = machine
        self.terms = terms
        self.unstored = value if unstored is None else unstored

    shape = property(lambda self: self.value.shape)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    T = property(lambda self: Simulated(self.value.T, self.machine, unstored=self.unstored.T))

    def copy(self):
        """A copy, as of any array."""
        return Simulated(self.value.copy(), self.machine, self.terms, self.unstored.copy())

    def seen(self):
        """The value as an operation may see it: before it is stored, or read as zero."""
        early = self.machine.fused and self.machine.arithmetic.fuses and self.machine.chance()
        return self.unstored if early else self.machine.flush(self.value)

    def __getitem__(self, index):
        terms = None
        if self.terms is not None and isinstance(index, tuple):
            terms = self.terms[:, *index]
        return Simulated(self.value[index], self.machine, terms, self.unstored[index])

    def __setitem__(self, index, new):
        known = isinstance(new, Simulated)
        if self.unstored is not self.value:
            self.unstored[index] = new.unstored if known else new
        self.value[index] = new.value if known else new
        self.terms = None

    def __array_ufunc__(self, ufunc, method, *inputs, out=None):
        """`out` comes from in-place operators, which make new arrays here."""
        if method != "__call__":
            return RULES[getattr(ufunc, method)](self.machine, *inputs)
        mixing = self.machine.mixing
        machine = mixing.elementwise(inputs) if mixing else self.machine
        return RULES[ufunc](machine, *(on(machine, x) for x in inputs))

    def __array_function__(self, func, types, args, kwargs):
        return RULES[func](self.machine, *args, **kwargs)


def on(machine, x):
    """An operand as an operation sees it."""
    if not isinstance(x, Simulated):
        return machine.array(x)
    if machine.mixing and x.machine is machine.mixing.wide and x.machine is not machine:
        return machine.array(x.seen())  # a cast
    return Simulated(x.seen(), machine, x.terms)


def add(machine, x, y):
    """x + y; a bias may be the first term of a dot product."""
    for a, b in ((x, y), (y, x)):
        if a.terms is not None and machine.fused and machine.chance():
            bias = np.broadcast_to(b.value, np.broadcast_shapes(a.shape, b.shape))
            terms = [np.broadcast_to(term, bias.shape) for term in a.terms]
            return machine.stored(machine.inside.total([bias, *terms]))
    return machine.result(x.value + y.value)


def multiply(machine, x, y):
    """x * y, which an addition may contract."""
    exact = np.asarray(x.value * y.value)
    return machine.result(exact, exact[None])


def divide(machine, x, y):
    """x / y, or x times the reciprocal of y."""
    if np.all(y.value == 1):  # nothing to divide, on any machine
        return x.copy()
    if machine.sloppy and machine.inside.arithmetic.division_roundings > DIVISION_ROUNDINGS:
        return machine.stored(machine.inside.function(x.value / y.value, ACCELERATOR_DIVISION_ULPS))
    if not (machine.reciprocal and machine.chance()):
        return machine.result(x.value / y.value)
    exact = np.asarray(x.value * machine.round(1 / y.value))
    return machine.result(exact, exact[None])


def negative(machine, x):
    """-x."""
    terms = None if x.terms is None else -x.terms
    return Simulated(-x.value, machine, terms, unstored=-x.unstored)


def dot(machine, a, b):
    """The matrix product."""
    mixing = machine.mixing
    cast_to, machine = mixing.of_product((a, b)) if mixing else (machine, machine)
    a, b = on(cast_to, a), on(cast_to, b)
    terms = machine.dot_terms(a.value, b.value)
    result = machine.stored(machine.dot_total(terms), terms)
    return mixing.used(result) if mixing else result


def sum_of(machine, x, axis=None, keepdims=False):
    """The sum in any order."""
    value = x.seen()
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis) % max(x.ndim, 1)
    front = np.moveaxis(value, list(axes), range(len(axes)))
    terms = front.reshape(-1, *front.shape[len(axes) :])
    result = np.asarray(machine.kernel_total(terms, machine.arithmetic.partial_sums))
    kept = machine.stored(np.expand_dims(result, axis) if keepdims and axis is not None else result)
    return machine.mixing.used(kept) if machine.mixing else kept


def of_ulps(function, ulps):
    """A function of one number, whose error `ulps(arithmetic, x)` bounds."""

    def rule(machine, x):
        within, exact = machine.inside, function(x.value)
        return machine.stored(within.function(exact, ulps(within.arithmetic, x.value)))

    return rule


def _of_exp(arithmetic, x):
    return arithmetic.exp_ulps + arithmetic.exp_ulps_per_unit * np.abs(x)


def _four(arithmetic, x):
    return 4.0


def _root(machine, x):
    """A square root, off by the roundings that are promised beside the last one."""
    within = machine.inside.arithmetic
    most = (within.root_roundings - 1) * within.roundoff
    off = machine.rng.uniform(-most, most, x.shape) if machine.sloppy else 0.0
    return machine.result(np.sqrt(x.value) * (1 + off))


def _joined(join):
    return lambda machine, arrays, axis=0: Simulated(
        join([on(machine, x).value for x in arrays], axis=axis), machine
    )


RULES = {
    np.add: add,
    np.subtract: lambda machine, x, y: add(machine, x, negative(machine, y)),
    np.multiply: multiply,
    np.divide: divide,
    np.negative: negative,
    np.exp: of_ulps(np.exp, _of_exp),
    np.log: of_ulps(np.log, _four),
    np.sqrt: _root,
    np.sin: of_ulps(np.sin, _four),
    np.cos: of_ulps(np.cos, _four),
    np.maximum: lambda machine, x, y: Simulated(np.maximum(x.value, y.value), machine),
    np.less_equal: lambda machine, x, y: x.value <= y.value,
    np.max: lambda machine, x, axis, keepdims: Simulated(
        np.max(x.value, axis=axis, keepdims=keepdims), machine
    ),
    np.dot: dot,
    np.sum: sum_of,
    np.stack: _joined(np.stack),
    np.concatenate: _joined(np.concatenate),
}

#: What a conforming machine may do, one feature at a time and all together.
KINDS = {
    "plain": {},
    "any_order": {"orders": ORDERS},
    "fused": {"fused": True},
    "reciprocal": {"reciprocal": True},
    "always_contracted": {"fused": True, "reciprocal": True, "always": True},
    "flushing": {"flushing": True},
    "sloppy_functions": {"sloppy": True},
    "anything": {
        "orders": ORDERS,
        "fused": True,
        "reciprocal": True,
        "flushing": True,
        "sloppy": True,
    },
}


def machine(kind, arithmetic, rng):
    """A conforming machine of one kind. float64 products are not exact in float64: never fused."""
    features = dict(KINDS[kind])
    if arithmetic is FLOAT64:
        features.pop("fused", None)
    made = Machine(arithmetic, rng, **features)
    if arithmetic.mixture:
        stored = dict(arithmetic.mixture.stored)
        formats = dict.fromkeys([arithmetic.mixture.products, *stored.values()])
        made.mixing = Mixing(made, {a: Machine(a, rng, **features) for a in formats}, stored)
        for narrow in made.mixing.narrow.values():
            narrow.mixing = made.mixing
    return made


def simulated_step(problem, m, routes):
    """The reference step on a machine, some of its quantities by another route."""
    params = {name: m.array(value) for name, value in problem.params.items()}
    held = problem.changed(X=m.array(problem.X), params=params)
    q = params | {"X": held.X, "y": held.y, "reg": held.reg, "step_size": held.step_size}
    trace, mixing, names = {}, m.mixing, [*problem.model.quantities, ""]

    def tap(name, computed):
        taken = routes[name](q) if name in routes else computed
        trace[name] = q[name] = mixing.kept(name, taken) if mixing else taken
        if mixing:
            mixing.announce(names[names.index(name) + 1])
        if mixing and name == "scores" and "probs" not in mixing.stored:  # the softmax is computed wide
            q[name] = Simulated(trace[name].seen(), mixing.wide)
        return q[name]

    if mixing:
        mixing.announce(names[0])
    held.step(tap)
    return {name: value.value for name, value in trace.items()}
