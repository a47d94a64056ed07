"""Single roundings of the note's run beside exact arithmetic: a sum, and a product that is added.

Every number here comes out of the run. What is exact is computed with fractions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from ports.lesson.digits import DIGITS, Digits, beside, rounded, ulp, ulps, written
from ports.lesson.libraries import LIBRARIES, frameworks_here, in_library
from reference.agreement.arithmetic import ARITHMETICS
from reference.arrays import Plain
from reference.models import Problem
from reference.runs import trajectory

#: The running sums that are shown, beside those around the place where they part: after so many terms.
SHOWN_TERMS = (1, 2, 3, 10, 100)


class Running(NamedTuple):
    """A sum after so many terms, and the exact sum of these terms."""

    terms: int
    sum: Digits
    exact: str


class Total(NamedTuple):
    """The sum of all terms in one order, and its error in units in the last place (ulps)."""

    order: str
    sum: Digits
    ulps: float


@dataclass(frozen=True)
class Sum:
    """The sum of `correct_logprobs` in one dtype.

    Attributes:
        dtype: of the terms and of every addition.
        step: of the run, whose terms these are.
        running: some running sums from the first term on.
        part: the number of terms after which they first are not the exact sum, rounded to the dtype.
        totals: the whole sum in several orders, and by each library that is here.
        exact: the exact sum of the terms. allowed: how many ulps any order may stray.
    """

    dtype: str
    step: int
    running: Sequence[Running]
    part: int
    totals: Sequence[Total]
    exact: str
    allowed: float


@dataclass(frozen=True)
class Fused:
    """An element of dW2: a product, reg * W2, that is added to what backpropagation gives.

    Attributes:
        step, index: where it stands in the run.
        reg, weight, gradient: the three numbers.
        product: reg * weight, rounded. exact_product: not rounded.
        separate: the sum of the rounded product, rounded. fused: the exact sum, rounded once.
        exact: the exact sum.
    """

    step: int
    index: tuple[int, ...]
    reg: float
    weight: float
    gradient: float
    product: Digits
    exact_product: str
    separate: Digits
    fused: Digits
    exact: str


# A sum in several orders


def sums(problem: Problem) -> list[Sum]:
    """The sum of `correct_logprobs` in each dtype, at the first step at which the direction matters."""
    steps = trajectory(problem, problem.model.iterations)
    in_dtypes = ((i, [trace["correct_logprobs"].astype(d) for d in DIGITS]) for i, _, trace in steps)
    return next(
        [sum_of(i, terms) for terms in found]
        for i, found in in_dtypes
        if all(in_order(terms)[-1] != in_order(terms[::-1])[-1] for terms in found)
    )


def in_order(terms: Plain) -> list[float]:
    """The running sums from the first term to the last, each addition rounded to the terms' dtype."""
    return [float(n) for n in np.cumsum(terms, dtype=terms.dtype)]


def sum_of(step: int, terms: Plain) -> Sum:
    """The sum of some terms, in each order and by each library."""
    dtype, running = terms.dtype.name, in_order(terms)
    exact = list(accumulate(Fraction(float(term)) for term in terms))
    part = next(i for i, n in enumerate(running) if n != rounded(exact[i], dtype)) + 1
    counts = sorted({*SHOWN_TERMS, part - 1, part, len(terms)} - {0})
    totals = {"forwards": running[-1], "backwards": in_order(terms[::-1])[-1]}
    for name, framework in frameworks_here().items():
        totals[f"{LIBRARIES[name]}.sum"] = float(in_library(framework, "sum", terms))
    digits, arithmetic = DIGITS[dtype], ARITHMETICS[dtype]
    allowed = arithmetic.gamma(len(terms) - 1) * float(np.sum(np.abs(terms), dtype=np.float64))
    return Sum(
        dtype,
        step,
        [
            Running(n, beside(running[n - 1], exact[n - 1], digits), written(exact[n - 1], digits))
            for n in counts
        ],
        part,
        [
            Total(order, beside(total, exact[-1], digits), ulps(total, exact[-1], dtype))
            for order, total in totals.items()
        ],
        written(exact[-1], digits),
        allowed / ulp(exact[-1], dtype),
    )


# A product that is added


def fused(problem: Problem) -> Fused:
    """The first element of dW2 in the run that a fused multiply-add changes."""
    return next(
        found
        for i, start, trace in trajectory(problem, problem.model.iterations)
        for found in fused_in(i, start, trace)
    )


def fused_in(step: int, start: Problem, trace: Mapping[str, Plain]) -> Iterator[Fused]:
    """The elements of dW2 in one step that a fused multiply-add changes."""
    gradients = np.dot(trace["hidden_layer"].T, trace["dscores"])
    reg, digits = start.reg, DIGITS["float64"]
    for index, gradient in np.ndenumerate(gradients):
        weight, gradient = float(start.params["W2"][index]), float(gradient)
        exact_product = Fraction(reg) * Fraction(weight)
        exact = exact_product + Fraction(gradient)
        once, twice = float(exact), reg * weight + gradient
        if once != twice:
            yield Fused(
                step,
                index,
                reg,
                weight,
                gradient,
                beside(reg * weight, exact_product, digits),
                written(exact_product, digits),
                beside(twice, exact, digits),
                beside(once, exact, digits),
                written(exact, digits),
            )
