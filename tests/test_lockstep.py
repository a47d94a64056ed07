"""The claim: from identical weights every port gives the same quantities, at every step.

Cells that share the reference's work run together, once per session. Each quantity is a test under each
certificate, so that a list of failures reads as a diagnosis: what fails locally is wrong, what fails
end to end alone follows from it.
"""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cells import Piece, pieces

from ports.engine.matrix import chosen_by, exact_settings_of, run_cells, steps_of
from ports.engine.results import SPIRAL, quantities_of
from ports.report.matrix import sentence
from reference.agreement.judge import LOCAL
from reference.models import MODELS
from reference.runs import POINTS, draw

DRAWS = {points: draw(np.random.RandomState(0), points) for points in POINTS}


@pytest.fixture(scope="module", autouse=True)
def _in_precision(pytestconfig):
    """float32 products in the precision that was asked for. All other tests run in the highest."""
    planned = pytestconfig.lockstep_planned
    with exact_settings_of([p.port for p in planned], pytestconfig.getoption("precision")):
        yield


@pytest.fixture(scope="session")
def result_of(shared_way):
    """Run the part of a piece, once per session; return the piece's result."""
    results = {}

    def result(piece):
        if str(piece) not in results:
            cells, steps = piece.part
            made = run_cells(cells, DRAWS[100], steps, way=shared_way)
            for planned, ran in zip(cells, made, strict=True):
                results[str(Piece(planned, piece.part))] = ran
        return results[str(piece)]

    return result


def require_agreement(result, quantity, certificate):
    """Fail with the first disagreement in words, or if nothing was compared."""
    if result.error:
        pytest.fail(result.error, pytrace=False)
    verdict = result.verdicts[quantity, certificate]
    if verdict.first:
        words = sentence(verdict.first_step, verdict.first)
        local = result.verdicts.get((quantity, LOCAL), verdict)
        follows = ": the operation agrees, so this follows from one before it" if local.agrees else ""
        pytest.fail(f"{words}{follows}", pytrace=False)
    assert verdict.agrees
    followed = result.local_alone is None or certificate == LOCAL
    assert verdict.steps == (result.steps if followed else result.steps_followed)


def test_lockstep(piece, quantity, certificate, result_of):
    """Every step of the note's run is certified."""
    result = result_of(piece)
    if quantity in result.hidden:
        pytest.skip(f"declared hidden: {result.hidden[quantity]}")
    require_agreement(result, quantity, certificate)


def test_every_step_ran(piece, result_of):
    """As many steps were judged as were planned, so that an empty run cannot pass."""
    spiral = piece.planned.cell.model == SPIRAL
    expected = 1 if spiral else len(steps_of(piece.planned, piece.part.steps))
    assert result_of(piece).steps == expected > 0


def test_parts_are_the_whole_run(pytestconfig):
    """Every cell of the plan has all of its steps in some part, and none twice."""
    planned = pytestconfig.lockstep_planned
    met = {p.cell: [] for p in planned}
    for piece in pieces(planned):
        spiral = piece.planned.cell.model == SPIRAL  # made once, in no steps
        met[piece.planned.cell] += [0] if spiral else sorted(steps_of(piece.planned, piece.part.steps))
    for p in planned:
        model = MODELS.get(p.cell.model)
        assert met[p.cell] == (sorted(chosen_by(p)) if model else [0])


def test_document_data(planned):
    """The note's own 15 points are certified in every cell, at the first 10 steps."""
    (result,) = run_cells([replace(planned, steps=None)], DRAWS[5], range(10))
    for quantity, certificate in result.verdicts:
        require_agreement(result, quantity, certificate)
    assert result.agrees


def test_here(skipped):
    """A cell that cannot run here is skipped visibly, with its reason; --require makes it an error."""
    pytest.skip(f"{skipped.what}: {skipped.reason}")


def test_something_is_compared(pytestconfig):
    """A selection that leaves nothing to compare is a failure, not a success."""
    skipped = "; ".join(f"{s.what}: {s.reason}" for s in pytestconfig.lockstep_skipped)
    if not pytestconfig.lockstep_planned:
        pytest.fail(f"nothing to compare: {skipped or 'no cell is selected'}", pytrace=False)


def test_a_local_certificate_judges_every_quantity(piece, result_of):
    """Each quantity shown by a step was held against its local bound, not only end to end."""
    result, part = result_of(piece), piece.planned.cell.model
    shown = set(quantities_of(part)) - set(result.hidden)
    local = {quantity for quantity, certificate in result.verdicts if certificate == LOCAL}
    assert local == (shown if part != SPIRAL else set())


MEDIUM = """
import torch
from ports.in_torch.manual import softmax_step as right

framework = "torch"


def softmax_step(*inputs):
    assert torch.get_float32_matmul_precision() == "medium"
    return right(*inputs)
"""


def test_precision_is_that_of_the_option(tmp_path):
    """`--precision medium` runs a port that refuses any other precision, and certifies it."""
    pytest.importorskip("torch")
    file = tmp_path / "medium.py"
    file.write_text(MEDIUM)
    test = "tests/test_lockstep.py::test_document_data"
    options = ["--precision", "medium", "--port", str(file), "--dtype", "float32", "--mode", "eager"]
    words = [sys.executable, "-m", "pytest", "-q", "-n", "0", *options, test]
    done = subprocess.run(words, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
