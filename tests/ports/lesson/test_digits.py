"""Numbers digit by digit: against Python's own decimals, and where they part."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from ports.lesson.digits import Digits, beside, rounded, ulps, written


@pytest.mark.parametrize("number", [329.5036322917298, 0.1, 1e-3, 5e-324, -1.5, 2.0**70, 0.0])
def test_written_is_the_exact_decimal_rounded(number):
    """The digits are those of the number itself, not of its shortest name."""
    assert Decimal(written(number, 40)) == pytest.approx(Decimal(number), rel=Decimal("1e-39"))


def test_written_has_so_many_digits():
    """Fixed point for numbers of ordinary size, powers of ten for others."""
    assert written(Fraction(1, 3), 5) == "0.33333"
    assert written(Fraction(2000, 3), 5) == "666.67"
    assert written(Fraction(1, 30000), 5) == "0.000033333"
    assert written(Fraction(1, 3 * 10**9), 5) == "3.3333e-10"


def test_digits_are_split_where_they_part():
    """Before the first digit that differs, and not where a later one agrees again."""
    assert beside(1.25, Fraction("1.2525"), 5) == Digits("1.25", "00")
    assert beside(0.5, Fraction(1, 2), 5) == Digits("0.50000", "")
    assert beside(-1.0, Fraction(1), 3) == Digits("", "-1.00")


def test_rounded_is_the_nearest_number():
    """Also where rounding to float64 first would end on the wrong side of a float32 tie."""
    assert rounded(Fraction(1, 3), "float64") == 1 / 3
    above_the_tie = 1 + Fraction(1, 2**24) + Fraction(1, 2**80)
    assert np.float32(float(above_the_tie)) == 1.0  # rounded twice
    assert rounded(above_the_tie, "float32") == np.nextafter(np.float32(1), np.float32(2))


def test_ulps_are_signed_and_in_the_dtype():
    """One number further is one ulp; an ulp of float32 is 2**29 of float64's."""
    assert ulps(math.nextafter(1.5, 2), Fraction(3, 2), "float64") == 1
    assert ulps(math.nextafter(1.5, 1), Fraction(3, 2), "float64") == -1
    assert ulps(math.nextafter(1.5, 2), Fraction(3, 2), "float32") == 2.0**-29
