"""NumPy's functions on arrays (plain, simulated or `Rounded`): for each one that has a rule, some uses.

`x` and `y` are matrices of the same shape, (3, 4) or larger.
"""

import numpy as np
import simulated_numpy  # noqa: F401 (it teaches the machines these functions)


def positive(x):
    """Numbers above 0, of moderate size."""
    return np.abs(x) + 0.5


def bounded_by_one(x):
    """Numbers between -1 and 1."""
    return x / (np.abs(x) + 1)


def batch(x):
    """A stack of two matrices (2, 2, 3)."""
    return np.reshape(x[:3, :4], (2, 2, 3))


def sigmoid(x):
    """As code."""
    return 1 / (1 + np.exp(-x))


def gelu(x):
    """Its approximation by a tanh (Hendrycks and Gimpel, arXiv 1606.08415)."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def logsumexp(x):
    """As code."""
    top = np.max(x, axis=1, keepdims=True)
    return np.log(np.sum(np.exp(x - top), axis=1, keepdims=True)) + top


def softmax_of(x, axis):
    """Shifted by its own maximum."""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def layer_norm_of(x, axis):
    """Less the mean, over the deviation."""
    deviation = np.sqrt(np.var(x, axis=axis, keepdims=True) + 1e-2)
    return (x - np.mean(x, axis=axis, keepdims=True)) / deviation


def accumulated(x, y):
    """Windows added up in zeros, as the gradient of a convolution does."""
    total = np.zeros_like(x)
    for i in range(2):
        total[:, i : i + 3] += y[:, i : i + 3] * x[:, :3]
    return total


def scattered(x, y):
    """Rows added at indices, one of them twice."""
    total = x.copy()
    np.add.at(total, (np.array([0, 2, 0]), np.array([1, 1, 1])), y[:, 0])
    return total


def masked(x, mask, number=0.5):
    """A number assigned at a mask."""
    x = x.copy()
    x[mask] = number
    return x


def hinge(x, margins):
    """The gradient of the hinge loss: less the number of positive margins, at the right class."""
    positive_margins = margins > 0
    gradient = positive_margins.astype(float) * x
    gradient[np.arange(3), np.array([0, 2, 1])] -= np.sum(positive_margins, axis=1)
    return gradient


def joined_after(f):
    """The parts that f makes, side by side."""
    return lambda x, y: np.concatenate(f(x), axis=1)


PLAIN = np.linspace(-1, 2, 4)
KEEP = np.array([True, False, True, True])

#: name of a function: uses of it.
USES = {
    "add": [lambda x, y: x + y, lambda x, y: x + PLAIN],
    "subtract": [
        lambda x, y: x - y,
        lambda x, y: x - np.max(x, axis=1, keepdims=True),
        lambda x, y: 1 - x,
    ],
    "multiply": [
        lambda x, y: x * y,
        lambda x, y: (x > y) * x,
        lambda x, y: y * KEEP,
        lambda x, y: PLAIN * x,
    ],
    "divide": [
        lambda x, y: x / positive(y),
        lambda x, y: positive(x) / np.sum(positive(x), axis=0, keepdims=True),
        lambda x, y: softmax_of(x, 0),
        lambda x, y: softmax_of(x, 1),
    ],
    "power": [
        lambda x, y: x**2,
        lambda x, y: x**3,
        lambda x, y: x**5,
        lambda x, y: positive(x) ** -2,
        lambda x, y: positive(x) ** 0.3,
        lambda x, y: positive(x) ** -0.5,
        lambda x, y: 0.9 ** bounded_by_one(x),
        lambda x, y: x**1 + x**0,
    ],
    "negative": [lambda x, y: -x],
    "reciprocal": [lambda x, y: np.reciprocal(positive(x))],
    "square": [lambda x, y: np.square(x)],
    "sqrt": [
        lambda x, y: np.sqrt(np.abs(x)),
        lambda x, y: np.sqrt(x * x),
        lambda x, y: x / np.sqrt(y * y + 1e-3),
    ],
    "exp": [lambda x, y: np.exp(x), lambda x, y: sigmoid(x)],
    "expm1": [lambda x, y: np.expm1(x)],
    "log": [lambda x, y: np.log(positive(x)), lambda x, y: logsumexp(x)],
    "log1p": [lambda x, y: np.log1p(np.abs(x)), lambda x, y: np.log1p(bounded_by_one(x) * 0.9)],
    "log2": [lambda x, y: np.log2(positive(x))],
    "logaddexp": [lambda x, y: np.logaddexp(x, y), lambda x, y: np.logaddexp(0, x)],
    "tanh": [lambda x, y: np.tanh(x), lambda x, y: gelu(x)],
    "sin": [lambda x, y: np.sin(x)],
    "cos": [lambda x, y: np.cos(x)],
    "absolute": [lambda x, y: np.abs(x), lambda x, y: abs(x - y)],
    "sign": [lambda x, y: np.sign(x) * y],
    "maximum": [lambda x, y: np.maximum(x, y), lambda x, y: np.maximum(0.1, x)],
    "minimum": [lambda x, y: np.minimum(x, y), lambda x, y: np.minimum(x, 0.1)],
    "less": [lambda x, y: (x < y) * x, lambda x, y: masked(x, y < 0.25)],
    "less_equal": [lambda x, y: (x <= y) * y, lambda x, y: masked(x, x <= PLAIN)],
    "greater": [hinge, lambda x, y: masked(y, x > 0), lambda x, y: np.where(x > y, x, y)],
    "greater_equal": [lambda x, y: (x >= y) * x, lambda x, y: masked(x, y >= x, 0.1)],
    "equal": [lambda x, y: (x == y) * x, lambda x, y: (x == np.max(x, axis=1, keepdims=True)) * y],
    "not_equal": [lambda x, y: (x != y) * x],
    "logical_not": [lambda x, y: np.logical_not(x > y) * x],
    "logical_and": [lambda x, y: np.logical_and(x > 0, y > 0) * x, lambda x, y: ((x > 0) & KEEP) * x],
    "logical_or": [lambda x, y: np.logical_or(x > 0, y > 0) * x, lambda x, y: (KEEP | (y < x)) * x],
    "invert": [lambda x, y: (~(x > y)) * x],
    "bitwise_and": [lambda x, y: ((x > 0) & (y > x)) * x],
    "bitwise_or": [lambda x, y: ((x > 0) | (y > x)) * x],
    "where": [
        lambda x, y: np.where(x > 0, x, y),
        lambda x, y: np.where(KEEP, x, -1e3),
        lambda x, y: np.where(x > y, 1.0, 0.1) * x,
    ],
    "clip": [lambda x, y: np.clip(x, -0.5, 0.3), lambda x, y: np.clip(x, 0.1, None)],
    "sum": [
        lambda x, y: np.sum(x, axis=(0, 1)),
        lambda x, y: np.sum(batch(x), axis=(0, -1), keepdims=True),
        lambda x, y: np.sum((x > y) * 1.0, axis=-2),
    ],
    "mean": [
        lambda x, y: np.mean(x),
        lambda x, y: x - np.mean(x, axis=0),
        lambda x, y: layer_norm_of(x, 1),
    ],
    "var": [lambda x, y: np.var(x, axis=1), lambda x, y: np.var(x, axis=(0, 1), ddof=1, keepdims=True)],
    "std": [lambda x, y: np.std(x, axis=0), lambda x, y: np.std(x)],
    "max": [lambda x, y: np.max(x, axis=0), lambda x, y: np.max(x)],
    "amax": [lambda x, y: np.amax(x, axis=-1, keepdims=True)],
    "min": [lambda x, y: np.min(x, axis=0), lambda x, y: np.min(x, keepdims=True)],
    "amin": [lambda x, y: np.amin(x, axis=1)],
    "argmax": [
        lambda x, y: np.argmax(x, axis=1),
        lambda x, y: np.argmax(x),
        lambda x, y: np.argmax(x, axis=0),
    ],
    "cumsum": [
        lambda x, y: np.cumsum(x, axis=1),
        lambda x, y: np.cumsum(x, axis=0),
        lambda x, y: np.cumsum(x),
    ],
    "linalg.norm": [
        lambda x, y: np.linalg.norm(x),
        lambda x, y: np.linalg.norm(x, axis=1, keepdims=True),
    ],
    "trace": [lambda x, y: np.trace(x)],
    "dot": [lambda x, y: np.dot(x, y[0]), lambda x, y: np.dot(x[0], y[1]), lambda x, y: np.dot(x, 0.3)],
    "matmul": [
        lambda x, y: x @ y.T,
        lambda x, y: x[:, 0] @ y,
        lambda x, y: x @ PLAIN,
        lambda x, y: batch(x) @ np.swapaxes(batch(y), 1, 2),
        lambda x, y: batch(x) @ y[:3],
        lambda x, y: y[:2, :2] @ batch(x),
    ],
    "outer": [lambda x, y: np.outer(x[0], y[:, 0])],
    "einsum": [
        lambda x, y: np.einsum("ij,kj->ik", x, y),
        lambda x, y: np.einsum("ij,kj->ki", x, y),
        lambda x, y: np.einsum("ij,ij->i", x, y),
        lambda x, y: np.einsum("ij,ij->", x, y),
        lambda x, y: np.einsum("ij->j", x),
        lambda x, y: np.einsum("ij->ji", x),
        lambda x, y: np.einsum("ii->i", x[:, :3]),
        lambda x, y: np.einsum("bij,bkj->bik", batch(x), batch(y)),
        lambda x, y: np.einsum("bij,jk->bik", batch(x), y[:3]),
        lambda x, y: np.einsum("i,j->ij", x[0], y[1]),
        lambda x, y: np.einsum("ij,k->i", x, y[0]),
        lambda x, y: np.einsum("ij,j->ij", x, PLAIN),
    ],
    "add.at": [scattered],
    "shape": [lambda x, y: x * np.shape(y)[0]],
    "ndim": [lambda x, y: x * np.ndim(y)],
    "size": [lambda x, y: x / np.size(y)],
    "copy": [lambda x, y: masked(np.copy(x), y > 0) + x],
    "reshape": [lambda x, y: np.reshape(x, (2, -1)), lambda x, y: np.reshape(x * y, -1)],
    "ravel": [lambda x, y: np.ravel(x)],
    "transpose": [lambda x, y: np.transpose(x), lambda x, y: np.transpose(batch(x), (1, 2, 0))],
    "swapaxes": [lambda x, y: np.swapaxes(batch(x), 0, -1)],
    "moveaxis": [
        lambda x, y: np.moveaxis(batch(x), 0, -1),
        lambda x, y: np.moveaxis(batch(x), (0, 1), (1, 2)),
    ],
    "expand_dims": [
        lambda x, y: np.expand_dims(x, 1) * y,
        lambda x, y: np.expand_dims(x, (0, -1)),
        lambda x, y: x[:, None] + y[0],
    ],
    "squeeze": [lambda x, y: np.squeeze(x[:1]), lambda x, y: np.squeeze(x[:, :1], -1)],
    "broadcast_to": [lambda x, y: np.broadcast_to(x[:, :1], (2, 3, 4)) * y],
    "diagonal": [lambda x, y: np.diagonal(x, 1), lambda x, y: np.diagonal(batch(x), axis1=1, axis2=2)],
    "flip": [lambda x, y: np.flip(x, 0), lambda x, y: np.flip(x), lambda x, y: x[:, ::-1]],
    "tril": [lambda x, y: np.tril(x), lambda x, y: np.tril(x, -1)],
    "triu": [lambda x, y: np.triu(x, 1)],
    "split": [
        joined_after(lambda x: np.split(x, 2, axis=1)[::-1]),
        joined_after(lambda x: np.split(x, [1, 3], axis=-1)),
    ],
    "take": [
        lambda x, y: np.take(x, [2, 0, 0], axis=0),
        lambda x, y: np.take(x, np.array([[1, 5]])),
        lambda x, y: np.take(x, 1, axis=-1),
    ],
    "take_along_axis": [lambda x, y: np.take_along_axis(x, np.array([[2, 0], [1, 1], [3, 0]]), axis=1)],
    "repeat": [lambda x, y: np.repeat(x, 2, axis=0), lambda x, y: np.repeat(x, 2)],
    "tile": [lambda x, y: np.tile(x, 2), lambda x, y: np.tile(x, (2, 1, 2))],
    "pad": [lambda x, y: np.pad(x, 1), lambda x, y: np.pad(x, ((0, 1), (2, 0)))],
    "stack": [lambda x, y: np.stack([x, y], axis=-1), lambda x, y: np.stack([x[0], PLAIN])],
    "concatenate": [
        lambda x, y: np.concatenate([x, y * 2], axis=1),
        lambda x, y: np.concatenate([x, PLAIN[None]]),
    ],
    "zeros_like": [accumulated],
    "ones_like": [lambda x, y: np.ones_like(x) - y],
    "full_like": [lambda x, y: np.full_like(x, 0.1) * y],
}
#: Every use by its name.
CALLS = {f"{name}-{i}" if i else name: use for name, uses in USES.items() for i, use in enumerate(uses)}
