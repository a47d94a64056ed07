"""The noise floor: who its members are, and what a distance is."""

import numpy as np
import pytest

from ports.engine.noise_floor import Member, NoiseFloor, Now, distance, one_ulp_away
from reference.agreement.arithmetic import DTYPES
from reference.models import MODELS
from reference.runs import draw
from reference.trace import record

each_model = pytest.mark.parametrize("model", MODELS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def problem_of(model: str):
    """The note's problem."""
    return draw(np.random.RandomState(0), 100).problem(MODELS[model])


def test_floor_needs_members():
    """A floor without members is refused."""
    with pytest.raises(ValueError, match="at least 1 member of each kind"):
        NoiseFloor(problem_of("softmax"), "float64", [], 1, members=0)


@each_model
def test_distance_is_by_layer(model):
    """A bias is measured against its layer's weights; the worst layer counts; NaN stays."""
    network = MODELS[model]
    reference = network.next_params(record(problem_of(model)))
    moved = {name: value.copy() for name, value in reference.items()}
    assert distance(network, moved, reference) == 0
    bias, weights = ("b", "W") if model == "softmax" else ("b2", "W2")
    moved[bias][0, 1] += 1.0
    assert distance(network, moved, reference) == pytest.approx(1 / np.abs(reference[weights]).max())
    moved["W"][0, 0] = np.nan
    assert np.isnan(distance(network, moved, reference))


@each_dtype
def test_one_ulp_away_is_one_ulp(dtype):
    """Every number moves to a neighbour, in both directions; zeros stay."""
    values = np.random.default_rng(0).standard_normal(100).astype(dtype)
    values[:3] = 0
    moved = one_ulp_away({"W": values}, np.random.default_rng(1))["W"]
    assert moved.dtype == dtype
    assert not moved[:3].any()
    up, down = (np.nextafter(values, np.array(to, dtype)) for to in (np.inf, -np.inf))
    assert ((moved == up) | (moved == down))[3:].all()
    assert (moved > values).any()
    assert (moved < values).any()


def test_members_train_on_the_same_points():
    """A permuted member sees every example with its own label."""
    problem = problem_of("softmax")
    member = NoiseFloor(problem, "float64", [], 1, members=1).permuted[0].problem
    assert not np.array_equal(member.X, problem.X)
    pairs = [{(*x, label) for x, label in zip(p.X, p.y, strict=True)} for p in (member, problem)]
    assert pairs[0] == pairs[1]


@each_model
def test_permuted_member_flips_nothing_at_first(model):
    """Its ReLUs are compared example by example, in its own order."""
    problem = problem_of(model)
    trace = record(problem)
    hidden = {name: trace[name] for name in problem.model.relus}
    now = Now(0, problem.params, problem.model.next_params(trace), hidden, 0.0)
    order = np.random.default_rng(0).permutation(len(problem.y))
    member = Member(problem, "float64", order, problem.params)
    assert not member.flips(member.advance(now), now)
