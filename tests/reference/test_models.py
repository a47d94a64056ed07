"""A model's record is checked when it is registered."""

from dataclasses import replace

import pytest

from reference.models import BIAS, MODELS, OWN_MODELS, SOFTMAX, TWO_LAYER, Parameter, register


def without(model, *names):
    """The model's quantities but for some."""
    return {name: shape for name, shape in model.quantities.items() if name not in names}


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
