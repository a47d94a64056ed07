"""A model's record is checked when it is registered; the note's records and problems."""

from dataclasses import replace

import numpy as np
import pytest

from reference import softmax
from reference.models import BIAS, MODELS, OWN_MODELS, SOFTMAX, TWO_LAYER, Parameter, register
from reference.runs import draw


def step(change):
    """The classifier's step, with a change to what it taps."""

    def changed(params, X, y, reg, step_size, tap):
        return softmax.step(params, X, y, reg, step_size, change(tap))

    return changed


def twice(tap):
    """A step that taps one more quantity."""
    return lambda name, value: tap("more", tap(name, value)) if name == "scores" else tap(name, value)


def squeezed(tap):
    """A step whose db has lost an axis."""
    return lambda name, value: tap(name, value[0]) if name == "db" else tap(name, value)


def without(model, *names):
    """The model's quantities without some of them."""
    return {name: shape for name, shape in model.quantities.items() if name not in names}


COMPUTES = "the model mine computes " + ", ".join(SOFTMAX.quantities).replace(
    "scores,", "scores, more,", 1
)


@pytest.mark.parametrize(
    ("model", "changes", "sentence"),
    [
        (SOFTMAX, {}, "there is a model called softmax already: give this one another name"),
        *(
            (model, {"name": "mine", "quantities": without(model, name)}, name)
            for model, names in (
                (SOFTMAX, ("scores", "loss", "probs", "dW", "db", "W_next", "b_next", "dscores")),
                (TWO_LAYER, ("hidden_layer", "dhidden", "dW2", "b2_next", "correct_logprobs")),
            )
            for name in names
        ),
        (
            SOFTMAX,
            {"name": "mine", "quantities": without(SOFTMAX, "loss", "db")},
            "loss, db",
        ),
        *(
            (model, {"name": "mine", "routes": {}, "quantities": without(model, name)}, name)
            for model, name in ((SOFTMAX, "dW"), (TWO_LAYER, "hidden_layer"), (TWO_LAYER, "dhidden"))
        ),
        (TWO_LAYER, {"name": "mine", "sizes": {}}, "the model mine has no size for the letter H"),
        (
            SOFTMAX,
            {"name": "mine", "parameters": {**SOFTMAX.parameters, "b": Parameter("1Q", 1, BIAS)}},
            "the model mine has no size for the letter Q",
        ),
        (
            SOFTMAX,
            {"name": "mine", "step": step(twice)},
            f"{COMPUTES}, in this order: its record says otherwise",
        ),
        (
            SOFTMAX,
            {"name": "mine", "step": step(squeezed)},
            "the model mine computes db of shape (3,): its record says (1, 3)",
        ),
        (
            SOFTMAX,
            {"name": "mine", "init": lambda rng, D, K: {"W": np.ones((D, K)), "c": np.ones((1, K))}},
            "the model mine draws the parameters W, c: its record has others",
        ),
    ],
)
def test_record_that_lacks_something_is_refused(model, changes, sentence):
    """One sentence that names what is missing, and nothing is registered."""
    if "quantities" in changes:
        sentence = f"the model mine has no quantity {sentence}"
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 (the whole sentence is compared)
        register(replace(model, **changes))
    assert str(refusal.value) == sentence
    assert set(MODELS) >= OWN_MODELS == {"softmax", "two_layer"}
    assert "mine" not in MODELS


def test_transposed_shape_is_refused():
    """No two letters stand for the same size in the step that is run to find out."""
    quantities = {**SOFTMAX.quantities, "dW": "KD"}
    with pytest.raises(
        ValueError, match=r"mine computes dW of shape \(2, 3\): its record says \(3, 2\)"
    ):
        register(replace(SOFTMAX, name="mine", quantities=quantities))


@pytest.mark.parametrize(
    ("model", "layers", "iterations", "print_every", "prints_tensors"),
    [
        (SOFTMAX, [("W", "b")], 200, 10, True),
        (TWO_LAYER, [("W", "b"), ("W2", "b2")], 10_000, 1000, False),
    ],
    ids=["softmax", "two_layer"],
)
def test_records_of_the_note(model, layers, iterations, print_every, prints_tensors):
    """Each layer has its weights and its bias; the runs are as long as the note's."""
    assert model.layers == layers
    assert [*zip(model.weights, model.biases, strict=True)] == layers
    assert (model.iterations, model.print_every) == (iterations, print_every)
    assert model.prints_tensors == prints_tensors


def test_problem_of_the_note():
    """It has the note's strength and step size, unless it is given others."""
    start = draw(np.random.RandomState(0), 5).problem(TWO_LAYER)
    assert (start.reg, start.step_size) == (1e-3, 1.0)
    assert start.shapes["hidden_layer"] == (15, 100)
    assert start.shapes["b2_next"] == (1, 3)


def test_problem_is_held_as_a_dtype_holds_it():
    """Points and parameters are rounded; the rest is as it was."""
    start = draw(np.random.RandomState(0), 5).problem(SOFTMAX).changed(reg=0.1, step_size=0.3)
    assert start.held_as("float64") is start
    held = start.held_as("float32")
    for one, other in ((held.X, start.X), (held.params["W"], start.params["W"])):
        assert one.dtype == np.float64
        assert one.tolist() == other.astype("float32").tolist() != other.tolist()
    assert (held.reg, held.step_size, held.model) == (0.1, 0.3, SOFTMAX)
    assert held.y is start.y
