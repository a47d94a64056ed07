"""The lockstep engine: at every step, every port starts from the reference's parameters.

Errors cannot accumulate, so every step is certified. The reference leads. Its parameters at a step are
rounded to a port's dtype, and the reference step is then analysed from those same rounded numbers.
Results stream into one `CellResult` per cell, so memory does not grow with the steps.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ports.contract import Host, Port, Step, prepared_step
from ports.engine.results import Cell, CellResult, LocalAlone
from ports.returned import named_tensors, points_and_labels, read, what_went_wrong
from reference.agreement.arithmetic import ARITHMETICS, Arithmetic, Unbounded, Unfollowed
from reference.agreement.bounds import PortTrace, local
from reference.agreement.judge import (
    END_TO_END,
    Finding,
    Judgement,
    certify_steps,
    compare,
    structural_problems,
)
from reference.agreement.rounded import Rounded, linspace
from reference.arrays import Plain, held_as, is_floats
from reference.models import Problem
from reference.runs import trajectory
from reference.spiral import spiral
from reference.trace import ScoreOverflow

#: How many port steps are judged in one pass: enough to share the work on small arrays, few enough
#: to keep large ones in the processor's cache.
STACK = 24
#: In 16 bits a run is followed this far. The scores of a trained net leave float16's range: exp(11.1)
#: overflows. And in bfloat16 their error soon leaves the probabilities no bound from the weights.
ITERATIONS_IN_16_BITS = 200
#: How many bytes their tensors may take: beyond that, stacking saves nothing and costs memory.
STACK_BYTES = 16 << 20


@dataclass(eq=False)
class Contestant:
    """A port's step in one cell, ready to run, and the steps at which it is judged."""

    port: Port
    result: CellResult
    step: Step
    batch: dict[str, Any]
    steps: Collection[int]

    @property
    def arithmetic(self) -> Arithmetic:
        """What the port's framework promises in this cell."""
        cell = self.result.cell
        return self.port.arithmetic(cell.mode, cell.device, cell.dtype)


def iterations_within(dtype: str, iterations: int) -> int:
    """How far into a run cells are spread whose narrowest numbers have that dtype."""
    return min(iterations, ITERATIONS_IN_16_BITS) if ARITHMETICS[dtype].stores else iterations


def chosen_steps(iterations: int, count: int | None) -> Collection[int]:
    """All steps for None; else `count` of them spread over the run, first and last included."""
    if count is None or count >= iterations:
        return range(iterations)
    return {round(i * (iterations - 1) / max(count - 1, 1)) for i in range(count)}


def natural_cell(part: str, port: Port, dtype: str = "float64") -> Cell:
    """A port's cell on the CPU in the mode in which its framework's users run it."""
    return Cell(part, port.name, port.host.natural_mode, "cpu", dtype)


