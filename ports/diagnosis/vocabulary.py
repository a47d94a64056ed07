"""The functions that an edited line may use, on plain arrays and on `Rounded` ones.

The reference's own lines need a few functions of NumPy, and `Rounded` has rules for these. People use
others by mistake. Each is written here through the rules that exist, or with the bound that its slope
gives. A line finds them under NumPy's names, as it was written.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np

from reference.agreement.rounded import Mask, Rounded
from reference.arrays import Plain


def _with(x: Rounded, value: Plain, error: Plain) -> Rounded:
    return Rounded(value, error, x.arithmetic)


def smooth(function: Callable[[Any], Any], slope: float) -> Callable[[Any], Any]:
    """A function whose slope is at most `slope`, computed from few roundings of its argument's size."""

    def apply(x: Any) -> Any:
        if not isinstance(x, Rounded):
            return function(x)
        value = function(x.value)
        fresh = x.arithmetic.function * (np.abs(value) + np.abs(x.value))
        return _with(x, value, slope * x.errors() + fresh)

    return apply


def _gelu(x: Any) -> Any:
    """x times the normal distribution function (Hendrycks and Gimpel, arXiv 1606.08415)."""
    return 0.5 * x * (1 + np.vectorize(math.erf)(np.asarray(x) / math.sqrt(2)))


