"""The training loop: a port trains by itself as the reference does, or tells why it cannot."""

from types import ModuleType

import numpy as np
import pytest

from ports.contract import LoadedPort
from ports.engine.lockstep import prepare
from ports.engine.results import Cell
from ports.engine.training import train
from ports.registry import FRAMEWORKS, PORTS
from reference.models import MODELS, SOFTMAX
from reference.runs import draw, trajectory

DRAWS = draw(np.random.RandomState(0), 5)


def contestant(port, model=SOFTMAX):
    """A port, ready to train."""
    cell = Cell(model.name, port.name, "eager", "cpu", "float64")
    return prepare(cell, port, DRAWS.problem(model), ())


def port_with(step):
    """A NumPy port of one step."""
    module = ModuleType("planted")
    module.softmax_step = step
    return LoadedPort("planted", "planted", FRAMEWORKS["numpy"], loaded=module)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_numpy_port_trains_like_the_reference(model):
    """Every loss and every parameter, bit for bit; each update begins where the last one ended."""
    problem = DRAWS.problem(model)
    updates = list(train(contestant(PORTS["numpy"], model), problem, 20))
    assert [update.step for update in updates] == list(range(20))
    for update, (_, start, trace) in zip(updates, trajectory(problem, 20), strict=True):
        assert update.trace["loss"] == trace["loss"]
        for name in model.parameters:
            assert np.array_equal(update.before[name], start.params[name])
            assert np.array_equal(update.after[name], trace[f"{name}_next"])


def test_port_that_raises_is_named_with_its_step():
    """The sentence has the cell, the step and the error; the updates before it have been yielded."""
    right = PORTS["numpy"].module.softmax_step
    calls = []

    def third_time_unlucky(*inputs):
        calls.append(1)
        return right(*inputs) if len(calls) < 3 else {}["nothing"]

    updates = train(contestant(port_with(third_time_unlucky)), DRAWS.problem(SOFTMAX), 5)
    assert [next(updates).step, next(updates).step] == [0, 1]
    told = "softmax-planted-eager-cpu-float64: step 2: the port raised KeyError"
    with pytest.raises(ValueError, match=told):
        next(updates)


@pytest.mark.parametrize(("lost", "needed"), [("W_next", ()), ("probs", ("scores", "probs"))])
def test_what_is_needed_and_missing_is_named(lost, needed):
    """The parameters are always needed, other quantities only if the caller reads them."""
    right = PORTS["numpy"].module.softmax_step

    def without(*inputs):
        return {name: value for name, value in right(*inputs).items() if name != lost}

    runner = contestant(port_with(without))
    with pytest.raises(ValueError, match=f"step 0: {lost} missing from the port's trace"):
        list(train(runner, DRAWS.problem(SOFTMAX), 1, needed))
    if lost == "probs":  # negative control: the caller does not read it
        assert len(list(train(runner, DRAWS.problem(SOFTMAX), 1))) == 1
