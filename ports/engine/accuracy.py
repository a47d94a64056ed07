"""How accurate each quantity is certified to be, beside what ports do and hand-set tolerances allow."""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from ports.contract import Port
from ports.engine.lockstep import iterations_within, run_step_at
from ports.engine.results import Cell
from reference.agreement.arithmetic import ARITHMETICS, Unbounded
from reference.agreement.bounds import end_to_end, local
from reference.agreement.probabilistic import probabilistic
from reference.agreement.rounded import Rounded
from reference.arrays import Plain
from reference.models import Model, Problem
from reference.runs import trajectory

#: np.testing.assert_allclose's default rtol, the same for every dtype.
NUMPY_RTOL = 1e-7
#: torch.testing.assert_close's defaults: (rtol, atol).
TORCH_TOLERANCE = {
    "float64": (1e-7, 1e-7),
    "float32": (1.3e-6, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float16": (1e-3, 1e-5),
}


class Certified(NamedTuple):
    """One certificate of a quantity in a port: the largest errors of its elements.

    `bound` is what is allowed, `probable` what rounding keeps to with a stated probability, `observed`
    what the port does.
    """

    port: str
    bound: float
    probable: float
    observed: float

    @property
    def ratio(self) -> float:
        """Bound over observed error: how tight the bound is. Infinite if no error was observed."""
        return self.bound / self.observed if self.observed else np.inf

    def relative_to(self, scale: float) -> "Certified":
        """The same in units of a quantity's largest value."""
        port, *errors = self
        return Certified(port, *(error / scale for error in errors))


#: Of one quantity: local, and end to end.
Certificates: TypeAlias = tuple[Certified, Certified]


class Accuracy(NamedTuple):
    """One quantity: its largest value, and bounds, errors and tolerances relative to that.

    They are absolute if it is 0. Each certificate is that of the port which comes nearest to its bound.
    `assert_close` is None for a dtype that PyTorch has no default for.
    """

    quantity: str
    largest: float
    local: Certified
    end_to_end: Certified
    assert_allclose: float
    assert_close: float | None


class StepAccuracy(NamedTuple):
    """The accuracy of every quantity that these ports show at one step; `error` says why not."""

    step: int
    dtype: str
    ports: Sequence[str]
    rows: Sequence[Accuracy]
    error: str = ""


def steps_mid_training(model: Model, dtype: str) -> tuple[int, int]:
    """A tenth of the run and half of it, as far as the dtype can follow it."""
    followed = iterations_within(dtype, model.iterations)
    return followed // 10, followed // 2


def narrowest_of(cells: Sequence[tuple[Cell, Port]], dtype: str) -> str:
    """The dtype of the narrowest numbers in the cells of a dtype: one that only stores, if any does."""
    each = [port.narrowest(dtype) for cell, port in cells if cell.dtype == dtype]
    return max(each, key=lambda narrowest: ARITHMETICS[narrowest].stores)


def accuracy_table(
    problem: Problem, cells: Sequence[tuple[Cell, Port]], steps: Collection[int] = ()
) -> Iterator[StepAccuracy]:
    """Yield the accuracy at these steps of the reference's run, or `steps_mid_training`, by dtype.

    At each, every port makes one step from the reference's parameters. Raises ValueError in one sentence
    where a port raises.
    """
    dtypes = dict.fromkeys(cell.dtype for cell, _ in cells)
    of_dtype = {
        dtype: sorted(set(steps)) or steps_mid_training(problem.model, narrowest_of(cells, dtype))
        for dtype in dtypes
    }
    asked = {i for chosen in of_dtype.values() for i in chosen}
    starts = {i: start for i, start, _ in trajectory(problem, max(asked) + 1) if i in asked}
    for dtype, chosen in of_dtype.items():
        in_dtype = [(cell, port) for cell, port in cells if cell.dtype == dtype]
        for i in chosen:
            yield accuracy_of_step(starts[i], i, in_dtype)


def accuracy_of_step(start: Problem, i: int, cells: Sequence[tuple[Cell, Port]]) -> StepAccuracy:
    """The accuracy at one step, in cells of one dtype."""
    dtype, ports = cells[0][0].dtype, [cell.port for cell, _ in cells]
    try:
        of_ports = [certified_in(cell, port, start, i) for cell, port in cells]
        values = end_to_end(start.held_as(dtype), ARITHMETICS[dtype], f"step {i}")
    except Unbounded as why:
        return StepAccuracy(i, dtype, ports, (), str(why))
    found = {name: [one[name] for one in of_ports if name in one] for name in start.model.quantities}
    rows = [_row(name, dtype, values[name].value, both) for name, both in found.items() if both]
    return StepAccuracy(i, dtype, ports, rows)


def certified_in(cell: Cell, port: Port, start: Problem, i: int) -> dict[str, Certificates]:
    """What each quantity that a port shows is certified to. Raises Unbounded and ValueError."""
    trace, locally, problems = run_step_at(port, cell, start, i)
    shown = {name: tensor for name, tensor in trace.items() if name not in problems}
    held, at = start.held_as(cell.dtype), f"step {i}"
    promised = port.arithmetic(cell.mode, cell.device, cell.dtype)
    likely = probabilistic(promised)
    own = locally, local(held, shown, likely, at)
    ends = end_to_end(held, promised, at), end_to_end(held, likely, at)
    return {
        name: (
            _certified(cell.port, tensor, *(bounds[name] for bounds in own)),
            _certified(cell.port, tensor, *(bounds[name] for bounds in ends)),
        )
        for name, tensor in shown.items()
    }


def _certified(port: str, got: Plain, worst: Rounded, probable: Rounded) -> Certified:
    differences = np.abs(np.asarray(got, dtype=np.float64) - worst.value)
    errors = worst.errors(), probable.errors(), differences
    return Certified(port, *(float(np.max(error)) for error in errors))


def _row(quantity: str, dtype: str, value: Plain, of_ports: Sequence[Certificates]) -> Accuracy:
    """The figures of the ports that come nearest to their bounds."""
    largest = float(np.max(np.abs(value)))
    scale = largest or 1.0
    own, ends = (min(found, key=_tightness).relative_to(scale) for found in zip(*of_ports, strict=True))
    tolerance = TORCH_TOLERANCE.get(dtype)
    assert_close = tolerance and tolerance[0] + tolerance[1] / scale
    return Accuracy(quantity, largest, own, ends, NUMPY_RTOL, assert_close)


def _tightness(certified: Certified) -> float:
    """What the ports are ordered by: an observed NaN comes first."""
    return -np.inf if np.isnan(certified.observed) else certified.ratio
