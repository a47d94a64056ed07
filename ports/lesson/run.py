"""The run whose numbers the lesson shows: a few steps of the note's run, certified on this machine.

At each of these steps every port starts from the reference's parameters, as in lockstep. Its tensors are
kept with their local bounds and their findings. What a finding does not certify is never shown.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ports.contract import Port
from ports.engine.boundaries import DecisionMap, decision_map
from ports.engine.lockstep import Contestant, certify_spiral, prepare, run_step
from ports.engine.matrix import exact_settings_of
from ports.engine.results import SPIRAL, Cell, CellResult
from ports.returned import what_went_wrong
from reference.agreement.bounds import end_to_end, local
from reference.agreement.judge import LOCAL, Finding, certify
from reference.agreement.rounded import Rounded
from reference.arrays import Plain
from reference.models import Model, Problem
from reference.runs import draw, trajectory
from reference.trace import Trace

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
        findings: both certificates of every quantity.
        error: why there is nothing, if the port raised.
    """

    trace: Mapping[str, Plain]
    bounds: Mapping[str, Rounded]
    findings: Sequence[Finding]
    error: str = ""

    @property
    def agrees(self) -> bool:
        """Whether every comparison was made and agrees."""
        return not self.error and bool(self.findings) and all(f.agrees for f in self.findings)

    def failure(self, quantity: str) -> Finding | None:
        """A finding that is against the quantity."""
        return next((f for f in self.findings if f.quantity == quantity and not f.agrees), None)

    def share(self, quantity: str) -> float:
        """The largest share of the local bound that an element uses."""
        return next(f.share for f in self.findings if (f.quantity, f.certificate) == (quantity, LOCAL))

    def shares(self, quantity: str) -> Plain:
        """How much of its local bound each element uses."""
        bound = self.bounds[quantity]
        tiny = np.finfo(float).smallest_subnormal  # an exact bound must not divide 0 by 0
        return np.asarray(np.abs(self.trace[quantity] - bound.value) / (bound.errors() + tiny))


@dataclass(frozen=True)
class Snapshot:
    """A step of the run: what it starts from, the reference's quantities, and each port's."""

    step: int
    start: Problem
    reference: Trace
    ports: Mapping[str, PortStep]
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
        X: (N, 2) points. y: (N,) labels.
        spirals: the certified spiral of each port.
        models: by name.
        hidden: for each port, what its library hides, with the reason.
    """

    X: Plain
    y: Plain
    spirals: Mapping[str, CellResult]
    models: Mapping[str, ModelRun]
    hidden: Mapping[str, Mapping[str, str]]

    @property
    def disagreements(self) -> list[str]:
        """What disagrees, in a sentence each."""
        return list(self._disagreements())

    def _disagreements(self) -> Iterator[str]:
        for port, spiral in self.spirals.items():
            if not spiral.agrees:
                yield f"{port}: {SPIRAL}: {spiral.error or 'X or y disagrees'}"
        for name, run in self.models.items():
            for snapshot in run.snapshots:
                for port, made in snapshot.ports.items():
                    at = f"{port}: {name}, step {snapshot.step}"
                    if made.error:
                        yield f"{at}: {made.error}"
                    for f in made.findings:
                        if not f.agrees:
                            yield f"{at}: {f.quantity} {f.problem or f'uses {f.share:.3g} of its bound'}"

    @property
    def elements(self) -> int:
        """How many numbers were compared."""
        steps = [p for run in self.models.values() for s in run.snapshots for p in s.ports.values()]
        return sum(finding.elements for made in steps for finding in made.findings)


def steps_of(model: Model) -> list[int]:
    """The steps of the note's run that are shown."""
    return sorted({step for step in STEPS if step < model.iterations} | {model.iterations - 1})


def lesson_run(
    ports: Sequence[Port], models: Sequence[Model], progress: Callable[[], None] = lambda: None
) -> LessonRun:
    """Run these ports at the shown steps of each model. `progress` is called after each step shown."""
    draws = draw(np.random.RandomState(SEED), POINTS)
    with exact_settings_of(ports):
        spirals = {p.name: certify_spiral(_cell(SPIRAL, p), p, draws.noise) for p in ports}
        runs = {model.name: _model_run(ports, draws.problem(model), progress) for model in models}
    hidden = {port.name: port.hidden_quantities for port in ports}
    return LessonRun(draws.X, draws.y, spirals, runs, hidden)


def _cell(model: str, port: Port) -> Cell:
    return Cell(model, port.name, port.host.natural_mode, "cpu", DTYPE)


def _model_run(ports: Sequence[Port], problem: Problem, progress: Callable[[], None]) -> ModelRun:
    steps, losses = steps_of(problem.model), []
    contestants = [prepare(_cell(problem.model.name, port), port, problem, steps) for port in ports]
    snapshots = []
    for i, start, trace in trajectory(problem, problem.model.iterations):
        losses.append(trace["loss"])
        if i in steps:
            made = {c.port.name: _port_step(c, start, i) for c in contestants}
            snapshots.append(Snapshot(i, start, trace, made, decision_map(start, GRID)))
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
    usable = {
        name: trace[name] for name in trace if not any(f.problem for f in findings if f.quantity == name)
    }
    return PortStep(trace, local(start, usable, arithmetic, f"step {i}"), findings)
