"""The golden values: sure digits, of the note's own run, that a program of another kind gets too."""

import numpy as np
import pytest

from ports.lesson.digits import certain
from ports.lesson.golden import STEPS, bounds_of_steps, made_golden, outside
from ports.registry import PORTS
from reference.models import MODELS, SOFTMAX
from reference.runs import draw

DRAWS = draw(np.random.RandomState(0), 5)


@pytest.fixture(scope="module")
def made():
    """All values."""
    return made_golden()


def of(made, model, step):
    """The values of one step by name."""
    (found,) = (s for s in made.steps if (s.model.name, s.step) == (model, step))
    return {value.name: value for value in found.values}


def two_softmax_steps():
    """The note's softmax by other means: shifted, with a one-hot matrix, and sums from the last term."""
    np.random.seed(0)
    noise = np.random.randn(3, 5)
    t = np.array([np.linspace(4 * j, 4 * j + 4, 5) + 0.2 * noise[j] for j in range(3)]).ravel()
    r = np.tile(np.arange(5) / 4, 3)
    X, hot = np.column_stack([r * np.sin(t), r * np.cos(t)]), np.repeat(np.eye(3), 5, axis=0)
    W, b = 0.01 * np.random.randn(2, 3), np.zeros((1, 3))
    for _ in range(2):
        scores = np.einsum("nd,dk->nk", X, W) + b
        logs = scores - scores.max(axis=1, keepdims=True)
        logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
        dscores = (np.exp(logs) - hot) / 15
        dW, db = np.einsum("nd,nk->dk", X[::-1], dscores[::-1]) + 0.001 * W, dscores[::-1].sum(axis=0)
        found = {"X": X, "scores": scores, "probs": np.exp(logs), "dscores": dscores, "dW": dW}
        found |= {"correct_logprobs": -(logs * hot).sum(axis=1), "db": db[None]}
        found["loss"] = np.mean(found["correct_logprobs"]) + 0.5 * 0.001 * (W**2).sum()
        W, b = W - dW, b - db
        yield found | {"W_next": W, "b_next": b}


def test_another_program_gets_the_same_digits(made):
    """Every sure digit is the rounded one of a program that shares no line with the project."""
    for step, found in enumerate(two_softmax_steps()):
        values, compared = of(made, "softmax", step), 0
        for name, tensor in found.items():
            if name in values:
                for index, text in values[name].elements.items():
                    number = float(eval(f"tensor{index}", {"tensor": tensor}))
                    assert f"{number:.{len(text.partition('.')[2])}f}" == text
                    compared += 1
                if total := values[name].total:
                    assert f"{np.abs(tensor).sum():.{len(total.partition('.')[2])}f}" == total
        assert compared > 20


def test_every_quantity_has_its_values(made):
    """Two steps of each model, in the note's order, with at least nine sure digits in each number."""
    for model in MODELS.values():
        for step in range(STEPS):
            values = of(made, model.name, step)
            assert [name for name in values if name in model.quantities] == list(model.quantities)
            for value in values.values():
                for text in (*value.elements.values(), *filter(None, [value.total])):
                    digits = text.lstrip("-0.").replace(".", "")
                    assert len(digits) >= 8 or float(text) == 0, (value.name, text)
        assert {"X", *model.parameters} <= set(of(made, model.name, 0))


def test_the_first_numbers_are_the_documents(made):
    """Of step 0, they are the reference's own numbers."""
    assert of(made, "two_layer", 0)["loss"].elements == {"": "1.0987258248849"}
    W2 = DRAWS.params["two_layer"]["W2"]
    assert of(made, "two_layer", 0)["W2"].elements["[1, 2]"] == repr(float(W2[1, 2]))
    assert of(made, "two_layer", 0)["hidden_layer"].shape == "(15, 100)"


def test_ports_agree_and_a_wrong_one_would_not(made, monkeypatch):
    """The ports that are here train within the bounds; one with another step size leaves them."""
    assert "numpy" in made.ports
    assert made.disagreements == []
    problem = DRAWS.problem(SOFTMAX)
    _, bounds = bounds_of_steps(DRAWS, problem)
    assert list(outside(PORTS["numpy"], problem, bounds)) == []
    found = list(outside(PORTS["numpy"], problem.changed(step_size=1 + 1e-9), bounds))
    assert "numpy: softmax, step 0: W_next disagrees" in found
    assert "numpy: softmax, step 1: scores disagrees" in found
    assert not any("step 0: dW" in sentence for sentence in found)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.23456, 0.0001, "1.23"),
        (1.23456, 0.0, "1.23456"),
        (0.9999999, 1e-3, "1.00"),
        (-0.0, 0.0, "0.0"),
        (0.001234, 1e-6, "0.0012"),
        (0.05, 0.06, "0 ± 2e-1"),
        (1e-17, 2e-16, "0 ± 3e-16"),
    ],
)
def test_certain_digits(value, error, text):
    """As many digits as all numbers within the error share, rounded."""
    assert certain(value, error) == text
