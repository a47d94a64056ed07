"""The data on rounding: real numbers of the run, each held against an independent computation."""

import math
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("mpmath", reason="mpmath is the exact arithmetic that the digits are held against")

import mpmath

from ports.engine.noise_floor import distance
from ports.lesson import rounding
from ports.lesson.libraries import frameworks_here
from ports.lesson.rounding import PARTS, QUANTITIES, made_rounding
from ports.registry import PORTS
from reference.agreement.arithmetic import ARITHMETICS
from reference.models import SOFTMAX, TWO_LAYER
from reference.runs import draw, trajectory

DRAWS = draw(np.random.RandomState(0))


@pytest.fixture(scope="module")
def made():
    """Everything, made once."""
    parts = []
    found = made_rounding(lambda: parts.append(1))
    assert len(parts) == PARTS
    return found


def at(model, wanted):
    """(start, trace) of one step of the note's run."""
    return next((s, t) for i, s, t in trajectory(DRAWS.problem(model), wanted + 1) if i == wanted)


def number(digits):
    """Digits as a number again."""
    return float(digits.same + digits.differs)


def test_sums_are_those_of_the_run(made):
    """Forwards and backwards, added one by one in Python, differ; the exact sum is that of fractions."""
    for found in made.sums:
        of_dtype = np.dtype(found.dtype).type
        terms = at(TWO_LAYER, found.step)[1]["correct_logprobs"].astype(found.dtype)
        totals = {total.order: total for total in found.totals}
        for order, way in (("forwards", terms), ("backwards", terms[::-1])):
            total = of_dtype(0)
            for term in way:
                total = of_dtype(total + term)
            assert of_dtype(number(totals[order].sum)) == total
        assert number(totals["forwards"].sum) != number(totals["backwards"].sum)
        exact = sum(Fraction(float(term)) for term in terms)
        assert float(found.exact) == pytest.approx(float(exact), rel=1e-10)
        assert "numpy.sum" in totals
        assert all(abs(total.ulps) <= found.allowed for total in totals.values())


def test_running_sums_part_where_it_says(made):
    """Up to there each running sum is the exact one, rounded; there it is not."""
    for found in made.sums:
        shown = {running.terms: running for running in found.running}
        assert {found.part - 1, found.part, 300} <= set(shown)
        before, there = shown[found.part - 1], shown[found.part]
        half = 0.51 * float(np.spacing(np.dtype(found.dtype).type(number(there.sum))))
        assert abs(number(before.sum) - float(before.exact)) <= half
        assert abs(number(there.sum) - float(there.exact)) >= half * 0.9


def test_fused_rounds_once_and_separate_twice(made):
    """The two results are neighbours, and each is what mpmath gives for its way of rounding."""
    one = made.fused
    start, trace = at(TWO_LAYER, one.step)
    gradient = np.dot(trace["hidden_layer"].T, trace["dscores"])[one.index]
    assert (one.weight, one.gradient) == (start.params["W2"][one.index], gradient)
    with mpmath.workprec(400):
        exact = mpmath.mpf(one.reg) * mpmath.mpf(one.weight) + mpmath.mpf(one.gradient)
        once = float(exact)
    twice = one.reg * one.weight + one.gradient
    assert (number(one.fused), number(one.separate)) == (once, twice)
    assert twice in (math.nextafter(once, 1), math.nextafter(once, -1))
    assert mpmath.mpf(one.exact) == pytest.approx(exact, rel=1e-18)


def test_exponentials_against_mpmath(made):
    """Exact digits and errors are mpmath's, the arguments are scores, and no error is too large."""
    for found in made.exponentials:
        scores = at(SOFTMAX, found.step)[1]["scores"].astype(found.dtype)
        for one in found.shown:
            assert np.dtype(found.dtype).type(one.x) in scores
            with mpmath.workprec(400):
                exact = mpmath.exp(mpmath.mpf(one.x))
            assert mpmath.mpf(one.exact) == pytest.approx(exact, rel=1e-9)
            nearest = number(one.nearest)
            assert abs(nearest - float(exact)) <= np.spacing(np.dtype(found.dtype).type(nearest))
            for name, digits in one.values.items():
                ulp = float(np.spacing(np.dtype(found.dtype).type(nearest)))
                assert one.ulps[name] == pytest.approx((number(digits) - float(exact)) / ulp, abs=0.6)
        assert set(found.worst) == set(frameworks_here())
        assert max(found.worst.values()) <= found.allowed
        assert found.allowed == ARITHMETICS[found.dtype].exp_ulps
        if len(found.worst) == 3 and found.differing == 0:
            pytest.skip("the three libraries agree on this machine")
        assert any(len(set(one.values.values())) > 1 for one in found.shown) == (found.differing > 0)


def test_errors_stay_below_the_bound_all_over_the_run(made):
    """At some 40 steps from the second to the last, each port's error is below the bound, and not 0."""
    assert [errors.quantity for errors in made.errors] == list(QUANTITIES)
    for errors in made.errors:
        steps = list(errors.steps)
        assert steps == sorted(steps)
        assert (steps[0], steps[-1], len(steps) >= 35) == (1, TWO_LAYER.iterations - 1, True)
        for of_port in errors.errors.values():
            assert len(of_port) == len(errors.bound) == len(steps)
            assert np.all(np.array(of_port) <= errors.bound)
            assert max(of_port) > 0
    assert made.disagreements == []


def test_an_error_outside_its_bound_is_told(monkeypatch):
    """A port whose step is off in the last digits is named, with the quantity and the step."""
    real = rounding.run_step

    def off(contestant, start):
        trace = real(contestant, start)
        return trace | {"dW": trace["dW"] * np.float32(1.001)}

    monkeypatch.setattr(rounding, "run_step", off)
    monkeypatch.setattr(rounding, "WALKED", 2)
    found = rounding.errors_over_the_run(DRAWS.problem(TWO_LAYER), [PORTS["numpy"]])
    of_loss, of_dW = found
    assert of_loss.disagreements == []
    assert ("numpy", 1) in of_dW.disagreements


def test_drift_is_that_of_a_run_made_here(made):
    """The NumPy port's distances, from a loop of our own; the first flip is the first of all ports."""
    drift = next(d for d in made.drifts if d.cell.port == "numpy")
    problem = DRAWS.problem(TWO_LAYER).held_as("float32")
    params = {name: value.astype(np.float32) for name, value in problem.params.items()}
    own = TWO_LAYER.problem(problem.X.astype(np.float32), problem.y, params)
    reference = problem
    for n in range(5):
        own = own.starting_from(own.step(lambda name, value: value))
        reference = reference.starting_from(reference.step(lambda name, value: value))
        after = distance(TWO_LAYER, own.params, reference.params)
        assert drift.distances[n] == pytest.approx(after, rel=1e-12)
    port, flip = made.first_flip
    assert flip.step == min(d.first_flip.step for d in made.drifts if d.first_flip)
    assert (flip.reference > 0) != (flip.port > 0)
    assert port in {d.cell.port for d in made.drifts}
