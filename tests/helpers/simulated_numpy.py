"""The rest of NumPy on simulated machines: functions made of the operations of `simulated.py`."""

import numpy as np
from simulated import RULES, Simulated, add, divide, dot, multiply, negative, of_ulps, on, sum_of

from reference.agreement.arithmetic import EXPM1_ULPS, FUNCTION_ULPS, POWER_ULPS, TANH_ULPS


def promised(ulps):
    """That many, whatever the argument."""
    return lambda arithmetic, x: ulps


def subtract(machine, x, y):
    """x - y."""
    return add(machine, x, negative(machine, y))


def power(machine, x, y):
    """x**y, by multiplication or by a power function."""
    n = y.value.item() if np.ndim(y.value) == 0 else None
    if n is None or not float(n).is_integer():
        return of_ulps(lambda z: z**y.value, promised(POWER_ULPS))(machine, x)
    if n <= 0:
        one = machine.array(np.ones(x.shape))
        return divide(machine, one, power(machine, x, negative(machine, y))) if n else one
    if n > 2 and machine.chance():
        return of_ulps(lambda z: z**n, promised(POWER_ULPS))(machine, x)
    result = x
    for _ in range(int(n) - 1):
        result = multiply(machine, Simulated(result.seen(), machine), x)
    return result


