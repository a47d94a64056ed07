"""Bounds that say little: how many of a quantity's bounds exceed the number itself."""

from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from reference.agreement.arithmetic import Arithmetic, Unbounded
from reference.agreement.bounds import end_to_end_of_all, local, stacked
from reference.agreement.rounded import Rounded
from reference.arrays import Plain
from reference.models import Problem
from reference.own import OwnModel
from reference.trace import ScoreOverflow, record


class Vacuous(NamedTuple):
    """The share of a quantity's numbers whose bound exceeds the number itself: all, if there is none."""

    local: float
    end_to_end: float


def vacuous(start: Problem, trace: Mapping[str, Plain], arithmetic: Arithmetic) -> dict[str, Vacuous]:
    """How many of each quantity's bounds say little, local and end to end."""
    locally, from_the_inputs = local(start, trace, arithmetic), dict[str, Rounded]()
    with suppress(Unbounded):
        end_to_end_of_all(stacked([start], arithmetic), "", from_the_inputs.__setitem__)
    return {
        name: Vacuous(_exceeding(bound), _exceeding(from_the_inputs.get(name)))
        for name, bound in locally.items()
    }


def saying_little(model: OwnModel, arithmetic: Arithmetic, seed: int) -> dict[str, Vacuous]:
    """The quantities of a network of one's own with a vacuous bound at its first step.

    There are none where the run itself has no bound: it then says why.
    """
    start = model.start(np.random.RandomState(seed)).held_as(arithmetic.name)
    try:
        found = vacuous(start, record(start), arithmetic)
    except (Unbounded, ScoreOverflow):
        return {}
    return {name: shares for name, shares in found.items() if any(shares)}


def _exceeding(bound: Rounded | None) -> float:
    """The share of the numbers, other than 0, whose bound exceeds the number."""
    if bound is None:
        return 1.0
    numbers = bound.value != 0
    exceeding = (bound.errors() > np.abs(bound.value)) & numbers
    return float(exceeding.sum() / max(int(numbers.sum()), 1))
