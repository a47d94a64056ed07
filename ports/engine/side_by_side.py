"""One quantity of one step, in several ports, beside what the reference expects of each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ports.contract import Port
from ports.engine.lockstep import reference_at, run_step_at
from ports.engine.results import Cell
from reference.agreement.judge import LOCAL, Finding, compare
from reference.agreement.rounded import Rounded
from reference.arrays import Plain
from reference.models import Problem


class Shown(NamedTuple):
    """A port's tensor, the bound it is held against, and the finding."""

    got: Plain
    bound: Rounded
    finding: Finding

    @property
    def shares(self) -> Plain:
        """How much of its bound each element uses."""
        return shares_of(self.got, self.bound)


def shares_of(got: Plain, bound: Rounded) -> Plain:
    """How much of its bound each element of a tensor uses."""
    tiny = np.finfo(float).smallest_subnormal
    with np.errstate(all="ignore"):  # anything over an exact bound is infinite
        return np.asarray(np.abs(got - bound.value) / (bound.errors() + tiny))


def largest(shares: Plain, most: int) -> list[tuple[int, ...]]:
    """The indices of the largest elements, the largest first; of equal ones the first."""
    order = np.argsort(-shares, axis=None, kind="stable")[:most]
    return [tuple(int(k) for k in np.unravel_index(flat, shares.shape)) for flat in order]


@dataclass
class SideBySide:
    """A quantity of one step: for each port its tensor, why it hides that, or what is wrong with it."""

    quantity: str
    step: int
    problem: Problem
    dtype: str
    ports: list[str]
    precision: str = "highest"
    shown: dict[str, Shown] = field(default_factory=dict)
    hidden: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        """Some port shows the quantity, and every one that shows it is right."""
        right = all(shown.finding.agrees for shown in self.shown.values())
        return bool(self.shown) and right and not self.problems

    def largest_shares(self, most: int) -> list[tuple[int, ...]]:
        """Indices of the elements that come nearest to their bound in any port."""
        if not self.shown:
            return []
        return largest(np.max([shown.shares for shown in self.shown.values()], axis=0), most)


def side_by_side(
    problem: Problem,
    cells: Sequence[tuple[Cell, Port]],
    quantity: str,
    step: int,
    precision: str = "highest",
) -> SideBySide:
    """Let every port make one step from the reference's own parameters at that step of its run.

    All cells have one dtype, and their float32 products that precision. Raises ValueError in one
    sentence where a port raises.
    """
    names = [cell.port for cell, _ in cells]
    found = SideBySide(quantity, step, problem, cells[0][0].dtype, names, precision)
    start = reference_at(problem, step)
    for cell, port in cells:
        with port.host.settings_with(precision):
            trace, expected, problems = run_step_at(port, cell, start, step)
        if quantity in problems:
            found.problems[cell.port] = problems[quantity]
        elif quantity not in trace:
            found.hidden[cell.port] = port.hidden_quantities[quantity]
        else:
            finding = compare(quantity, LOCAL, trace[quantity], expected[quantity])
            found.shown[cell.port] = Shown(trace[quantity], expected[quantity], finding)
    return found
