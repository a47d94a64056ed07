"""The lockstep engine: every step, every port starts from the reference's parameters.

Errors cannot accumulate, so every step is certified. The reference leads; its parameters of a
step are rounded to a port's dtype, and the reference step is then analysed from those same
rounded numbers. Results stream into one `CellResult` a cell: memory does not grow with steps.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ports.port import Port, Step, Tensor
from reference.agreement.arithmetic import Arithmetic, Unbounded
from reference.agreement.certify import (
    CERTIFICATES,
    END_TO_END,
    LOCAL,
    Finding,
    Outcome,
    certify_all,
    compare,
    local,
)
from reference.agreement.rounded import Rounded, linspace
from reference.arrays import Plain
from reference.runs import Problem, trajectory
from reference.spiral import spiral
from reference.trace import QUANTITIES, ScoreOverflow

#: The third part of the document that every port has; its quantities are the data.
SPIRAL = "spiral"
MODELS = (SPIRAL, *QUANTITIES)
SPIRAL_QUANTITIES = ("X", "y")


def quantities_of(model: str) -> tuple[str, ...]:
    """The named quantities of a model, or of the spiral."""
    return SPIRAL_QUANTITIES if model == SPIRAL else tuple(QUANTITIES[model])


@dataclass(frozen=True)
class Cell:
    """One row of the matrix."""

    model: str
    port: str
    mode: str
    device: str
    dtype: str

    def __str__(self) -> str:
        return f"{self.model}-{self.port}-{self.mode}-{self.device}-{self.dtype}"


@dataclass
class Verdict:
    """What one quantity of one cell came to under one certificate, over all steps."""

    steps: int = 0
    elements: int = 0
    worst: Finding | None = None
    worst_step: int = -1
    failures: int = 0
    first: Finding | None = None
    first_step: int = -1

    def add(self, found: Finding | Outcome, step: int) -> None:
        """Count one comparison in; only a first failure or a new worst is looked up in full."""
        self.steps += 1
        self.elements += found.elements
        if self.worst is None or not found.share <= self.worst.share:  # NaN is worse than any number
            self.worst, self.worst_step = found.finding(), step
        if not found.share <= 1:
            self.failures += 1
            if self.first is None:
                self.first, self.first_step = found.finding(), step

    @property
    def agrees(self) -> bool:
        """Something was compared, and all of it agreed."""
        return self.elements > 0 and not self.failures


@dataclass
class CellResult:
    """All verdicts of one cell. `error` tells why the run could not go on, where it could not."""

    cell: Cell
    hidden: Mapping[str, str] = field(default_factory=dict)
    verdicts: dict[tuple[str, str], Verdict] = field(default_factory=dict)
    steps: int = 0
    error: str = ""

    def add(self, found: Iterable[Finding | Outcome], step: int) -> None:
        """Count one step's comparisons in."""
        self.steps += 1
        for comparison in found:
            key = comparison.quantity, comparison.certificate
            if key not in self.verdicts:
                self.verdicts[key] = Verdict()
            self.verdicts[key].add(comparison, step)

    @property
    def comparisons(self) -> int:
        """How many tensors were held against a bound."""
        return sum(v.steps for v in self.verdicts.values())

    @property
    def elements(self) -> int:
        """How many numbers that were."""
        return sum(v.elements for v in self.verdicts.values())

    @property
    def agrees(self) -> bool:
        """Everything compared agreed, and something was compared."""
        return bool(self.verdicts) and not self.error and all(v.agrees for v in self.verdicts.values())

    def quantity(self, name: str) -> list[Verdict]:
        """The verdicts on one quantity, local first."""
        return [self.verdicts[name, c] for c in CERTIFICATES if (name, c) in self.verdicts]

    def first_failures(self) -> list[tuple[int, Finding]]:
        """(step, finding) of each failed verdict: by step, then local before end to end, in the
        document's order. The first one is the operation to look at."""
        order = {name: i for i, name in enumerate(quantities_of(self.cell.model))}
        failed = [(v.first_step, v.first) for v in self.verdicts.values() if v.first is not None]
        return sorted(
            failed,
            key=lambda f: (f[0], f[1].certificate != LOCAL, order.get(f[1].quantity, -1)),
        )


@dataclass
class Contestant:
    """A port's step in one cell, ready to run; and the steps it is to be judged at."""

    port: Port
    result: CellResult
    step: Step
    X: Tensor
    y: Tensor
    steps: Collection[int]

    @property
    def arithmetic(self) -> Arithmetic:
        """What the port's framework promises in this cell."""
        return self.port.host.arithmetic(self.result.cell.device, self.result.cell.dtype)


def chosen_steps(iterations: int, count: int | None) -> Collection[int]:
    """All steps for None; else `count` of them spread over the run, first and last included."""
    if count is None or count >= iterations:
        return range(iterations)
    return {round(i * (iterations - 1) / max(count - 1, 1)) for i in range(count)}


def prepare(cell: Cell, port: Port, problem: Problem, steps: Collection[int]) -> Contestant:
    """Make a fresh step and put the data on the device, once a run."""
    return Contestant(
        port,
        CellResult(cell, port.hidden_quantities),
        port.make_step(cell.model, cell.mode),
        port.host.put(problem.X, cell.device, cell.dtype),
        port.host.put_labels(problem.y, cell.device),
        steps,
    )


