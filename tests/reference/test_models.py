"""A model's record is checked when it is registered."""

from dataclasses import replace

import numpy as np
import pytest

from reference import softmax
from reference.models import BIAS, MODELS, OWN_MODELS, SOFTMAX, TWO_LAYER, Parameter, register


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
