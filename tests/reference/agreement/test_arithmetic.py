"""The promises: formats, and the error constant of n roundings."""

from fractions import Fraction

import numpy as np
import pytest

from reference.agreement.arithmetic import BFLOAT16, FLOAT16, FLOAT32, FLOAT64
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
