"""Run the matrix: draws once, then every planned cell, models in the document's order."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np

from ports.lockstep import (
    MODELS,
    SPIRAL,
    CellResult,
    Contestant,
    certify_spiral,
    chosen_steps,
    prepare,
    run_lockstep,
)
from ports.report.as_json import provenance
from ports.selection import Planned
from reference.runs import ITERATIONS, Draws, draw


def run_matrix(
    planned: Sequence[Planned],
    points: int,
    seed: int,
    progress: Callable[[], None] = lambda: None,
) -> tuple[list[CellResult], dict[str, str]]:
    """Certify every planned cell on the document's run with that many points per class.

    `progress` is called once a port step. Returns the results in the order of the models, and
    the provenance recorded while the hosts' exact settings were in force.
    """
    draws = draw(np.random.RandomState(seed), points)
    ports = {p.port.name: p.port for p in planned}
    results = []
    with ExitStack() as settings:
        for host in {port.host_name: port.host for port in ports.values()}.values():
            settings.enter_context(host.exact_settings())
        for model in MODELS:
            cells = [p for p in planned if p.cell.model == model]
            results += run_cells(cells, draws, progress)
        facts = provenance(ports.values())
    return results, facts


def run_cells(
    cells: Sequence[Planned],
    draws: Draws,
    progress: Callable[[], None] = lambda: None,
    iterations: int | None = None,
) -> list[CellResult]:
    """Certify cells of one model, sharing the reference's work. The hosts' settings are the caller's.

    `iterations` shortens the run; by default it is the document's.
    """
    if not cells:
        return []
    model = cells[0].cell.model
    if model == SPIRAL:
        return [certify_spiral(p.cell, p.port, draws.noise) for p in cells]
    problem, iterations = draws.problem(model), iterations or ITERATIONS[model]
    contestants: list[Contestant] = [
        prepare(p.cell, p.port, problem, chosen_steps(iterations, p.steps)) for p in cells
    ]
    return run_lockstep(problem, contestants, iterations, progress)


def step_total(planned: Sequence[Planned]) -> int:
    """How many port steps a plan comes to, for the progress line."""
    return sum(
        len(chosen_steps(ITERATIONS[p.cell.model], p.steps)) for p in planned if p.cell.model != SPIRAL
    )
