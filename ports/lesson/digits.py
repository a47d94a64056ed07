"""Numbers written digit by digit beside the exact ones, and their errors in units in the last place."""

from decimal import ROUND_UP, Context, Decimal
from fractions import Fraction
from itertools import takewhile
from typing import NamedTuple

import numpy as np

#: How many digits are shown: two more than tell any two numbers of the dtype apart.
DIGITS = {"float64": 19, "float32": 11}
#: How many digits count as exact.
EXACT = Context(prec=40)


class Digits(NamedTuple):
    """A number as written: the digits that it shares with another one, and the rest."""

    same: str
    differs: str = ""


def written(number: Fraction | float, digits: int) -> str:
    """A number in decimal, rounded to so many digits; with a power of ten if it is far from 1."""
    fraction = Fraction(number)
    exactly = EXACT.divide(Decimal(fraction.numerator), Decimal(fraction.denominator))
    exponent = exactly.adjusted() if exactly else 0
    if -8 <= exponent < digits:
        return f"{exactly:.{digits - 1 - exponent}f}"
    return f"{exactly:.{digits - 1}e}"


def beside(number: float, exact: Fraction, digits: int) -> Digits:
    """A number's digits, split where they leave those of the exact one."""
    return split(written(number, digits), written(exact, digits))


def split(text: str, other: str) -> Digits:
    """A number's digits, split where they leave those of another one."""
    pairs = zip(text, other, strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return Digits(text[:shared], text[shared:])


def certain(value: float, error: float) -> str:
    """A number with as many digits as are sure if it may be off by so much; `0 ± ...` if none is."""
    if not error:
        return repr(value + 0.0)  # -0.0 + 0.0 is 0.0
    low, high = (EXACT.add(Decimal(value), Decimal(end)) for end in (-error, error))
    exponent = max(low.adjusted(), high.adjusted())
    for decimals in range(17 - exponent, -1 - exponent, -1):
        text = f"{low:.{max(decimals, 0)}f}"
        if text == f"{high:.{max(decimals, 0)}f}" and float(text):
            return text
    return f"0 ± {Context(prec=1, rounding=ROUND_UP).create_decimal(max(abs(low), abs(high))):.0e}"


def rounded(exact: Fraction, dtype: str) -> float:
    """The number of a dtype that is nearest to an exact one."""
    near = np.dtype(dtype).type(float(exact))
    neighbours = (np.nextafter(near, near.dtype.type(end)) for end in (-np.inf, np.inf))
    return min(map(float, (near, *neighbours)), key=lambda number: abs(Fraction(number) - exact))


def ulp(exact: Fraction, dtype: str) -> float:
    """The distance between neighbours of a dtype where an exact number is."""
    return float(np.spacing(np.dtype(dtype).type(abs(rounded(exact, dtype)))))


def ulps(number: float, exact: Fraction, dtype: str) -> float:
    """A number's error in units in the last place of the exact one."""
    return float((Fraction(number) - exact) / Fraction(ulp(exact, dtype)))
