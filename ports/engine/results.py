"""The results of a run: cells of the matrix, and the verdicts on their quantities.

A result streams: it counts each step's comparisons and keeps only the worst and the first failure, so
memory does not grow with the number of steps.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from reference.agreement.judge import CERTIFICATES, END_TO_END, LOCAL, Compared, Finding
from reference.models import MODELS

#: The part of the note that is not a model; its quantities are the data.
SPIRAL = "spiral"
SPIRAL_QUANTITIES = ("X", "y")


def parts() -> tuple[str, ...]:
    """The parts of the note that a cell may be of: the spiral, and each model."""
    return (SPIRAL, *MODELS)


def quantities_of(part: str) -> tuple[str, ...]:
    """The named quantities of a model, or of the spiral; none of a model that is not registered here."""
    if part == SPIRAL:
        return SPIRAL_QUANTITIES
    return tuple(MODELS[part].quantities) if part in MODELS else ()


def certificates_of(part: str) -> tuple[str, ...]:
    """The certificates of a part's quantities. The spiral is one operation, so one is enough for it."""
    return (END_TO_END,) if part == SPIRAL else CERTIFICATES


@dataclass(frozen=True)
class Cell:
    """One row of the matrix. `model` names a model, or the spiral."""

    model: str
    port: str
    mode: str
    device: str
    dtype: str

    def __str__(self) -> str:
        return f"{self.model}-{self.port}-{self.mode}-{self.device}-{self.dtype}"


@dataclass
class Verdict:
    """The verdict on one quantity of one cell under one certificate, over all steps."""

    steps: int = 0
    elements: int = 0
    worst: Finding | None = None
    worst_step: int = -1
    failures: int = 0
    first: Finding | None = None
    first_step: int = -1

    def add(self, found: Finding, step: int) -> None:
        """Count one comparison. Of equal shares, the first stays the worst."""
        self._count(1, found.elements)
        if self._is_worse(found.share):
            self.worst, self.worst_step = found, step
        if not found.share <= 1:
            self.failures += 1
            if self.first is None:
                self.first, self.first_step = found, step

    def add_row(self, compared: Compared, i: int, steps: Sequence[int], largest: float) -> None:
        """Count some steps of one port. Only failures and a new worst are looked up in full."""
        if self._is_unremarkable(largest):
            self._count(len(steps), compared.held.elements)
            return
        for j, (step, share) in enumerate(zip(steps, compared.held.shares[i].tolist(), strict=True)):
            if self._is_unremarkable(share):
                self._count(1, compared.held.elements)
            else:
                self.add(compared.finding(i, j), step)

    def _count(self, steps: int, elements: int) -> None:
        self.steps += steps
        self.elements += steps * elements

    def _is_unremarkable(self, share: float) -> bool:
        return share <= 1 and not self._is_worse(share)

    def follow(self, later: "Verdict") -> None:
        """Add the verdict on later steps."""
        self.steps += later.steps
        self.elements += later.elements
        if later.worst is not None and self._is_worse(later.worst.share):
            self.worst, self.worst_step = later.worst, later.worst_step
        self.failures += later.failures
        if self.first is None:
            self.first, self.first_step = later.first, later.first_step

    def _is_worse(self, share: float) -> bool:
        """Whether a share exceeds the worst so far. NaN is worse than any number."""
        worst = float("-inf") if self.worst is None else self.worst.share
        return not (share <= worst or math.isnan(worst))

    @property
    def agrees(self) -> bool:
        """Something was compared, and all of it agreed."""
        return self.elements > 0 and not self.failures


class LocalAlone(NamedTuple):
    """The first step that has no bound from the weights, and why: it was certified locally alone."""

    step: int
    why: str


@dataclass
class CellResult:
    """All verdicts of one cell. `error` says why the run ended early, if it did.

    `local_alone` says why not all steps were certified end to end. What was not is not counted.
    """

    cell: Cell
    hidden: Mapping[str, str] = field(default_factory=dict)
    verdicts: dict[tuple[str, str], Verdict] = field(default_factory=dict)
    steps: int = 0
    error: str = ""
    local_alone: LocalAlone | None = None

    def add(self, found: Iterable[Finding], step: int) -> None:
        """Count one step and the findings on it."""
        self.steps += 1
        for finding in found:
            self._verdict(finding.quantity, finding.certificate).add(finding, step)

    def add_row(self, compared: Compared, i: int, steps: Sequence[int], largest: float) -> None:
        """Count one quantity of this cell, row i of those compared, at these steps.

        `largest` is the row's largest share, NaN if any is.
        """
        self._verdict(compared.quantity, compared.certificate).add_row(compared, i, steps, largest)

    def _verdict(self, quantity: str, certificate: str) -> Verdict:
        key = quantity, certificate
        if key not in self.verdicts:
            self.verdicts[key] = Verdict()
        return self.verdicts[key]

    def follow(self, later: "CellResult") -> None:
        """Add a later part of the same run, unless the run ended before it."""
        if self.error:
            return
        self.steps += later.steps
        for key, verdict in later.verdicts.items():
            self.verdicts.setdefault(key, Verdict()).follow(verdict)
        self.error = later.error
        self.local_alone = self.local_alone or later.local_alone

    @property
    def steps_followed(self) -> int:
        """How many steps were certified end to end."""
        return max((v.steps for (_, by), v in self.verdicts.items() if by == END_TO_END), default=0)

    @property
    def comparisons(self) -> int:
        """How many tensors were held against a bound."""
        return sum(v.steps for v in self.verdicts.values())

    @property
    def elements(self) -> int:
        """How many numbers were held against a bound."""
        return sum(v.elements for v in self.verdicts.values())

    @property
    def agrees(self) -> bool:
        """Everything compared agreed, and something was compared."""
        return bool(self.verdicts) and not self.error and all(v.agrees for v in self.verdicts.values())

    def quantity(self, name: str) -> list[Verdict]:
        """The verdicts on one quantity, local first."""
        return [self.verdicts[name, c] for c in CERTIFICATES if (name, c) in self.verdicts]

    def share(self, name: str) -> float | None:
        """The largest share that a quantity used of any of its bounds; None where it is hidden."""
        shares = [v.worst.share for v in self.quantity(name) if v.worst]
        return max(shares, key=lambda share: math.inf if share != share else share, default=None)

    def first_failures(self) -> list[tuple[int, Finding]]:
        """(step, finding) of each failed verdict: by step, then local before end to end, then in the
        note's order. The first one is the operation to look at."""
        order = {name: i for i, name in enumerate(quantities_of(self.cell.model))}
        failed = [(v.first_step, v.first) for v in self.verdicts.values() if v.first is not None]
        return sorted(
            failed,
            key=lambda f: (f[0], f[1].certificate != LOCAL, order.get(f[1].quantity, -1)),
        )
