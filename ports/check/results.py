"""What `lockstep check` runs, and what it found: plain data, and the questions asked of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ports.check.worker import Message
from ports.conventions.known import Conventions
from ports.conventions.recognition import Recognised
from ports.diagnosis import Diagnosis
from ports.engine.lockstep import chosen_steps
from ports.engine.results import SPIRAL, CellResult, quantities_of
from reference.agreement.arithmetic import Arithmetic
from reference.agreement.judge import LOCAL, Finding
from reference.arrays import Plain
from reference.models import Model, Problem
from reference.runs import draw, kink

#: Steps judged by default: the first ones, where state goes wrong, and some spread over the run.
FIRST_STEPS, SPREAD_STEPS = 20, 10
#: Sizes that no other letter has, for the hidden layers of the run with odd sizes.
OTHER_SIZES = (5, 6, 8, 9, 10, 11)


@dataclass(frozen=True)
class Run:
    """The steps at which a model's port is judged, and what the run shows."""

    name: str
    shows: str
    problem: Problem
    iterations: int
    steps: Collection[int]


@dataclass(frozen=True)
class Options:
    """What was asked for. `steps` is a number of first steps, "all", or None for the default."""

    points: int = 100
    seed: int = 0
    steps: int | str | None = None
    dtypes: tuple[str, ...] = ("float64",)
    timeout: float = 60.0
    conventions: Conventions = ()


@dataclass(frozen=True)
class Case:
    """All that is known about one judged step, from which a wrong quantity is explained."""

    step: int
    start: Problem
    trace: Mapping[str, Plain]
    previous_trace: Mapping[str, Plain] | None
    arithmetic: Arithmetic
    facts: Message


@dataclass
class RunResult:
    """One run's verdicts; `case` is the first step that disagreed."""

    run: Run
    result: CellResult
    returned: set[str] = field(default_factory=set)
    unreadable: dict[str, str] = field(default_factory=dict)
    case: Case | None = None


@dataclass
class ModelResult:
    """The results of a file's step (or spiral) in one dtype, over all its runs.

    `conventions` are those by which it was judged, `recognised` those that explain it better.
    `explanation` says why the first of `failures` came about, if that is known.
    """

    model: str
    dtype: str
    hidden: Mapping[str, str]
    runs: list[RunResult] = field(default_factory=list)
    explanation: Diagnosis | None = None
    conventions: Conventions = ()
    recognised: Recognised | None = None

    @property
    def error(self) -> str:
        """Why it could not go on, or an empty string."""
        return next((r.result.error for r in self.runs if r.result.error), "")

    @property
    def returned(self) -> set[str]:
        """Every name that came back as a tensor at some step."""
        return {name for r in self.runs for name in r.returned}

    @property
    def unreadable(self) -> dict[str, str]:
        """Names that came back as something other than a tensor, and what is wrong with each."""
        return {name: why for r in reversed(self.runs) for name, why in r.unreadable.items()}

    @property
    def missing(self) -> list[str]:
        """Quantities that never came back and are not declared hidden."""
        if not any(r.result.steps for r in self.runs):
            return []
        absent = set(quantities_of(self.model)) - self.returned - set(self.unreadable)
        return [n for n in quantities_of(self.model) if n in absent and n not in self.hidden]

    def failures(self) -> list[tuple[RunResult, int, Finding]]:
        """Every disagreement, run by run, in the order of `CellResult.first_failures`."""
        absent = {*self.missing, *self.unreadable}
        return [
            (r, step, finding)
            for r in self.runs
            for step, finding in r.result.first_failures()
            if finding.quantity not in absent
        ]

    def wrong(self) -> list[str]:
        """Quantities whose own operation is wrong, in the note's order; unknown names last."""
        return self._ordered({f.quantity for _, _, f in self.failures() if self._blames(f)})

    def follows(self) -> list[str]:
        """Quantities that are computed correctly from wrong ones."""
        return self._ordered({f.quantity for _, _, f in self.failures()} - set(self.wrong()))

    def right(self) -> list[str]:
        """Quantities that agree under both certificates at every judged step."""
        bad = {f.quantity for _, _, f in self.failures()}
        seen = {name for r in self.runs for name, _ in r.result.verdicts}
        return [n for n in quantities_of(self.model) if n in seen & self.returned and n not in bad]

    @property
    def comparisons(self) -> int:
        """How many tensors were held against a bound."""
        return sum(
            v.steps
            for r in self.runs
            for (name, _), v in r.result.verdicts.items()
            if name in self.returned and v.elements
        )

    def _blames(self, finding: Finding) -> bool:
        return finding.certificate == LOCAL or self.model == SPIRAL

    def _ordered(self, names: set[str]) -> list[str]:
        known = [n for n in quantities_of(self.model) if n in names]
        return known + sorted(names.difference(known))


