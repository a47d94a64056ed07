"""What the reference's own lines say about a quantity: the lines, and what it is computed from."""

import numpy as np
import pytest

from reference.line import formula, ingredients
from reference.models import MODELS
from reference.runs import draw
from reference.trace import record

CASES = [(model.name, quantity) for model in MODELS.values() for quantity in model.quantities]


def test_formula_is_the_lines_without_their_taps():
    """The lines of dhidden are the note's two."""
    assert formula("two_layer", "dhidden") == [
        "dhidden = np.dot(dscores, W2.T)",
        "dhidden[hidden_layer <= 0] = 0",
    ]
    assert formula("two_layer", "nothing") == []


def test_ingredients_are_followed_through_what_has_no_name_in_the_trace():
    """`exp_scores` is followed to the scores; `X.shape` is no use of X."""
    assert ingredients("softmax", "probs") == ["scores"]
    assert ingredients("softmax", "dscores") == ["probs", "y"]
    assert ingredients("two_layer", "dW2") == ["hidden_layer", "dscores", "reg", "W2"]


@pytest.mark.parametrize(("model", "quantity"), CASES, ids=map("-".join, CASES))
def test_ingredients_are_what_matters(model, quantity):
    """A quantity changes with each of its ingredients, and with nothing else that precedes it."""
    problem = draw(np.random.RandomState(0), 5).problem(MODELS[model])
    trace = record(problem)
    given = {"X": problem.X, "reg": problem.reg, "step_size": problem.step_size, **problem.params}
    earlier = dict(list(trace.items())[: list(trace).index(quantity)])

    def recomputed(name, value):
        """The quantity where one input has another value."""
        q = given | {name: value} if name in given else given
        held = {name: value} if name in earlier else {}
        found = {}
        params = {p: q[p] for p in problem.params}

        def tap(tapped, computed):
            found[tapped] = computed
            return held.get(tapped, trace[tapped] if tapped in earlier else computed)

        with np.errstate(all="ignore"):
            MODELS[model].step(params, q["X"], problem.y, q["reg"], q["step_size"], tap)
        return found[quantity]

    matters = {
        name
        for name, value in {**given, **earlier}.items()
        if not np.array_equal(recomputed(name, moved(value)), trace[quantity])
    }
    assert matters == set(ingredients(model, quantity)) - {"y"}


def moved(value):
    """Other numbers of the same shape, some of which have the other sign."""
    array = np.asarray(value, dtype=np.float64)
    ramp = np.linspace(-1, 1, array.size).reshape(array.shape) if array.size > 1 else 0.5
    return array * 1.5 + ramp
