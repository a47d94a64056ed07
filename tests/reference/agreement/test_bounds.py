"""Recorded numbers, as the operation after them sees them."""

from dataclasses import replace

import numpy as np
import pytest
from formats import FLOAT16
from operations import share
from simulated import Machine, simulated_step

from reference.agreement.arithmetic import FLOAT32, FLOAT64, Unbounded
from reference.agreement.bounds import (
    Recorded,
    as_recorded,
    end_to_end,
    local,
    local_of_all,
    recorded_by,
    stacked,
)
from reference.agreement.rounded import Rounded
from reference.models import SOFTMAX, TWO_LAYER


def test_product_recorded_rounded_may_be_used_unrounded():
    """The loss of a compiler that contracts data_loss = sum * fl(1/N) into the addition of reg_loss."""
    m = Machine(FLOAT16, np.random.default_rng(0), fused=True, reciprocal=True, always=True)
    for _ in range(60):
        params = {"W": m.round(m.rng.standard_normal((1, 2))), "b": np.zeros((1, 2))}
        X, y = m.round(m.rng.uniform(-1, 1, (7, 1))), m.rng.integers(0, 2, 7)
        problem = SOFTMAX.problem(X, y, params, step_size=0.7)
        got = simulated_step(problem, m, {})
        assert share(got["loss"], local(problem, got, FLOAT16)["loss"]) <= 1


def test_recorded_subnormal_may_be_read_as_zero():
    """A hidden value below the smallest normal number is recorded; the mask may read it as 0."""
    params = {"W": [[1.0]], "b": [[0.0]], "W2": [[1.0, -1.0]], "b2": [[0.0, 0.0]]}
    params = {name: np.array(value) for name, value in params.items()}
    problem = TWO_LAYER.problem(np.array([[1e-39]]), np.array([0]), params, step_size=0.7)
    got = simulated_step(problem, Machine(FLOAT32, np.random.default_rng(0)), {})
    assert got["hidden_layer"] > 0
    assert got["dhidden"] != 0
    for dhidden in (got["dhidden"], np.zeros((1, 1))):
        expected = local(problem, got | {"dhidden": dhidden}, FLOAT32)
        assert share(dhidden, expected["dhidden"]) <= 1


def test_product_recorded_as_zero_may_be_used_unflushed():
    """A product flushed when recorded may still be there when it is contracted into an addition."""
    flushed = Recorded([0], [0], np.zeros((1, 1, 2)))
    expected = Rounded(np.zeros(2), np.array([FLOAT32.smallest_normal, 0.0]), FLOAT32, products=1)
    seen = as_recorded(flushed, [0], expected)
    assert seen.error.ravel().tolist() == [FLOAT32.smallest_normal, 0.0]


def test_contracted_products_loosen_an_addition_by_their_own_rounding_alone():
    """loss = data_loss + reg_loss, a quotient and a product that may be added unrounded."""
    params = {"W": np.array([[3.0, -2.0]]), "b": np.zeros((1, 2))}
    X, y = np.array([[1.0], [0.5]]), np.array([0, 1])
    problem = SOFTMAX.problem(X, y, params, reg=0.5, step_size=0.7)
    got = simulated_step(problem, Machine(FLOAT32, np.random.default_rng(0)), {})
    bound = local(problem, got, FLOAT32)["loss"]
    summands = got["data_loss"] + got["reg_loss"]
    assert bound.error == pytest.approx(FLOAT32.unit * (got["loss"] + summands), rel=1e-6, abs=0)


def test_recorded_sum_is_added_as_it_was_recorded():
    """b_next = b - 0.5 db: db is a sum, which no compiler contracts; only its half is a product."""
    params = {"W": np.array([[3.0, -2.0]]), "b": np.array([[0.5, -0.25]])}
    X, y = np.array([[1.0], [0.5]]), np.array([0, 1])
    problem = SOFTMAX.problem(X, y, params, reg=0.5, step_size=0.5)
    got = simulated_step(problem, Machine(FLOAT32, np.random.default_rng(0)), {})
    bound = local(problem, got, FLOAT32)["b_next"]
    rounded = np.abs(bound.value) + 0.5 * np.abs(got["db"])
    assert bound.error == pytest.approx(FLOAT32.unit * rounded, rel=1e-6, abs=0)


