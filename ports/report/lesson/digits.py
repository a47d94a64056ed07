"""Numbers as the page writes them: 17 significant digits, which tell any two float64 numbers apart.

`lesson.js` has the same two rules, for the numbers that change in the page: a test holds them together.
"""

from ports.lesson.digits import Digits, split

#: Smaller numbers are written with an exponent.
SMALL = 1e-4


def written(number: float) -> str:
    """A number in decimal."""
    number = float(number)
    if number == 0:
        return "0"
    if abs(number) >= SMALL:
        return f"{number:#.17g}"
    mantissa, exponent = f"{number:.16e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def compared(got: float, expected: float) -> Digits:
    """A port's number beside the reference's."""
    return split(written(got), written(expected))