def _gelu_tanh(x: Any) -> Any:
    """Its approximation by a tanh, of the same paper."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def sqrt(x: Any) -> Any:
    """The square root; its error is largest at the low end of the argument."""
    if not isinstance(x, Rounded):
        return np.sqrt(x)
    value = np.sqrt(x.value)
    lowest = np.sqrt(np.maximum(x.value - x.errors(), 0))
    return _with(x, value, value - lowest + x.arithmetic.function * value)


def sign(x: Any) -> Any:
    """-1, 0 or 1; undecided where the error is larger than the number."""
    if not isinstance(x, Rounded):
        return np.sign(x)
    return _with(x, np.sign(x.value), 2.0 * (np.abs(x.value) < x.errors()))


def heaviside(x: Any, at_zero: float) -> Any:
    """0 below zero, 1 above it; undecided where the error is larger than the number."""
    if not isinstance(x, Rounded):
        return np.heaviside(x, at_zero)
    return _with(x, np.heaviside(x.value, at_zero), 1.0 * (np.abs(x.value) < x.errors()))


def where(condition: Any, x: Any, y: Any) -> Any:
    """np.where. Where a comparison is undecided, both branches are covered."""
    if not isinstance(condition, Mask):
        return np.where(condition, x, y)
    some = next(z for z in (x, y) if isinstance(z, Rounded))
    (v, w), (e, f) = zip(*((_value(z), _error(z)) for z in (x, y)), strict=True)
    value, error = np.where(condition.true, v, w), np.where(condition.true, e, f)
    if condition.undecided is not None:
        error = np.where(condition.undecided, e + f + np.abs(v - w), error)
    return _with(some, value, error)


def _value(x: Any) -> Any:
    return x.value if isinstance(x, Rounded) else np.asarray(x, dtype=np.float64)


def _error(x: Any) -> Any:
    return x.errors() if isinstance(x, Rounded) else 0.0


def largest(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """np.max: exact in itself, so no further off than the worst element."""
    if not isinstance(x, Rounded):
        return np.max(x, axis=axis, keepdims=keepdims)
    value, error = (np.max(a, axis=axis, keepdims=keepdims) for a in (x.value, x.errors()))
    return _with(x, value, error)


def mean(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """np.mean: the sum over the number of terms."""
    if not isinstance(x, Rounded):
        return np.mean(x, axis=axis, keepdims=keepdims)
    count = x.value.size if axis is None else x.value.shape[axis]
    return np.sum(x, axis=axis, keepdims=keepdims) / count


def std(x: Any, axis: int | None = None) -> Any:
    """np.std, with the mean taken first."""
    apart = x - mean(x, axis=axis, keepdims=True)
    return sqrt(mean(apart * apart, axis=axis))


def minimum(x: Any, y: Any) -> Any:
    """np.minimum through np.maximum."""
    return -np.maximum(-x, -y)


def clip(x: Any, low: Any, high: Any) -> Any:
    """np.clip as two choices."""
    return minimum(np.maximum(x, low), high)


def absolute(x: Any) -> Any:
    """|x|."""
    return np.maximum(x, -x)


def norm(x: Any) -> Any:
    """The Frobenius norm."""
    return sqrt(np.sum(x * x))


def reshape(x: Any, shape: tuple[int, ...]) -> Any:
    """np.reshape."""
    if not isinstance(x, Rounded):
        return np.reshape(x, shape)
    return _with(x, np.reshape(x.value, shape), np.reshape(x.errors(), shape))


def roll(x: Any, shift: int, axis: int = 0) -> Any:
    """np.roll."""
    if not isinstance(x, Rounded):
        return np.roll(x, shift, axis)
    return _with(x, np.roll(x.value, shift, axis), np.roll(x.errors(), shift, axis))


def argmax(x: Any, axis: int) -> Plain:
    """np.argmax by the values."""
    found: Plain = np.argmax(_value(x), axis=axis)
    return found


def onehot(y: Plain, classes: int) -> Plain:
    """Rows with a 1 at the label and 0 elsewhere."""
    rows: Plain = np.eye(classes)[y]
    return rows


def rounded_to(value: Plain, bits: int, mode: Callable[[Plain], Plain] = np.rint) -> Plain:
    """Numbers rounded to that many significant bits."""
    mantissa, exponent = np.frexp(np.asarray(value, dtype=np.float64))
    return np.asarray(np.ldexp(mode(np.ldexp(mantissa, bits)), exponent - bits))


def decimals(x: Any, count: int) -> Any:
    """np.round; where an error reaches across, both neighbours are covered."""
    if not isinstance(x, Rounded):
        return np.round(x, count)
    low, value, high = (np.round(x.value + e, count) for e in (-x.errors(), 0.0, x.errors()))
    return _with(x, value, np.maximum(high - value, value - low))


def _half_up(x: Plain) -> Plain:
    return np.copysign(np.floor(np.abs(x) + 0.5), x)


def narrow(bits: int, mode: Callable[[Plain], Plain] = np.rint) -> Callable[[Any], Any]:
    """Rounding to a format of that many significant bits."""

    def cast(x: Any) -> Any:
        value = rounded_to(_value(x), bits, mode)
        if not isinstance(x, Rounded):
            return value
        low, high = (rounded_to(x.value + e, bits, mode) for e in (-x.errors(), x.errors()))
        return _with(x, value, np.maximum(high - value, value - low))

    return cast


#: What `np` is in an edited line.
NUMPY = SimpleNamespace(
    **{name: getattr(np, name) for name in ("exp", "log", "sin", "cos", "maximum", "dot", "sum", "pi")},
    **{
        name: getattr(np, name) for name in ("stack", "concatenate", "arange", "repeat", "tile", "shape")
    },
    **{name: getattr(np, name) for name in ("linspace", "zeros_like", "ones_like", "random")},
    tanh=smooth(np.tanh, 1.0),
    sqrt=sqrt,
    sign=sign,
    heaviside=heaviside,
    where=where,
    max=largest,
    min=lambda x, axis=None, keepdims=False: -largest(-x, axis, keepdims),
    mean=mean,
    std=std,
    minimum=minimum,
    clip=clip,
    abs=absolute,
    reshape=reshape,
    roll=roll,
    argmax=argmax,
    round=decimals,
    exp2=lambda x: np.exp(x * math.log(2)),
    expm1=lambda x: np.exp(x) - 1,
    log1p=lambda x: np.log(1 + x),
    log2=lambda x: np.log(x) / math.log(2),
    log10=lambda x: np.log(x) / math.log(10),
    linalg=SimpleNamespace(norm=norm),
    float32=narrow(24),
    float16=narrow(11),
)

#: Every name that a line may use beside the step's own.
NAMES: Mapping[str, Any] = MappingProxyType(
    {
        "np": NUMPY,
        "gelu": smooth(_gelu, 1.13),
        "gelu_tanh": smooth(_gelu_tanh, 1.13),
        "onehot": onehot,
        "bfloat16": narrow(8),
        "tf32": narrow(11),
        "tf32_half_up": narrow(11, _half_up),
        "tf32_truncated": narrow(11, np.trunc),
        "bfloat16_truncated": narrow(8, np.trunc),
    }
)
