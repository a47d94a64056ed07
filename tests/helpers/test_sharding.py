"""The shards of the tests: exactly all tests, the same everywhere, and balanced."""

import random

import pytest
from cells import pieces, scopes
from sharding import own_tests, seconds, seconds_of_runs

from ports.engine.selection import Selection, plan
from ports.engine.shards import Shard
from ports.registry import PORTS

PLANNED, _ = plan(Selection(ports=(PORTS["numpy"],)))
TESTS = [
    *(
        f"tests/test_lockstep.py::test_lockstep[{piece}-{i}]"
        for piece in pieces(PLANNED)
        for i in range(9)
    ),
    *(f"tests/ports/engine/test_free_run.py::test_{i}" for i in range(20)),
    *(f"tests/reference/test_published.py::test_{i}" for i in range(10)),
    *(f"tests/reference/test_runs.py::test_{i}" for i in range(300)),
]


def divided(count, tests=TESTS):
    """All shards of so many."""
    return [own_tests(Shard(i + 1, count), tests, PLANNED) for i in range(count)]


@pytest.mark.parametrize("count", range(1, 13))
def test_shards_are_exactly_all_tests(count):
    """Each test is in one shard; tests that share a run or a file's results are in the same one."""
    own = divided(count)
    assert sorted(test for part in own for test in part) == sorted(TESTS)
    scope_of = scopes(PLANNED)
    met = [{scope_of(test) for test in part} for part in own]
    assert sum(map(len, met)) == len(set().union(*met))


def test_order_does_not_matter():
    """Another machine may collect in another order, and has the same shards."""
    assert divided(3, random.Random(0).sample(TESTS, len(TESTS))) == divided(3)


@pytest.mark.parametrize("count", [2, 3])
def test_shards_are_balanced(count):
    """They differ by no more than the dearest scope, and the long run is not taken for nothing."""
    scope_of, runs = scopes(PLANNED), seconds_of_runs(PLANNED)
    cost = {scope: seconds(scope, [t for t in TESTS if scope_of(t) == scope], runs)
            for scope in map(scope_of, TESTS)}  # fmt: skip
    loads = [sum(cost[scope] for scope in {scope_of(test) for test in part}) for part in divided(count)]
    assert max(loads) - min(loads) <= max(cost.values())
    halves = [scope for scope in cost if "two_layer-numpy-eager-cpu-float64" in scope]
    assert len(halves) == 2
    assert all(cost[half] > 20 for half in halves)
