"""The note's runs: sizes, seed, draws, and the trajectory."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from reference.arrays import Plain, Rng
from reference.models import MODELS, TWO_LAYER, Model, Problem
from reference.own import OwnModel
from reference.spiral import spiral
from reference.trace import Trace, record

D = 2  #: dimensionality
K = 3  #: number of classes
H = TWO_LAYER.sizes["H"]  #: size of hidden layer
#: The note's 5 points per class, and the 100 of the course notes it studies.
POINTS = (5, 100)


@dataclass(frozen=True)
class Draws:
    """Everything random in the note, drawn once in the note's order and shared by all frameworks."""

    noise: Plain
    X: Plain
    y: Plain
    params: dict[str, dict[str, Plain]]
    own: dict[str, Problem] = field(default_factory=dict)

    def problem(self, model: Model) -> Problem:
        """The starting point of `model`'s run."""
        if model.name in self.own:
            return self.own[model.name]
        return model.problem(self.X, self.y, self.params[model.name])


def draw(rng: Rng, points: int = 100) -> Draws:
    """Draw the note's data and weights from `rng`: the spiral's noise, then each model's parameters.

    `np.random.RandomState(0)` gives the numbers of the listing under `np.random.seed(0)`. A model that
    is registered beside the note's two has their D and K; its parameters are drawn after theirs. A
    network of one's own has inputs of its own, which do not depend on what is drawn here.
    """
    own = {m.name: m.start(copy.deepcopy(rng)) for m in MODELS.values() if isinstance(m, OwnModel)}
    noise = rng.standard_normal((K, points))
    X, y = spiral(noise)
    sizes = {"D": D, "K": K}
    params = {
        name: model.draw(rng, {**sizes, **model.sizes})
        for name, model in MODELS.items()
        if name not in own
    }
    return Draws(noise, X, y, params, own)


def kink(model: Model, seed: int = 0) -> Problem:
    """The note's 15 points with the last bias set.

    The three points at radius 0 have exact ReLU ties. Their gradients then do not cancel in the sum over
    the examples, db.
    """
    problem = draw(np.random.RandomState(seed), POINTS[0]).problem(model)
    last = {model.biases[-1]: np.array([[0.3, -0.2, 0.1]])}
    return problem.starting_from({**problem.params, **last})


def trajectory(problem: Problem, iterations: int) -> Iterator[tuple[int, Problem, Trace]]:
    """Yield (step, what it starts from, trace) of the reference's own training run, step by step."""
    for i in range(iterations):
        trace = record(problem, f"step {i}")
        yield i, problem, trace
        problem = problem.starting_from(problem.model.next_params(trace))


def accuracy(scores: Plain, y: Plain) -> float:
    """The share of examples whose highest score is that of the right class."""
    return float(np.mean(np.argmax(scores, axis=1) == y))
