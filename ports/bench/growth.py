"""Growth: time and memory of certified steps as the problem gets larger.

One certified step is what the engine does with one port, NumPy's: the reference step, the port's
step, both certificates. Memory is what tracemalloc sees (NumPy reports every array
to it): the peak during the run, less what was held before. So the reference's and the port's own
tensors count too.
"""

import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np

from ports.bench.measuring import Effort, Row, Seconds, exponent, interleaved, row
from ports.engine.lockstep import STACK_BYTES, Contestant, natural_cell, prepare, run_lockstep, run_step
from ports.registry import PORTS
from reference.models import TWO_LAYER, Problem
from reference.runs import D, H, K

EXPONENT_GOAL = 1.05
FLAT_GOAL = 1.05
MEMORY_GOALS = {"examples": 5.0, "classes": 6.0}
MEBIBYTE = 2**20

#: For each thing that grows: the sizes measured, and the size from which the exponent is fitted.
SIZES = {
    "examples": ((300, 3_000, 10_000, 30_000, 100_000, 300_000), 3_000),
    "hidden": ((100, 512, 1_024, 2_048, 4_096), 512),
    "classes": ((3, 100, 300, 1_000), 100),
}
QUICK_SIZES = {
    "examples": ((300, 3_000, 10_000, 30_000), 3_000),
    "hidden": ((100, 512, 1_024), 512),
    "classes": ((3, 100, 300), 100),
}
STEPS, QUICK_STEPS = (100, 1_000, 10_000), (50, 500)
NAMES = {"examples": "examples N", "hidden": "hidden units H", "classes": "classes K"}


def sized_problem(examples: int = 300, hidden: int = H, classes: int = K) -> Problem:
    """A two-layer net of any size on random points."""
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((examples, D)), np.arange(examples) % classes
    return TWO_LAYER.problem(X, y, TWO_LAYER.draw(rng, {"D": D, "H": hidden, "K": classes}))


def numpy_contestant(problem: Problem, iterations: int) -> Contestant:
    """NumPy's port, to be judged at each step."""
    port = PORTS["numpy"]
    return prepare(natural_cell(problem.model.name, port), port, problem, range(iterations))


def certified(problem: Problem, iterations: int) -> Callable[[], None]:
    """A call that runs and certifies `iterations` steps. It raises ValueError if they do not agree."""

    def run() -> None:
        (result,) = run_lockstep(problem, [numpy_contestant(problem, iterations)], iterations)
        if not result.agrees:
            raise ValueError(f"{result.cell} is not certified at {problem.X.shape}: {result.error}")

    return run


def alone(problem: Problem) -> Callable[[], None]:
    """A call that runs one step of the port, and nothing else."""
    contestant = numpy_contestant(problem, 1)

    def run() -> None:
        contestant.step(*problem.model.arguments(problem.params, contestant.batch))

    return run


def peak_memory(run: Callable[[], object]) -> int:
    """The most bytes held during a call, less those held before it."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def tensors_bytes(problem: Problem) -> int:
    """The size of a port's own tensors: all quantities of one step."""
    trace = run_step(numpy_contestant(problem, 1), problem)
    return sum(tensor.nbytes for tensor in trace.values())


def growth(effort: Effort) -> Iterator[Row]:
    """Exponents of time, and peak memory."""
    for name, (sizes, beyond) in (QUICK_SIZES if effort.quick else SIZES).items():
        problems = {size: sized_problem(**{name: size}) for size in sizes}
        yield from time_rows(effort, name, problems, beyond)
        yield memory_row(name, problems)
    steps = QUICK_STEPS if effort.quick else STEPS
    yield time_over_steps(effort, steps)
    yield memory_over_steps(steps)


def time_rows(effort: Effort, name: str, problems: dict[int, Problem], beyond: int) -> Iterator[Row]:
    """Time per certified step against a size, beside the port's own, which outgrows the cache too."""
    kinds = {
        "certified step": {size: certified(problem, 1) for size, problem in problems.items()},
        "step of the port alone": {size: alone(problem) for size, problem in problems.items()},
    }
    contestants = {f"{kind}, {n}": run for kind, runs in kinds.items() for n, run in runs.items()}
    seconds = interleaved(contestants, effort.rounds_of(0.3), effort.sample)
    fitted = [size for size in problems if size >= beyond]
    for (kind, runs), goal in zip(kinds.items(), (EXPONENT_GOAL, None), strict=True):
        what = f"time per {kind}, {NAMES[name]} {fitted[0]:,} to {fitted[-1]:,}"
        own = {str(size): seconds[f"{kind}, {size}"] for size in runs}
        detail = {"median seconds": _medians(own)}
        yield row("growth", what, "exponent", goal, _exponents(own, fitted), detail)


def memory_row(name: str, problems: dict[int, Problem]) -> Row:
    """Peak memory of three certified steps over the port's own tensors, at the largest size.

    It has a goal where steps are too large to be stacked: stacking takes memory to save time.
    """
    share = {}
    for size in (min(problems), max(problems)):
        problem = problems[size]
        share[str(size)] = peak_memory(certified(problem, 3)) / tensors_bytes(problem)
    size = max(problems)
    what = f"peak memory / the port's own tensors, {NAMES[name]} {size:,}"
    own = tensors_bytes(problems[size])
    goal = MEMORY_GOALS.get(name) if 2 * own > STACK_BYTES else None
    detail = {"share": share, "tensors MiB": own / MEBIBYTE}
    return row("growth", what, "x", goal, [share[str(size)]], detail)


def time_over_steps(effort: Effort, steps: tuple[int, ...]) -> Row:
    """Time of a certified run against its number of steps."""
    problem = sized_problem()
    contestants = {str(n): certified(problem, n) for n in steps}
    seconds = interleaved(contestants, effort.rounds_of(0.2))
    what = f"time of a certified run, steps {steps[0]:,} to {steps[-1]:,}"
    detail = {"median seconds": _medians(seconds)}
    return row("growth", what, "exponent", EXPONENT_GOAL, _exponents(seconds, list(steps)), detail)


def memory_over_steps(steps: tuple[int, ...]) -> Row:
    """Peak memory of a long run over a short one's."""
    problem = sized_problem()
    few, many = steps[0], steps[-2] if len(steps) > 2 else steps[-1]
    peaks = {n: peak_memory(certified(problem, n)) for n in (few, many)}
    what = f"peak memory, {many:,} steps / {few:,} steps"
    detail = {"peak MiB": {str(n): peak / MEBIBYTE for n, peak in peaks.items()}}
    return row("growth", what, "x", FLAT_GOAL, [peaks[many] / peaks[few]], detail)


def _exponents(seconds: Seconds, sizes: list[int]) -> list[float]:
    """The fitted exponent of each round."""
    by_round = zip(*(seconds[str(size)] for size in sizes), strict=True)
    return [exponent(sizes, times) for times in by_round]


def _medians(seconds: Seconds) -> dict[str, float]:
    return {name: float(np.median(values)) for name, values in seconds.items()}
