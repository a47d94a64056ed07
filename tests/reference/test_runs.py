"""The document's runs: the data, the draws, the trajectory, the traces, and the overflow messages."""

from dataclasses import replace

import numpy as np
import pytest

from reference.models import MODELS, SOFTMAX, TWO_LAYER, Model, Problem
from reference.runs import POINTS, D, H, K, accuracy, draw, trajectory
from reference.spiral import spiral
from reference.trace import ScoreOverflow, record

each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
each_points = pytest.mark.parametrize("points", POINTS, ids="{}_points".format)
SOURCES = {"RandomState": np.random.RandomState, "Generator": np.random.default_rng}


def one_step(model: Model, points: int = 5) -> tuple:
    """A problem of the document and the trace of its first step."""
    problem = draw(np.random.RandomState(0), points).problem(model)
    _, _, first = next(trajectory(problem, 1))
    return problem, first


@each_points
def test_spiral_is_one_arm_a_class(points):
    """The points come class by class, labels uint8, radius from 0 to 1 in even steps."""
    X, y = spiral(np.random.RandomState(0).standard_normal((K, points)))
    assert X.shape == (K * points, 2)
    assert y.dtype == np.uint8
    assert y.tolist() == [j for j in range(K) for _ in range(points)]
    # sin and cos are good to 4 ulps, 8 roundings; products and hypot add fewer than 5
    radius = np.tile(np.linspace(0, 1, points), K)
    assert (np.abs(np.hypot(*X.T) - radius) <= (8 + 5) * 2.0**-53 * radius).all()


@each_points
def test_arms_start_at_the_origin(points):
    """The first point of each class is the origin, exactly: a tie for every hidden unit."""
    X, _ = spiral(np.random.RandomState(0).standard_normal((K, points)))
    assert (X[::points] == 0).all()
    assert (X[1::points] != 0).all()


def test_spiral_without_noise_turns_four_radians_an_arm():
    """Without noise, arm j ends at angle 4(j + 1) and radius 1, and noise turns it by 0.2 a unit."""
    X, _ = spiral(np.zeros((K, 7)))
    turned, _ = spiral(np.ones((K, 7)))
    for j, end in enumerate([4, 8, 12]):
        assert X[7 * j + 6].tolist() == [np.sin(end), np.cos(end)]
        assert turned[7 * j + 6].tolist() == [np.sin(end + 0.2), np.cos(end + 0.2)]


def test_sizes_are_the_documents():
    """5 points a class in the document, 100 in the notes; 100 are drawn unless asked otherwise."""
    assert POINTS == (5, 100)
    assert draw(np.random.RandomState(0)).X.shape == (K * 100, D)


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_draw_takes_the_noise_then_the_weights_in_the_documents_order(source):
    """Any random source is read as noise, W, then W and W2, and the same seed draws the same."""
    draws, rng = draw(source(7), 5), source(7)
    assert np.array_equal(draws.noise, rng.standard_normal((K, 5)))
    for model, name, shape in (
        ("softmax", "W", (D, K)),
        ("two_layer", "W", (D, H)),
        ("two_layer", "W2", (H, K)),
    ):
        assert np.array_equal(draws.params[model][name], 0.01 * rng.standard_normal(shape))


def test_random_state_is_the_stream_of_seed_and_randn():
    """RandomState(0) draws the numbers of np.random.seed(0) and np.random.randn, one arm at a time."""
    np.random.seed(0)
    noise = np.array([np.random.randn(5) for _ in range(K)])
    W = 0.01 * np.random.randn(D, K)
    draws = draw(np.random.RandomState(0), 5)
    assert np.array_equal(draws.noise, noise)
    assert np.array_equal(draws.params["softmax"]["W"], W)


