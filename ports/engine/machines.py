"""The results of many machines as one matrix, and where the machines differ."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from ports.engine.reports import Report, RunOf
from ports.engine.results import Cell, CellResult
from ports.engine.selection import Skipped


@dataclass(frozen=True)
class Machine:
    """The reports of one machine, complete, and their cells in the order of the plan."""

    name: str
    reports: Sequence[Report]

    @property
    def results(self) -> list[CellResult]:
        """The results of all cells."""
        order = {name: i for i, name in enumerate(name for r in self.reports for name in r.plan)}
        return sorted(
            (result for report in self.reports for result in report.results),
            key=lambda result: order[str(result.cell)],
        )

    @property
    def agrees(self) -> bool:
        """Something ran, and all of it agrees."""
        return bool(self.results) and all(result.agrees for result in self.results)

    @property
    def skipped(self) -> list[Skipped]:
        """What did not run there; what several shards say counts once."""
        return list(dict.fromkeys(s for report in self.reports for s in report.skipped))


class Difference(NamedTuple):
    """A quantity of a cell whose largest share is not the same on all machines.

    Attributes:
        shares: the largest share under both certificates, by machine; NaN where it is not a number.
        same_verdict: whether it agrees everywhere, or nowhere.
    """

    cell: Cell
    quantity: str
    shares: dict[str, float]
    same_verdict: bool


@dataclass(frozen=True)
class Merged:
    """The matrix over all machines.

    `unverified` are the cells of a device that no machine has; they are shown, and never counted.
    """

    run: RunOf
    machines: Sequence[Machine]
    unverified: Sequence[Cell]

    @property
    def results(self) -> list[CellResult]:
        """The results of all machines."""
        return [result for machine in self.machines for result in machine.results]

    @property
    def skipped(self) -> list[Skipped]:
        """What did not run, with the machine."""
        return [
            replace(s, what=f"{s.what} ({machine.name})")
            for machine in self.machines
            for s in machine.skipped
        ]

    @property
    def agrees(self) -> bool:
        """Everything agrees on every machine."""
        return all(machine.agrees for machine in self.machines)

    def differences(self) -> list[Difference]:
        """Where machines that ran the same cell differ: other verdicts first."""
        by_cell: dict[Cell, dict[str, CellResult]] = {}
        for machine in self.machines:
            for result in machine.results:
                by_cell.setdefault(result.cell, {})[machine.name] = result
        found = [d for cell, ran in by_cell.items() for d in _differences(cell, ran)]
        return sorted(found, key=lambda d: d.same_verdict)


def _differences(cell: Cell, ran: dict[str, CellResult]) -> Iterable[Difference]:
    for quantity in dict.fromkeys(name for result in ran.values() for name, _ in result.verdicts):
        found = {where: result.share(quantity) for where, result in ran.items()}
        shares = {where: share for where, share in found.items() if share is not None}
        if len(set(map(repr, shares.values()))) > 1:  # NaN is not equal to itself
            agree = {all(v.agrees for v in ran[where].quantity(quantity)) for where in shares}
            yield Difference(cell, quantity, shares, len(agree) == 1)
