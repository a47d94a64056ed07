"""The document's runs: sizes, seed, hyper-parameters, iterations, and the trajectory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from reference import softmax, two_layer
from reference.arrays import Plain, Rng
from reference.spiral import spiral
from reference.trace import Trace, next_params, record

D = 2  #: dimensionality
K = 3  #: number of classes
H = 100  #: size of hidden layer
STEP_SIZE = 1e-0
REG = 1e-3  #: regularization strength
ITERATIONS = {"softmax": 200, "two_layer": 10_000}
#: The document's 5 points per class, and the 100 of the course notes it studies.
POINTS = (5, 100)


@dataclass(frozen=True)
class Problem:
    """One model's starting point: what every port is given. Arrays are never mutated."""

    model: str
    X: Plain
    y: Plain
    params: dict[str, Plain]
    reg: float = REG
    step_size: float = STEP_SIZE


@dataclass(frozen=True)
class Draws:
    """Everything random in the document, drawn once, in its order, for every framework."""

    noise: Plain
    X: Plain
    y: Plain
    params: dict[str, dict[str, Plain]]

    def problem(self, model: str) -> Problem:
        """The starting point of `model`'s run."""
        return Problem(model, self.X, self.y, self.params[model])


def draw(rng: Rng, points: int = 100) -> Draws:
    """Draw the document's data and weights from `rng`: the spiral's noise, W, then W and W2.

    `np.random.RandomState(0)` gives the numbers of the listing under `np.random.seed(0)`.
    """
    noise = rng.standard_normal((K, points))
    X, y = spiral(noise)
    params = {"softmax": softmax.init(rng, D, K), "two_layer": two_layer.init(rng, D, H, K)}
    return Draws(noise, X, y, params)


def trajectory(problem: Problem, iterations: int) -> Iterator[tuple[int, dict[str, Plain], Trace]]:
    """Yield (step, params, trace) of the reference's own training run, one step at a time."""
    params = problem.params
    for i in range(iterations):
        trace = record(
            problem.model, params, problem.X, problem.y, problem.reg, problem.step_size, f"step {i}"
        )
        yield i, params, trace
        params = next_params(problem.model, trace)


def accuracy(scores: Plain, y: Plain) -> float:
    """Share of examples whose highest score is the right class's."""
    return float(np.mean(np.argmax(scores, axis=1) == y))
