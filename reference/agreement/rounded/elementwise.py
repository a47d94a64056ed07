"""NumPy's elementwise functions on `Rounded` arrays, with NumPy's signatures."""

from collections.abc import Callable
from typing import Any

import numpy as np

from reference.agreement import blocks, rules
from reference.agreement.rounded.array import LARGEST, SUM, TRUTH, Mask, Origin, Rounded
from reference.agreement.rounded.operands import apply, lifted
from reference.agreement.rules import Bounded

ONLY_MASKS = "&, | and ~ combine masks: compare the numbers first, as in (x > 0) & (y > 0)"


def by(rule: Callable[..., Bounded], operands: int) -> Callable[..., Any]:
    """The NumPy function that has this rule."""
    if operands == 1:
        return lambda x, /: apply(rule, x)
    return lambda x, y, /: apply(rule, x, y)


def negative(x: Rounded, /) -> Any:
    """-x."""
    return x.like(rules.negative(x.bounded))


def subtract(x: Any, y: Any, /) -> Any:
    """x - y; exactly 0 where y is the maximum of x, and x the largest on every machine."""
    result = apply(rules.subtract, x, y)
    if (axes := _made_from(x, y, LARGEST)) is not None:
        return result.like(rules.less_own_largest(x.bounded, axes, result.bounded, x.arithmetic))
    return result


def multiply(x: Any, y: Any, /) -> Any:
    """x * y; nothing is rounded in a product with a mask."""
    if _is_mask(x):
        return where(x, y, 0.0)
    if _is_mask(y):
        return where(y, x, 0.0)
    return apply(rules.multiply, x, y)


def divide(x: Any, y: Any, /) -> Any:
    """x / y; `rules.share` applies where non-negative numbers are divided by their own sum."""
    axes = _made_from(x, y, SUM)
    if axes is None or not np.min(x.value - rules.off(x.bounded), initial=0) >= 0:
        return apply(rules.divide, x, y)
    if axes == (-1,):
        return apply(rules.share, x, y)
    return x.like(rules.share(x.bounded, y.bounded, x.arithmetic, axes))


def _made_from(x: Any, y: Any, kind: str) -> tuple[int, ...] | None:
    """The axes along which y is the sum, or the largest, of x; None if it is not."""
    origin = y.origin if isinstance(y, Rounded) else None
    if not isinstance(origin, Origin) or origin.kind is not kind or not isinstance(x, Rounded):
        return None
    return origin.axes if origin.of is x.bounded else None


def _is_mask(x: Any) -> bool:
    """Whether these are truth values, or 1 and 0 made of them."""
    if isinstance(x, Rounded):
        origin = x.origin
        made = isinstance(origin, Origin) and origin.kind is TRUTH and origin.of is x.bounded
        return made or isinstance(x, Mask)
    return isinstance(x, np.ndarray) and x.dtype == np.bool_


def power(x: Any, y: Any, /) -> Any:
    """x**y, by multiplication if y is a whole number, else by a power function, for positive x."""
    if isinstance(y, (int, float, np.integer)) and float(y).is_integer():
        return _integer_power(x, int(y))
    return apply(rules.power, x, y)


def _integer_power(x: Rounded, n: int) -> Any:
    if n < 0:
        return apply(rules.divide, 1.0, _integer_power(x, -n))
    if n == 0:
        return x.like(Bounded(np.ones_like(x.value)))
    return x.copy() if n == 1 else apply(lambda z, a: rules.integer_power(z, n, a), x)


def reciprocal(x: Rounded, /) -> Any:
    """1 / x."""
    return apply(rules.divide, 1.0, x)


def logaddexp(x: Any, y: Any, /) -> Any:
    """log(exp(x) + exp(y)) as max(x, y) + log1p(exp(-|x - y|)), as all frameworks compute it."""
    apart = apply(rules.absolute, apply(rules.subtract, x, y))
    return apply(rules.maximum, x, y) + np.log1p(np.exp(-apart))


def clip(a: Any, a_min: Any = None, a_max: Any = None) -> Any:
    """The larger of a and a_min, and the smaller of that and a_max."""
    if a_min is not None:
        a = apply(rules.maximum, a, a_min)
    return a if a_max is None else apply(rules.minimum, a, a_max)


# Truth values


def comparison(rule: Callable[..., Bounded], swapped: bool = False) -> Callable[..., Any]:
    """The NumPy comparison that has this rule, its operands swapped or not."""

    def compare(x: Any, y: Any, /) -> Any:
        bounded, arithmetic, stacked = lifted((y, x) if swapped else (x, y))
        return Mask.of(blocks.by_rows(rule, bounded, arithmetic, bool), arithmetic, stacked)

    return compare


_equal = comparison(rules.equal)


def equal(x: Any, y: Any, /) -> Any:
    """x == y; true where y is the maximum of x, and x the largest on every machine."""
    mask = _equal(x, y)
    if (axes := _made_from(x, y, LARGEST)) is not None:
        return mask.like(rules.equals_own_largest(x.bounded, axes, mask.bounded, x.arithmetic))
    return mask


def not_equal(x: Any, y: Any, /) -> Any:
    """~(x == y)."""
    return logical_not(equal(x, y))


def logical_not(x: Mask, /) -> Any:
    """~x."""
    if not isinstance(x, Mask):
        raise TypeError(ONLY_MASKS)
    return x.like(rules.negation(x.bounded))


def logical_and(x: Any, y: Any, /) -> Any:
    """x & y."""
    some = x if isinstance(x, Mask) else y
    leading = [z.stacked if isinstance(z, Mask) else 0 for z in (x, y)]
    truths = blocks.aligned([_truth(x), _truth(y)], leading)
    return Mask.of(rules.conjunction(*truths), some.arithmetic, max(leading))


def logical_or(x: Any, y: Any, /) -> Any:
    """x | y, which is ~(~x & ~y)."""
    return logical_not(
        logical_and(*(logical_not(z) if isinstance(z, Mask) else ~np.asarray(z) for z in (x, y)))
    )


def _truth(x: Any) -> Bounded:
    """Truth values of a mask or a plain array."""
    if isinstance(x, Mask):
        return x.bounded
    if isinstance(x, Rounded) or np.asarray(x).dtype != np.bool_:
        raise TypeError(ONLY_MASKS)
    return Bounded(np.asarray(x))


def where(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition is true, else y. What is open may be either."""
    if not _is_mask(condition):
        raise TypeError("np.where takes a mask, as x > 0 gives it, or a plain array of truth values")
    return apply(rules.where, condition, x, y)
