"""What one run of `lockstep compare` has to say, as it is written to a file and read from one."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ports.engine.results import CellResult
from ports.engine.selection import Skipped
from ports.engine.shards import Shard


class RunOf(NamedTuple):
    """What was run: points per class, seed, steps (a number as text, "all" or "default"), and the
    precision of float32 products."""

    points: int
    seed: int
    steps: str
    precision: str = "highest"

    def __str__(self) -> str:
        run = f"{self.points} points per class, seed {self.seed}, steps: {self.steps}"
        return run + products_in(self.precision)


def products_in(precision: str) -> str:
    """What a line about a run adds where float32 products were not exact."""
    return "" if precision == "highest" else f", products in {precision} precision"


class Change(NamedTuple):
    """What differs from an earlier report: of what, and what it was and is."""

    what: str
    before: str
    now: str


@dataclass(frozen=True)
class Report:
    """The results of one run on one machine.

    Attributes:
        source: the name of the file that it was read from, for messages.
        run: what was run.
        machine: the machine's name. Reports of one name belong together.
        shard: which share of the plan this is.
        plan: the cells of the whole plan, of all shards, by name.
        provenance: versions and settings, as recorded during the run.
        results: one result per cell of the shard.
        skipped: what of the plan could not run here.
        changes: what differs from an earlier report; None if none was given.
    """

    run: RunOf
    machine: str
    shard: Shard
    plan: tuple[str, ...]
    provenance: Mapping[str, str]
    results: Sequence[CellResult]
    skipped: Sequence[Skipped]
    changes: Sequence[Change] | None = None
    source: str = "this run"


def machine_name(facts: Mapping[str, str], frameworks: Sequence[str]) -> str:
    """A name from the operating system, the versions of these frameworks, and the accelerators.

    `facts` is the `provenance` of the whole plan, so that all its shards get the same name.
    """
    versions = [f"{name} {facts[name]}" for name in frameworks if name in facts]
    devices = {d for name in frameworks for d in facts.get(f"{name} devices", "").split(", ")}
    cards = {device.partition(" (")[0] for device in devices if "(" in device}  # said with its card
    accelerators = sorted(devices - {"", "cpu"} - cards)
    system = f"{platform.system()} {platform.machine()}"
    return ", ".join([system, f"Python {facts['python']}", *versions, *accelerators])
