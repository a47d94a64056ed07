"""A run that is read back is the reference's own, and no other problem's."""

import numpy as np
import pytest
import shared
from shared import SharedWay

from ports.engine.lockstep import own_way
from reference.models import SOFTMAX
from reference.runs import draw

PROBLEM = draw(np.random.RandomState(0), 5).problem(SOFTMAX)


def same(starts, others):
    """Whether both go through the same parameters, bit for bit."""
    return all(
        np.array_equal(start.params[name], value)
        for start, other in zip(starts, others, strict=True)
        for name, value in other.params.items()
    )


@pytest.mark.parametrize("steps", [1, 7, 200])
def test_run_is_made_once(steps, tmp_path, monkeypatch):
    """After one whole run, any part of it is read; it has the bits of the reference's own."""
    assert same(SharedWay(tmp_path)(PROBLEM, 200), own_way(PROBLEM, 200))
    monkeypatch.setattr(shared, "own_way", lambda *_: pytest.fail("it is made again"))
    assert same(SharedWay(tmp_path)(PROBLEM, steps), own_way(PROBLEM, steps))


def test_part_of_a_run_is_not_kept(tmp_path):
    """Another test may need the rest of it."""
    assert len(list(SharedWay(tmp_path)(PROBLEM, 199))) == 199
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "other",
    [
        PROBLEM.changed(reg=2e-3),
        PROBLEM.changed(X=PROBLEM.X[::-1]),
        PROBLEM.starting_from(PROBLEM.params | {"b": PROBLEM.params["b"] + 1e-300}),
    ],
    ids=["reg", "X", "b"],
)
def test_run_of_another_problem_is_not_taken(other, tmp_path):
    """Negative control: if any number differs, the run is made anew."""
    way = SharedWay(tmp_path)
    list(way(PROBLEM, 200))
    assert same(way(other, 200), own_way(other, 200))
    assert len(list(tmp_path.iterdir())) == 2
