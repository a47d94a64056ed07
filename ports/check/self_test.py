"""What a run of a reference would miss: errors planted in the reference's own lines.

Each line is edited in the ways of `ports.diagnosis.any_network`, and run on the reference's own numbers
at a few steps. An edit is caught if the local certificate refuses what it gives at one of them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ports.check.results import Options, runs_of_own
from ports.check.vacuous import Vacuous, vacuous
from ports.diagnosis.any_network import ANY_NETWORK
from ports.diagnosis.bench import Bench, bench_of
from ports.diagnosis.case import NOTHING, Case, holds
from ports.diagnosis.edits import edits_of
from ports.diagnosis.grammar import SMALL
from ports.diagnosis.search import with_numbers
from reference.agreement.arithmetic import ARITHMETICS
from reference.agreement.rounded import Rounded
from reference.arrays import Plain, numpy_dtype
from reference.line import Line, NoLine
from reference.models import Problem
from reference.own import OwnModel
from reference.runs import trajectory
from reference.trace import record

CAUGHT, WITHIN, SAME = "caught", "within the bound", "the same numbers"


@dataclass
class Planted:
    """What became of the errors planted in one quantity.

    Attributes:
        quantity: its name.
        sure: from which size on an error in one number is sure to show, relative to the largest number.
        vacuous: how much of it has a bound that says little.
        edits: by the edited lines, as code: CAUGHT, WITHIN or SAME.
        why: why its line could not be edited, or an empty string.
    """

    quantity: str
    sure: float
    vacuous: Vacuous
    edits: dict[str, str] = field(default_factory=dict)
    why: str = ""

    def count(self, outcome: str) -> int:
        """How many edits had this outcome."""
        return sum(found == outcome for found in self.edits.values())

    @property
    def can_fail(self) -> bool:
        """Whether a wrong line, or else an error of its own size, would be seen."""
        return bool(self.count(CAUGHT)) or (not self.edits and self.sure < 1)


def self_test(model: OwnModel, options: Options, dtype: str) -> list[Planted]:
    """Plant errors in every quantity of a reference. Raises Unbounded where it has no bound."""
    arithmetic = ARITHMETICS[dtype]
    starts = [start.held_as(dtype) for start in starts_of(model, options, dtype)]
    traces = [stored(record(start), dtype) for start in starts]
    says_little = vacuous(starts[0], traces[0], arithmetic)
    found = []
    for name in model.quantities:
        cases = [Case(*at, arithmetic, name, NOTHING) for at in zip(starts, traces, strict=True)]
        found.append(planted(name, cases, says_little[name]))
    return found


def starts_of(model: OwnModel, options: Options, dtype: str) -> Iterator[Problem]:
    """What the first, a middle and the last judged step of each run start from."""
    for run in runs_of_own(model, options, dtype):
        steps = sorted(run.steps)
        chosen = {steps[0], steps[len(steps) // 2], steps[-1]}
        yield from (start for i, start, _ in trajectory(run.problem, steps[-1] + 1) if i in chosen)


def stored(trace: Mapping[str, Plain], dtype: str) -> dict[str, Plain]:
    """A trace as a port of that dtype would record it."""
    return {name: np.asarray(value).astype(numpy_dtype(dtype)) for name, value in trace.items()}


def planted(name: str, cases: Sequence[Case], vacuous: Vacuous) -> Planted:
    """Plant errors in one quantity at a few steps."""
    sure = max(least_error(case.expected) for case in cases)
    try:
        benches = [bench_of(case) for case in cases]
    except NoLine as why:
        return Planted(name, sure, vacuous, why=str(why))
    edits = {shown(line): line for line in edited(benches[0])}
    outcomes = {code: outcome(line, benches) for code, line in edits.items()}
    return Planted(name, sure, vacuous, {code: found for code, found in outcomes.items() if found})


def least_error(bound: Rounded) -> float:
    """The error that is sure to show in any one number, relative to the largest number.

    Rounding may hide as much as the bound allows, on the other side.
    """
    largest = float(np.max(np.abs(bound.value), initial=0.0))
    hidden = 2 * float(np.max(bound.errors(), initial=0.0))
    return hidden / largest if largest else math.inf if hidden else 0.0


def edited(bench: Bench) -> Iterator[Line]:
    """Every line that differs by one edit. What is too small to show, `sure` says."""
    rules = [rule for rule in ANY_NETWORK if rule.numbers is not SMALL]
    for edit in edits_of(bench.line, rules, bench.names):
        yield from (complete.line for complete in with_numbers(edit))


def shown(line: Line) -> str:
    """A line as code, in one line."""
    return "; ".join(line.shown())


def outcome(line: Line, benches: Sequence[Bench]) -> str:
    """What became of an edited line; an empty string if it runs nowhere."""
    values = [(bench, bench.value_of(line.compiled())) for bench in benches]
    made = [(bench, value) for bench, value in values if value is not None]
    if not made:
        return ""
    if any(not holds(bench.quantity, bench.expected, value) for bench, value in made):
        return CAUGHT
    return SAME if all(np.array_equal(value, bench.got) for bench, value in made) else WITHIN
