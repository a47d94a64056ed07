"""The recorded late weights are those of the note's run, at all the steps that check has late in it."""

import numpy as np
import pytest

from ports.check.late_weights import DRAWN, LONG, late_weights, walked
from ports.check.results import FIRST_STEPS, Options, runs_of, steps_of
from reference.models import MODELS, SOFTMAX, TWO_LAYER
from reference.runs import draw
from reference.trace import record

RECORDED = late_weights(TWO_LAYER)


@pytest.fixture(scope="module")
def loss_of():
    """The loss of parameters of the two-layer net, as the note prints it."""
    points, seed = DRAWN
    problem = draw(np.random.RandomState(seed), points).problem(TWO_LAYER)
    return lambda params: f"{record(problem.starting_from(params))['loss']:f}"


def test_every_late_step_is_recorded():
    """By default check walks the first steps alone, and a run that is short."""
    steps = steps_of(TWO_LAYER.iterations, None)
    assert sorted(RECORDED) == [i for i in steps if i >= FIRST_STEPS]
    assert max(RECORDED) == TWO_LAYER.iterations - 1
    assert [m.name for m in MODELS.values() if late_weights(m)] == ["two_layer"]
    assert SOFTMAX.iterations <= LONG
    assert runs_of(TWO_LAYER, Options())[0].recorded == RECORDED


@pytest.mark.parametrize("asked", [{"points": 5}, {"seed": 1}, {"steps": 30}, {"steps": "all"}])
def test_other_runs_are_walked(asked):
    """They are recorded for the default draws and steps alone."""
    assert runs_of(TWO_LAYER, Options(**asked))[0].recorded == {}


def test_first_recorded_step_is_the_runs_own(loss_of):
    """Walked to on this machine, it has the loss that is recorded, and the next one has not."""
    first, second, *_ = RECORDED
    here = loss_of(walked(TWO_LAYER, {first})[first])
    assert here == loss_of(RECORDED[first])
    assert here != loss_of(RECORDED[second])


def test_recorded_steps_train(loss_of):
    """Late in the run, where machines differ by rounding, each recorded step has a lower loss."""
    losses = [loss_of(params) for params in RECORDED.values()]
    assert losses == sorted(set(losses), reverse=True)
    assert losses[-1] < "0.25"
