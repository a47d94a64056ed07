"""exp in each framework's library, beside the exact values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ports.lesson.digits import DIGITS, EXACT, Digits, beside, rounded, ulps, written
from ports.lesson.libraries import frameworks_here, in_library
from reference.agreement.arithmetic import ARITHMETICS
from reference.arrays import Plain
from reference.models import Problem
from reference.runs import trajectory

#: How many arguments are shown.
SHOWN_ARGUMENTS = 6


class Argument(NamedTuple):
    """exp of one number: the exact value, the nearest number of the dtype, and what each library gives.

    `ulps` are the errors of the libraries in units in the last place.
    """

    x: float
    exact: str
    nearest: Digits
    values: Mapping[str, Digits]
    ulps: Mapping[str, float]


@dataclass(frozen=True)
class Exponentials:
    """exp in each library that is here, over the scores of a step.

    Attributes:
        dtype, step: of the scores.
        shown: the arguments at which the libraries are farthest apart.
        arguments: how many there are. differing: at how many of them the libraries do not all agree.
        worst: the largest error of each library, in ulps. allowed: what the bounds allow.
    """

    dtype: str
    step: int
    shown: Sequence[Argument]
    arguments: int
    differing: int
    worst: Mapping[str, float]
    allowed: float


def exponentials(problem: Problem) -> list[Exponentials]:
    """exp of the scores of the run's last step, in each dtype and in each library that is here."""
    *_, (step, _, trace) = trajectory(problem, problem.model.iterations)
    return [exponentials_of(step, trace["scores"].ravel().astype(dtype)) for dtype in DIGITS]


def exponentials_of(step: int, scores: Plain) -> Exponentials:
    """exp of some scores in each library that is here, beside the exact values."""
    dtype, digits = scores.dtype.name, DIGITS[scores.dtype.name]
    values = {name: in_library(f, "exp", scores) for name, f in frameworks_here().items()}
    exact = [Fraction(EXACT.exp(Decimal(float(x)))) for x in scores]
    errors = {
        name: np.array([ulps(float(v), e, dtype) for v, e in zip(of_library, exact, strict=True)])
        for name, of_library in values.items()
    }
    spread = np.ptp(list(errors.values()), axis=0)
    farthest = np.lexsort((-np.abs(list(errors.values())).max(axis=0), -spread))[:SHOWN_ARGUMENTS]
    return Exponentials(
        dtype,
        step,
        [
            Argument(
                float(scores[i]),
                written(exact[i], digits),
                beside(rounded(exact[i], dtype), exact[i], digits),
                {name: beside(float(v[i]), exact[i], digits) for name, v in values.items()},
                {name: float(e[i]) for name, e in errors.items()},
            )
            for i in farthest
        ],
        scores.size,
        int(np.count_nonzero(spread)),
        {name: float(np.abs(e).max()) for name, e in errors.items()},
        ARITHMETICS[dtype].exp_ulps,
    )
