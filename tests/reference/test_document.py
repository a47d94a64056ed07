"""The reference is the note bit for bit: every quantity, every iteration, in float64."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
from document_listing import TEXT, listing, verbatim

from reference import softmax, two_layer
from reference.models import MODELS, TWO_LAYER, Problem
from reference.runs import POINTS, draw, trajectory


def identical(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays have the same dtype, shape and bits, also in the sign of zero."""
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def first_difference(problem: Problem, points: int) -> tuple[int, str] | None:
    """The first (step, quantity) in which listing and reference differ; None if they never do.

    Goes through both side by side and keeps nothing; a run of another length is an error.
    """
    model = problem.model
    steps = trajectory(problem, model.iterations)
    for seen, (i, _, ours) in zip(listing(model.name, points), steps, strict=True):
        for name in model.quantities:
            if not identical(seen[name], ours[name]):
                return i, name
    return None


@pytest.mark.parametrize("points", POINTS, ids="{}_points".format)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_quantity_of_every_iteration(model, points):
    """Listing and reference, from the same seed, have the same bits from first to last iteration."""
    problem = draw(np.random.RandomState(0), points).problem(model)
    assert first_difference(problem, points) is None


@pytest.mark.parametrize("seed", [0, 1, 20211011], ids="seed_{}".format)
@pytest.mark.parametrize("points", POINTS, ids="{}_points".format)
def test_draws(points, seed):
    """Data and first weights have the note's bits, for any seed."""
    draws = draw(np.random.RandomState(seed), points)
    for model in MODELS:
        seen = next(listing(model, points, seed))
        ours = {"X": draws.X, "y": draws.y, **draws.params[model]}
        assert [name for name in ours if not identical(seen[name], ours[name])] == []


def test_listing_is_the_text():
    """Noting quantities changes nothing: the untouched text prints and ends with the same numbers."""
    variables, printed = verbatim(5)
    for model, every in {"softmax": 10, "two_layer": 1000}.items():
        losses = []
        for seen in listing(model, 5):
            losses.append(float(seen["loss"]))
        lines = [f"iteration {i}: loss {losses[i]:f}" for i in range(0, len(losses), every)]
        assert [line for line in printed if line in lines] == lines
    assert all(identical(variables[name], seen[f"{name}_next"]) for name in TWO_LAYER.parameters)


def test_probs_are_noted_before_they_are_overwritten():
    """The listing's probs are probabilities, though `dscores = probs` makes them gradients."""
    assert "dscores = probs\n" in TEXT
    seen = next(listing("softmax", 5))
    assert (seen["probs"] > 0).all()
    assert (seen["dscores"] < 0).any()


#: The same mathematics in another order: (module, old text, new text, what must differ first).
REASSOCIATED = {
    "mean_of_quotients": (
        softmax,
        "np.sum(correct_logprobs) / num_examples",
        "np.sum(correct_logprobs / num_examples)",
        "data_loss",
    ),
    "sum_backwards": (
        softmax,
        "np.sum(dscores, axis=0, keepdims=True)",
        "np.sum(dscores[::-1], axis=0, keepdims=True)",
        "db",
    ),
    "regularize_in_the_update": (
        two_layer,
        "W2 + -step_size * dW2",
        "W2 * (1 - step_size * reg) + -step_size * (dW2 - reg * W2)",
        "W2_next",
    ),
}


@pytest.mark.parametrize(
    ("module", "text", "other", "quantity"), REASSOCIATED.values(), ids=REASSOCIATED
)
def test_one_reassociated_operation_is_caught(module, text, other, quantity):
    """Negative control: a reference equal in mathematics but not in bits is caught and located."""
    source = inspect.getsource(module)
    assert source.count(text) == 1
    changed: dict = {}
    exec(source.replace(text, other), changed)
    model = MODELS[module.__name__.removeprefix("reference.")]
    reassociated = replace(model, step=changed["step"])
    step, name = first_difference(draw(np.random.RandomState(0), 5).problem(reassociated), 5)
    assert name == quantity
    assert step < 10