def test_recorded_hidden_layer_is_multiplied_as_it_was_recorded():
    """scores = h w: only the product rounds, and the sum with a bias of 0."""
    params = {"W": [[1.5]], "b": [[0.5]], "W2": [[3.0, -2.0]], "b2": [[0.0, 0.0]]}
    params = {name: np.array(value) for name, value in params.items()}
    problem = TWO_LAYER.problem(np.array([[1.0]]), np.array([0]), params, step_size=0.7)
    got = simulated_step(problem, Machine(FLOAT32, np.random.default_rng(0)), {})
    bound = local(problem, got, FLOAT32)["scores"]
    assert bound.error == pytest.approx(2 * FLOAT32.unit * np.abs(got["scores"]), rel=1e-6, abs=0)


def test_bounds_cover_the_routes():
    """A route to the loss that strays by 1 is covered by either certificate, and told which it is."""
    seen = []

    def wide(computed, q):
        seen.append(q["local"])
        return computed.with_error(np.ones(computed.value.shape))

    model = replace(SOFTMAX, routes={"loss": (wide,)})
    params = {"W": np.array([[3.0, -2.0]]), "b": np.zeros((1, 2))}
    problem = model.problem(np.array([[1.0]]), np.array([0]), params)
    for bounds in (end_to_end(problem, FLOAT32), local(problem, {}, FLOAT32)):
        assert bounds["loss"].error == 1
        assert bounds["data_loss"].error < 1e-5
    assert seen == [False, True]


@pytest.mark.parametrize(("ports", "steps"), [(1, 1), (2, 2), (2, 1), (1, 2)])
def test_tensors_are_stacked_by_port_and_step(ports, steps):
    """Whatever their number; a quantity that one port hides has the rows of the others."""
    traces = [
        [{"loss": np.array(10.0 * i + j), "db": np.full(3, j)} for j in range(ports)]
        for i in range(steps)
    ]
    traces = [[*step[:-1], step[-1] | {"last": np.array(0)}] for step in traces]
    recorded = recorded_by(range(5, 5 + ports), range(steps), traces)
    expected = [[10 * i + j for i in range(steps)] for j in range(ports)]
    assert recorded["loss"].values.tolist() == expected
    assert recorded["db"].values.shape == (ports, steps, 3)
    assert (recorded["loss"].ports, recorded["last"].ports) == ([*range(5, 5 + ports)], [4 + ports])
    assert recorded["last"].values.shape == (1, steps)


def test_what_follows_from_a_route_is_covered_too():
    """A gradient that strays by 1 moves db by 1, where a port hides it; not where it shows it."""

    def wide(computed, q):
        return computed.with_error(np.ones((1, 2)))

    model = replace(SOFTMAX, routes={"dscores": (wide,)})
    params = {"W": np.array([[3.0, -2.0]]), "b": np.zeros((1, 2))}
    problem = model.problem(np.array([[1.0]]), np.array([0]), params)
    assert np.all(end_to_end(problem, FLOAT32)["db"].error >= 1)
    bounds, dscores = {}, {"dscores": np.zeros((1, 2))}
    recorded = recorded_by([0, 1], [0], [[dscores, {}]])
    local_of_all(stacked([problem], FLOAT32), recorded, [0, 1], "", bounds.__setitem__)
    shown, hidden = bounds["db"].errors()
    assert np.all(shown < 1e-5)
    assert np.all(hidden >= 1)


def test_recorded_scores_out_of_range_have_no_local_bound():
    """It is said which score it is, as for the reference's own."""
    params = {"W": np.array([[3.0, -2.0]]), "b": np.zeros((1, 2))}
    problem = SOFTMAX.problem(np.array([[1.0]]), np.array([0]), params)
    with pytest.raises(Unbounded, match=r"this step: score \[0, 1\] is 800"):
        local(problem, {"scores": np.array([[0.0, 800.0]])}, FLOAT64)
