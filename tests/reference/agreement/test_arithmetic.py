"""The promises: formats, and the error constant of n roundings."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from reference.agreement.arithmetic import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    TORCH_SUMS,
    XLA_SUMS,
    PartialSums,
    Unbounded,
)
from reference.agreement.rules import SLACK


@pytest.mark.parametrize("arithmetic", [FLOAT64, FLOAT32, FLOAT16], ids=lambda a: a.name)
def test_format_is_numpys(arithmetic):
    """The limits of a format are those of the numbers themselves."""
    numpys = np.finfo(arithmetic.name)
    assert arithmetic.largest == float(numpys.max)
    assert arithmetic.smallest_normal == float(numpys.smallest_normal)
    assert 2 * arithmetic.roundoff == float(numpys.eps)


def test_bfloat16_is_the_upper_half_of_float32():
    """Its largest number, its smallest normal number and its 1 + eps have the expected bits."""
    largest, smallest, above_one = (
        float(np.array(bits << 16, np.uint32).view(np.float32)) for bits in (0x7F7F, 0x0080, 0x3F81)
    )
    assert BFLOAT16.largest == largest
    assert BFLOAT16.smallest_normal == smallest
    assert 1 + 2 * BFLOAT16.roundoff == above_one


@pytest.mark.parametrize("n", [1, 2, 10, 100])
def test_gamma_bounds_n_roundings(n):
    """It bounds (1 + u)**n and 1 / (1 - u)**n in exact arithmetic (Higham, Lemma 3.1), and closely."""
    u = Fraction(BFLOAT16.unit)
    gamma = Fraction(BFLOAT16.gamma(n)) * Fraction(SLACK)
    assert (1 + u) ** n - 1 <= gamma
    assert 1 / (1 - u) ** n - 1 <= gamma
    assert gamma <= (1 / (1 - u) ** n - 1) * (1 + n * u)


# Formats that only store


def test_gamma_bounds_roundings_of_two_kinds():
    """Two products and a quotient stored, and a sum in float32 and storage: each factor at its worst."""
    of_sum = BFLOAT16.partial_sums.roundings(20)
    stored = 2 + BFLOAT16.division_roundings + of_sum
    within = FLOAT32.division_roundings + 19 + 5
    u, w = Fraction(BFLOAT16.unit), Fraction(FLOAT32.unit)
    gamma = Fraction(BFLOAT16.gamma(2, divisions=1, terms=20, additions=5)) * Fraction(SLACK)
    assert (1 + u) ** stored * (1 + w) ** within - 1 <= gamma
    assert 1 / ((1 - u) ** stored * (1 - w) ** within) - 1 <= gamma
    assert gamma <= 2 * stored * u


def test_stored_operation_rounds_within_the_kernel_and_then_to_storage():
    """(1 + w)(1 + u) - 1 and the reference's own rounding: an operation costs that, and hardly more."""
    u, w = Fraction(BFLOAT16.roundoff), Fraction(FLOAT32.roundoff)
    assert (1 + u) * (1 + w) - 1 <= Fraction(BFLOAT16.unit) <= u * Fraction(1.0001)


@pytest.mark.parametrize("arithmetic", [BFLOAT16, FLOAT16], ids=lambda a: a.name)
def test_sum_of_the_notes_examples_has_a_bound_where_it_is_accumulated(arithmetic):
    """300 terms: a small one in float32, and one even where XLA stores partial sums."""
    in_float32 = replace(arithmetic, partial_sums=TORCH_SUMS)
    assert in_float32.gamma(terms=300) < arithmetic.roundoff / 25
    assert arithmetic.gamma(terms=300) < 0.2


def test_sum_of_the_notes_examples_has_no_bound_in_bfloat16_alone():
    """Rounded to 8 bits after each addition, a sum of 300 terms may be anything."""
    with pytest.raises(Unbounded, match="299 roundings in bfloat16 have no useful bound"):
        BFLOAT16.computing().gamma(terms=300)


@pytest.mark.parametrize("terms", [1, 2, 31, 32, 33, 300, 1024, 1025, 40_000])
@pytest.mark.parametrize("sums", [XLA_SUMS, TORCH_SUMS, PartialSums(2), PartialSums(3, True)], ids=str)
def test_partial_sums_are_counted_as_they_are_made(sums, terms):
    """Sum windows of numbers that count what they went through: no term goes through more."""

    def added(window):
        return max(window) + (len(window) - 1 if sums.each_addition else 0)

    counts = [0] * terms
    while len(counts) > sums.window:
        windows = [counts[i : i + sums.window] for i in range(0, len(counts), sums.window)]
        counts = [added(window) + (not sums.each_addition) for window in windows]
    assert added(counts) <= sums.roundings(terms)
    assert sums.roundings(terms) <= added(counts) + sums.window  # its last window may be short


def test_subnormal_float16_numbers_lose_digits_and_are_not_flushed():
    """The spacing below the smallest normal number is that above it: half of it is lost at most."""
    spacing = float(np.finfo(np.float16).smallest_subnormal)
    assert FLOAT16.flush == spacing / 2
    assert BFLOAT16.flush == BFLOAT16.smallest_normal
    assert FLOAT16.constant(0.4 * spacing) == 0.4 * spacing


def test_machine_that_stores_each_result_promises_the_same_but_for_fusion():
    """Storing all is one change, and of a format that computes none."""
    assert replace(FLOAT16.storing_all(), fuses=True) == FLOAT16
    assert FLOAT32.storing_all() is FLOAT32
    assert FLOAT32.computing() is FLOAT32
