"""The trace of one step is the contract; where numbers leave their range, the score is named."""

from dataclasses import replace

import numpy as np
import pytest

from reference.models import MODELS, SOFTMAX, TWO_LAYER, Model
from reference.runs import D, H, K, draw, trajectory
from reference.trace import ScoreOverflow, record

each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def one_step(model: Model, points: int = 5) -> tuple:
    """A problem of the note and the trace of its first step."""
    problem = draw(np.random.RandomState(0), points).problem(model)
    _, _, first = next(trajectory(problem, 1))
    return problem, first


@each_model
def test_trace_is_the_contract(model):
    """A trace holds exactly the named quantities, in the note's order, in their shapes."""
    problem, seen = one_step(model)
    lengths = {"N": len(problem.y), "D": D, "H": H, "K": K, "1": 1}
    assert list(seen) == list(model.quantities)
    for name, shape in model.quantities.items():
        assert np.shape(seen[name]) == tuple(lengths[c] for c in shape)
        assert seen[name].dtype == np.float64


@each_model
def test_trace_holds_its_own_copies(model):
    """No quantity shares memory with another or with what was given: dscores leaves probs alone."""
    problem, seen = one_step(model)
    arrays = [*seen.values(), problem.X, *problem.params.values()]
    shared = [
        (i, j) for i, a in enumerate(arrays) for j, b in enumerate(arrays[:i]) if np.shares_memory(a, b)
    ]
    assert shared == []
    assert (seen["probs"] > 0).all()
    assert (seen["dscores"] < 0).any()


@each_model
def test_trace_that_aliases_is_caught(model):
    """Negative control: with the note's `dscores = probs`, the two do share memory."""

    def aliasing(params, X, y, reg, step_size, tap):
        kept = {}

        def alias(name, value):
            kept[name] = value
            if name == "dscores":
                kept["probs"][...] = value
                return tap(name, kept["probs"])
            return tap(name, value)

        return model.step(params, X, y, reg, step_size, alias)

    with pytest.raises(AssertionError):
        test_trace_holds_its_own_copies(replace(model, step=aliasing))


#: (scores, label of each row, what the message says of them)
OUT_OF_RANGE = {
    "exp_overflows": (
        [[0, 1, -900], [3, 710, 5]],
        [0, 1],
        "step 7: score [1, 1] is 710, and exp past 709.78 overflows float64: the document's softmax "
        "does not shift by the maximum. Use smaller weights, data or step size.",
    ),
    "sum_of_exp_overflows": (
        [[0, 1, 2], [709.5, 709.6, 709.5]],
        [0, 1],
        "step 7: score [1, 1] is 709.6, and exp past 709.78 overflows float64: the document's softmax "
        "does not shift by the maximum. Use smaller weights, data or step size.",
    ),
    "right_class_underflows": (
        [[0, -900, 2], [5, 1, -800]],
        [0, 2],
        "step 7: score [1, 2] is -800, so far below the others that its probability underflows to 0 in "
        "float64: the document's softmax does not shift by the maximum. Use smaller weights, data or "
        "step size.",
    ),
    "right_class_left_behind": (
        [[0, 1, 2], [-60, 700, 5]],
        [0, 0],
        "step 7: score [1, 0] is -60, so far below the others that its probability underflows to 0 in "
        "float64: the document's softmax does not shift by the maximum. Use smaller weights, data or "
        "step size.",
    ),
    "whole_row_underflows": (
        [[0, 1, 2], [-800, -790, -810]],
        [0, 1],
        "step 7: score [1, 1] is -790, the best of its row, whose exp all underflow to 0 in float64: "
        "the document's softmax does not shift by the maximum. Use smaller weights, data or step size.",
    ),
}


@pytest.mark.parametrize(("scores", "y", "message"), OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
def test_score_out_of_range_is_named(scores, y, message):
    """The message names the step, the score at fault (not merely the largest), and the remedy."""
    params = {"W": np.array(scores, float), "b": np.zeros((1, 3))}
    with pytest.raises(ScoreOverflow) as caught:
        record(SOFTMAX.problem(np.eye(2), np.array(y), params), at="step 7")
    assert str(caught.value) == message


def test_pre_activations_out_of_range_are_named():
    """A hidden layer that overflows is reported as such: there are no scores to name yet."""
    huge, one = np.full((1, 1), 1e308), np.ones((1, 1))
    params = {"W": huge, "b": huge, "W2": np.ones((1, 3)), "b2": np.zeros((1, 3))}
    with pytest.raises(
        ScoreOverflow, match=r"^step 0: the pre-activations overflow float64; use smaller"
    ):
        record(TWO_LAYER.problem(one, np.array([0]), params), at="step 0")


def test_overflow_past_the_softmax_is_not_blamed_on_a_score():
    """If the scores are in range and a later number is not, the message says after which quantity."""
    params = {"W": np.full((1, 3), 1e200), "b": np.zeros((1, 3))}
    with pytest.raises(ScoreOverflow, match=r"^step 3: float64 overflows after data_loss; use smaller"):
        record(SOFTMAX.problem(np.zeros((1, 1)), np.array([0]), params), at="step 3")


def test_scores_just_in_range_are_computed():
    """Scores of 700 and a gap of 700 are within the note's softmax, and give no message."""
    params = {"W": np.array([[700.0, 0.0, 5.0]]), "b": np.zeros((1, 3))}
    seen = record(SOFTMAX.problem(np.ones((1, 1)), np.array([1]), params))
    assert seen["correct_logprobs"] == 700
