"""The engine of `lockstep check`: a user's file, in a process of its own, certified at every step.

The file's steps run in a child process; the reference, the bounds and the judgement are here.
If one model's step crashes, the other model's results are kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple, cast

import numpy as np

from ports.check.explain import explanations_of, explanations_of_spiral
from ports.check.process import UserProcess
from ports.check.results import Case, Check, ModelResult, Options, Run, RunResult, changes_of, runs_of
from ports.check.vacuous import saying_little
from ports.check.worker import Message
from ports.contract import LoadedPort
from ports.conventions.following import following, given, returned
from ports.conventions.known import BY_WORD, Conventions, convention, together
from ports.conventions.recognition import Recognised, Recorded, recognise
from ports.engine.lockstep import STACK, Contestant, Heat, certify_spiral, misshapen_spiral
from ports.engine.memory import keep_freed_memory
from ports.engine.results import SPIRAL, Cell, CellResult
from ports.extensions import VARIABLE
from ports.mixed import DTYPES_NAME, OWN_DTYPE, SCALES_NAME, Mixed
from ports.mixed import declared as declared_mixed
from ports.registry import FRAMEWORKS
from ports.user_code import UserCodeError
from ports.user_port import undeclared_framework
from ports.user_reference import reference_here
from reference.agreement.arithmetic import ARITHMETICS, DTYPES, Arithmetic
from reference.arrays import Plain
from reference.models import MODELS, Model, Problem
from reference.own import OwnModel
from reference.runs import draw, trajectory
from reference.trace import ScoreOverflow


def check_file(
    path: Path, options: Options, begin: Callable[[int], Callable[[], None]] = lambda total: lambda: None
) -> Check:
    """Run a user's file and judge it.

    `begin` is given the number of steps; what it returns is called after each of them.
    Raises UserCodeError in one sentence if the file cannot be loaded, and ValueError if it is to be
    judged by a convention that is unknown or does not apply.
    """
    keep_freed_memory()
    with Session(path, options.timeout) as session:
        facts = session.facts
        session.conventions = declared(path, facts["convention"], options.conventions)
        models = [known_model(path, name) for name in facts["models"]]
        dtypes = dtypes_of(session, options.dtypes)
        each = [(model, dtype) for dtype in dtypes for model in models]
        runs = (runs_of(model, options, session.narrowest(dtype)) for model, dtype in each)
        progress = begin(sum(len(run.steps) for of_one in runs for run in of_one))
        undeclared = undeclared_framework(path, facts["framework"])
        check = Check(
            path,
            facts["framework"],
            facts["models"],
            undeclared,
            session.conventions,
            dtypes,
            printed=session.printed,
        )
        for dtype in dtypes:
            if facts["spiral"]:
                check.results.append(check_spiral(session, dtype, options))
            for model in models:
                check.results.append(check_model(session, model, dtype, options, progress))
    return check


def dtypes_of(session: "Session", asked: tuple[str, ...]) -> tuple[str, ...]:
    """The dtypes to judge a file in. Raises ValueError for one that a mixed-precision file has not."""
    mixed = session.mixed
    if mixed is None:
        return asked or (DTYPES[0],)
    if not {*asked} <= {OWN_DTYPE}:
        raise ValueError(
            f"{session.path.name} computes in {mixed.dtype} with {OWN_DTYPE} parameters: "
            f"it is judged with --dtype {OWN_DTYPE} alone"
        )
    return (OWN_DTYPE,)


def known_model(path: Path, name: str) -> Model:
    """The model of that name. Raises UserCodeError if only the file's process knows it."""
    if name not in MODELS:
        raise UserCodeError(
            f"{path.name} registers the model {name} by itself: to have it judged, "
            f"name the module that registers it in {VARIABLE}"
        )
    return MODELS[name]


def declared(path: Path, in_file: Mapping[str, str], asked: Conventions) -> Conventions:
    """The conventions to judge by: those that the file names, unless the user asks for other values.

    Raises ValueError in one sentence for a convention that is not known.
    """
    try:
        of_file = {name: convention(f"{name}={value}") for name, value in in_file.items()}
    except ValueError as why:
        raise UserCodeError(f"{path.name}: {why}") from None
    return together((of_file | {c.name: c for c in together(asked)}).values())


