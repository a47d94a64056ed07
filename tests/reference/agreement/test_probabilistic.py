"""The probabilistic constants: what they promise, of which errors, and the worst case above them."""

import math

import numpy as np
import pytest

from reference.agreement.arithmetic import ARITHMETICS, FLOAT16, FLOAT32, FLOAT64, Unbounded
from reference.agreement.probabilistic import FAILURE, confidence_parameter, probabilistic

LIKELY = probabilistic(FLOAT32)
U = FLOAT32.unit


def test_constant_is_that_of_the_theorem():
    """exp(lambda sqrt(n) u + n u^2 / (1 - u)) - 1, with the lambda that fails once in 1 / FAILURE."""
    parameter = confidence_parameter(U)
    assert 2 * math.exp(-(parameter**2) * (1 - U) ** 2 / 2) == pytest.approx(FAILURE, rel=1e-9)
    for n in (100, 10_000):
        theorem = math.expm1(parameter * math.sqrt(n) * U + n * U**2 / (1 - U))
        assert LIKELY.gamma(n) == pytest.approx(theorem, rel=1e-12)


@pytest.mark.parametrize("arithmetic", ARITHMETICS.values(), ids=ARITHMETICS)
def test_constant_is_at_most_the_worst_case(arithmetic):
    """Of few roundings nothing is gained; of many, the more the more."""
    likely = probabilistic(arithmetic)
    gains = [arithmetic.gamma(terms=n) / likely.gamma(terms=n) for n in (2, 30, 300, 3000)]
    assert gains[0] == 1
    assert gains == sorted(gains)
    assert gains[-1] > 2 or arithmetic.stores  # what is stored there are few partial sums


def products(factors):
    """How far products of many factors 1 + d are from 1."""
    return np.abs(np.expm1(np.log1p(factors).sum(axis=1)))


def test_random_errors_keep_to_it():
    """Signs drawn at random: the errors of mean 0 that stray farthest. The constant is not vacuous."""
    for n in (100, 2000):
        signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(5000, n))
        farthest = products(signs * U).max()
        assert LIKELY.gamma(n) / 3 < farthest < LIKELY.gamma(n)


def test_errors_with_a_mean_leave_it():
    """Negative control: where every rounding goes the same way, only the worst case holds."""
    n = 2000
    (off,) = products(np.full((1, n), U))
    assert LIKELY.gamma(n) < off < FLOAT32.gamma(n)


def test_errors_of_two_sizes_add_up_as_squares():
    """Behind an accumulator, a sum's roundings are those of float32, and one of storage at most."""
    likely = probabilistic(FLOAT16)
    of_sum = math.sqrt(3000 * FLOAT32.unit**2 + FLOAT16.unit**2)
    assert likely.gamma(1, additions=3000) == pytest.approx(
        min(FLOAT16.gamma(1, additions=3000), confidence_parameter(FLOAT16.unit) * of_sum), rel=0.02
    )
    assert likely.gamma(additions=3000) < 0.2 * FLOAT16.gamma(additions=3000)


def test_no_bound_stays_none():
    """Where the worst case has no bound, there is none here either."""
    with pytest.raises(Unbounded):
        LIKELY.gamma(2**24)


def test_tensor_cores_are_refused():
    """They cut off, so their errors have a mean. Elsewhere split products have none."""
    probabilistic(FLOAT32.in_precision("high", "cpu"))
    probabilistic(FLOAT64.on_accelerator())
    for arithmetic in (FLOAT32.in_precision("high", "cuda"), FLOAT16.on_accelerator()):
        with pytest.raises(ValueError, match="tensor core"):
            probabilistic(arithmetic)
