"""What `lockstep check` runs, and what it found: plain data, and the questions asked of it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ports.check.late_weights import DRAWN, late_weights
from ports.check.vacuous import Vacuous
from ports.check.worker import Message
from ports.conventions.known import Conventions
from ports.conventions.recognition import Recognised
from ports.diagnosis import Diagnosis
from ports.engine.lockstep import chosen_steps, iterations_within
from ports.engine.results import SPIRAL, CellResult, quantities_of
from reference.agreement.arithmetic import ARITHMETICS, Arithmetic
from reference.agreement.judge import LOCAL, Finding
from reference.arrays import Params, Plain
from reference.models import Model, Problem
from reference.own import OwnModel
from reference.runs import D, K, draw, kink

#: Steps judged by default: the first ones, where state goes wrong, and some spread over the run.
FIRST_STEPS, SPREAD_STEPS = 20, 10
#: Sizes that all differ, also from the note's: examples, dimensions, classes, and of hidden layers.
OTHER_SIZES, OTHER_WIDTHS = {"N": 7, "D": 3, "K": 4}, (5, 6, 8, 9, 10, 11)
#: A regularization strength and a step size that the note does not have.
OTHER_REG, OTHER_STEP_SIZE = 1e-2, 0.1
#: What the letters of a shape count.
COUNTED = {"N": "examples", "D": "dimensions", "K": "classes"}


@dataclass(frozen=True)
class Run:
    """The steps at which a model's port is judged, and what the run shows.

    The reference walks to those steps, except those whose weights are `recorded`.
    """

    name: str
    shows: str
    problem: Problem
    iterations: int
    steps: Collection[int]
    recorded: Mapping[int, Params] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """What was asked for.

    `steps` is a number of first steps, "all", or None for the default. No `dtypes` mean the file's own:
    float64, or float32 in mixed precision.
    """

    points: int = 100
    seed: int = 0
    steps: int | str | None = None
    dtypes: tuple[str, ...] = ()
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
    """One run's verdicts; `case` is the first step that disagreed.

    `raised` says what the step raised, or how else it ended the run.
    """

    run: Run
    result: CellResult
    returned: set[str] = field(default_factory=set)
    unreadable: dict[str, str] = field(default_factory=dict)
    case: Case | None = None
    raised: str = ""


@dataclass
class ModelResult:
    """The results of a file's step (or spiral) in one dtype, over all its runs.

    `conventions` are those by which it was judged, `recognised` those that explain it better.
    `explanations` say why quantities are wrong, as far as that is known, the first of `failures` first.
    `says_little` names the quantities of a network of one's own that have vacuous bounds.
    Where the note's run is right, `limits` are the runs that fail with one thing changed from it (see
    `changes_of`).
    """

    model: str
    dtype: str
    hidden: Mapping[str, str]
    runs: list[RunResult] = field(default_factory=list)
    explanations: dict[str, Diagnosis] = field(default_factory=dict)
    limits: list[RunResult] = field(default_factory=list)
    conventions: Conventions = ()
    recognised: Recognised | None = None
    says_little: dict[str, Vacuous] = field(default_factory=dict)

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

    @property
    def next_to_write(self) -> str:
        """The first missing quantity, or an empty string."""
        return next(iter(self.missing), "")

    def failures(self) -> list[tuple[RunResult, int, Finding]]:
        """Every disagreement, run by run, in the order of `CellResult.first_failures`."""
        return [(r, step, finding) for r in self.runs for step, finding in self.failures_of(r)]

    def failures_of(self, found: RunResult) -> list[tuple[int, Finding]]:
        """The disagreements of one run."""
        absent = {*self.missing, *self.unreadable}
        return [(i, f) for i, f in found.result.first_failures() if f.quantity not in absent]

    def fails(self, found: RunResult) -> bool:
        """Whether one run disagrees, or could not be judged to its end."""
        return bool(found.result.error or found.unreadable or self.failures_of(found))

    @property
    def fails_elsewhere_alone(self) -> bool:
        """Whether the note's run is right, as far as the file goes, and a later run is not."""
        first, *later = self.runs
        return bool(first.returned) and not self.fails(first) and any(map(self.fails, later))

    def also_wrong(self) -> list[str]:
        """The quantities after the first wrong one that are explained too."""
        first = next((finding.quantity for _, _, finding in self.failures()), "")
        return [name for name in self.explanations if name != first]

    def wrong(self) -> list[str]:
        """Quantities whose own operation is wrong, in the note's order; unknown names last."""
        return self._blamed([finding for _, _, finding in self.failures()])

    def wrong_in(self, found: RunResult) -> list[str]:
        """Likewise, in one run."""
        return self._blamed([finding for _, finding in self.failures_of(found)])

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

    def _blamed(self, findings: Collection[Finding]) -> list[str]:
        own = (f for f in findings if f.certificate == LOCAL or self.model == SPIRAL)
        return self._ordered({f.quantity for f in own})

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
        dtypes: the dtypes in which it is judged.
        printed: what it printed, one text per process.
    """

    path: Path
    framework: str
    models: list[str]
    undeclared: str | None = None
    conventions: Conventions = ()
    dtypes: tuple[str, ...] = ()
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

    def empty(self, partial: bool) -> bool:
        """Whether nothing was compared of the whole file, or where that counts, of some step."""
        compared = [bool(result.comparisons) for result in self.results]
        return not (any(compared) if partial else compared and all(compared))

    def status(self, partial: bool) -> int:
        """0: all is right. 1: something disagrees or is missing. 2: the file could not be judged."""
        if self.disagrees:
            return 1
        if self.broken:
            return 2
        return int(self.empty(partial) or (self.missing and not partial))


def runs_of(model: Model, options: Options, dtype: str = "float64") -> list[Run]:
    """The note's run, one with ReLU ties, and one with other sizes, which shows hard-coded ones.

    `dtype` is that of the narrowest numbers. In 16 bits the default steps lie in the first part of the
    run, and the numbers are moderate.
    """
    if isinstance(model, OwnModel):
        return runs_of_own(model, options, dtype)
    problem = draw(np.random.RandomState(options.seed), options.points).problem(model)
    within = iterations_within(dtype, model.iterations)
    steps = steps_of(within if options.steps is None else model.iterations, options.steps)
    by_default = options.steps is None and (options.points, options.seed) == DRAWN
    recorded = late_weights(model) if by_default and within == model.iterations else {}
    runs = [Run("the document's run", "", problem, model.iterations, steps, recorded)]
    if model.relus:
        ties = kink(model, options.seed)
        runs.append(Run("ReLU ties", "pre-activations of exactly 0", ties, 1, range(1)))
    sizes = ", ".join(counted(letter, n) for letter, n in OTHER_SIZES.items())
    elsewhere = moderate(odd_sizes(model)) if ARITHMETICS[dtype].stores else odd_sizes(model)
    runs.append(Run("other sizes", sizes, elsewhere, 2, range(2)))
    return runs


def runs_of_own(model: OwnModel, options: Options, dtype: str) -> list[Run]:
    """The run of a network of one's own, and two steps from another draw of everything."""
    within = iterations_within(dtype, model.iterations)
    steps = steps_of(within if options.steps is None else model.iterations, options.steps)
    start, other = (model.start(np.random.RandomState(options.seed + i)) for i in range(2))
    return [
        Run("the reference's run", f"seed {options.seed}", start, model.iterations, steps),
        Run("another draw", f"seed {options.seed + 1}", other, 2, range(2)),
    ]