class Session:
    """The file's process, which is replaced by a fresh one after a crash.

    Its steps follow `conventions`.
    """

    conventions: Conventions = ()

    def __init__(self, path: Path, timeout: float) -> None:
        self.path, self.timeout = path, timeout
        self.printed: list[str] = []

    def __enter__(self) -> "Session":
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    @property
    def mixed(self) -> Mixed | None:
        """What the file declares of mixed precision, or None."""
        return declared_mixed(self.facts[DTYPES_NAME], self.facts[SCALES_NAME])

    def narrowest(self, dtype: str) -> str:
        """The dtype of the file's narrowest numbers where it is judged in that dtype."""
        return self.mixed.dtype if self.mixed else dtype

    def _open(self) -> None:
        self.process = UserProcess(self.path, self.timeout, reference_here())
        try:
            self.facts = self.process.loaded()
        except BaseException:
            self.process.end()
            raise

    def _close(self) -> None:
        self.process.end()
        self.printed += [text for text in [self.process.printed.text()] if text]

    def live(self) -> UserProcess:
        """The process, started anew if it has ended."""
        if not self.process.alive:
            self._close()
            self._open()
        return self.process


def check_model(
    session: Session, model: Model, dtype: str, options: Options, progress: Callable[[], None]
) -> ModelResult:
    """Judge every run of one model's step, until a run cannot go on."""
    hidden = {n: why for n, why in session.facts["hidden"].items() if n in model.quantities}
    found = ModelResult(model.name, dtype, hidden, conventions=session.conventions)
    for run in runs_of(model, options, session.narrowest(dtype)):
        found.runs.append(check_run(session, run, dtype, hidden, progress))
        if found.error:
            break
    if isinstance(model, OwnModel):
        found.says_little = saying_little(model, promised(session, dtype), options.seed)
    found.explanations = explanations_of(found)
    found.recognised = recognised(session, found)
    if found.fails_elsewhere_alone:
        found.limits = limits_of(session, model, found, options)
    return found


def limits_of(session: Session, model: Model, found: ModelResult, options: Options) -> list[RunResult]:
    """The runs that fail with one thing changed from the note's run, or with other points alone.

    A file that has hung or crashed is left alone: each of these runs would cost its time again.
    """
    if not session.process.alive or isinstance(model, OwnModel):
        return []
    results = (
        check_run(session, run, found.dtype, found.hidden, lambda: None)
        for run in changes_of(model, options)
        if session.process.alive
    )
    other_points = next(results)
    if found.fails(other_points):  # then all fail
        return [other_points]
    return [result for result in results if found.fails(result)]


def check_run(
    session: Session, run: Run, dtype: str, hidden: Mapping[str, str], progress: Callable[[], None]
) -> RunResult:
    """Judge the steps of one run, and keep the first case that disagrees.

    The weights are those of the note's run by any convention: with a summed loss they would grow too
    large.
    """
    model = following(run.problem.model, session.conventions)
    problem = replace(run.problem, model=model)
    cell = Cell(model.name, session.path.name, "eager", "cpu", dtype)
    found = RunResult(run, CellResult(cell, hidden))
    try:
        step = RemoteStep(session.live(), problem, dtype, session.conventions)
    except UserCodeError as why:
        found.result.error = str(why)
        return found
    port = remote_port(session, cell.port, ModuleType(model.name))
    heat = Heat(problem, [Contestant(port, found.result, step, dict(problem.batch), run.steps)])
    starts: list[tuple[int, Problem]] = []
    overflow = ""
    try:
        for start in judged(run):
            starts.append(start)
            if len(starts) == STACK:
                judge_steps(found, heat, step, starts, progress)
                starts = []
                if found.result.error:
                    return found
    except ScoreOverflow as why:
        overflow = str(why)
    judge_steps(found, heat, step, starts, progress)
    found.result.error = found.result.error or overflow
    return found


