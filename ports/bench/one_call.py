"""One call of `assert_agrees`, against the same function and `np.testing.assert_allclose`."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ports.bench.measuring import Contestants, Effort, Row, interleaved, ratio_row
from reference import assert_agrees
from reference.arrays import Plain


def one_call(effort: Effort) -> Iterator[Row]:
    """Some sizes of a softmax and of a matrix product, in float32."""
    for rows, columns in ((3, 100), (300, 100), (2000, 1000)):
        yield row_of(effort, "softmax", softmax, _random(rows, columns))
    for size in (100, 1000):
        yield row_of(effort, "matmul", np.dot, _random(size, size), _random(size, size))


def softmax(x: Plain) -> Any:
    """Along each row, shifted by its largest number."""
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


def _random(*shape: int) -> Plain:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def row_of(effort: Effort, name: str, fn: Callable[..., Plain], *arrays: Plain) -> Row:
    """The row of one function of these arrays."""
    seconds = interleaved(contestants(fn, arrays), effort.rounds, effort.sample)
    what = f"{name} of {' and '.join(str(a.shape) for a in arrays)}: assert_agrees / assert_allclose"
    return ratio_row("call", what, None, seconds, "assert_agrees", "assert_allclose")


def contestants(fn: Callable[..., Plain], arrays: tuple[Plain, ...]) -> Contestants:
    """Both compare the same tensor with what the function computes anew."""
    actual = fn(*arrays)
    return {
        "assert_agrees": lambda: assert_agrees(actual, fn, *arrays),
        "assert_allclose": lambda: np.testing.assert_allclose(actual, fn(*arrays), rtol=1e-5),
    }