def changes_of(model: Model, options: Options) -> Iterator[Run]:
    """One step like the note's first with other points, then with one more thing changed each time.

    Where a file is right on the note's run alone, these tell which size or constant is written into it.
    """
    sizes = {"N": K * options.points, "D": D, "K": K, **model.sizes}
    other = random_points(model, sizes)
    yield one_step("other points", other)
    for letter, size in other_sizes(model).items():
        yield one_step(counted(letter, size), random_points(model, sizes | {letter: size}))
    yield one_step(f"a regularization of {OTHER_REG:g}", other.changed(reg=OTHER_REG))
    yield one_step(f"a step size of {OTHER_STEP_SIZE:g}", other.changed(step_size=OTHER_STEP_SIZE))
    biases = {name: np.full_like(other.params[name], 0.1) for name in model.biases}
    yield one_step("biases that are not 0", other.starting_from({**other.params, **biases}))


def one_step(what: str, problem: Problem) -> Run:
    """A run of one step."""
    return Run(f"the run at {what}", what, problem, 1, range(1))


def random_points(model: Model, sizes: Mapping[str, int]) -> Problem:
    """Random points of every class in these sizes, with the model's first weights."""
    rng = np.random.RandomState(1)
    labels = np.arange(sizes["N"], dtype="uint8") % np.uint8(sizes["K"])
    return model.problem(rng.standard_normal((sizes["N"], sizes["D"])), labels, model.draw(rng, sizes))


def other_sizes(model: Model) -> dict[str, int]:
    """A size for each letter of the model's shapes that the note does not have."""
    return OTHER_SIZES | dict(zip(model.sizes, OTHER_WIDTHS, strict=False))


def counted(letter: str, size: int) -> str:
    """A size in words, as in 4 classes; in a model's own letters, as in H = 5."""
    return f"{size} {COUNTED[letter]}" if letter in COUNTED else f"{letter} = {size}"


def steps_of(iterations: int, steps: int | str | None) -> Collection[int]:
    """The steps to judge: the first `steps`, all, or by default the first few and some of the rest."""
    if steps == "all":
        return range(iterations)
    if steps is not None:
        return range(min(int(steps), iterations))
    return sorted({*range(FIRST_STEPS), *chosen_steps(iterations, SPREAD_STEPS)})


def moderate(problem: Problem) -> Problem:
    """The same problem with small points and parameters: its probabilities are far from 0 and 1."""
    halved = {name: value / 2 for name, value in problem.params.items()}
    return problem.changed(X=np.clip(problem.X, -1, 1), params=halved)


def odd_sizes(model: Model) -> Problem:
    """A problem whose sizes all differ, also from the note's, with biases not 0 and step size not 1.

    The first example lies far out on the wrong side. The probability of its right class is below 1e-10,
    which shows whether probabilities are clipped or something is added to them.
    """
    normal = np.random.RandomState(1).standard_normal
    sizes = {"1": 1} | other_sizes(model)
    params = {
        name: normal([sizes[letter] for letter in parameter.shape])
        for name, parameter in model.parameters.items()
    }
    labels = np.array([0, 1, 2, 3, 3, 0, 2], dtype="uint8")
    X = normal((sizes["N"], sizes["D"]))
    X[0] *= 8
    return model.problem(X, labels, params, OTHER_REG, OTHER_STEP_SIZE)
