"""The note's runs: the sizes, the draws, the trajectory and where it overflows."""

import numpy as np
import pytest

from reference.models import MODELS, SOFTMAX
from reference.runs import POINTS, D, H, K, accuracy, draw, kink, trajectory
from reference.trace import ScoreOverflow, record

each_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
SOURCES = {"RandomState": np.random.RandomState, "Generator": np.random.default_rng}


def test_sizes_are_the_documents():
    """The note has 5 points per class, the CS231n notes have 100; the default is 100."""
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
def test_kink_is_the_documents_start_with_another_last_bias(model):
    """The 15 points and all other parameters are those of the first seed."""
    start, tied = draw(np.random.RandomState(0), 5).problem(model), kink(model)
    assert np.array_equal(tied.X, start.X)
    assert tied.params[model.biases[-1]].tolist() == [[0.3, -0.2, 0.1]]
    for name in [*model.parameters][:-1]:
        assert np.array_equal(tied.params[name], start.params[name])


def test_accuracy_is_the_share_of_right_rows():
    """Two of three rows have their highest score in the right class."""
    assert accuracy(np.array([[1, 2, 0], [3, 1, 1], [0, 0, 1]]), np.array([1, 0, 1])) == 2 / 3


def test_trajectory_names_the_step_that_overflows():
    """A run whose step size is too large ends in the step that leaves the range, not in NaN."""
    problem = draw(np.random.RandomState(0), 5).problem(SOFTMAX)
    wild = problem.changed(step_size=1e5)
    with pytest.raises(ScoreOverflow, match=r"^step 1: score \[\d+, \d\] is .* Use smaller"):
        list(trajectory(wild, 10))
