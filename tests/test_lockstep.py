"""The claim: from identical weights every port gives the same quantities, at every step.

Cells that share the reference's work run once a session, together; each quantity is its own
test, so that a list of failures reads as a diagnosis.
"""

from dataclasses import replace

import numpy as np
import pytest
from conftest import group_of

from ports.lockstep import chosen_steps
from ports.matrix import run_cells
from ports.report.terminal import sentence
from ports.results import SPIRAL, quantities_of
from reference.agreement.certify import LOCAL
from reference.runs import ITERATIONS, POINTS, draw

DRAWS = {points: draw(np.random.RandomState(0), points) for points in POINTS}


@pytest.fixture(scope="session")
def result_of(pytestconfig):
    """Run the group of a cell, once a session; return the cell's result."""
    results = {}

    def result(planned):
        if planned.cell not in results:
            together = [p for p in pytestconfig.lockstep_planned if group_of(p) == group_of(planned)]
            results.update((r.cell, r) for r in run_cells(together, DRAWS[100]))
        return results[planned.cell]

    return result


def disagreements(result, quantity):
    """Failed verdicts on one quantity, in words."""
    return [sentence(v.first_step, v.first) for v in result.quantity(quantity) if v.first]


def test_lockstep(planned, quantity, result_of):
    """Every step of the document's run, under both certificates."""
    result = result_of(planned)
    assert not result.error
    if quantity in result.hidden:
        pytest.skip(f"declared hidden: {result.hidden[quantity]}")
    verdicts = result.quantity(quantity)
    assert not disagreements(result, quantity)
    assert verdicts
    assert all(v.agrees and v.steps == result.steps for v in verdicts)


def test_every_step_ran(planned, result_of):
    """As many steps were judged as were planned, so that an empty run cannot pass."""
    model = planned.cell.model
    expected = 1 if model == SPIRAL else len(chosen_steps(ITERATIONS[model], planned.steps))
    assert result_of(planned).steps == expected


def test_document_data(planned):
    """The document's own 15 points, in every cell, at the first 10 steps."""
    (result,) = run_cells([replace(planned, steps=None)], DRAWS[5], range(10))
    assert not result.error
    for quantity in quantities_of(planned.cell.model):
        assert not disagreements(result, quantity)
    assert result.agrees


def test_here(skipped):
    """What cannot run here is a visible skip with its reason; --require makes it an error."""
    pytest.skip(f"{skipped.what}: {skipped.reason}")


def test_something_is_compared(pytestconfig):
    """A selection that leaves nothing to compare is a failure, not a success."""
    assert pytestconfig.lockstep_planned


def test_a_local_certificate_judges_every_quantity(planned, result_of):
    """Each quantity shown by a step was held against its local bound, not only end to end."""
    result = result_of(planned)
    shown = set(quantities_of(planned.cell.model)) - set(result.hidden)
    local = {quantity for quantity, certificate in result.verdicts if certificate == LOCAL}
    assert local == (shown if planned.cell.model != SPIRAL else set())
