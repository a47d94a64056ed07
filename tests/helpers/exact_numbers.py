"""Arrays of mpmath numbers with 60 digits: a machine without rounding, on which NumPy code runs."""

import numpy as np
import pytest


class Exact(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of mpmath numbers."""

    def __init__(self, value):
        self.value = value

    shape = property(lambda self: self.value.shape)
    T = property(lambda self: Exact(self.value.T))

    def copy(self):
        """A copy, as of any array."""
        return Exact(self.value.copy())

    def __getitem__(self, index):
        return Exact(np.asarray(self.value[index]))

    def __setitem__(self, index, new):
        self.value[index] = new.value if isinstance(new, Exact) else new

    def __array_ufunc__(self, ufunc, method, *inputs, out=None):
        values = [x.value if isinstance(x, Exact) else x for x in inputs]
        if ufunc in COMPARISONS:
            return np.asarray(ufunc(*values), dtype=bool)
        if ufunc in FUNCTIONS:
            return Exact(np.asarray(elementwise(FUNCTIONS[ufunc], *values)))
        return Exact(np.asarray(ufunc(*values), dtype=object))

    def __array_function__(self, func, types, args, kwargs):
        if func in COMPOSED:
            return COMPOSED[func](*args, **kwargs)
        plain = [[_plain(x) for x in a] if isinstance(a, list) else _plain(a) for a in args]
        result = func(*plain, **kwargs)
        return result if func is np.shape else Exact(np.asarray(result, dtype=object))


def _plain(x):
    return x.value if isinstance(x, Exact) else x


def mpmath():
    """The exact arithmetic, at 60 digits."""
    mp = pytest.importorskip("mpmath", reason="mpmath is the exact arithmetic to compare with").mp
    mp.dps = 60
    return mp


def elementwise(f, *arrays):
    """f on every element, keeping objects."""
    return np.frompyfunc(f, len(arrays), 1)(*arrays)


def exact_array(x):
    """float64 numbers as mpmath's."""
    return Exact(np.asarray(elementwise(mpmath().mpf, np.asarray(x, dtype=object))))


def exact_share(got, bound):
    """The largest share of the bound that the exact result uses."""
    off = np.abs(np.asarray(got.value - exact_array(bound.value).value, dtype=object))
    allowed = np.broadcast_to(bound.error, off.shape)
    assert np.all(off[allowed == 0] == 0) or np.max(off[allowed == 0]) < 1e-300
    return max((o / a for o, a in zip(off.flat, allowed.flat, strict=True) if a), default=0)


def _of(name):
    return lambda *numbers: getattr(mpmath(), name)(*numbers)


def _log_of_sum(x, y):
    mp = mpmath()
    return mp.log(mp.exp(x) + mp.exp(y))


def _var(x, axis=None, keepdims=False):
    """The mean squared distance from the mean."""
    apart = x - np.mean(x, axis=axis, keepdims=True)
    return np.mean(apart * apart, axis=axis, keepdims=keepdims)


COMPARISONS = (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)
FUNCTIONS = {
    getattr(np, name): _of(name)
    for name in ("exp", "log", "sin", "cos", "sqrt", "tanh", "expm1", "log1p")
}
FUNCTIONS |= {
    np.log2: lambda x: mpmath().log(x, 2),
    np.logaddexp: _log_of_sum,
    np.sign: _of("sign"),
    np.power: lambda x, y: x**y if y == int(y) else mpmath().power(x, y),
}
#: What NumPy does not do to arrays of objects.
COMPOSED = {
    np.var: _var,
    np.linalg.norm: lambda x, axis, keepdims: np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims)),
    np.ones_like: lambda x: exact_array(np.ones(x.shape)),
}
