"""One run over many machines: which of them runs which cells.

A shard is one machine's share of a plan. Every machine computes the same shards from the plan alone.
They are balanced by cost: what a cell takes by itself, and what the cells of one model share, which
each machine does once.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ports.engine.results import SPIRAL
from ports.engine.selection import Planned
from reference.models import MODELS


class Shard(NamedTuple):
    """Share `number` (from 1) of `of`."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


WHOLE = Shard(1, 1)


class Cost(NamedTuple):
    """Seconds before the first step (import, compilation), and milliseconds a step."""

    ready: float
    step: float


class Weight(NamedTuple):
    """A model's cost: a cell's step, as a part of the two-layer net's, and what is shared, in ms."""

    own: float
    shared: float


#: What a cell of the two-layer net costs by itself, certification included, by framework and mode.
#: Processor time on one thread. Only the ratios count: they are the same on most machines.
CELL = {
    ("numpy", "eager"): Cost(0.3, 4.3),
    ("torch", "eager"): Cost(4.0, 6.0),
    ("torch", "compiled"): Cost(8.9, 4.4),
    ("jax", "eager"): Cost(5.5, 49.0),
    ("jax", "compiled"): Cost(2.5, 4.4),
}
#: A framework from outside the project is taken for the dearest.
OTHER = Cost(max(cost.ready for cost in CELL.values()), max(cost.step for cost in CELL.values()))
#: The bounds of a judged step are shared by the cells of a model. A model from outside is taken for
#: two layers.
WEIGHT = {"softmax": Weight(0.37, 1.0), "two_layer": Weight(1.0, 5.4)}
#: The reference's own run, in milliseconds a step. It goes on to its end where few steps are judged.
RUN_STEP = 0.2


def shard_of(planned: Sequence[Planned], shard: Shard) -> list[Planned]:
    """A shard's cells, in the order of the plan. Raises ValueError for more shards than cells."""
    if shard.of > max(1, len(planned)):
        raise ValueError(
            f"shard {shard} is of {shard.of} machines, and the plan has {len(planned)} cells: "
            "a machine without a cell compares nothing; ask for fewer shards"
        )
    return shards(planned, shard.of)[shard.number - 1]


def shards(planned: Sequence[Planned], count: int) -> list[list[Planned]]:
    """Divide a plan among machines: the dearest cell first, each to where the load stays least."""
    loads = [Load() for _ in range(count)]
    for p in sorted(planned, key=lambda p: (-own_cost(p), str(p.cell))):
        min(loads, key=lambda load: load.seconds + load.more(p)).add(p)
    order = {p.cell: i for i, p in enumerate(planned)}
    return [sorted(load.cells, key=lambda p: order[p.cell]) for load in loads]


class Load:
    """What one machine has to do: its cells, and the seconds that they take together."""

    def __init__(self, cells: Iterable[Planned] = ()) -> None:
        self.cells: list[Planned] = []
        self.seconds = 0.0
        self.judged: dict[str, int] = {}
        for p in cells:
            self.add(p)

    def add(self, planned: Planned) -> None:
        """Give the machine one more cell."""
        self.seconds += self.more(planned)
        self.cells.append(planned)
        part = planned.cell.model
        self.judged[part] = max(self.judged.get(part, 0), step_count(planned))

    def more(self, planned: Planned) -> float:
        """The seconds that one more cell adds: its own, and what it does not share with the others."""
        part, steps = planned.cell.model, step_count(planned)
        before = self.judged.get(part)
        shared = shared_cost(part, max(steps, before or 0))
        return own_cost(planned) + shared - (0.0 if before is None else shared_cost(part, before))


def own_cost(planned: Planned) -> float:
    """The seconds that a cell takes by itself."""
    ready, step = CELL.get((planned.port.framework.name, planned.cell.mode), OTHER)
    return ready + step / 1e3 * weight(planned.cell.model).own * step_count(planned)


def shared_cost(part: str, judged: int) -> float:
    """The seconds that all cells of a model share, of which one is judged at so many steps."""
    if part == SPIRAL:
        return 0.0
    return (RUN_STEP * MODELS[part].iterations + weight(part).shared * judged) / 1e3


def weight(part: str) -> Weight:
    """What a model costs."""
    return WEIGHT.get(part, WEIGHT["two_layer"])


def step_count(planned: Planned) -> int:
    """At how many steps a cell is judged; the spiral is made once."""
    if planned.cell.model == SPIRAL:
        return 1
    iterations = MODELS[planned.cell.model].iterations
    return iterations if planned.steps is None else min(planned.steps, iterations)
