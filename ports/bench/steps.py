"""One step: the reference with its trace, and the two certificates."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ports.bench.listing import LISTINGS
from ports.bench.measuring import Effort, Row, interleaved, ratio_row
from ports.contract import Port
from ports.engine.lockstep import STACK, natural_cell, prepare, reference_at, run_step
from ports.engine.selection import ports_here
from ports.registry import PORTS
from reference.agreement.judge import certify_steps
from reference.arrays import Plain
from reference.models import Model, Problem
from reference.runs import draw, trajectory
from reference.trace import Trace, record

REFERENCE_GOAL = 1.1
CERTIFICATE_GOAL = 1.0
AT_STEP = 100  #: where in the run: past the first steps, whose probabilities are all alike


class Stack(NamedTuple):
    """Some steps of some ports that are certified in one pass, and what to call them."""

    what: str
    ports: Sequence[Port]
    steps: int


#: What one step starts from, and what the reference and the ports computed from it.
Ran = tuple[Problem, Trace, list[dict[str, Plain]]]


def document_problem(model: Model, points: int = 100) -> Problem:
    """The note's problem, with `points` points per class."""
    return draw(np.random.RandomState(0), points).problem(model)


def reference(effort: Effort) -> Iterator[Row]:
    """The reference's training run, with its trace, against the bare listing's."""
    for model in LISTINGS:
        problem = document_problem(model)
        seconds = interleaved(reference_contestants(problem, steps=50), 4 * effort.rounds, effort.sample)
        what = f"{model.name}, N={len(problem.y)}: reference step with trace / the document's lines"
        yield ratio_row("reference", what, REFERENCE_GOAL, seconds, "reference", "listing")


def reference_contestants(problem: Problem, steps: int) -> dict[str, Callable[[], object]]:
    """Both ways to train for a number of steps from the problem's parameters."""
    X, y = problem.X, problem.y

    def traced() -> None:
        start = problem
        for _ in range(steps):
            start = start.starting_from(start.model.next_params(record(start)))

    def untraced() -> None:
        params = {name: value.copy() for name, value in problem.params.items()}
        for _ in range(steps):
            LISTINGS[problem.model](params, X, y, problem.reg, problem.step_size)

    return {"reference": traced, "listing": untraced}


def certificate(effort: Effort) -> Iterator[Row]:
    """Both certificates of every quantity against a naive check of the same tensors."""
    goals = {"assert_allclose": CERTIFICATE_GOAL}
    for model in LISTINGS:
        problem = document_problem(model)
        for stack in stacks(ports_here()):
            yield from certificate_rows(effort, ("certificate", model.name), problem, stack, goals)


def certificate_rows(
    effort: Effort, title: tuple[str, str], problem: Problem, stack: Stack, goals: Mapping[str, float]
) -> Iterator[Row]:
    """The certificates of one stack over each naive check, some of which have a goal.

    `title` names the benchmark and the network.
    """
    bench, network = title
    ran = run_steps(problem, stack.ports, stack.steps)
    seconds = interleaved(certificate_contestants(stack.ports, ran), effort.rounds, effort.sample)
    for naive in list(seconds)[1:]:
        what = f"{network}, {stack.what}: certify / {naive}"
        yield ratio_row(bench, what, goals.get(naive), seconds, "certify", naive)


def stacks(here: Sequence[Port]) -> Iterator[Stack]:
    """What is certified in one pass: one port alone, all of them, and as the engine does it."""
    yield Stack("1 port, 1 step", here[:1], 1)
    yield Stack(f"{len(here)} ports, 1 step", here, 1)
    steps = math.ceil(STACK / len(here))
    yield Stack(f"{len(here)} ports, {steps} steps (as lockstep runs)", here, steps)


def run_steps(problem: Problem, ports: Sequence[Port], steps: int) -> list[Ran]:
    """Consecutive steps of the reference's run, and what ports compute from the same numbers."""
    contestants = [prepare(natural_cell(problem.model.name, port), port, problem, ()) for port in ports]
    return [
        (start, trace, [run_step(c, start) for c in contestants])
        for _, start, trace in trajectory(reference_at(problem, AT_STEP), steps)
    ]


def certificate_contestants(
    ports: Sequence[Port], ran: Sequence[Ran]
) -> dict[str, Callable[[], object]]:
    """Certify some steps of some ports, or compare each tensor with the reference's, as people do."""
    starts, traces = [start for start, _, _ in ran], [of_ports for _, _, of_ports in ran]
    arithmetic = ports[0].host.arithmetic("cpu", "float64")
    hidden = [port.hidden_quantities for port in ports]
    pairs = [
        (got, trace[name]) for _, trace, of_ports in ran for of in of_ports for name, got in of.items()
    ]

    def certify() -> None:
        certify_steps(starts, traces, arithmetic, hidden)

    def assert_allclose() -> None:
        for got, expected in pairs:
            np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-8)

    contestants: dict[str, Callable[[], object]] = {
        "certify": certify,
        "assert_allclose": assert_allclose,
    }
    if not PORTS["torch_manual"].absence():
        contestants["torch.testing.assert_close"] = _assert_close(pairs)
    return contestants


def _assert_close(pairs: Sequence[tuple[Plain, Plain]]) -> Callable[[], object]:
    import torch

    tensors = [(torch.tensor(got), torch.tensor(expected)) for got, expected in pairs]

    def assert_close() -> None:
        for got, expected in tensors:
            torch.testing.assert_close(got, expected)

    return assert_close
