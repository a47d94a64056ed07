"""Run the matrix: draw once, then run every planned cell, sharing the reference's work.

Cells of one model run together, whatever their framework: they share the reference's steps and
bounds. With several jobs, a run of all steps is cut into ranges of steps, one per process. Cells of a
few steps spend most of their time compiling, so they are spread by framework. Each process computes
with one thread.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ports.contract import LoadedPort, Port
from ports.engine.lockstep import (
    Way,
    certify_spiral,
    chosen_steps,
    iterations_within,
    own_way,
    prepare,
    run_lockstep,
)
from ports.engine.memory import keep_freed_memory
from ports.engine.provenance import provenance
from ports.engine.results import SPIRAL, CellResult, parts
from ports.engine.selection import Planned
from ports.engine.workers import in_workers
from ports.registry import OWN_FRAMEWORKS
from reference.agreement.arithmetic import OWN_DTYPES
from reference.models import MODELS, OWN_MODELS
from reference.runs import Draws, draw

#: Fewer steps are not worth another process that imports and compiles the ports.
STEPS_A_PART = 500

Results = tuple[list[CellResult], dict[str, str]]


class Part(NamedTuple):
    """Cells of one model that run together, and the range of steps that they run."""

    cells: tuple[Planned, ...]
    steps: range


def run_matrix(
    planned: Sequence[Planned],
    points: int,
    seed: int,
    progress: Callable[[int], None] = lambda steps: None,
    jobs: int = 1,
) -> Results:
    """Certify every planned cell on the note's run with that many points per class.

    A plan with a cell from outside the project runs in this process alone, whatever `jobs` says.
    `progress` is called with the number of port steps done since its last call. Returns the results,
    by model and then in the order of the plan, and the provenance recorded under the exact settings.
    """
    alone = jobs == 1 or any(is_from_outside(p) for p in planned)
    pieces = parts_of(planned, 1 if alone else jobs)
    done: Iterable[Results] = (
        [run_part(part, points, seed, lambda: progress(1)) for part in pieces]
        if alone or len(pieces) < 2
        else in_workers([partial(run_part, part, points, seed) for part in pieces], jobs, progress)
    )
    found: dict[Any, CellResult] = {}
    facts: dict[str, str] = {}
    for results, provenance_of_part in done:
        for result in results:
            if result.cell in found:
                found[result.cell].follow(result)
            else:
                found[result.cell] = result
        facts |= provenance_of_part
    order = sorted(planned, key=lambda p: parts().index(p.cell.model))
    return [found[p.cell] for p in order], facts


def is_from_outside(planned: Planned) -> bool:
    """Whether a worker process would not know a cell's port, framework, model or dtype."""
    cell, port = planned.cell, planned.port
    return (
        isinstance(port, LoadedPort)
        or port.framework.name not in OWN_FRAMEWORKS
        or cell.model not in {SPIRAL, *OWN_MODELS}
        or cell.dtype not in OWN_DTYPES
    )


def run_part(part: Part, points: int, seed: int, progress: Callable[[], None] = lambda: None) -> Results:
    """Certify one part, under its frameworks' exact settings."""
    keep_freed_memory()
    ports = {p.port.name: p.port for p in part.cells}.values()
    (precision,) = {p.precision for p in part.cells}
    with exact_settings_of(ports, precision):
        draws = draw(np.random.RandomState(seed), points)
        return run_cells(part.cells, draws, part.steps, progress), provenance(ports)


def run_cells(
    cells: Sequence[Planned],
    draws: Draws,
    steps: range | None = None,
    progress: Callable[[], None] = lambda: None,
    way: Way = own_way,
) -> list[CellResult]:
    """Certify cells of one model, sharing the reference's work. The caller enters the exact settings.

    Each cell runs those of its planned steps that are in `steps`; by default all of them.
    """
    part = cells[0].cell.model
    if part == SPIRAL:
        return [certify_spiral(p.cell, p.port, draws.noise) for p in cells]
    model = MODELS[part]
    problem, within = draws.problem(model), range(model.iterations) if steps is None else steps
    contestants = [prepare(p.cell, p.port, problem, steps_of(p, within)) for p in cells]
    return run_lockstep(problem, contestants, within.stop, progress, way)


def steps_of(planned: Planned, within: range) -> Collection[int]:
    """The steps within a range at which a cell is judged."""
    return frozenset(i for i in chosen_by(planned) if i in within)


def chosen_by(planned: Planned) -> Collection[int]:
    """The steps of the run at which a model's cell is judged: all of them, or some of those that its
    narrowest dtype can follow."""
    iterations = MODELS[planned.cell.model].iterations
    if planned.steps is None:
        return range(iterations)
    narrowest = planned.port.narrowest(planned.cell.dtype)
    return chosen_steps(iterations_within(narrowest, iterations), planned.steps)


@contextmanager
def exact_settings_of(ports: Iterable[Port], precision: str = "highest") -> Iterator[None]:
    """float64, and float32 products of that precision, in every framework of these ports."""
    with ExitStack() as stack:
        for host in {port.framework.name: port.host for port in ports}.values():
            stack.enter_context(host.settings_with(precision))
        yield


def step_total(planned: Iterable[Planned]) -> int:
    """How many port steps a plan has, for the progress line."""
    return sum(len(chosen_by(p)) for p in planned if p.cell.model != SPIRAL)


def parts_of(planned: Sequence[Planned], jobs: int) -> list[Part]:
    """Split a plan into parts that run separately: longest run first, the parts of a run in order."""
    groups: dict[tuple[str, str], list[Planned]] = {}
    for p in planned:
        framework = p.port.framework.name if jobs > 1 and p.steps is not None else ""
        groups.setdefault((p.cell.model, framework), []).append(p)
    return [
        Part(tuple(cells), steps)
        for (model, framework), cells in sorted(
            groups.items(), key=lambda group: step_total(group[1]), reverse=True
        )
        for steps in ranges(iterations_of(model), 1 if framework else jobs)
    ]


def iterations_of(part: str) -> int:
    """How many steps the note runs a model for; the spiral is made once."""
    return 1 if part == SPIRAL else MODELS[part].iterations


def ranges(iterations: int, jobs: int) -> list[range]:
    """Cut a run into ranges of steps, at most one per job. Each runs the reference up to its end."""
    parts = max(1, min(jobs, iterations // STEPS_A_PART))
    edges = [iterations * i // parts for i in range(parts + 1)]
    return [range(start, stop) for start, stop in pairwise(edges)]
