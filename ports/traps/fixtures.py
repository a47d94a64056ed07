"""The problems that traps are run on: few, named, each with the reason it exists."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from reference.runs import Problem, draw
from reference.trace import PARAMETERS

SEED = 0
POINTS = 5  #: the document's points a class


def document(model: str) -> Problem:
    """The document's own 15 points and first weights: three points at radius 0, so 300 exact ties."""
    return draw(np.random.RandomState(SEED), POINTS).problem(model)


def kink(model: str) -> Problem:
    """The same with b2 set, so that the ties' gradients do not cancel in db."""
    problem = document(model)
    return replace(problem, params=problem.params | {"b2": np.array([[0.3, -0.2, 0.1]])})


def square(model: str) -> Problem:
    """Every size 6: transposed and swapped operands fit, and nothing raises."""
    rng, n = np.random.RandomState(SEED), 6
    params = {name: rng.standard_normal((n, n)) for name in ("W", "b", "W2", "b2")}
    shaped = {
        name: params[name][:1] if letters.startswith("1") else params[name]
        for name, letters in PARAMETERS[model].items()
    }
    return Problem(model, rng.standard_normal((n, n)), np.arange(n, dtype="uint8"), shaped)


def confident(model: str) -> Problem:
    """Scores from 1 to 400, all on the right class: the other probabilities are tiny, or 0."""
    size = np.array([1.0, 5, 30, 60, 100, 400])
    y = np.arange(size.size, dtype="uint8") % 3
    W = 2 * np.eye(3) - 1
    return Problem(model, size[:, None] * np.eye(3)[y], y, {"W": W, "b": np.zeros((1, 3))})


FIXTURES: dict[str, Callable[[str], Problem]] = {
    make.__name__: make for make in (document, kink, square, confident)
}
