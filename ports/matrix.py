"""Run the matrix: draws once, then every planned cell, sharing the reference's work.

Cells of one model and framework run together. With several jobs, such groups are spread over
processes, each of which imports one framework at a time and computes with one thread.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from ports.lockstep import certify_spiral, chosen_steps, prepare, run_lockstep
from ports.memory import keep_freed_memory
from ports.port import LoadedPort, Port
from ports.report.as_json import provenance
from ports.results import MODELS, SPIRAL, CellResult
from ports.selection import Planned
from reference.runs import ITERATIONS, Draws, draw

THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
POLL = 0.2  # seconds between two looks at the workers' progress

Results = tuple[list[CellResult], dict[str, str]]


def run_matrix(
    planned: Sequence[Planned],
    points: int,
    seed: int,
    progress: Callable[[int], None] = lambda steps: None,
    jobs: int = 1,
) -> Results:
    """Certify every planned cell on the document's run with that many points per class.

    `progress` is told how many port steps are done more. Returns the results in the order of the
    plan, models first, and the provenance recorded while the hosts' exact settings were in force.
    """
    groups = _groups(planned)
    if jobs == 1 or len(groups) == 1 or any(isinstance(p.port, LoadedPort) for p in planned):
        parts: Iterable[Results] = [run_group(g, points, seed, lambda: progress(1)) for g in groups]
    else:
        parts = _in_processes(groups, points, seed, progress, jobs)
    found: dict[Any, CellResult] = {}
    facts: dict[str, str] = {}
    for results, provenance_of_group in parts:
        found |= {result.cell: result for result in results}
        facts |= provenance_of_group
    order = sorted(planned, key=lambda p: MODELS.index(p.cell.model))
    return [found[p.cell] for p in order], facts


def run_group(
    cells: Sequence[Planned], points: int, seed: int, progress: Callable[[], None] = lambda: None
) -> Results:
    """Certify one group, under its framework's exact settings."""
    keep_freed_memory()
    ports = {p.port.name: p.port for p in cells}.values()
    with exact_settings_of(ports):
        results = run_cells(cells, draw(np.random.RandomState(seed), points), progress)
        return results, provenance(ports)


def run_cells(
    cells: Sequence[Planned],
    draws: Draws,
    progress: Callable[[], None] = lambda: None,
    iterations: int | None = None,
) -> list[CellResult]:
    """Certify cells of one model, sharing the reference's work. The hosts' settings are the caller's.

    `iterations` shortens the run; by default it is the document's.
    """
    model = cells[0].cell.model
    if model == SPIRAL:
        return [certify_spiral(p.cell, p.port, draws.noise) for p in cells]
    problem, iterations = draws.problem(model), iterations or ITERATIONS[model]
    contestants = [prepare(p.cell, p.port, problem, chosen_steps(iterations, p.steps)) for p in cells]
    return run_lockstep(problem, contestants, iterations, progress)


@contextmanager
def exact_settings_of(ports: Iterable[Port]) -> Iterator[None]:
    """Full-precision products and float64 in every framework of these ports."""
    with ExitStack() as stack:
        for host in {port.host_name: port.host for port in ports}.values():
            stack.enter_context(host.exact_settings())
        yield


def step_total(planned: Sequence[Planned]) -> int:
    """How many port steps a plan comes to, for the progress line."""
    return sum(
        len(chosen_steps(ITERATIONS[p.cell.model], p.steps)) for p in planned if p.cell.model != SPIRAL
    )


def _groups(planned: Sequence[Planned]) -> list[list[Planned]]:
    """Cells of one model and framework, the longest group first."""
    groups: dict[tuple[str, str], list[Planned]] = {}
    for p in planned:
        groups.setdefault((p.cell.model, p.port.host_name), []).append(p)
    return sorted(groups.values(), key=step_total, reverse=True)


def _in_processes(
    groups: Sequence[Sequence[Planned]],
    points: int,
    seed: int,
    progress: Callable[[int], None],
    jobs: int,
) -> list[Results]:
    """Run the groups in worker processes; the workers count their steps in shared memory."""
    spawn = multiprocessing.get_context("spawn")
    counter = spawn.Value("Q")
    with (
        one_thread_each(),
        ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_count_in, initargs=(counter,)) as pool,
    ):
        futures = [pool.submit(_counted_group, group, points, seed) for group in groups]
        _follow(futures, counter, progress)
    return [future.result() for future in futures]


def _follow(futures: Sequence[Future[Results]], counter: Any, progress: Callable[[int], None]) -> None:
    """Report progress until all are done; stop the rest when one fails."""
    seen, pending = 0, set(futures)
    while pending:
        done, pending = wait(pending, timeout=POLL)
        count = int(counter.value)
        progress(count - seen)
        seen = count
        if any(future.exception() for future in done):
            for future in pending:
                future.cancel()


_counter: Any = None


def _count_in(counter: Any) -> None:
    global _counter
    _counter = counter


def _counted_group(cells: Sequence[Planned], points: int, seed: int) -> Results:
    unreported, reported_at = 0, time.monotonic()

    def progress() -> None:
        nonlocal unreported, reported_at
        unreported += 1
        if time.monotonic() - reported_at > POLL:
            with _counter.get_lock():
                _counter.value += unreported
            unreported, reported_at = 0, time.monotonic()

    return run_group(cells, points, seed, progress)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """The processes are the parallelism: what they import computes with one thread."""
    before = {name: os.environ.get(name) for name in THREAD_SETTINGS}
    os.environ.update({name: value or "1" for name, value in before.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
