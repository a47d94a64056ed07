"""Random expressions of NumPy's functions: programs whose steps keep the shape and, roughly, the size.

A program is a sequence of steps. Each takes one, two or three arrays of a pool and adds its result to
it. All arrays have the same shape, (n, n) or (2, n, n).
"""

from operator import add, mul, sub

import numpy as np
from numpy_operations import bounded_by_one, gelu, layer_norm_of, positive, sigmoid, softmax_of

TRIANGLE = np.tri(4, dtype=bool)


def flat(x):
    """Each matrix as one row."""
    return np.reshape(x, (*np.shape(x)[:-2], 1, -1))


def shuffled(x):
    """Its rows, some of them twice."""
    return np.take(x, np.arange(np.shape(x)[-1]) // 2, axis=-2)


def swapped(x):
    """Transposed."""
    return np.swapaxes(x, -1, -2)


def causal(x):
    """Without what lies right of the diagonal."""
    n = np.shape(x)[-1]
    return np.where(TRIANGLE[:n, :n], x, 0.5)


def set_where_small(x, y):
    """x, where y is small a number."""
    x = x.copy()
    x[np.abs(y) < 0.5] = 0.3
    return x


def first_column_from(x, y):
    """x, with y's sum of columns in front."""
    x = x.copy()
    x[..., 0] += np.sum(y, axis=-1) / 4
    return x


def less_maximum(x):
    """x less the maximum of its row."""
    return x - np.max(x, axis=-1, keepdims=True)


#: name: (function, number of arrays).
STEPS = {
    "add": (add, 2),
    "subtract": (sub, 2),
    "multiply": (mul, 2),
    "divide": (lambda x, y: x / positive(y), 2),
    "scaled": (lambda x: 0.3 * x, 1),
    "negative": (np.negative, 1),
    "reciprocal": (lambda x: np.reciprocal(positive(x)), 1),
    "tanh": (np.tanh, 1),
    "sigmoid": (sigmoid, 1),
    "gelu": (gelu, 1),
    "exp": (lambda x: np.exp(-np.abs(x)), 1),
    "expm1": (lambda x: np.expm1(bounded_by_one(x)), 1),
    "log": (lambda x: np.log(positive(x)), 1),
    "log1p": (lambda x: np.log1p(np.abs(x)), 1),
    "log2": (lambda x: np.log2(positive(x)), 1),
    "logaddexp": (np.logaddexp, 2),
    "sqrt": (lambda x: np.sqrt(np.abs(x)), 1),
    "square": (lambda x: np.square(bounded_by_one(x)), 1),
    "cube": (lambda x: bounded_by_one(x) ** 3, 1),
    "power": (lambda x: positive(x) ** -0.3, 1),
    "sin": (np.sin, 1),
    "cos": (np.cos, 1),
    "relu": (lambda x: np.maximum(0, x), 1),
    "maximum": (np.maximum, 2),
    "minimum": (np.minimum, 2),
    "clip": (lambda x: np.clip(x, -0.5, 0.7), 1),
    "sign": (lambda x, y: np.sign(x) * y, 2),
    "mask": (lambda x, y: (x > 0) * y, 2),
    "masks": (lambda x, y: ((x > 0) & ~(y > 0.1)) * x, 2),
    "where": (lambda x, y, z: np.where(x <= y, y, z), 3),
    "assign": (set_where_small, 2),
    "accumulate": (first_column_from, 2),
    "causal": (causal, 1),
    "centred": (lambda x: x - np.mean(x, axis=-1, keepdims=True), 1),
    "layer norm": (lambda x: layer_norm_of(x, -1), 1),
    "batch norm": (lambda x: layer_norm_of(x, -2), 1),
    "over norm": (lambda x: x / (np.linalg.norm(x, axis=-1, keepdims=True) + 0.5), 1),
    "products less maximum": (lambda x, y: less_maximum(x * y), 2),
    "less maximum": (less_maximum, 1),
    "at maximum": (lambda x, y: (x == np.max(x, axis=-2, keepdims=True)) * y, 2),
    "softmax": (lambda x: softmax_of(x, -1), 1),
    "softmax of columns": (lambda x: softmax_of(x, -2), 1),
    "cumulative": (lambda x: np.cumsum(x, axis=-1) / 3, 1),
    "matmul": (lambda x, y: x @ swapped(y) / 3, 2),
    "with bias": (lambda x, y, z: bounded_by_one(x) @ swapped(y) + z[..., :1, :], 3),
    "transpose": (swapped, 1),
    "reversed": (lambda x: x[..., ::-1], 1),
    "rows": (shuffled, 1),
    "joined": (lambda x, y: np.concatenate([x[..., :1], y[..., 1:]], axis=-1), 2),
    "mean of all": (lambda x: np.mean(flat(x), axis=-1, keepdims=True) * np.ones_like(x), 1),
}
#: How many arrays a program starts from.
INPUTS = 3


def results(program, arrays):
    """The result of each step, one after another."""
    pool = list(arrays)
    for name, operands in program:
        function, count = STEPS[name]
        pool.append(function(*(pool[i % len(pool)] for i in operands[:count])))
        yield pool[-1]