def judge_steps(
    found: RunResult,
    heat: Heat,
    step: "RemoteStep",
    starts: Sequence[tuple[int, Problem]],
    progress: Callable[[], None],
) -> None:
    """Make and certify a few steps, and keep the first case that disagrees."""
    step.forget()
    for i, start in starts:
        heat.start_from(i, start.params, progress)
    heat.run(progress)
    for made in step.made:
        found.returned |= set(made.trace)
        found.unreadable = made.facts["unreadable"] | found.unreadable
    if found.case is None:
        found.case = case_of(found, step, starts, heat.arithmetic)
    if step.error:
        found.raised = step.error
        found.result.error = f"{step.error}, at step {starts[len(step.made)][0]} of {found.run.name}"


def judged(run: Run) -> Iterator[tuple[int, Problem]]:
    """The run's chosen steps, and what each starts from."""
    walked = [i for i in run.steps if i not in run.recorded]
    for i, start, _ in trajectory(run.problem, min(run.iterations, max(walked) + 1)):
        if i in walked:
            yield i, start
    for i, params in run.recorded.items():
        yield i, run.problem.starting_from(params)


def case_of(
    found: RunResult,
    step: "RemoteStep",
    starts: Sequence[tuple[int, Problem]],
    arithmetic: Arithmetic,
) -> Case | None:
    """Everything about the first of these steps in which something that came back disagreed."""
    steps = [i for i, _ in starts]
    failures = found.result.first_failures()
    wrong = [i for i, f in failures if i in steps and f.quantity in found.returned]
    if not wrong:
        return None
    k = steps.index(wrong[0])
    dtype = found.result.cell.dtype
    made, before = step.made[k], step.made[k - 1] if k else step.before
    previous = {**before.params, **before.trace} if before else None
    start = replace(starts[k][1], model=step.model).held_as(dtype)
    return Case(wrong[0], start, made.trace, previous, arithmetic, made.facts)


class Made(NamedTuple):
    """One step that was made: what it was given, what it returned, and the facts about that."""

    params: Mapping[str, Plain]
    trace: dict[str, Plain]
    facts: Message


class RemoteStep:
    """A step in the user's process, called like any other.

    Where the conventions have other shapes, arrays are turned on their way to it and back.

    Attributes:
        made: the steps since `forget`.
        before: the step before these, or None.
        error: what ended the run, or an empty string.
    """

    def __init__(
        self, process: UserProcess, problem: Problem, dtype: str, conventions: Conventions
    ) -> None:
        self.process, self.what = process, problem.model.step_name
        self.model, self.conventions = problem.model, conventions
        self.made: list[Made] = []
        self.before: Made | None = None
        self.error = ""
        batch = dict(problem.batch)
        if "X" in batch:
            batch |= given(conventions, {"X": batch["X"]}, {"X": "ND"})
        arrays = {name: value for name, value in batch.items() if isinstance(value, np.ndarray)}
        numbers = {name: None if name in arrays else value for name, value in batch.items()}
        start = {"do": "start", "model": problem.model.name, "dtype": dtype, "batch": numbers}
        process.ask(self.what, start, arrays)

    def __call__(self, params: Mapping[str, Plain], *_: Any) -> dict[str, Plain]:
        """Make one step; the batch was sent at the start. Raises UserCodeError."""
        request = {"do": "step"}
        shapes = {name: parameter.shape for name, parameter in self.model.parameters.items()}
        try:
            facts, made = self.process.ask(self.what, request, given(self.conventions, params, shapes))
        except UserCodeError as why:
            self.error = str(why)
            raise
        trace = returned(self.conventions, made, self.model.quantities)
        self.made.append(Made(params, trace, facts))
        return trace

    def forget(self) -> None:
        """Forget the steps that were made, but for the last."""
        if self.made:
            self.before = self.made[-1]
        self.made = []


def recognised(session: Session, found: ModelResult) -> Recognised | None:
    """The conventions that a step which disagrees, or cannot be made, seems to follow.

    A network of one's own has no other conventions.
    """
    model = MODELS[found.model]
    if isinstance(model, OwnModel):
        return None
    cases = [run.case for run in found.runs if run.case]
    recorded = [
        Recorded(replace(case.start, model=model), case.trace, case.arithmetic) for case in cases
    ]
    return recognise(
        found.conventions,
        recorded,
        layouts_in_question(found, cases),
        lambda layouts: made_again(session, found, layouts),
    )


