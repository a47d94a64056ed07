"""Single rules, case by case: the worst case, what is flushed, and where there is no bound."""

from contextlib import nullcontext
from fractions import Fraction

import numpy as np
import pytest
from formats import BFLOAT16, FLOAT16
from operations import exact, normalised

from reference.agreement import rules
from reference.agreement.arithmetic import FLOAT32, FLOAT64, Unbounded
from reference.agreement.judge import LOCAL, compare
from reference.agreement.rounded import Rounded
from reference.agreement.routes import (
    dscores_through_quotient,
)


def near_zero():
    """1 give or take 2."""
    return Rounded(np.array([1.0]), np.array([2.0]), FLOAT32)


UNBOUNDED = {
    "divide by an interval with 0": lambda: exact(1.0) / near_zero(),
    "divide by 0": lambda: 1 / exact(0.0, 1.0),
    "divide by what may be flushed to 0": lambda: 1 / exact(1e-39),
    "log of an interval with 0": lambda: np.log(near_zero()),
    "log of 0": lambda: np.log(exact(0.0)),
    "log1p of an interval with -1": lambda: np.log1p(near_zero() - 1),
    "log2 of an interval with 0": lambda: np.log2(near_zero()),
    "power of an interval with 0": lambda: near_zero() ** 0.5,
    "negative power of an interval with 0": lambda: near_zero() ** -2,
    "root of a negative number": lambda: np.sqrt(exact(-1.0)),
    "cube overflows": lambda: exact(1e13) ** 3,
    "square overflows": lambda: np.square(exact(2e19)),
    "expm1 overflows": lambda: np.expm1(exact(89.0)),
    "cumulative sum overflows": lambda: np.cumsum(exact(3e38, 3e38)),
    "addition at an index overflows": lambda: np.add.at(exact(3e38).copy(), [0, 0], exact(3e38, 3e38)),
    "plain array overflows": lambda: exact(1.0, 1.0) + np.array([1e39, 0]),
    "plain array with an infinity": lambda: exact(1.0, 1.0) + np.array([np.inf, 0]),
    "variance of one number": lambda: np.var(exact(1.0), ddof=1),
    "exp overflows": lambda: np.exp(exact(89.0)),
    "exp may overflow": lambda: np.exp(Rounded(np.array([88.0]), np.array([1.0]), FLOAT32)),
    "sum overflows": lambda: np.sum(exact(3e38, 3e38)),
    "partial sum overflows": lambda: np.sum(exact(3e38, 3e38, -3e38, -3e38)),
    "addition overflows": lambda: exact(3e38) + exact(3e38),
    "product overflows": lambda: exact(3e38) * 2,
    "quotient overflows": lambda: exact(3e38) / 0.1,
    "dot product overflows": lambda: np.dot(
        exact([300.0], arithmetic=FLOAT16), exact([300.0], arithmetic=FLOAT16)
    ),
    "partial dot product overflows": lambda: np.dot(
        exact([300.0, 300.0], arithmetic=FLOAT16), exact([300.0], [-300.0], arithmetic=FLOAT16)
    ),
    "constant overflows": lambda: exact(1.0) + 1e39,
    "too many roundings": lambda: np.sum(exact(*np.ones(2000), arithmetic=FLOAT16)),
    "too long a dot product": lambda: np.dot(
        exact(np.ones(2000), arithmetic=FLOAT16), exact(*np.ones((2000, 1)), arithmetic=FLOAT16)
    ),
    "exponentials of a row underflow": lambda: normalised_exp(exact([-100.0, -100.0])),
    "half of a row sum may be flushed": lambda: normalised(
        exact([1.6 * FLOAT32.smallest_normal, 1.6 * FLOAT32.smallest_normal])
    ),
    "gradient of a probability that may be 0": lambda: dscores_through_quotient(
        exact([0.25, 0.75]), probability_down_to_zero()
    ),
}


def normalised_exp(x):
    """The note's softmax."""
    return normalised(np.exp(x))


def probability_down_to_zero():
    """The start of a gradient: a right class with a probability of 1/4 give or take 1/4."""
    probs = Rounded(np.array([[0.25, 0.75]]), np.full((1, 2), 0.25), FLOAT32)
    return {"num_examples": 1, "y": np.array([0]), "computed probs": probs, "shifted softmax": probs}


@pytest.mark.parametrize("case", UNBOUNDED)
def test_unbounded_is_said(case):
    """Where no finite bound exists, Unbounded is raised; no infinite or NaN bound comes out."""
    with pytest.raises(Unbounded):
        UNBOUNDED[case]()


def test_comparison_with_an_uncertain_right_side_is_undecided():
    """An exact number against one that may lie on either side of it."""
    uncertain_one = Rounded(np.ones(2), np.array([0.5, 0.0]), FLOAT64)
    assert (Rounded.exact([0.8, 0.8], FLOAT64) <= uncertain_one).undecided.tolist() == [True, False]