def run_step(contestant: Contestant, params: Mapping[str, Plain], problem: Problem) -> dict[str, Any]:
    """One step of a port from the given parameters; its quantities as NumPy arrays."""
    host, cell = contestant.port.host, contestant.result.cell
    on_device = {name: host.put(value, cell.device, cell.dtype) for name, value in params.items()}
    trace = contestant.step(on_device, contestant.X, contestant.y, problem.reg, problem.step_size)
    return {name: host.get(tensor) for name, tensor in trace.items()}


def run_lockstep(
    problem: Problem,
    contestants: Sequence[Contestant],
    iterations: int,
    progress: Callable[[], None] = lambda: None,
) -> list[CellResult]:
    """Run contestants of one model in lockstep with the reference, certifying each chosen step.

    Contestants with the same arithmetic start each step from the same numbers, so they share the
    end-to-end bound and are certified in one pass. A contestant that raises, or whose
    dtype or the reference leaves the number range, keeps what it has and tells in `error`.
    `progress` is called after each port step.
    """
    last = max((max(c.steps) for c in contestants), default=-1)
    try:
        for i, params, _ in trajectory(problem, min(iterations, last + 1)):
            at_this_step: dict[Arithmetic, list[Contestant]] = {}
            for contestant in contestants:
                if i in contestant.steps and not contestant.result.error:
                    at_this_step.setdefault(contestant.arithmetic, []).append(contestant)
            for together in at_this_step.values():
                judge(together, problem, params, i)
                for _ in together:
                    progress()
    except ScoreOverflow as why:
        for contestant in contestants:
            contestant.result.error = contestant.result.error or str(why)
    return [c.result for c in contestants]


def judge(together: Sequence[Contestant], problem: Problem, params: Mapping[str, Plain], i: int) -> None:
    """Run ports of one arithmetic at one step from the same numbers, and certify them in one pass."""
    arithmetic, dtype, at = together[0].arithmetic, together[0].result.cell.dtype, f"step {i}"
    start = {name: held_as(dtype, value) for name, value in params.items()}
    X = held_as(dtype, problem.X)
    inputs = (problem.model, start, X, problem.y, problem.reg, problem.step_size)
    traces = [_trace_or_error(contestant, start, problem, at) for contestant in together]
    ran = [(c, trace) for c, trace in zip(together, traces, strict=True) if trace is not None]
    hidden = [contestant.result.hidden for contestant, _ in ran]
    try:
        outcomes = certify_all(*inputs, [trace for _, trace in ran], arithmetic, None, hidden, at)
    except Unbounded as why:
        for contestant, _ in ran:
            contestant.result.error = str(why)
        return
    for (contestant, _), (problems, found) in zip(ran, outcomes, strict=True):
        contestant.result.add([*problems, *found], i)


def _trace_or_error(
    contestant: Contestant, start: Mapping[str, Plain], problem: Problem, at: str
) -> dict[str, Plain] | None:
    """A port's trace; where the port raises, None and the reason in its result: the others go on."""
    try:
        return run_step(contestant, start, problem)
    except Exception as error:
        contestant.result.error = f"{at}: the port raised {type(error).__name__}: {error}"
        return None


def reference_at(problem: Problem, i: int) -> Mapping[str, Plain]:
    """The reference's parameters at the start of step i of its own run."""
    return next(params for step, params, _ in trajectory(problem, i + 1) if step == i)


def run_step_at(
    port: Port, cell: Cell, problem: Problem, params: Mapping[str, Plain], i: int
) -> tuple[dict[str, Plain], dict[str, Rounded]]:
    """One port step from the reference's parameters: its trace, and what is expected of it locally."""
    start = {name: held_as(cell.dtype, value) for name, value in params.items()}
    trace = run_step(prepare(cell, port, problem, (i,)), start, problem)
    arithmetic = port.host.arithmetic(cell.device, cell.dtype)
    X = held_as(cell.dtype, problem.X)
    expected = local(
        problem.model,
        start,
        X,
        problem.y,
        problem.reg,
        problem.step_size,
        trace,
        arithmetic,
        f"step {i}",
    )
    return trace, expected


def held_as(dtype: str, array: Plain) -> Plain:
    """The float64 array of the numbers that a port of that dtype holds."""
    return array if dtype == "float64" else array.astype(dtype).astype(np.float64)


def certify_spiral(cell: Cell, port: Port, noise: Plain) -> CellResult:
    """Certify a port's own spiral, from the same draws. One operation from noise to points."""
    host = port.host
    arithmetic = host.arithmetic(cell.device, cell.dtype)
    make = host.compile(port.module.spiral) if cell.mode == "compiled" else port.module.spiral
    X, y = (host.get(tensor) for tensor in make(host.put(noise, cell.device, cell.dtype)))
    exact_noise = Rounded.exact(held_as(cell.dtype, noise), arithmetic)
    expected_X, expected_y = spiral(exact_noise, linspace(arithmetic))
    result = CellResult(cell)
    with np.errstate(all="ignore"):
        result.add(
            [
                compare("X", END_TO_END, X, expected_X),
                compare("y", END_TO_END, y, Rounded(expected_y.astype(float), 0.0, arithmetic)),
            ],
            0,
        )
    return result
