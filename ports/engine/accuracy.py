"""How accurate each quantity is certified to be, beside what hand-set tolerances would allow."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from reference.agreement.arithmetic import ARITHMETICS
from reference.agreement.bounds import end_to_end, local
from reference.agreement.rounded import Rounded
from reference.models import TWO_LAYER, Model, Problem
from reference.runs import draw, trajectory
from reference.trace import record

#: np.testing.assert_allclose's default rtol, the same for every dtype.
NUMPY_RTOL = 1e-7
#: torch.testing.assert_close's defaults: (rtol, atol).
TORCH_TOLERANCE = {"float64": (1e-7, 1e-7), "float32": (1.3e-6, 1e-5)}


class Accuracy(NamedTuple):
    """One quantity at one step: its largest value, and bounds and tolerances relative to that."""

    step: int
    dtype: str
    quantity: str
    largest: float
    local: float
    end_to_end: float
    assert_allclose: float
    assert_close: float


def accuracy_table(
    steps: Collection[int], points: int = 100, model: Model = TWO_LAYER
) -> list[Accuracy]:
    """The accuracy of every quantity at these steps of the note's run, in each dtype.

    `points` is per class. Norm-wise: the largest bound divided by the largest value.
    """
    problem = draw(np.random.RandomState(0), points).problem(model)
    return [
        row
        for i, start, _ in trajectory(problem, max(steps) + 1)
        if i in steps
        for dtype in TORCH_TOLERANCE
        for row in accuracy_of_step(start, i, dtype)
    ]


def accuracy_of_step(start: Problem, i: int, dtype: str) -> Iterator[Accuracy]:
    """Yield one row per quantity. The local bound is taken at NumPy's values in that dtype."""
    params = {name: value.astype(dtype) for name, value in start.params.items()}
    trace = record(start.changed(X=start.X.astype(dtype), params=params))
    locally = local(start.held_as(dtype), trace, ARITHMETICS[dtype])
    from_weights = end_to_end(start.held_as(dtype), ARITHMETICS[dtype])
    rtol, atol = TORCH_TOLERANCE[dtype]
    for name in start.model.quantities:
        largest = float(np.max(np.abs(trace[name])))
        bounds = relative(locally[name], largest), relative(from_weights[name], largest)
        yield Accuracy(i, dtype, name, largest, *bounds, NUMPY_RTOL, rtol + atol / largest)


def relative(bound: Rounded, largest: float) -> float:
    """A bound's largest error divided by the quantity's largest value."""
    return float(np.max(bound.errors())) / largest