def mean(machine, x, axis=None, keepdims=False):
    """The sum over the number of terms."""
    total = sum_of(machine, x, axis, keepdims)
    count = machine.array(x.value.size // max(total.value.size, 1))
    return divide(machine, on(machine, total), count)


def var(machine, x, axis=None, ddof=0, keepdims=False):
    """The mean squared distance from the mean."""
    x = on(machine, x)
    apart = on(machine, subtract(machine, x, on(machine, mean(machine, x, axis, keepdims=True))))
    total = sum_of(machine, multiply(machine, apart, apart), axis, keepdims)
    count = x.value.size // max(total.value.size, 1) - ddof
    return divide(machine, on(machine, total), machine.array(count))


def std(machine, x, axis=None, ddof=0, keepdims=False):
    """The square root of the variance."""
    return np.sqrt(var(machine, x, axis, ddof, keepdims))


def norm(machine, x, axis=None, keepdims=False):
    """The root of the sum of squares."""
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


def logaddexp(machine, x, y):
    """max(x, y) + log1p(exp(-|x - y|))."""
    return np.maximum(x, y) + np.log1p(np.exp(-np.abs(x - y)))


def cumsum(machine, x, axis=None):
    """Each partial sum in an order of its own."""
    value = x.seen()
    terms = value.reshape(-1) if axis is None else np.moveaxis(value, axis, 0)
    sums = [
        machine.kernel_total(terms[: k + 1], machine.arithmetic.partial_sums) for k in range(len(terms))
    ]
    return machine.stored(np.moveaxis(np.array(sums), 0, axis or 0))


def matmul(machine, a, b):
    """Matrix products of vectors, matrices, stacks of matrices."""
    a, b = (x if isinstance(x, Simulated) else machine.array(x) for x in (a, b))
    left = a.value[None] if a.ndim == 1 else a.value
    right = b.value[:, None] if b.ndim == 1 else b.value
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left = np.broadcast_to(left, batch + left.shape[-2:])
    right = np.broadcast_to(right, batch + right.shape[-2:])
    result = np.empty((*batch, left.shape[-2], right.shape[-1]))
    for place in np.ndindex(batch):
        pair = (Simulated(x[place], machine) for x in (left, right))
        result[place] = dot(machine, *pair).value
    dropped = tuple(axis for axis, x in ((-2, a), (-1, b)) if x.ndim == 1)
    return Simulated(np.squeeze(result, dropped), machine)


def einsum(machine, subscripts, *operands):
    """Products, summed over the letters that the result lacks."""
    inputs, output = subscripts.split("->")
    letters = inputs.split(",")
    values = [on(machine, x).value for x in operands]
    lost = "".join(dict.fromkeys(x for x in inputs if x != "," and x not in output))
    lengths = dict(zip("".join(letters), (n for x in values for n in x.shape), strict=True))
    ones = np.ones([lengths[x] for x in lost + output])
    whole = [
        np.einsum(f"{a},{lost + output}->{lost + output}", x, ones)
        for a, x in zip(letters, values, strict=True)
    ]
    products = machine.inside.products(*whole) if len(whole) == 2 else whole[0]
    terms = products.reshape(-1, *(lengths[x] for x in output))
    if len(whole) == 1 and not lost:
        return Simulated(terms[0], machine)
    if len(whole) == 1:
        return machine.stored(np.asarray(machine.kernel_total(terms, machine.arithmetic.partial_sums)))
    return machine.stored(np.asarray(machine.dot_total(terms)))


def dot_of_any(machine, a, b):
    """np.dot of numbers, vectors and matrices."""
    if 0 in (np.ndim(a), np.ndim(b)):
        return a * b
    return dot(machine, a, b) if np.ndim(a) == np.ndim(b) == 2 else matmul(machine, a, b)


def add_at(machine, x, index, new):
    """Numbers added one after another."""
    places = np.arange(x.value.size).reshape(x.shape)[index]
    terms = np.broadcast_to(new.value, places.shape).ravel()
    for i in machine.rng.permutation(terms.size):
        place = np.unravel_index(places.ravel()[i], x.shape)
        x.value[place] = machine.result(x.value[place] + terms[i]).value
    x.unstored, x.terms = x.value, None


def moved(function):
    """A function that moves numbers, or compares them: nothing is rounded."""

    def rule(machine, *args, **kwargs):
        plain = [_values(x) for x in args]
        result = function(*plain, **kwargs)
        if isinstance(result, list):
            return [Simulated(x, machine) for x in result]
        return Simulated(result, machine)

    return rule


def _values(x):
    if isinstance(x, list):
        return [_values(y) for y in x]
    return x.value if isinstance(x, Simulated) else x


def compared(function):
    """A comparison, whose truth values are plain."""
    return lambda machine, x, y: function(x.value, y.value)


def clip(machine, x, low=None, high=None):
    """As NumPy's."""
    return moved(np.clip)(
        machine, x, *(None if z is None else machine.array(z).value for z in (low, high))
    )


def where(machine, mask, x, y):
    """As NumPy's."""
    return moved(np.where)(
        machine, mask, *(z if isinstance(z, Simulated) else machine.array(z) for z in (x, y))
    )


MOVED = [
    np.max, np.min, np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.expand_dims,
    np.squeeze, np.broadcast_to, np.diagonal, np.flip, np.tril, np.triu, np.split, np.take,
    np.take_along_axis, np.repeat, np.tile, np.pad, np.zeros_like, np.ones_like, np.absolute, np.sign,
    np.minimum, np.copy,
    np.amax,
    np.amin,
    np.argmax,
]  # fmt: skip
RULES |= {function: moved(function) for function in MOVED}
RULES |= {
    np.power: power,
    np.square: lambda machine, x: multiply(machine, x, x),
    np.reciprocal: lambda machine, x: divide(machine, machine.array(1.0), x),
    np.mean: mean,
    np.var: var,
    np.std: std,
    np.linalg.norm: norm,
    np.logaddexp: logaddexp,
    np.cumsum: cumsum,
    np.matmul: matmul,
    np.dot: dot_of_any,
    np.einsum: einsum,
    np.outer: lambda machine, a, b: np.ravel(a)[:, None] * np.ravel(b)[None],
    np.trace: lambda machine, x: np.sum(np.diagonal(x)),
    np.add.at: add_at,
    np.clip: clip,
    np.where: where,
    np.full_like: lambda machine, x, number: machine.array(np.full(x.shape, number)),
    np.tanh: of_ulps(np.tanh, promised(TANH_ULPS)),
    np.expm1: of_ulps(np.expm1, promised(EXPM1_ULPS)),
    np.log1p: of_ulps(np.log1p, promised(FUNCTION_ULPS)),
    np.log2: of_ulps(np.log2, promised(FUNCTION_ULPS)),
}
for size in (np.shape, np.ndim, np.size):
    RULES[size] = lambda machine, x, of=size: of(x.value)
for comparison in (np.less, np.greater, np.greater_equal, np.equal, np.not_equal):
    RULES[comparison] = compared(comparison)
