"""Why correct frameworks differ at all: the data of the lesson's section on rounding.

Single roundings of the note's run (`sums.py`, `exponentials.py`), then whole runs in float32: the
derived bound beside the error that each port makes, and how far the ports drift apart when each trains
by itself.
In float32 the reference, which computes in float64, shows a port's true error.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ports.check.engine import judged
from ports.check.late_weights import late_weights
from ports.check.results import Run
from ports.contract import Port
from ports.engine.free_run import Drift, Flip, run_free
from ports.engine.lockstep import Contestant, natural_cell, prepare, run_step
from ports.engine.matrix import exact_settings_of
from ports.lesson.exponentials import Exponentials, exponentials
from ports.lesson.libraries import LIBRARIES, ports_by_hand
from ports.lesson.sums import Fused, Sum, fused, sums
from ports.registry import FRAMEWORKS
from reference.agreement.bounds import end_to_end
from reference.agreement.judge import END_TO_END, compare
from reference.models import SOFTMAX, TWO_LAYER, Problem
from reference.runs import draw

DTYPE = "float32"
#: The quantities whose errors are shown: a number at the end of a long sum, and a product.
QUANTITIES = ("loss", "dW")
#: At how many steps, about, which lie closer together at the beginning of the run.
STEPS = 40
#: The last step that the reference walks to.
WALKED = 1000
#: How long the ports train by themselves: the first ReLU flips come between step 150 and 200.
UPDATES = 300
#: How often `made_rounding` reports its progress.
PARTS = 5

Part = TypeVar("Part")


@dataclass(frozen=True)
class Errors:
    """One quantity over the run, each time at its element that is farthest off.

    Attributes:
        quantity: its name. steps: where it was computed.
        bound: the largest error that the end-to-end bound of any element allows, at each of the steps.
        errors: the largest error of each port.
        disagreements: the ports and steps at which an element exceeds its bound.
    """

    quantity: str
    steps: Collection[int]
    bound: list[float]
    errors: Mapping[str, list[float]]
    disagreements: list[tuple[str, int]]


@dataclass(frozen=True)
class Rounding:
    """All data of the section.

    Attributes:
        sums, exponentials: one a dtype. fused: one element, in float64.
        errors: one a quantity, in `dtype`. drifts: one a port, in `dtype`.
        absences: for each framework that is not here, the reason.
    """

    sums: Sequence[Sum]
    fused: Fused
    exponentials: Sequence[Exponentials]
    errors: Sequence[Errors]
    drifts: Sequence[Drift]
    absences: Mapping[str, str]
    dtype: str = DTYPE

    @property
    def first_flip(self) -> tuple[str, Flip] | None:
        """The port whose ReLU flips first, and where; None if none does."""
        flips = [(drift.cell.port, drift.first_flip) for drift in self.drifts if drift.first_flip]
        return min(flips, key=lambda flip: flip[1].step, default=None)

    @property
    def disagreements(self) -> list[str]:
        """What disagrees, in a sentence each."""
        outside = [
            f"{port}: {errors.quantity} at step {step} is outside its bound in {self.dtype}"
            for errors in self.errors
            for port, step in errors.disagreements
        ]
        drifted = [
            f"{drift.cell.port}: {drift.error or f'drifts farther than noise explains in {self.dtype}'}"
            for drift in self.drifts
            if not drift.agrees
        ]
        return outside + drifted


def made_rounding(progress: Callable[[], None] = lambda: None) -> Rounding:
    """Compute everything on this machine; `progress` is called after each of the `PARTS` parts."""
    draws, ports = draw(np.random.RandomState(0)), ports_by_hand()

    def done(part: Part) -> Part:
        progress()
        return part

    with exact_settings_of(ports):
        return Rounding(
            done(sums(draws.problem(TWO_LAYER))),
            done(fused(draws.problem(TWO_LAYER))),
            done(exponentials(draws.problem(SOFTMAX))),
            done(errors_over_the_run(draws.problem(TWO_LAYER), ports)),
            done(drifts(draws.problem(TWO_LAYER), ports)),
            {name: why for name in LIBRARIES if (why := FRAMEWORKS[name].absence())},
        )


def errors_over_the_run(problem: Problem, ports: Sequence[Port]) -> list[Errors]:
    """The bound and the errors of some quantities at steps spread over the reference's run."""
    run = spread_run(problem)
    contestants = [
        prepare(natural_cell(problem.model.name, port, DTYPE), port, problem, run.steps)
        for port in ports
    ]
    found = [Errors(name, run.steps, [], {p.name: [] for p in ports}, []) for name in QUANTITIES]
    for i, start in judged(run):
        add_step(found, contestants, start.held_as(DTYPE), i)
    return found


def spread_run(problem: Problem) -> Run:
    """Steps of the note's run, the later ones from recorded weights: the way there takes too long."""
    late = late_weights(problem.model)
    walked = {round(step) for step in np.geomspace(1, WALKED, STEPS - len(late))}
    return Run("the note's run", "", problem, problem.model.iterations, sorted(walked | {*late}), late)


def add_step(
    found: Sequence[Errors], contestants: Sequence[Contestant], start: Problem, step: int
) -> None:
    """Run one step of each port, and add its errors and their bound."""
    traces = {c.port.name: run_step(c, start) for c in contestants}
    bounds = {c.port.name: end_to_end(start, c.arithmetic, f"step {step}") for c in contestants}
    for errors in found:
        of_ports = {port: bound[errors.quantity] for port, bound in bounds.items()}
        errors.bound.append(max(float(np.max(bound.errors())) for bound in of_ports.values()))
        for port, bound in of_ports.items():
            got = traces[port][errors.quantity]
            errors.errors[port].append(float(np.max(np.abs(got - bound.value))))
            if not compare(errors.quantity, END_TO_END, got, bound).agrees:
                errors.disagreements.append((port, step))


def drifts(problem: Problem, ports: Sequence[Port]) -> list[Drift]:
    """Each port's own training beside the noise floor."""
    return run_free(
        problem, [(natural_cell(problem.model.name, port, DTYPE), port) for port in ports], UPDATES
    )
