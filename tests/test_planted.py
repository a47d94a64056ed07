"""An error planted in any one quantity of any port is caught there, and nothing else is blamed."""

from functools import cache

import numpy as np
import pytest
from cells import parametrize
from planting import plant

from ports.engine.lockstep import prepare, reference_at, run_lockstep
from ports.registry import PORTS
from reference.agreement.judge import LOCAL
from reference.models import MODELS
from reference.runs import draw

#: The relative error that has to be caught in each dtype.
RELATIVE = {"float64": 1e-11, "float32": 1e-2, "bfloat16": 0.1, "float16": 0.02}
SIXTEEN_BITS = ("bfloat16", "float16")
#: The same for the data loss. It may be a difference of two means, which rounds as the scores do.
OF_DATA_LOSS = RELATIVE | {"float64": 1e-10}
#: In 16 bits these sums may cancel, and XLA stores their partial sums: such an error may be rounding.
SUMS = ("data_loss", "reg_loss", "db", "db2")
#: The step: far enough into a run, and no farther than its middle.
FAR = 300
#: The biases of a model without hidden layers are moved by this much. Every class has as many examples,
#: so its db sums to nearly 0, and an error that is small beside it drowns in the rounding of its terms.
UNBALANCED = np.array([[0.3, -0.2, 0.1]])


@cache
def problem_of(model):
    """The note's problem from a step on at which the model is trained."""
    problem = draw(np.random.RandomState(0), 100).problem(MODELS[model])
    start = reference_at(problem, min(FAR, problem.model.iterations // 2))
    if problem.model.relus:
        return start
    (bias,) = problem.model.biases
    return start.starting_from(start.params | {bias: start.params[bias] + UNBALANCED})


def pytest_generate_tests(metafunc):
    """The eager cells of registered ports, alone or with each quantity that the port shows."""
    planned = [p for p in metafunc.config.lockstep_planned if p.cell.port in PORTS]
    eager = [p for p in planned if p.cell.model in MODELS and p.cell.mode == "eager"]
    if "quantity" in metafunc.fixturenames:
        plants = [case(p, name) for p in eager for name in planted_in(p)]
        parametrize(metafunc, ("eager", "quantity"), plants)
    elif "eager" in metafunc.fixturenames:
        parametrize(metafunc, "eager", [case(p) for p in eager])


def case(planned, *quantity):
    """A readable id; ports of one framework stay together, since JAX compiles each operation once."""
    return pytest.param(planned, *quantity, id="-".join([str(planned.cell), *quantity]))


def planted_in(planned):
    """The quantities of a cell in which an error of that size cannot be rounding."""
    names = shown(planned.port, planned.cell.model)
    narrowest = planned.port.narrowest(planned.cell.dtype)
    return [n for n in names if n not in SUMS] if narrowest in SIXTEEN_BITS else names


def shown(port, model):
    """The quantities that the port's library does not hide."""
    return [name for name in MODELS[model].quantities if name not in port.hidden_quantities]


def judged(port, cell):
    """One step, under both certificates."""
    problem = problem_of(cell.model)
    (result,) = run_lockstep(problem, [prepare(cell, port, problem, [0])], iterations=1)
    assert not result.error
    return result


def blamed(result):
    """The quantities that the local certificate finds wrong."""
    return [
        q for (q, which), verdict in result.verdicts.items() if which == LOCAL and not verdict.agrees
    ]


def test_planted_error_is_blamed_on_its_quantity_alone(eager, quantity):
    """A small relative error in one quantity, with which the port goes on, fails that quantity alone."""
    cell = eager.cell
    relative = OF_DATA_LOSS if quantity == "data_loss" else RELATIVE
    narrowest = eager.port.narrowest(cell.dtype)
    port = plant(eager.port, cell.model, quantity, relative[narrowest])
    assert blamed(judged(port, cell)) == [quantity]


def test_unplanted_twin_passes(eager):
    """Without the error, the same step of the same port is certified, every quantity of it."""
    result = judged(eager.port, eager.cell)
    assert result.agrees
    assert {q for q, _ in result.verdicts} == set(shown(eager.port, eager.cell.model))
