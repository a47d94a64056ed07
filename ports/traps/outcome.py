"""What became of each trap: caught or not, by us and by the naive checks, and its diagnosis."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ports.contract import Port
from ports.diagnosis import UNEXPLAINED, Diagnosis, diagnose_spiral, explain
from ports.engine.results import SPIRAL, CellResult
from ports.traps.gallery import STEPS, Trap, noise, run, wrong_port
from ports.traps.naive import rejections
from reference.agreement.judge import LOCAL, Finding

CAUGHT, MISSED, WOLF, ABSENT = "yes", "no", "cries wolf", "n/a"
WRONG, FOLLOWS = "wrong", "follows"


@dataclass(frozen=True)
class Outcome:
    """One trap, run.

    Attributes:
        caught: whether the lockstep run disagreed.
        twin_agrees: whether the correct port passed on the same steps.
        step, blamed: the step and the quantity found wrong first.
        states: each quantity that is off at that step: "wrong" by itself, or it only "follows".
        diagnosis: why, from the numbers.
        naive: for each naive check: yes, no, n/a, or cries wolf (it rejects the correct port too).
    """

    trap: Trap
    caught: bool
    twin_agrees: bool
    step: int
    blamed: str
    diagnosis: Diagnosis
    naive: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)

    @property
    def blamed_rightly(self) -> bool:
        """Whether the declared quantity was found first, at the declared step."""
        return (self.step, self.blamed) == (self.trap.step, self.trap.blames)

    @property
    def as_declared(self) -> bool:
        """Whether it is caught as declared, no wrong cause is named as certain, and its twin agrees."""
        return self.caught and self.blamed_rightly and self.twin_agrees and not self.misled

    @property
    def named_rightly(self) -> bool:
        """Whether the diagnosis names the declared cause; 'unexplained' names none."""
        return self.diagnosis.cause == self.trap.cause != UNEXPLAINED

    @property
    def misled(self) -> bool:
        """Whether a wrong cause is named with certainty."""
        return self.diagnosis.certain and self.diagnosis.cause != self.trap.cause


class Judge:
    """Runs traps, and remembers the results of each correct twin."""

    def __init__(self, steps: int = STEPS) -> None:
        self.steps = steps
        self._twins: dict[tuple[str, ...], tuple[bool, dict[str, bool | None]]] = {}

    def outcome(self, trap: Trap) -> Outcome:
        """Run one trap, its twin and the naive checks."""
        wrong = wrong_port(trap)
        result = run(wrong, trap, self.steps)
        failures = result.first_failures()
        step, blamed = (failures[0][0], failures[0][1].quantity) if failures else (-1, "")
        twin_agrees, twin_rejected = self._twin(trap)
        rejected = rejections(wrong, trap, self.steps)
        return Outcome(
            trap,
            not result.agrees,
            twin_agrees,
            step,
            blamed,
            diagnosis_of(wrong, trap, result),
            {check: _naive_verdict(rejected[check], twin_rejected[check]) for check in rejected},
            states_of(failures, trap),
        )

    def _twin(self, trap: Trap) -> tuple[bool, dict[str, bool | None]]:
        key = (trap.port, trap.model, trap.fixture, trap.dtype, trap.mode)
        if key not in self._twins:
            agrees = run(trap.twin, trap, self.steps).agrees
            self._twins[key] = agrees, rejections(trap.twin, trap, self.steps)
        return self._twins[key]


def states_of(failures: Sequence[tuple[int, Finding]], trap: Trap) -> dict[str, str]:
    """What is off at the first step of a run's failures.

    A quantity is WRONG if it fails its local certificate, or in the spiral, whose quantities have one
    certificate each. If it fails end to end alone, it FOLLOWS.
    """
    off = [finding for step, finding in failures if step == failures[0][0]]
    states = {finding.quantity: FOLLOWS for finding in off}
    own = (finding for finding in off if finding.certificate == LOCAL or trap.model == SPIRAL)
    return states | {finding.quantity: WRONG for finding in own}


def _naive_verdict(wrong: bool | None, twin: bool | None) -> str:
    if wrong is None:
        return ABSENT
    return WOLF if twin else CAUGHT if wrong else MISSED


def diagnosis_of(port: Port, trap: Trap, result: CellResult) -> Diagnosis:
    """Why the first wrong quantity of a trap's run is wrong."""
    failures = result.first_failures()
    if not failures:
        return Diagnosis(UNEXPLAINED, result.error or "nothing was found wrong")
    step, finding = failures[0]
    with port.host.exact_settings():
        if trap.model == SPIRAL:
            X, _ = port.module.spiral(port.host.put(noise(), "cpu", trap.dtype))
            return diagnose_spiral(noise(), port.host.get(X), port.host.arithmetic("cpu", trap.dtype))
        return explain(trap.problem, port, trap.cell, step, finding.quantity)


def totals(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How many of the traps had each outcome, and how many each naive check caught or cried wolf at."""
    counts = {
        "traps": len(outcomes),
        "caught": sum(o.caught for o in outcomes),
        "first wrong quantity and step right": sum(o.blamed_rightly for o in outcomes),
        "cause named rightly": sum(o.named_rightly for o in outcomes),
        "wrong cause named with certainty": sum(o.misled for o in outcomes),
        "correct twin agrees": sum(o.twin_agrees for o in outcomes),
    }
    for check in outcomes[0].naive if outcomes else ():
        counts[f"caught by {check}"] = sum(o.naive[check] == CAUGHT for o in outcomes)
        counts[f"{check} cries wolf"] = sum(o.naive[check] == WOLF for o in outcomes)
    return counts
