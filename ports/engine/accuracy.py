"""How accurate each quantity is certified to be, beside what hand-set tolerances would allow."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from reference.agreement.arithmetic import ARITHMETICS
from reference.agreement.certify import end_to_end, local
from reference.agreement.rounded import Rounded
from reference.arrays import Plain
from reference.runs import Problem, draw, trajectory
from reference.trace import QUANTITIES, record

DTYPES = ("float64", "float32")
#: np.testing.assert_allclose's default, whatever the dtype.
NUMPY_RTOL = 1e-7
#: torch.testing.assert_close's defaults: (rtol, atol).
TORCH_TOLERANCE = {"float64": (1e-7, 1e-7), "float32": (1.3e-6, 1e-5)}


class Accuracy(NamedTuple):
    """One quantity at one step: bounds and tolerances, each at its largest, beside its largest value."""

    step: int
    dtype: str
    quantity: str
    largest: float
    local: float
    end_to_end: float
    assert_allclose: float
    assert_close: float


def accuracy_table(
    steps: Collection[int], points: int = 100, model: str = "two_layer"
) -> list[Accuracy]:
    """The accuracy of every quantity at these steps of the document's run, in each dtype.

    `points` is per class. Norm-wise: the largest bound divided by the largest value.
    """
    problem = draw(np.random.RandomState(0), points).problem(model)
    return [
        row
        for i, params, _ in trajectory(problem, max(steps) + 1)
        if i in steps
        for dtype in DTYPES
        for row in accuracy_of_step(problem, params, i, dtype)
    ]


def accuracy_of_step(
    problem: Problem, params: dict[str, Plain], i: int, dtype: str
) -> Iterator[Accuracy]:
    """One row a quantity. The local bound is taken at the values of NumPy in that dtype."""
    held = {name: value.astype(dtype) for name, value in params.items()}
    X, settings = problem.X.astype(dtype), (problem.reg, problem.step_size)
    trace = record(problem.model, held, X, problem.y, *settings)
    exact = {name: value.astype(np.float64) for name, value in held.items()}
    start = (problem.model, exact, X.astype(np.float64), problem.y, *settings)
    locally = local(*start, trace, ARITHMETICS[dtype])
    from_weights = end_to_end(*start, ARITHMETICS[dtype])
    rtol, atol = TORCH_TOLERANCE[dtype]
    for name in QUANTITIES[problem.model]:
        largest = float(np.max(np.abs(trace[name])))
        bounds = relative(locally[name], largest), relative(from_weights[name], largest)
        yield Accuracy(i, dtype, name, largest, *bounds, NUMPY_RTOL, rtol + atol / largest)


def relative(bound: Rounded, largest: float) -> float:
    """A bound's largest error beside the quantity's largest value."""
    return float(np.max(bound.error)) / largest


def print_accuracy(rows: Collection[Accuracy]) -> None:
    """Print the rows as a table a step and dtype."""
    for step, dtype in dict.fromkeys((row.step, row.dtype) for row in rows):
        print(f"\nstep {step}, {dtype}")
        print(f"{'quantity':18}{'largest':>11}", end="")
        print(
            "".join(f"{head:>17}" for head in ("local", "end to end", "assert_allclose", "assert_close"))
        )
        for row in rows:
            if (row.step, row.dtype) == (step, dtype):
                figures = "".join(f"{figure:17.1e}" for figure in row[4:])
                print(f"{row.quantity:18}{row.largest:11.2e}{figures}")
