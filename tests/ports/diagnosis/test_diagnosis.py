"""The diagnosis on arrays alone, without a framework: what it names, and what it leaves uncertain."""

from dataclasses import replace

import numpy as np
import pytest

from ports.check.results import odd_sizes
from ports.diagnosis import UNEXPLAINED, diagnose, explain, search
from ports.diagnosis.vocabulary import rounded_to
from ports.registry import PORTS
from ports.traps import GALLERY
from ports.traps.fixtures import FIXTURES
from reference.agreement.arithmetic import ARITHMETICS
from reference.agreement.bounds import local
from reference.models import MODELS, SOFTMAX
from reference.trace import record


def recorded(name="two_layer", dtype="float64"):
    """A correct step of the note's problem in NumPy, as `diagnose` takes it."""
    start = FIXTURES["kink" if name == "two_layer" else "document"](MODELS[name])
    return start, dict(record(start)), ARITHMETICS[dtype]


@pytest.mark.parametrize("size", [1e-9, 1e-2])
@pytest.mark.parametrize(("model", "quantity"), [(m, q) for m in MODELS for q in MODELS[m].quantities])
def test_noise_has_no_certain_cause(model, quantity, size, monkeypatch):
    """Random errors of any size are given no cause with certainty, however long the search is."""
    monkeypatch.setattr(search, "BUDGET", 0.2)
    start, trace, arithmetic = recorded(model)
    rng = np.random.RandomState(0)
    value = trace[quantity]
    trace[quantity] = value * (1 + size * rng.standard_normal(value.shape))
    found = diagnose(start, trace, arithmetic, quantity)
    assert not found.certain, found.sentence


@pytest.mark.parametrize(("model", "quantity"), [(m, q) for m in MODELS for q in MODELS[m].quantities])
def test_right_operation_points_upstream(model, quantity):
    """A quantity that follows from what was recorded before it is not accused."""
    start, trace, arithmetic = recorded(model)
    assert diagnose(start, trace, arithmetic, quantity).cause == "upstream"


def test_several_causes_are_not_certain():
    """Two mistakes that give the same numbers are both named."""
    start, trace, arithmetic = recorded()
    before = start.params | trace
    trace["db2"] = 2 * trace["db2"]  # a factor of 2, or the last step's equal one added
    found = diagnose(start, trace, arithmetic, "db2", before)
    assert not found.certain
    assert "a factor of 2" in found.sentence
    assert "stale gradient" in found.sentence


def test_wrong_rows_are_named():
    """An error that nothing explains is at least located."""
    start, trace, arithmetic = recorded()
    trace["dscores"] = trace["dscores"].copy()
    trace["dscores"][[3, 7], 1] += [0.123, 0.0456]
    found = diagnose(start, trace, arithmetic, "dscores")
    assert found.cause == UNEXPLAINED
    assert "in rows 3, 7 of 15 and in column 1 of 3 only" in found.sentence


def pre_activation(start):
    """The input of the ReLU."""
    return start.X @ start.params["W"] + start.params["b"]


def softmax_of_all(scores):
    """Normalized over the whole matrix."""
    return np.exp(scores) / np.sum(np.exp(scores))


#: Mistakes of students: quantity, its numbers from (trace, start), what must be said, if certain.
STUDENTS = {
    "relu_on_scores": ("scores", lambda t, s: np.maximum(0, t["scores"]), "a ReLU on the scores", True),
    "no_relu": ("hidden_layer", lambda t, s: pre_activation(s), "no ReLU", True),
    "sigmoid": ("hidden_layer", lambda t, s: 1 / (1 + np.exp(-pre_activation(s))), "a sigmoid", True),
    "tanh": ("hidden_layer", lambda t, s: np.tanh(pre_activation(s)), "a tanh", True),
    "leaky_relu": (
        "hidden_layer",
        lambda t, s: np.where(pre_activation(s) > 0, 1, 0.01) * pre_activation(s),
        "a leaky ReLU of slope 0.01",
        True,
    ),
    "emptied": ("hidden_layer", lambda t, s: 0 * t["hidden_layer"], "zeros throughout", False),
    "softmax_of_all": ("probs", lambda t, s: softmax_of_all(t["scores"]), "over the whole matrix", True),
    "one_added": (
        "dscores",
        lambda t, s: (t["probs"] + np.eye(3)[s.y]) / len(s.y),
        "1 added at the right class, not subtracted",
        True,
    ),
    "averaged_regularization": (
        "dW2",
        lambda t, s: t["dW2"] + (1 / len(s.y) - 1) * s.reg * s.params["W2"],
        "the regularization divided by N",
        True,
    ),
    "written_number": (
        "dscores",
        lambda t, s: t["dscores"] * len(s.y) / 300,
        "a division by 300, not by num_examples",
        False,
    ),
}