def test_ordinary_inputs_are_exact():
    """Nothing is flushed of zeros, numbers of either sign and the smallest normal one."""
    smallest = FLOAT32.smallest_normal
    for numbers in ((0.0, 1.0), (-1.0, 1.0), (-smallest, 0.0, smallest)):
        assert exact(*numbers).is_exact


def test_subnormals_are_uncertain_whatever_else_there_is():
    """They are uncertain beside as many ones, and beside as many zeros."""
    for other in (0.0, 1.0, -1.0):
        for subnormal in (1e-39, -1e-39):
            assert Rounded.exact([other, subnormal], FLOAT32).errors().tolist() == [0, 1e-39]


def test_smallest_normal_constant_is_held_exactly():
    """The numbers below it may be read as zero, but it may not."""
    smallest = FLOAT32.smallest_normal
    assert FLOAT32.constant(smallest) == 0
    assert FLOAT32.constant(smallest / 2) == smallest / 2
    assert Rounded.exact([smallest, smallest / 2], FLOAT32).errors().tolist() == [0, smallest / 2]


def test_dot_product_of_uncertain_factors_may_overflow():
    """300 * 200 is in float16's range, 350 * 200 is not."""
    exact = Rounded.exact(np.full((1, 1), 200.0), FLOAT16)
    for error, whole in ((25.0, True), (50.0, False)):
        uncertain = Rounded(np.full((1, 1), 300.0), np.full((1, 1), error), FLOAT16)
        for factors in ((uncertain, exact), (exact, uncertain)):
            with nullcontext() if whole else pytest.raises(Unbounded, match="a dot product overflows"):
                np.dot(*factors)


def test_flushed_terms_of_a_large_sum_count():
    """Beside 2**-92 in float32 a flushed product is a thousandth of the rounding, and still counts."""
    x = Rounded.exact(np.array([[2.0**-46, 2.0**-70]]), FLOAT32)
    size = 2.0**-92 + 2.0**-140
    flushed = 2 * 2 * FLOAT32.smallest_normal
    assert np.dot(x, x.T).error == pytest.approx(FLOAT32.gamma(2) * size + flushed, rel=1e-9, abs=0)
    terms = np.array([2.0**-92, 2.0**-125])
    assert np.sum(Rounded.exact(terms, FLOAT32)).error == pytest.approx(
        FLOAT32.gamma(1) * terms.sum() + FLOAT32.smallest_normal, rel=1e-9, abs=0
    )


def test_flushed_products_that_cancel_count():
    """x y - x y is 0, and each product may be flushed, as may the sum after it."""
    x, y = exact([2.0**-67, -(2.0**-67)]), exact([2.0**-67], [2.0**-67])
    bound = np.dot(x, y)
    assert bound.value == 0
    expected = 4 * FLOAT32.smallest_normal + FLOAT32.gamma(2) * 2 * 2.0**-134
    assert bound.error == pytest.approx(expected, rel=1e-9, abs=0)


def test_flushed_terms_beside_as_many_ones_count():
    """Of the products 1 and 2**-127 the second may be flushed to zero in float32."""
    x = Rounded.exact(np.array([1.0, 2.0**-100]), FLOAT32)
    y = Rounded.exact(np.array([1.0, 2.0**-27]), FLOAT32)
    assert (x * y).error[1] >= FLOAT32.smallest_normal


def test_exact_zero_beside_a_flushed_product_stays_exact():
    """Of the products 0, 1 and 2**-127 the last alone may be flushed."""
    x = Rounded.exact(np.array([0.0, 1.0, 2.0**-100]), FLOAT32)
    error = (x * Rounded.exact(np.array([1.0, 1.0, 2.0**-27]), FLOAT32)).error
    assert error[0] == 0
    assert error[2] >= FLOAT32.smallest_normal


def test_row_sum_of_the_smallest_numbers_may_lose_its_terms():
    """8 s / (8 s + 8 s) with s the smallest normal number: each term's flushing weighs on the share."""
    x = Rounded.exact(np.full((1, 2), 8 * FLOAT32.smallest_normal), FLOAT32)
    assert np.all(normalised(x).error >= 8 / 14 - 8 / 16)


def test_share_of_a_sum_whose_terms_may_be_negative():
    """The tighter rule is derived for terms of one sign; if that is uncertain, the general one holds."""
    x = Rounded(np.array([[1.0, 0.01]]), np.array([[0.0, 0.02]]), FLOAT64)
    total = np.sum(x, axis=1, keepdims=True)
    assert (x / total).error.tolist() == rules.divide(x.bounded, total.bounded, FLOAT64).error.tolist()
    x = Rounded(x.value, x.error / 2, FLOAT64)
    total = np.sum(x, axis=1, keepdims=True)
    assert (x / total).error.tolist() == rules.share(x.bounded, total.bounded, FLOAT64).error.tolist()


