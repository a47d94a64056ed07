"""`lockstep bench --only largest`: processes that are held to a memory and a time."""

import sys

import pytest

from ports.bench import largest
from ports.bench.largest import GROWING, MEBIBYTE, SMALL, Limits
from ports.bench.measuring import NO_GOAL, QUICK, SKIPPED

on_linux = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux limits a process's memory"
)


@pytest.mark.parametrize("name", GROWING)
def test_a_step_grows_with_its_size(name):
    """A doubled size has more numbers, and the same quantities as the example."""
    smallest = GROWING[name].smallest
    small, large = (largest.sized_problem(name, size) for size in (smallest, 2 * smallest))
    assert small.shapes.keys() == large.shapes.keys()
    numbers = [sum(array.size for array in one.params.values()) for one in (small, large)]
    inputs = [one.X.size for one in (small, large)]
    assert numbers[0] < numbers[1] or inputs[0] < inputs[1]


@on_linux
def test_a_process_says_what_it_took():
    """A small step is certified; its numbers are those of its tensors."""
    found = largest.in_a_process("convolution", 4, SMALL)
    shapes = largest.sized_problem("convolution", 4).shapes.values()
    assert found["numbers"] == sum(largest.math.prod(shape) for shape in shapes)
    assert 0 < found["seconds"] < SMALL.seconds
    assert 20 < found["peak MiB"] < SMALL.memory / MEBIBYTE


@on_linux
@pytest.mark.parametrize(
    ("size", "limits", "limit"),
    [(2048, SMALL, "memory"), (1024, Limits(4 << 30, 1), "time")],
)
def test_a_limit_is_held(size, limits, limit):
    """Negative control: a step that is too large for a limit is not certified within it."""
    assert largest.in_a_process("dropout", size, limits) == {"limit": limit}


@on_linux
def test_a_broken_process_is_no_limit():
    """A process that fails in another way is an error, not a figure."""
    with pytest.raises(OSError, match="KeyError: 'no_such_network'"):
        largest.in_a_process("no_such_network", 4, SMALL)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the row is skipped")
def test_sizes_double_until_a_limit(monkeypatch):
    """The figure is the last size that was certified; a network may be too large from the start."""
    sizes = []

    def found(name, size, limits):
        sizes.append(size)
        return {"numbers": size} if size < 40 else {"limit": "time"}

    monkeypatch.setattr(largest, "in_a_process", found)
    row = largest.largest_row("attention", GROWING["attention"], SMALL)
    assert sizes == [32, 64]
    assert (row.figure, row.verdict) == (32, NO_GOAL)
    assert row.detail == {"size": 32, "numbers": 32, "then": "time"}
    assert "64 hidden units already hit the time limit" in {
        row.skipped for row in largest.largest(QUICK)
    }


def test_elsewhere_the_reason_is_said(monkeypatch):
    """A system that holds no process to a memory gives no figure."""
    monkeypatch.setattr(sys, "platform", "darwin")
    found = list(largest.largest(QUICK))
    assert {row.verdict for row in found} == {SKIPPED}
    assert "use Linux" in found[0].skipped