@each_model
def test_first_biases_are_zero(model):
    """Biases start at zero, and every parameter has the shape of the contract."""
    params = draw(np.random.RandomState(0), 5).params[model.name]
    lengths = {"D": D, "H": H, "K": K, "1": 1}
    assert list(params) == list(model.parameters)
    for name, parameter in model.parameters.items():
        assert params[name].shape == tuple(lengths[c] for c in parameter.shape)
        assert (params[name] == 0).all() == name.startswith("b")


@each_model
def test_trajectory_is_the_step_repeated(model):
    """Each step starts from the parameters that the one before ended with."""
    problem = draw(np.random.RandomState(0), 5).problem(model)
    params, steps = problem.params, []
    for i, start, seen in trajectory(problem, 20):
        again = record(problem.starting_from(params))
        assert all(np.array_equal(start.params[name], params[name]) for name in params)
        assert all(np.array_equal(seen[name], again[name]) for name in again)
        params = {name: again[f"{name}_next"] for name in params}
        steps.append(i)
    assert steps == list(range(20))


@each_model
def test_arrays_given_are_never_mutated(model):
    """A run reads its data and weights only: they may be write-protected, and keep their bits."""
    problem = draw(np.random.RandomState(0), 5).problem(model)
    given = {"X": problem.X, "y": problem.y, **problem.params}
    before = {name: array.copy() for name, array in given.items()}
    for array in given.values():
        array.setflags(write=False)
    for _, start, seen in trajectory(problem, 20):
        for array in (*start.params.values(), *seen.values()):
            array.setflags(write=False)
    assert all(np.array_equal(given[name], before[name]) for name in given)


@each_model
def test_trace_is_the_contract(model):
    """A trace holds exactly the named quantities, in the document's order, in their shapes."""
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
    """Negative control: with the document's `dscores = probs`, the two do share memory."""

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


def test_accuracy_is_the_share_of_right_rows():
    """Two of three rows have their highest score in the right class."""
    assert accuracy(np.array([[1, 2, 0], [3, 1, 1], [0, 0, 1]]), np.array([1, 0, 1])) == 2 / 3


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
        record(Problem(SOFTMAX, np.eye(2), np.array(y), params), at="step 7")
    assert str(caught.value) == message


def test_trajectory_names_the_step_that_overflows():
    """A run whose step size is too large ends in the step that leaves the range, not in NaN."""
    problem = draw(np.random.RandomState(0), 5).problem(SOFTMAX)
    wild = replace(problem, step_size=1e5)
    with pytest.raises(ScoreOverflow, match=r"^step 1: score \[\d+, \d\] is .* Use smaller"):
        list(trajectory(wild, 10))


def test_pre_activations_out_of_range_are_named():
    """A hidden layer that overflows is reported as such: there are no scores to name yet."""
    huge, one = np.full((1, 1), 1e308), np.ones((1, 1))
    params = {"W": huge, "b": huge, "W2": np.ones((1, 3)), "b2": np.zeros((1, 3))}
    with pytest.raises(
        ScoreOverflow, match=r"^step 0: the pre-activations overflow float64; use smaller"
    ):
        record(Problem(TWO_LAYER, one, np.array([0]), params), at="step 0")


def test_overflow_past_the_softmax_is_not_blamed_on_a_score():
    """Where the scores are in range and a later number is not, the message says after which."""
    params = {"W": np.full((1, 3), 1e200), "b": np.zeros((1, 3))}
    with pytest.raises(ScoreOverflow, match=r"^step 3: float64 overflows after data_loss; use smaller"):
        record(Problem(SOFTMAX, np.zeros((1, 1)), np.array([0]), params), at="step 3")


def test_scores_just_in_range_are_computed():
    """Scores of 700 and a gap of 700 are within the document's softmax, and give no message."""
    params = {"W": np.array([[700.0, 0.0, 5.0]]), "b": np.zeros((1, 3))}
    seen = record(Problem(SOFTMAX, np.ones((1, 1)), np.array([1]), params))
    assert seen["correct_logprobs"] == 700
