"""What a verdict keeps and a result counts, and that the parts of a run add up to the run."""

from dataclasses import replace

import numpy as np
import pytest

from ports.engine.results import Cell, CellResult, Verdict, certificates_of, quantities_of
from reference.agreement.judge import (
    END_TO_END,
    LOCAL,
    Compared,
    Finding,
    Held,
    Worst,
)

NAN = float("nan")


CELL = Cell("softmax", "numpy", "eager", "cpu", "float64")


def found(share, quantity="scores", certificate=LOCAL, elements=2):
    """A comparison that used this share of its bound."""
    return Finding(quantity, certificate, share, elements=elements)


def test_spiral_is_one_operation():
    """Its points and labels are judged end to end alone; a model's quantities locally too."""
    assert (quantities_of("spiral"), certificates_of("spiral")) == (("X", "y"), (END_TO_END,))
    assert quantities_of("softmax")[0] == "scores"
    assert certificates_of("softmax") == (LOCAL, END_TO_END)


def test_verdict_keeps_the_worst_and_the_first_failure():
    """Every comparison is counted; of equal ones the first is kept."""
    verdict = Verdict()
    for step, share in enumerate([0.5, 2.0, 3.0, 3.0, 0.1]):
        verdict.add(found(share), step)
    assert (verdict.steps, verdict.elements, verdict.failures) == (5, 10, 2 + 1)
    assert (verdict.worst_step, verdict.worst.share) == (2, 3.0)
    assert (verdict.first_step, verdict.first.share) == (1, 2.0)
    assert not verdict.agrees


def test_nan_is_a_failure_and_worse_than_any_number():
    """A NaN share fails, and is the worst whatever comes before or after."""
    verdict = Verdict()
    for step, share in enumerate([7.0, NAN, 9.0, NAN]):
        verdict.add(found(share), step)
    assert verdict.failures == 4
    assert verdict.worst_step == 1


def test_the_whole_bound_may_be_used():
    """A share of 1 agrees; without a single number compared nothing agrees."""
    verdict = Verdict()
    assert (verdict.steps, verdict.elements, verdict.failures) == (0, 0, 0)
    assert (verdict.worst_step, verdict.first_step) == (-1, -1)
    assert not verdict.agrees
    verdict.add(found(1.0, elements=1), 0)
    assert verdict.agrees
    assert verdict.first is None


def test_result_counts_what_was_compared():
    """Tensors, numbers and steps, over all quantities and certificates."""
    result = CellResult(CELL)
    assert result.steps == 0
    assert not result.agrees
    for step in range(3):
        result.add(
            [found(0.5), found(0.5, certificate=END_TO_END), found(0.1, "loss", elements=1)], step
        )
    assert (result.steps, result.comparisons, result.elements) == (3, 9, 15)
    assert [v.worst.certificate for v in result.quantity("scores")] == [LOCAL, END_TO_END]
    assert len(result.quantity("loss")) == 1
    assert result.agrees
    assert not replace(result, error="step 3: stopped").agrees


@pytest.mark.parametrize("cut", range(6))
@pytest.mark.parametrize("shares", [[0.5, 0.2, 3.0, 3.0, 0.1], [NAN, 2.0, NAN, 0.0, 1.0], [0.0] * 5])
def test_parts_of_a_run_come_to_the_same_as_the_run(shares, cut):
    """Wherever a run is cut, its parts add up to the whole."""

    def run(steps):
        result = CellResult(CELL)
        for step in steps:
            result.add([found(shares[step]), found(0.1, "loss")][: 1 + step % 2], step)
        return result

    whole, joined = run(range(5)), run(range(cut))
    joined.follow(run(range(cut, 5)))
    assert repr(joined) == repr(whole)


@pytest.mark.parametrize("shares", [[0.5, 0.2, 3.0, 3.0, 0.1], [NAN, 2.0, NAN, 0.0, 1.0], [0.0] * 5])
@pytest.mark.parametrize("rows", [[5], [2, 3], [1, 4], [1] * 5], ids=str)
def test_rows_come_to_the_same_as_one_by_one(shares, rows):
    """Several steps are counted at once; only a new worst one and failures are looked up."""
    alone, together, looked_up = Verdict(), Verdict(), []

    def worst(i, j):
        looked_up.append(done[j])
        _, _, *element, _, _ = found(shares[done[j]])
        return Worst(*element)

    for step, share in enumerate(shares):
        alone.add(found(share), step)
    for start, count in zip(np.cumsum([0, *rows]), rows, strict=False):
        done = range(start, start + count)
        of_row = np.array([shares[done.start : done.stop]])
        compared = Compared("scores", LOCAL, Held([0], range(count), of_row, 2, worst))
        together.add_row(compared, 0, done, float(of_row.max()))
    assert repr(together) == repr(alone)
    assert len(looked_up) <= sum(not share <= 0.5 for share in shares) + 1


def test_nothing_follows_a_run_that_ended():
    """Steps after an error are not counted, since the run alone would not have reached them."""
    ended, later = CellResult(CELL), CellResult(CELL, error="step 7: it overflows")
    ended.add([found(0.5)], 0)
    later.add([found(3.0)], 5)
    ended.follow(later)
    assert (ended.steps, ended.error, ended.agrees) == (2, "step 7: it overflows", False)
    ended.follow(later)
    assert ended.steps == 2


def test_one_failed_verdict_fails_the_result():
    """It does not help that all other comparisons agree."""
    result = CellResult(CELL)
    result.add([found(0.5), found(1.5, "loss")], 0)
    assert not result.agrees


def test_failures_come_by_step_then_local_then_in_the_documents_order():
    """The first failure is the operation to look at; unknown names come before all quantities."""
    result = CellResult(CELL)
    result.add([found(0.5, "scores"), found(2.0, "loss")], 3)
    late = [
        found(2.0, "data_loss", END_TO_END),
        found(2.0, "scores", END_TO_END),
        found(2.0, "probs"),
        found(2.0, "scores"),
        found(NAN, "logits"),
    ]
    result.add(late, 4)
    assert [(step, f.certificate, f.quantity) for step, f in result.first_failures()] == [
        (3, LOCAL, "loss"),
        (4, LOCAL, "logits"),
        (4, LOCAL, "scores"),
        (4, LOCAL, "probs"),
        (4, END_TO_END, "scores"),
        (4, END_TO_END, "data_loss"),
    ]
