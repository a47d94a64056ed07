"""The few problems on which traps are run, each with a name and a reason to exist."""

from collections.abc import Callable

import numpy as np

from reference.models import Model, Problem
from reference.runs import draw, kink

SEED = 0
POINTS = 5  #: the note's points per class


def document(model: Model) -> Problem:
    """The note's own 15 points and first weights: three points at radius 0, so 300 exact ties."""
    return draw(np.random.RandomState(SEED), POINTS).problem(model)


def square(model: Model) -> Problem:
    """Every size is 6, so transposed and swapped operands fit and nothing raises."""
    rng, n = np.random.RandomState(SEED), 6
    params = {
        name: rng.standard_normal((n, n))[: 1 if parameter.shape.startswith("1") else n]
        for name, parameter in model.parameters.items()
    }
    return model.problem(rng.standard_normal((n, n)), np.arange(n, dtype="uint8"), params)


def confident(model: Model) -> Problem:
    """Scores from 1 to 400, all on the right class: the other probabilities are tiny, or 0.

    For models of one layer only: the points equal the scores, up to a sign.
    """
    ((weights, bias),) = model.layers
    size = np.array([1.0, 5, 30, 60, 100, 400])
    y = np.arange(size.size, dtype="uint8") % 3
    W = 2 * np.eye(3) - 1
    return model.problem(size[:, None] * np.eye(3)[y], y, {weights: W, bias: np.zeros((1, 3))})


FIXTURES: dict[str, Callable[[Model], Problem]] = {
    make.__name__: make for make in (document, kink, square, confident)
}
