"""Golden values: numbers of the note's run of 15 points, for a student who writes it by hand.

Each number has the digits that are sure. The bound is carried from the noise through the points and both
steps. So a right program of any kind, which trains by itself, gets the same digits.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ports.contract import Port
from ports.engine.lockstep import natural_cell, prepare
from ports.engine.matrix import exact_settings_of
from ports.engine.training import train
from ports.lesson.digits import certain
from ports.lesson.libraries import ports_by_hand
from reference.agreement.arithmetic import FLOAT64
from reference.agreement.bounds import end_to_end_of_all, stacked
from reference.agreement.judge import END_TO_END, compare
from reference.agreement.rounded import Rounded, linspace
from reference.models import SOFTMAX, TWO_LAYER, Model, Problem
from reference.runs import POINTS, Draws, draw
from reference.spiral import spiral

SEED, SIZE = 0, POINTS[0]
#: The note's own.
NETWORKS = (SOFTMAX, TWO_LAYER)
#: How many steps of each are shown.
STEPS = 2
#: How many elements of a tensor are shown.
SHOWN = 3
#: The row that is shown: the first example lies at the origin, where much is 0.
ROW = 1

Bounds = Mapping[str, Rounded]


@dataclass(frozen=True)
class Golden:
    """A few numbers of one tensor, as text.

    Attributes:
        name: a quantity, a parameter, or X. shape: as NumPy prints it.
        elements: some elements by their index, as code. A number alone has an empty index.
        total: the sum of all magnitudes; empty for a number alone.
    """

    name: str
    shape: str
    elements: Mapping[str, str]
    total: str


@dataclass(frozen=True)
class GoldenStep:
    """The numbers of one step of one model. Those of step 0 begin with what it starts from."""

    model: Model
    step: int
    values: Sequence[Golden]


@dataclass(frozen=True)
class GoldenValues:
    """All of them, the ports whose own training was held against them, and what disagrees."""

    steps: Sequence[GoldenStep]
    ports: Sequence[str]
    disagreements: Sequence[str]


def made_golden(progress: Callable[[], None] = lambda: None) -> GoldenValues:
    """Compute the values, and let the ports that are here train by themselves.

    `progress` is called after each network.
    """
    draws, ports = draw(np.random.RandomState(SEED), SIZE), ports_by_hand()
    steps, disagreements = list[GoldenStep](), list[str]()
    with exact_settings_of(ports):
        for model in NETWORKS:
            problem = draws.problem(model)
            inputs, bounds = bounds_of_steps(draws, problem)
            steps += golden_steps(model, inputs, bounds)
            disagreements += [text for port in ports for text in outside(port, problem, bounds)]
            progress()
    return GoldenValues(steps, [port.name for port in ports], disagreements)


def bounds_of_steps(draws: Draws, problem: Problem) -> tuple[Bounds, list[Bounds]]:
    """What the first step starts from, and every quantity of each step, from the noise on."""
    X, _ = spiral(Rounded.exact(draws.noise, FLOAT64), linspace(FLOAT64))
    X = X.with_error(np.where(X.value == 0, 0.0, X.errors()))  # a radius of 0 is exact
    start = stacked([problem], FLOAT64)
    inputs = {"X": X} | {name: value.at((0, 0)) for name, value in start.params.items()}
    start, found = start.model.problem(X, start.y, start.params), list[Bounds]()
    for i in range(STEPS):
        bounds: dict[str, Rounded] = {}
        end_to_end_of_all(start, f"step {i}", bounds.__setitem__)
        found.append({name: bound.at((0, 0)) for name, bound in bounds.items()})
        start = start.starting_from(problem.model.next_params(bounds))
    return inputs, found


def golden_steps(model: Model, inputs: Bounds, bounds: Sequence[Bounds]) -> Iterator[GoldenStep]:
    """The steps as text."""
    for i, of_step in enumerate(bounds):
        shown = {**inputs, **of_step} if i == 0 else of_step
        yield GoldenStep(model, i, [golden(name, bound) for name, bound in shown.items()])


def golden(name: str, bound: Rounded) -> Golden:
    """A few numbers of a tensor, each with the digits that its bound leaves sure."""
    values, errors = np.asarray(bound.value), np.asarray(bound.errors())
    row = (min(ROW, values.shape[0] - 1),) if values.ndim == 2 else ()
    length = values.shape[-1] if values.ndim else 0
    indices = [(*row, k) for k in range(min(SHOWN, length))] or [()]
    elements = {
        f"[{', '.join(map(str, index))}]" if index else "": certain(
            float(values[index]), float(errors[index])
        )
        for index in indices
    }
    magnitudes = np.abs(values)
    roundings = FLOAT64.gamma(max(values.size - 1, 1)) * float(np.sum(magnitudes + errors))
    total = certain(float(np.sum(magnitudes)), float(np.sum(errors)) + roundings)
    return Golden(name, str(values.shape), elements, total if values.ndim else "")


def outside(port: Port, problem: Problem, bounds: Sequence[Bounds]) -> Iterator[str]:
    """Where a port that trains by itself leaves the bounds, in a sentence each."""
    cell = natural_cell(problem.model.name, port)
    contestant = prepare(cell, port, problem, range(STEPS))
    for update in train(contestant, problem, STEPS, needed=[*problem.model.quantities]):
        for name, bound in bounds[update.step].items():
            got = port.host.get(update.trace[name])
            if not compare(name, END_TO_END, got, bound).agrees:
                yield f"{port.name}: {problem.model.name}, step {update.step}: {name} disagrees"
