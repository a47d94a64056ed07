"""The scores of trained models over the plane, from which their boundaries are drawn."""

from dataclasses import dataclass

import numpy as np

from reference.arrays import Params, Plain
from reference.models import MODELS, Problem
from reference.runs import Draws, accuracy, trajectory
from reference.trace import Trace

#: Grid lines along each side of a decision map.
GRID = 200
#: How far the map reaches beyond the farthest point.
MARGIN = 0.15


@dataclass(frozen=True)
class DecisionMap:
    """A model's scores on a grid.

    Attributes:
        title: the model's name for readers.
        xx, yy: (G, G) coordinates. scores: (G, G, K).
        accuracy: the share of its training points that it classifies correctly.
    """

    title: str
    xx: Plain
    yy: Plain
    scores: Plain
    accuracy: float


def decision_maps(draws: Draws) -> list[DecisionMap]:
    """Train the reference's models as the note does, and map what each has learned."""
    return [decision_map(trained(draws.problem(model))) for model in MODELS.values()]


def trained(problem: Problem) -> Problem:
    """The problem with the reference's parameters at the end of the note's run."""
    params: Params = problem.params
    for _, _, trace in trajectory(problem, problem.model.iterations):
        params = problem.model.next_params(trace)
    return problem.starting_from(params)


def decision_map(problem: Problem, grid: int = GRID) -> DecisionMap:
    """The scores around a problem's points, with its parameters, on grid * grid points."""
    reach = np.abs(problem.X).max() + MARGIN
    xx, yy = np.meshgrid(*[np.linspace(-reach, reach, grid)] * 2)
    scores = _scores(problem, np.column_stack([xx.ravel(), yy.ravel()]))
    share = accuracy(_scores(problem, np.asarray(problem.X)), problem.y)
    return DecisionMap(problem.model.title, xx, yy, scores.reshape(*xx.shape, -1), share)


def _scores(problem: Problem, X: Plain) -> Plain:
    """A model's scores, computed by its own step; the rest of the step is ignored."""
    trace = Trace()
    with np.errstate(all="ignore"):
        problem.model.problem(X, np.zeros(len(X), dtype=int), problem.params, 0.0, 0.0).step(trace.tap)
    return np.asarray(trace["scores"])