@pytest.mark.parametrize(("quantity", "wrong", "said", "certain"), STUDENTS.values(), ids=STUDENTS)
def test_students_mistakes_are_told(quantity, wrong, said, certain):
    """Each is explained in every element, and by one cause alone if that has no fitted number."""
    start, trace, arithmetic = recorded()
    trace[quantity] = wrong(trace, start)
    found = diagnose(start, trace, arithmetic, quantity)
    assert said in found.sentence
    assert found.certain == certain


def far_out(quantity, changed):
    """A correct step with a right class almost ruled out; `changed` makes one quantity."""
    start = odd_sizes(SOFTMAX)
    trace = dict(record(start))
    return start, trace | {quantity: changed(trace)}


def logprobs_of_clipped(trace):
    """-log(clip(p, 1e-9, 1 - 1e-9))."""
    return np.minimum(trace["correct_logprobs"], -np.log(1e-9))


def dscores_of_clipped(trace):
    """No gradient where the right class has a smaller probability."""
    return trace["dscores"] * (trace["correct_logprobs"] < -np.log(1e-9))[:, None]


@pytest.mark.parametrize(
    ("quantity", "changed", "said"),
    [
        ("correct_logprobs", logprobs_of_clipped, "probabilities kept"),
        (
            "probs",
            lambda trace: np.maximum(trace["probs"], 1e-9),
            "probabilities kept",
        ),
        ("dscores", dscores_of_clipped, "no gradient where the probability of the right class is"),
    ],
)
def test_clipped_probabilities_are_told(quantity, changed, said):
    """A limit that people write is recognised; rows without a gradient are read off the numbers."""
    start, trace = far_out(quantity, changed)
    found = diagnose(start, trace, ARITHMETICS["float64"], quantity)
    assert (found.cause, found.certain) == ("clipped", quantity != "dscores")
    assert said in found.sentence


@pytest.mark.parametrize("layer", ["W", "W2"])
@pytest.mark.parametrize(("factor", "said"), [(0, "missing"), (2, "doubled"), (0.5, "halved")])
def test_one_layers_regularization(layer, factor, said):
    """The layer whose term of the regularization loss is wrong, and how."""
    start, trace, arithmetic = recorded()
    W, reg = start.params[layer], start.reg
    trace["reg_loss"] = trace["reg_loss"] + (factor - 1) * 0.5 * reg * np.sum(W * W)
    found = diagnose(start, trace, arithmetic, "reg_loss")
    assert (found.cause, found.certain) == (f"reg {said}", True)
    assert f"the regularization of {layer} {said}" in found.sentence


@pytest.mark.parametrize(("roundings", "cause"), [(7, "a few roundings"), (9, UNEXPLAINED)])
def test_a_few_roundings(roundings, cause):
    """An error a little over the bound is told from a larger one."""
    start, trace, arithmetic = recorded()
    allowed = local(start, trace, arithmetic)["W_next"].errors()
    trace["W_next"] = trace["W_next"] + roundings * allowed * np.resize([0.3, -1.0, 0.4], allowed.shape)
    found = diagnose(start, trace, arithmetic, "W_next")
    assert (found.cause, found.certain) == (cause, False)


def test_rounding_to_significant_bits():
    """bfloat16 and TF32 roundings, against values known exactly."""
    third = np.array([1 / 3, -1 / 3])
    assert rounded_to(third, 8, np.rint).tolist() == [171 / 512, -171 / 512]
    assert rounded_to(third, 8, np.trunc).tolist() == [170 / 512, -170 / 512]
    assert rounded_to(np.array([0.0, 1.0]), 11, np.rint).tolist() == [0.0, 1.0]


def test_explain_runs_the_port_again_at_the_steps_it_was_judged_at():
    """A port that is wrong from its third call on is explained at the step of that call."""
    calls = []

    class Port:
        host, hidden_quantities = PORTS["numpy"].host, {}
        arithmetic = PORTS["numpy"].arithmetic

        def make_step(self, model, mode):
            def step(params, X, y, reg, step_size):
                trace = dict(record(model.problem(X, y, params, reg, step_size)))
                calls.append(1)
                return trace | {"db": trace["db"] * (2 if len(calls) == 3 else 1)}

            return step

    problem = FIXTURES["document"](SOFTMAX)
    cell = replace(GALLERY["own_noise"].cell, model="softmax", port="numpy")
    assert explain(problem, Port(), cell, 6, "db", steps=(0, 3, 6)).cause == "factor 2"