def put_batch(host: Host, problem: Problem, device: str, dtype: str) -> dict[str, Any]:
    """A problem's batch on a device: floats in a dtype, labels as indices, numbers as they are."""

    def put(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        return host.put(value, device, dtype) if is_floats(value) else host.put_labels(value, device)

    return {name: put(value) for name, value in problem.batch.items()}


def prepare(cell: Cell, port: Port, problem: Problem, steps: Collection[int]) -> Contestant:
    """Make a fresh step and put the data on the device, once per run."""
    return Contestant(
        port,
        CellResult(cell, port.hidden_quantities),
        prepared_step(port, problem.model, cell.mode),
        put_batch(port.host, problem, cell.device, cell.dtype),
        steps,
    )


def run_step(contestant: Contestant, start: Problem) -> dict[str, Any]:
    """Run one step of a port from the given parameters; returns its quantities as NumPy arrays.

    The arrays are copies where the port may reuse their memory at the next step. The batch is the one
    that the contestant was prepared with. Raises PortError where the port returns something else.
    """
    host, cell = contestant.port.host, contestant.result.cell
    kept = np.asarray if host.immutable else np.array
    on_device = {name: host.put(value, cell.device, cell.dtype) for name, value in start.params.items()}
    returned = contestant.step(*start.model.arguments(on_device, contestant.batch))
    trace = named_tensors(returned, start.model.step_name)
    return {name: kept(read(host, name, tensor)) for name, tensor in trace.items()}


#: From a problem and a number of steps to what each of these steps of the reference starts from.
Way: TypeAlias = Callable[[Problem, int], Iterable[Problem]]


def own_way(problem: Problem, iterations: int) -> Iterator[Problem]:
    """The way of the reference's own training run, step by step."""
    return (start for _, start, _ in trajectory(problem, iterations))


def run_lockstep(
    problem: Problem,
    contestants: Sequence[Contestant],
    iterations: int,
    progress: Callable[[], None] = lambda: None,
    way: Way = own_way,
) -> list[CellResult]:
    """Run contestants of one model in lockstep with the reference, certifying each chosen step.

    A contestant ends early if it raises, or if its dtype or the reference leaves the number range. Its
    result keeps the steps so far and says why in `error`. Where only the bounds from the weights end, it
    goes on with local certificates alone, and its result says so in `local_alone`. `progress` is called
    after each port step. `way` may know the reference's run already; by default it is made.
    """
    heats, overflow, reached = _heats(contestants, problem), "", -1
    last = max((max(c.steps) for c in contestants), default=-1)
    try:
        for i, start in enumerate(way(problem, min(iterations, last + 1))):
            reached = i
            for heat in heats:
                if i in heat.steps:
                    heat.start_from(i, start.params, progress)
    except ScoreOverflow as why:
        overflow = str(why)
    for heat in heats:
        heat.run(progress)
    for contestant in contestants:
        if max(contestant.steps) > reached:
            contestant.result.error = contestant.result.error or overflow
    return [c.result for c in contestants]


def _heats(contestants: Sequence[Contestant], problem: Problem) -> list["Heat"]:
    """Group contestants of the same arithmetic and steps: they start from the same numbers."""
    together: dict[Any, list[Contestant]] = {}
    for contestant in contestants:
        together.setdefault((contestant.arithmetic, frozenset(contestant.steps)), []).append(contestant)
    return [Heat(problem, group) for group in together.values()]


class Start(NamedTuple):
    """What one step starts from: the reference's parameters, as a port's dtype holds them."""

    step: int
    problem: Problem


class Heat:
    """Contestants that start from the same numbers at the same steps, judged a few steps at a time.

    Each makes these few steps in a row, as in a training loop, before the next one's turn. That keeps
    its code and data in the processor's cache.
    """

    def __init__(self, problem: Problem, contestants: Sequence[Contestant]) -> None:
        self.contestants = list(contestants)
        self.steps = contestants[0].steps
        self.dtype = contestants[0].result.cell.dtype
        self.arithmetic = contestants[0].arithmetic
        self.problem = problem.held_as(self.dtype)
        self.starts: list[Start] = []
        self.unfollowed: LocalAlone | None = None  # once there are no more bounds from the weights
        elements = sum(math.prod(shape) for shape in problem.shapes.values())
        self.trace_bytes = elements * np.dtype(np.float64).itemsize

    def start_from(
        self, i: int, params: Mapping[str, Plain], progress: Callable[[], None] = lambda: None
    ) -> None:
        """List a step, unless no contestant is left. Run and judge the list when it is long enough."""
        if not self.contestants:
            return
        held = {name: held_as(self.dtype, value) for name, value in params.items()}
        self.starts.append(Start(i, self.problem.starting_from(held)))
        port_steps = len(self.starts) * len(self.contestants)
        with_the_next = (port_steps + len(self.contestants)) * self.trace_bytes
        if port_steps >= STACK or with_the_next > STACK_BYTES:
            self.run(progress)

    def run(self, progress: Callable[[], None] = lambda: None) -> None:
        """Run and judge the listed steps. A contestant that raises drops out; the others go on."""
        starts, self.starts = self.starts, []
        traces = {c: _traces(c, starts, progress) for c in self.contestants}
        raised = {c for c, made in traces.items() if len(made) < len(starts)}
        while traces:
            together = min(map(len, traces.values()))
            self._judge(starts[:together], {c: made[:together] for c, made in traces.items()})
            starts = starts[together:]
            rest = {c: made[together:] for c, made in traces.items() if c in self.contestants}
            traces = {c: made for c, made in rest.items() if made}
        self.contestants = [c for c in self.contestants if c not in raised]

    def _judge(self, starts: Sequence[Start], traces: Mapping[Contestant, Sequence[PortTrace]]) -> None:
        """Certify some steps in one pass; if one has no bound, each step of each port alone.

        From the first step on that has none from the weights (all contestants start from the same), they
        are certified locally alone.
        """
        traces = {c: made for c, made in traces.items() if c in self.contestants}
        if not starts or not traces:
            return
        try:
            problems, compared = self._certified(starts, traces)
        except Unbounded as why:
            if len(starts) > 1 or len(traces) > 1:
                for j, start in enumerate(starts):
                    for c, made in traces.items():
                        self._judge([start], {c: [made[j]]})
            elif isinstance(why, Unfollowed):
                self.unfollowed = LocalAlone(starts[0].step, str(why))
                self._judge(starts, traces)
            else:
                (contestant,) = traces
                contestant.result.error = str(why)
                self.contestants.remove(contestant)
            return
        results = [contestant.result for contestant in traces]
        for result in results:
            result.local_alone = self.unfollowed
        for start, of_ports in zip(starts, problems, strict=True):
            for result, found in zip(results, of_ports, strict=True):
                result.add(found, start.step)
        for of_quantity in compared:
            held = of_quantity.held
            steps = [starts[j].step for j in held.steps]
            rows = zip(held.ports, held.shares.max(axis=1).tolist(), strict=True)
            for i, (port, largest) in enumerate(rows):
                results[port].add_row(of_quantity, i, steps, largest)

    def _certified(
        self, starts: Sequence[Start], traces: Mapping[Contestant, Sequence[PortTrace]]
    ) -> Judgement:
        return certify_steps(
            [start.problem for start in starts],
            list(zip(*traces.values(), strict=True)),
            self.arithmetic,
            [contestant.result.hidden for contestant in traces],
            f"step {starts[0].step}",
            bounds=None if self.unfollowed is None else {},
        )


def _traces(
    contestant: Contestant, starts: Sequence[Start], progress: Callable[[], None]
) -> list[dict[str, Plain]]:
    """A port's traces of these steps. If it raises, they end, and its result says why."""
    traces = []
    for start in starts:
        try:
            traces.append(run_step(contestant, start.problem))
        except (Exception, SystemExit) as error:
            contestant.result.error = f"step {start.step}: {what_went_wrong(error)}"
            break
        finally:
            progress()
    return traces


def reference_at(problem: Problem, i: int) -> Problem:
    """What step i of the reference's own run starts from."""
    return next(start for step, start, _ in trajectory(problem, i + 1) if step == i)


def run_step_at(
    port: Port, cell: Cell, start: Problem, i: int
) -> tuple[dict[str, Plain], dict[str, Rounded], dict[str, str]]:
    """Run step i of a port from `start`; returns the trace, its local bounds, and problems by quantity.

    A quantity has a problem if its form is wrong; nothing is computed from it. Raises ValueError in
    one sentence where the port raises.
    """
    start = start.held_as(cell.dtype)
    try:
        trace = run_step(prepare(cell, port, start, (i,)), start)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{cell}: step {i}: {what_went_wrong(error)}") from error
    arithmetic = port.arithmetic(cell.mode, cell.device, cell.dtype)
    found = structural_problems(start, trace, arithmetic, port.hidden_quantities)
    problems = {finding.quantity: finding.problem for finding in found}
    usable = {name: tensor for name, tensor in trace.items() if name not in problems}
    return trace, local(start, usable, arithmetic, f"step {i}"), problems


def certify_spiral(cell: Cell, port: Port, noise: Plain) -> CellResult:
    """Certify a port's own spiral, from the same draws: it is one operation from noise to points.

    If the port raises, the result's `error` says so.
    """
    result = CellResult(cell)
    try:
        got = port_spiral(cell, port, noise)
    except (Exception, SystemExit) as error:
        result.error = what_went_wrong(error)
        return result
    expected = expected_spiral(noise, port.arithmetic(cell.mode, cell.device, cell.dtype))
    result.add(judged_spiral(got, expected, cell.dtype), 0)
    return result


def port_spiral(cell: Cell, port: Port, noise: Plain) -> dict[str, Plain]:
    """A port's X and y from these draws. Raises what the port raises, and PortError."""
    made = port.make_spiral(cell.mode)(port.host.put(noise, cell.device, cell.dtype))
    return {
        n: read(port.host, n, tensor) for n, tensor in zip("Xy", points_and_labels(made), strict=True)
    }


def expected_spiral(noise: Plain, arithmetic: Arithmetic) -> dict[str, Rounded]:
    """The reference's X and y from these draws, with their bounds."""
    X, y = spiral(Rounded.exact(held_as(arithmetic.name, noise), arithmetic), linspace(arithmetic))
    return {"X": X, "y": Rounded.exact(y, arithmetic)}


def judged_spiral(
    got: Mapping[str, Plain], expected: Mapping[str, Rounded], dtype: str
) -> list[Finding]:
    """Findings on a spiral's form, and on the values of what has the right form."""
    problems = misshapen_spiral(got, expected["X"].shape, dtype)
    comparable = expected.keys() - {problem.quantity for problem in problems}
    with np.errstate(all="ignore"):
        return problems + [compare(n, END_TO_END, got[n], expected[n]) for n in got if n in comparable]


def misshapen_spiral(got: Mapping[str, Plain], shape: tuple[int, ...], dtype: str) -> list[Finding]:
    """Findings on the form of a spiral whose points should have that shape and dtype."""
    shapes = {"X": shape, "y": shape[:1]}
    problems = {}
    for name, array in got.items():
        if array.shape != shapes[name]:
            problems[name] = f"has shape {array.shape}, expected {shapes[name]}"
        elif name == "X" and array.dtype != dtype:
            problems[name] = f"has dtype {array.dtype}, expected {dtype}"
        elif name == "y" and array.dtype.kind not in "iu":
            problems[name] = f"has dtype {array.dtype}, expected integers"
    return [Finding(n, END_TO_END, float("nan"), problem=problem) for n, problem in problems.items()]