#: Shapes that a step may have, the likeliest first.
LAYOUTS: tuple[Conventions, ...] = (
    (),
    (BY_WORD["bias=flat"],),
    (BY_WORD["layout=columns"],),
    (BY_WORD["bias=flat"], BY_WORD["layout=columns"]),
)


def layouts_in_question(found: ModelResult, cases: Sequence[Case]) -> list[Conventions]:
    """Other shapes that the step may have: any if it raises with these, others of the biases if one
    of their gradients has not two dimensions."""
    own = tuple(c for c in found.conventions if c.layout)
    biases = MODELS[found.model].biases
    if any(case.trace[f"d{b}"].ndim != 2 for case in cases for b in biases if f"d{b}" in case.trace):
        return [other for other in LAYOUTS if set(other) ^ set(own) == set(LAYOUTS[1])]
    return [other for other in LAYOUTS if other != own] if found.error and not cases else []


def made_again(session: Session, found: ModelResult, layouts: Conventions) -> list[Recorded]:
    """The first step of each run with other shapes, as far as the file makes them."""
    made = list[Recorded]()
    for run in found.runs:
        if not session.process.alive:  # it has crashed, or hangs: that would cost its time again
            break
        start = run.run.problem.held_as(found.dtype)
        try:
            step = RemoteStep(session.live(), start, found.dtype, layouts)
            trace = step(start.params)
        except UserCodeError:
            break
        made.append(Recorded(start, trace, promised(session, found.dtype)))
    return made


def check_spiral(session: Session, dtype: str, options: Options) -> ModelResult:
    """Certify the file's own spiral, from the note's draws."""
    draws = draw(np.random.RandomState(options.seed), options.points)
    cell = Cell(SPIRAL, session.path.name, "eager", "cpu", dtype)
    run = Run("the document's draws", "", draws.problem(next(iter(MODELS.values()))), 1, range(1))
    found = RunResult(run, CellResult(cell))
    noise, got = {"noise": draws.noise}, dict[str, Plain]()
    try:
        facts, got = session.live().ask(SPIRAL, {"do": SPIRAL, "dtype": dtype}, noise)
    except UserCodeError as why:
        found.result.error = str(why)
    else:
        found.returned, found.unreadable = set(got), facts["unreadable"]
        if len(got) == 2:
            made_by = cast(ModuleType, SimpleNamespace(spiral=lambda _: (got["X"], got["y"])))
            port = remote_port(session, cell.port, made_by)
            found.result = certify_spiral(cell, port, draws.noise)
        elif misshapen := misshapen_spiral(got, draws.X.shape, dtype):
            found.result.add(misshapen, 0)
    result = ModelResult(SPIRAL, dtype, {}, [found])
    result.explanations = explanations_of_spiral(result, draws.noise, got, promised(session, dtype))
    return result


# What the file's numbers keep to


@dataclass(frozen=True)
class RemotePort(LoadedPort):
    """A port whose arrays come from the user's process. Its framework is not imported here."""

    session: Session = field(kw_only=True)

    def arithmetic(self, mode: str, device: str, dtype: str) -> Arithmetic:
        """The promise of the file's framework."""
        return promised(self.session, dtype)


def remote_port(session: Session, name: str, module: ModuleType) -> RemotePort:
    """The user's port; `module` has what came back from its process."""
    return RemotePort(name, "", FRAMEWORKS["numpy"], loaded=module, session=session)


def promised(session: Session, dtype: str) -> Arithmetic:
    """What a file in its framework promises. One without a framework computes as NumPy does."""
    own, mixed = _promised_in(session, dtype), session.mixed
    return mixed.applied(own, _promised_in(session, mixed.dtype)) if mixed else own


def _promised_in(session: Session, dtype: str) -> Arithmetic:
    known = ARITHMETICS[dtype]
    return known.computing() if session.facts["framework"] == "numpy" else known
