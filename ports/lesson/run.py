"""The run whose numbers the lesson shows: a few steps of the note's run, certified on this machine.

At each of these steps every port starts from the reference's parameters, as in lockstep. Its tensors are
kept with their local bounds and their findings. What a finding does not certify is never shown.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ports.contract import Port
from ports.engine.boundaries import DecisionMap, decision_map
from ports.engine.lockstep import (
    Contestant,
    expected_spiral,
    judged_spiral,
    natural_cell,
    port_spiral,
    prepare,
    run_step,
)
from ports.engine.matrix import exact_settings_of
from ports.engine.results import SPIRAL
from ports.engine.side_by_side import shares_of
from ports.returned import what_went_wrong
from reference.agreement.bounds import end_to_end, local
from reference.agreement.judge import Finding, certify
from reference.agreement.rounded import Rounded
from reference.arrays import Plain
from reference.models import Model, Problem
from reference.runs import draw, trajectory

DTYPE = "float64"
POINTS = 100  #: points per class
SEED = 0
#: The steps that are shown, as far as a run has them; its last one is shown too.
STEPS = (0, 1, 10, 100, 300, 1000, 3000)
#: Grid lines along each side of a decision map.
GRID = 140


@dataclass(frozen=True)
class PortStep:
    """What a port computed in one step, and whether it agrees.

    Attributes:
        trace: its tensors by name.
        bounds: the local bound of each quantity that could be compared.
        findings: both certificates of every quantity, the local ones first.
        error: why there is nothing, if the port raised.
    """

    trace: Mapping[str, Plain]
    bounds: Mapping[str, Rounded]
    findings: Sequence[Finding]
    error: str = ""

    def failure(self, quantity: str) -> Finding | None:
        """A finding that is against the quantity."""
        return next((f for f in self.findings if f.quantity == quantity and not f.agrees), None)

    def share(self, quantity: str, certificate: str) -> float:
        """The largest share of its bound that an element uses."""
        judged = {f.certificate: f.share for f in self.findings if f.quantity == quantity}
        return judged.get(certificate, max(judged.values()))

    def shares(self, quantity: str) -> Plain:
        """How much of its local bound each element uses."""
        return shares_of(self.trace[quantity], self.bounds[quantity])


@dataclass(frozen=True)
class Quantities:
    """The reference's quantities, and each port's."""

    reference: Mapping[str, Plain]
    ports: Mapping[str, PortStep]


@dataclass(frozen=True)
class Snapshot(Quantities):
    """A step of the run, and where in the plane the model sees which class before it."""

    step: int
    map: DecisionMap


@dataclass(frozen=True)
class ModelRun:
    """The run of one model: its snapshots, and the reference's loss at every step."""

    model: Model
    snapshots: Sequence[Snapshot]
    losses: Plain


@dataclass(frozen=True)
class LessonRun:
    """Everything that ran: the data, each port's own spiral, and the models.

    Attributes:
        spiral: the points X (N, 2) and labels y (N,) that every model is trained on, and those that each
            port makes from the same draws.
        models: by name.
        hidden: for each port, what its library hides, with the reason.
    """

    spiral: Quantities
    models: Mapping[str, ModelRun]
    hidden: Mapping[str, Mapping[str, str]]

    @property
    def disagreements(self) -> list[str]:
        """What disagrees, in a sentence each."""
        return list(self._disagreements())

    def _disagreements(self) -> Iterator[str]:
        for at, made in self._port_steps():
            if made.error:
                yield f"{at}: {made.error}"
            for f in made.findings:
                if not f.agrees:
                    yield f"{at}: {f.quantity} {f.problem or f'uses {f.share:.3g} times its bound'}"

    def _port_steps(self) -> Iterator[tuple[str, PortStep]]:
        """Everything that a port made, with its name and place."""
        for port, made in self.spiral.ports.items():
            yield f"{port}: {SPIRAL}", made
        for name, run in self.models.items():
            for snapshot in run.snapshots:
                for port, made in snapshot.ports.items():
                    yield f"{port}: {name}, step {snapshot.step}", made

    @property
    def elements(self) -> int:
        """How many numbers were compared."""
        return sum(finding.elements for _, made in self._port_steps() for finding in made.findings)


def steps_of(model: Model) -> list[int]:
    """The steps of the note's run that are shown."""
    return sorted({step for step in STEPS if step < model.iterations} | {model.iterations - 1})


def lesson_run(
    ports: Sequence[Port], models: Sequence[Model], progress: Callable[[], None] = lambda: None
) -> LessonRun:
    """Run these ports at the shown steps of each model. `progress` is called after each step shown."""
    draws = draw(np.random.RandomState(SEED), POINTS)
    with exact_settings_of(ports):
        spiral = Quantities(
            {"X": draws.X, "y": draws.y}, {p.name: _spiral(p, draws.noise) for p in ports}
        )
        runs = {model.name: _model_run(ports, draws.problem(model), progress) for model in models}
    hidden = {port.name: port.hidden_quantities for port in ports}
    return LessonRun(spiral, runs, hidden)


def _spiral(port: Port, noise: Plain) -> PortStep:
    """Run and judge a port's generator."""
    cell = natural_cell(SPIRAL, port, DTYPE)
    try:
        got = port_spiral(cell, port, noise)
    except (Exception, SystemExit) as error:
        return PortStep({}, {}, [], what_went_wrong(error))
    expected = expected_spiral(noise, port.host.arithmetic(cell.device, cell.dtype))
    return PortStep(got, expected, judged_spiral(got, expected, cell.dtype))


def _model_run(ports: Sequence[Port], problem: Problem, progress: Callable[[], None]) -> ModelRun:
    steps, losses = steps_of(problem.model), []
    contestants = [
        prepare(natural_cell(problem.model.name, port, DTYPE), port, problem, steps) for port in ports
    ]
    snapshots = []
    for i, start, trace in trajectory(problem, problem.model.iterations):
        losses.append(trace["loss"])
        if i in steps:
            made = {c.port.name: _port_step(c, start, i) for c in contestants}
            snapshots.append(Snapshot(trace, made, i, decision_map(start, GRID)))
            progress()
    return ModelRun(problem.model, snapshots, np.array(losses))


def _port_step(contestant: Contestant, start: Problem, i: int) -> PortStep:
    """Run and judge one step of a port."""
    arithmetic, hidden = contestant.arithmetic, contestant.port.hidden_quantities
    try:
        trace = run_step(contestant, start)
    except (Exception, SystemExit) as error:
        return PortStep({}, {}, [], what_went_wrong(error))
    findings = certify(start, trace, arithmetic, end_to_end(start, arithmetic), hidden, f"step {i}")
    broken = {finding.quantity for finding in findings if finding.problem}
    usable = {name: tensor for name, tensor in trace.items() if name not in broken}
    bounds = local(start, usable, arithmetic, f"step {i}")
    return PortStep(trace, {name: bounds[name] for name in bounds if name in usable}, findings)
