"""A framework in small, from outside the project: its tensors are boxes that hold NumPy arrays.

A box mixes with boxes and Python numbers, and refuses an array, as frameworks do. It computes in NumPy,
so it promises what NumPy does.
"""

from contextlib import contextmanager

import numpy as np

from ports.contract import Framework, Host, PortModule, Template
from ports.registry import register
from reference.agreement.arithmetic import ARITHMETICS, DTYPES


def held(value):
    """The array in a box, or a Python number. Raises TypeError for an array without a box."""
    if isinstance(value, Box):
        return value.array
    if type(value) in (int, float):
        return value
    raise TypeError(f"a Box does not mix with a {type(value).__name__}")


class Box:
    """A tensor of this framework."""

    __array_ufunc__ = None  # array + box is refused too

    def __init__(self, array):
        self.array = np.asarray(array)

    @property
    def shape(self):
        """The shape."""
        return self.array.shape

    @property
    def T(self):  # noqa: N802 (as in NumPy)
        """The transpose."""
        return Box(self.array.T)

    def __add__(self, other):
        return Box(self.array + held(other))

    def __sub__(self, other):
        return Box(self.array - held(other))

    def __mul__(self, other):
        return Box(self.array * held(other))

    __rmul__ = __mul__

    def __truediv__(self, other):
        return Box(self.array / held(other))

    def __matmul__(self, other):
        return Box(self.array @ held(other))

    def __neg__(self):
        return Box(-self.array)


def exp(x):
    """Elementwise."""
    return Box(np.exp(held(x)))


def log(x):
    """Elementwise."""
    return Box(np.log(held(x)))


def sin(x):
    """Elementwise."""
    return Box(np.sin(held(x)))


def cos(x):
    """Elementwise."""
    return Box(np.cos(held(x)))


def relu(x):
    """Elementwise."""
    return Box(np.maximum(held(x), 0))


def where_positive(condition, x):
    """x where the condition is over 0, and 0 elsewhere."""
    return Box(np.where(held(condition) > 0, held(x), np.zeros_like(held(x))))


def total(x, axis=None):
    """The sum along an axis, which is kept."""
    return Box(np.sum(held(x), axis=axis, keepdims=axis is not None))


def pick(x, y):
    """x[i, y[i]]"""
    return Box(held(x)[np.arange(len(held(y))), held(y)])


def one_hot(y, like):
    """1 at the right class, in the shape and dtype of another box."""
    return Box(np.eye(like.shape[1], dtype=like.array.dtype)[held(y)])


def linspace(start, stop, number, like):
    """Evenly spaced numbers, in the dtype of another box."""
    return Box(np.linspace(start, stop, number, dtype=like.array.dtype))


def rows(boxes):
    """Vectors as the rows of a matrix."""
    return Box(np.stack([held(box) for box in boxes]))


def points(x, y):
    """(K, N) coordinates -> (N*K, 2)."""
    return Box(np.stack([held(x).ravel(), held(y).ravel()], axis=1))


def labels(K, N):
    """Each class N times."""
    return Box(np.repeat(np.arange(K), N))


class BoxHost(Host):
    """Boxes: one device, no compiler, no settings."""

    def devices(self):
        """The CPU."""
        return ["cpu"]

    def dtypes(self, device):
        """The dtypes that NumPy has."""
        return tuple(d for d in DTYPES if d in np.sctypeDict and not ARITHMETICS[d].stores)

    def arithmetic(self, device, dtype):
        """NumPy's."""
        return ARITHMETICS[dtype]

    @contextmanager
    def exact_settings(self):
        """There are no settings to change."""
        yield

    def put(self, array, device, dtype):
        """A box with a copy."""
        return Box(np.array(array, dtype=dtype))

    def put_labels(self, y, device):
        """Likewise."""
        return Box(np.array(y))

    def get(self, tensor):
        """What is in the box."""
        if not isinstance(tensor, Box):
            raise TypeError(f"is a {type(tensor).__name__}, expected a Box")
        return tensor.array

    def compile(self, function):
        """Nothing is compiled."""
        return function

    def compiler_absence(self):
        """There is nothing to compile with."""
        return "boxes have no compiler: use --mode eager"

    def settings(self):
        """None."""
        return {"boxed": "1"}


BOXED = Framework(
    name="boxed",
    packages=(),
    host_path="boxed:BoxHost",
    modules={"boxed_manual": PortModule("boxed_port")},
    tensors="boxes",
    template=Template(
        to="boxes",
        given="X, y and params are boxes.",
        imports="import boxed",
        relu="boxed.relu(X @ W + b)",
    ),
)
register(BOXED)
