"""Operations on arrays (plain, simulated or `Rounded`), and the arrays they are tried on."""

import operator

import numpy as np
from simulated import Simulated

from reference.agreement.arithmetic import FLOAT32, Unbounded
from reference.agreement.judge import LOCAL, compare
from reference.agreement.rounded import Rounded


def share(got, bound):
    """The largest share of the bound used."""
    return compare("", LOCAL, got.value if isinstance(got, Simulated) else got, bound).share


# The arrays they are tried on


def numbers(rng, shape, arithmetic, spread=None):
    """Signed numbers over many magnitudes, with exact zeros, equal numbers and subnormals among them."""
    widest = 6 if arithmetic.name == "float16" else 30
    spread = rng.choice([0, 2, widest]) if spread is None else spread
    x = rng.standard_normal(shape) * 2.0 ** rng.uniform(-spread, spread, shape)
    x = np.where(rng.random(shape) < 0.1, 0.0, x)
    x = np.where(rng.random(shape) < 0.1, rng.standard_normal(), x)
    return np.where(rng.random(shape) < 0.03, arithmetic.smallest_normal * rng.random(), x)


def uncertain(rng, m, x):
    """The machine's numbers, and a Rounded that lies beside them within its own error.

    The error covers a subnormal that is read as zero.
    """
    got = m.array(x)
    if rng.random() < 0.3:
        return got, Rounded.exact(got.value, m.arithmetic)
    relative = m.arithmetic.roundoff * 2.0 ** rng.uniform(-20, 1) if rng.random() < 0.7 else 0.2
    somewhere, anyhow = rng.uniform(-1, 1, got.shape), rng.choice([-1.0, 1.0], got.shape)
    direction = [somewhere, anyhow, anyhow.flat[0]][rng.integers(3)]
    value = got.value * (1 - direction * relative)
    error = np.abs(got.value - value) * rng.choice([1, 1.5])
    subnormal = np.abs(got.value) < m.arithmetic.smallest_normal
    return got, Rounded(value, np.where(subnormal, error + np.abs(value), error), m.arithmetic)


def masked(x, y):
    """`y` where `x > 0`, else 0, as the note's ReLU backpropagates."""
    y = y.copy()
    y[x <= 0] = 0
    return y


def with_rows_set(x, y):
    """An array after assignments of an array and of constants."""
    x = x.copy()
    x[range(3), [0, 2, 1]] -= 1
    x[0] = y[1]
    x[1, 1] = 0.1
    return x


def arithmetic_of(x):
    """The arithmetic of an array of either kind."""
    return x.arithmetic if isinstance(x, Rounded) else x.machine.arithmetic


def bias_beside_small_products(x, y):
    """A dot product that all but vanishes beside its bias: each partial sum of bias + ... rounds."""
    return np.dot(x * arithmetic_of(x).roundoff, y.T) + y[:, :3]


OPERATIONS = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": lambda x, y: x / (y * y + 1),
    "divide_by_anything": lambda x, y: x / y[:1, :1],
    "divide_by_huge": lambda x, y: x * 500 / (arithmetic_of(x).largest / 2),
    "divide_by_row_sum": lambda x, y: (x * x) / np.sum(x * x, axis=1, keepdims=True),
    "divide_by_signed_row_sum": lambda x, y: x[:1] / np.sum(x[:1], axis=1, keepdims=True),
    "softmax": lambda x, y: np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True),
    "constants": lambda x, y: 0.1 * x / 7 + 1000.5 - 1 / (y * y + 3),
    "tiny_constants": lambda x, y: 1e-6 * x + 1e-41,
    "exp": lambda x, y: np.exp(x),
    "log": lambda x, y: np.log(x * x + 0.5),
    "log_of_anything": lambda x, y: np.log(x[:1, :1]),
    "sin": lambda x, y: np.sin(x),
    "cos": lambda x, y: np.cos(x),
    "negate": lambda x, y: -x - y,
    "negated_aside": lambda x, y: with_rows_set(-x, y) + x,
    "maximum": np.maximum,
    "relu": lambda x, y: np.maximum(0, x),
    "mask": masked,
    "relu_mask": lambda x, y: masked(np.maximum(0, x - y), y),
    "mask_by_array": lambda x, y: masked(x - y, x),
    "dot": lambda x, y: np.dot(x, y.T),
    "dot_of_one": lambda x, y: np.dot(x[:, :1], y.T[:1]),
    "dot_plus_bias": lambda x, y: np.dot(x, y.T) + y[:1, :3],
    "small_dot_plus_bias": bias_beside_small_products,
    "dot_plus_cancelling_bias": lambda x, y: np.dot(x, y.T) - x[:, :3] * y[:, :1],
    "product_plus": lambda x, y: x * y + y,
    "quotient_minus": lambda x, y: x / 3 - y / 7,
    "sum": lambda x, y: np.sum(x),
    "sum_of_squares": lambda x, y: np.sum(x * x),
    "sum_axis_0": lambda x, y: np.sum(x, axis=0, keepdims=True),
    "sum_axis_1": lambda x, y: np.sum(x, axis=1),
    "index": lambda x, y: x[range(3), [3, 0, 1]] * y[:, 0],
    "assign": with_rows_set,
    "stack": lambda x, y: np.stack([x[:, 0], y[:, 1]], axis=1),
    "stack_of_one": lambda x, y: np.stack([x]),
    "concatenate": lambda x, y: np.concatenate([x, y]),
}


def bounded(f, *args):
    """f(*args) on `Rounded` arrays, or None where there is no bound."""
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            return f(*args)
    except (Unbounded, FloatingPointError):
        return None


def exact(*values, arithmetic=FLOAT32):
    """Exact inputs."""
    return Rounded.exact(np.array(values), arithmetic)


def normalised(x):
    """Each row over its sum."""
    return x / np.sum(x, axis=1, keepdims=True)