@dataclass
class Check:
    """Everything that `lockstep check` found out about one file.

    Attributes:
        framework: the framework whose tensors the file was given.
        undeclared: the framework that it imports without declaring it, if there is one.
        models: the models whose step it has.
        conventions: what it is judged by instead of the note, where they differ.
        printed: what it printed, one text per process.
    """

    path: Path
    framework: str
    models: list[str]
    undeclared: str | None = None
    conventions: Conventions = ()
    results: list[ModelResult] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)

    @property
    def disagrees(self) -> bool:
        """Whether something that was compared disagreed."""
        return any(r.failures() for r in self.results)

    @property
    def broken(self) -> bool:
        """Whether something could not be compared: it raised, hung, crashed or returned no tensor."""
        return any(r.error or r.unreadable for r in self.results)

    @property
    def missing(self) -> bool:
        """Whether a step leaves out quantities that it does not declare hidden."""
        return any(r.missing for r in self.results)

    @property
    def empty(self) -> bool:
        """Whether nothing was compared, of some step or of the whole file."""
        return not self.results or not all(r.comparisons for r in self.results)

    def status(self, partial: bool) -> int:
        """0: all is right. 1: something disagrees or is missing. 2: the file could not be judged."""
        if self.disagrees:
            return 1
        if self.broken:
            return 2
        return int(self.empty or (self.missing and not partial))


def runs_of(model: Model, options: Options) -> list[Run]:
    """The note's run, one with ReLU ties, and one with other sizes, which shows hard-coded ones."""
    problem = draw(np.random.RandomState(options.seed), options.points).problem(model)
    steps = steps_of(model.iterations, options.steps)
    runs = [Run("the document's run", "", problem, model.iterations, steps)]
    if model.relus:
        ties = kink(model, options.seed)
        runs.append(Run("ReLU ties", "pre-activations of exactly 0", ties, 1, range(1)))
    runs.append(Run("other sizes", "7 examples, 3 dimensions, 4 classes", odd_sizes(model), 2, range(2)))
    return runs


def steps_of(iterations: int, steps: int | str | None) -> Collection[int]:
    """The steps to judge: the first `steps`, all, or by default the first few and some of the rest."""
    if steps == "all":
        return range(iterations)
    if steps is not None:
        return range(min(int(steps), iterations))
    return sorted({*range(FIRST_STEPS), *chosen_steps(iterations, SPREAD_STEPS)})


def odd_sizes(model: Model) -> Problem:
    """A problem whose sizes all differ, also from the note's, with biases not 0 and step size not 1.

    The first example lies far out on the wrong side. The probability of its right class is below 1e-10,
    which shows whether probabilities are clipped or something is added to them.
    """
    normal = np.random.RandomState(1).standard_normal
    sizes = {"1": 1, "N": 7, "D": 3, "K": 4} | dict(zip(model.sizes, OTHER_SIZES, strict=False))
    params = {
        name: normal([sizes[letter] for letter in parameter.shape])
        for name, parameter in model.parameters.items()
    }
    labels = np.array([0, 1, 2, 3, 3, 0, 2], dtype="uint8")
    X = normal((sizes["N"], sizes["D"]))
    X[0] *= 8
    return Problem(model, X, labels, params, reg=1e-2, step_size=0.1)
