"""The shards of a plan: exactly the whole, the same everywhere, and balanced."""

import random
from dataclasses import replace

import pytest

from ports.commands.arguments import shard
from ports.engine.results import Cell
from ports.engine.selection import Planned
from ports.engine.shards import Load, Shard, own_cost, shard_of, shards
from ports.registry import PORTS

FEW = 20


def planned(model, port, mode, dtype, steps):
    """One cell of a plan."""
    return Planned(Cell(model, port.name, mode, "cpu", dtype), port, steps)


@pytest.fixture(scope="module")
def default():
    """The cells of a default plan where all frameworks are installed. No framework is imported."""
    return [
        planned(model, port, mode, dtype, None if (mode, dtype) == (natural(port), "float64") else FEW)
        for port in PORTS.values()
        for dtype in ("float64", "float32")
        for model in ("spiral", "softmax", "two_layer")
        for mode in (("eager", "compiled") if port.framework.packages else ("eager",))
    ]


def natural(port):
    """The mode in which a port runs all steps."""
    return "compiled" if port.framework.name == "jax" else "eager"


def test_shards_are_exactly_the_whole(default):
    """For every number: each cell is in one shard, in the plan's order, and none is empty."""
    order = {p.cell: i for i, p in enumerate(default)}
    for count in range(1, len(default) + 1):
        own = shards(default, count)
        cells = [p.cell for part in own for p in part]
        assert len(cells) == len(set(cells)) == len(default)
        places = [[order[p.cell] for p in part] for part in own]
        assert all(part == sorted(part) for part in places)
        assert all(own)
    assert shard_of(default, Shard(2, 3)) == shards(default, 3)[1]


def test_lost_and_doubled_cells_would_be_seen(default, monkeypatch):
    """Negative control: a division that forgets a cell, or gives one twice, fails the test above."""
    for wrong in (lambda plan, n: [plan[1:], []], lambda plan, n: [plan, plan[:1]]):
        monkeypatch.setitem(globals(), "shards", wrong)
        with pytest.raises(AssertionError):
            test_shards_are_exactly_the_whole(default)


def test_shards_follow_from_the_plan_alone(default):
    """Another order of the same plan, as another machine may find it, gives the same shards."""
    mixed = random.Random(0).sample(default, len(default))
    for count in (2, 3, 7):
        sets = [[{p.cell for p in part} for part in shards(plan, count)] for plan in (default, mixed)]
        assert sets[0] == sets[1]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_shards_are_balanced(default, count):
    """No machine takes longer than the least by more than the dearest cell and what it shares."""
    loads = [Load(part).seconds for part in shards(default, count)]
    dearest = max(Load([p]).seconds for p in default)
    assert max(loads) - min(loads) <= dearest
    assert max(loads) < Load(default).seconds


def test_costs_decide(default):
    """Negative control: divided by number alone, some machine takes longer than any does by cost."""
    by_number = [default[i::2] for i in range(2)]
    most = [max(Load(part).seconds for part in parts) for parts in (by_number, shards(default, 2))]
    assert most[0] > most[1]


def test_longer_runs_cost_more(default):
    """All steps cost more than a few, and a framework from outside is not taken for free."""
    whole = next(p for p in default if p.cell.model == "two_layer" and p.steps is None)
    assert own_cost(whole) > own_cost(replace(whole, steps=FEW)) > 0
    boxed = replace(whole.port, framework=replace(whole.port.framework, name="boxed"))
    assert own_cost(replace(whole, port=boxed)) >= own_cost(whole)


def test_more_shards_than_cells_are_refused(default):
    """A machine without a cell would compare nothing, and that is a failure."""
    count = len(default) + 1
    with pytest.raises(ValueError, match=f"shard 1/{count} is of {count} machines"):
        shard_of(default, Shard(1, count))


def test_words_of_a_shard():
    """i/n, with i from 1 to n."""
    assert shard("2/3") == Shard(2, 3)
    for text in ("", "1", "0/3", "4/3", "1/0", "a/3", "1/3/4", "-1/3", "1 /3"):
        with pytest.raises(ValueError, match="expected i/n"):
            shard(text)