def test_digits_that_a_share_of_nearly_1_loses_are_allowed_for():
    """1 +- (1 - 2**-10) beside 2**-53: in float64 the sum is 1, and 1 - p is 0. Exactly, it is not."""
    x = Rounded(np.array([[1.0, 2.0**-53]]), np.array([[1 - 2.0**-10, 0.0]]), FLOAT64)
    share, least = normalised(x)[0, 0], Fraction(1, 2**10)
    off = Fraction(float(share.value)) - least / (least + Fraction(1, 2**53))
    rounding = FLOAT64.gamma(1) + FLOAT64.division
    assert 100 * rounding < off <= share.error
    assert share.error == pytest.approx(4 * 2.0**-53 * 2**10 + rounding, rel=1e-3, abs=0)


def test_share_of_a_column_is_not_taken_for_one_of_a_row():
    """(1 +- 0.1) / 3 in a column: the other shares move too."""
    x = Rounded(np.ones((3, 1)), np.array([[0.1], [0.0], [0.0]]), FLOAT32)
    shares = x / np.sum(x, axis=0, keepdims=True)
    assert np.all(shares.error[:, 0] >= [1.1 / 3.1 - 1 / 3, 1 / 3 - 1 / 3.1, 1 / 3 - 1 / 3.1])


def test_float64_function_is_off_on_both_sides():
    """4 ulps in the port and 4 in the reference: 16 roundoffs together."""
    x = Rounded.exact(np.ones(1), FLOAT64)
    for function in (np.exp, np.cos):
        bound = function(x)
        assert compare("", LOCAL, bound.value * (1 + 14 * 2.0**-53), bound).agrees
        assert not compare("", LOCAL, bound.value * (1 + 18 * 2.0**-53), bound).agrees


def test_dot_plus_bias_rounds_the_bias_in_all_partial_sums_but_one():
    """|v| u + gamma_3 |x||w| + gamma_2 |b|: three additions, of which the last rounds the result."""
    x, b = Rounded.exact(np.full((1, 3), 2.0), FLOAT32), Rounded.exact(np.full((1, 1), 100.0), FLOAT32)
    propagated = FLOAT32.gamma(3) * 12 + FLOAT32.gamma(2) * 100
    for result in (np.dot(x, x.T) + b, b + np.dot(x, x.T)):
        expected = propagated + FLOAT32.unit * (112 + propagated)
        assert result.error == pytest.approx(expected, rel=1e-9, abs=0)


def test_dot_of_two_plus_bias_rounds_the_bias_once_more():
    """A sum of two products that starts from the bias rounds twice, and once if it ends with it."""
    x, b = exact([2.0, 2.0]), exact([100.0])
    propagated = FLOAT32.gamma(2) * 8 + FLOAT32.gamma(1) * 100
    expected = propagated + FLOAT32.unit * (108 + propagated)
    assert (np.dot(x, x.T) + b).error == pytest.approx(expected, rel=1e-9, abs=0)


def test_exponential_may_come_near_the_largest_number():
    """exp(88.5) is four fifths of it in float32."""
    assert np.exp(exact(88.5)).value > 0.8 * FLOAT32.largest


@pytest.mark.parametrize("arithmetic", [FLOAT64, FLOAT32, BFLOAT16, FLOAT16], ids=lambda a: a.name)
def test_largest_number_is_in_range(arithmetic):
    """It may be a constant or a result, but nothing above it may."""
    assert arithmetic.constant(arithmetic.largest) == 0
    largest = Rounded.exact(np.full((1, 1), arithmetic.largest), arithmetic)
    assert np.sum(largest).value == arithmetic.largest
    with np.errstate(over="ignore"), pytest.raises(Unbounded, match="overflows"):
        np.sum(Rounded(largest.value, largest.value * 2.0**-10, arithmetic))


def test_uncertain_dividend_may_be_larger_than_it_is():
    """0 give or take 1024 over 2**15 in float16, where 1 / 2**15 is subnormal: as far off as 1/32.

    A reciprocal that is flushed is off by the smallest normal number, 2**-14, at most.
    """
    x = Rounded(np.zeros(1), np.full(1, 1024.0), FLOAT16)
    assert (x / 2.0**15).error == pytest.approx(1 / 32 + 1024 * 2.0**-14, rel=5e-3)


def test_small_share_of_a_huge_sum_is_flushed_at_its_own_size():
    """1 over 1 + 2**15 in float16: the reciprocal may be flushed, which is off by 2**-14 at most.

    So may the share itself.
    """
    small = normalised(exact([1.0, 2.0**15], arithmetic=FLOAT16))[0, 0]
    rounding = 2.0**-15 * (FLOAT16.gamma(1) + FLOAT16.division)
    assert small.error == pytest.approx(2 * FLOAT16.smallest_normal + rounding, rel=1e-2)
