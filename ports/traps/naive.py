"""The checks that people write today, run on the same steps of the same ports.

A check that rejects the correct port as well has caught nothing: it cries wolf.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec

import numpy as np

from ports.contract import Port
from ports.engine.lockstep import Contestant, prepare, run_step
from ports.engine.results import SPIRAL
from ports.registry import FRAMEWORKS
from ports.traps.gallery import Trap, noise
from reference.arrays import Plain, numpy_dtype
from reference.runs import trajectory
from reference.spiral import spiral
from reference.trace import record

#: "The loss curves agree": relative, at every step.
LOSS_TOLERANCE = 1e-3

Pair = tuple[Plain, Plain]


def assert_allclose(got: Plain, expected: Plain) -> None:
    """NumPy's check, at its default rtol of 1e-7."""
    np.testing.assert_allclose(got, expected)


def assert_close(got: Plain, expected: Plain) -> None:
    """PyTorch's check, at its defaults for the dtype."""
    import torch

    host = FRAMEWORKS["torch"].host
    torch.testing.assert_close(*(host.put(a, "cpu", a.dtype.name) for a in (got, expected)))


def losses_close(got: Plain, expected: Plain) -> None:
    """A loss must be within 1e-3 of the reference's, which NaN never is."""
    if not np.all(np.abs(got - expected) <= LOSS_TOLERANCE * np.abs(expected)):
        raise AssertionError(f"{got} is not {expected}")


def rejections(port: Port, trap: Trap, steps: int) -> dict[str, bool | None]:
    """Which checks reject a port on a trap's problem; None for a check whose framework is not here."""
    with port.host.exact_settings(), np.errstate(all="ignore"):
        tensors = list(
            _recorded(spiral_pairs if trap.model == SPIRAL else tensor_pairs, port, trap, steps)
        )
        losses = list(_recorded(loss_pairs, port, trap, steps))
        return {
            "np.testing.assert_allclose": rejects(assert_allclose, tensors),
            "torch.testing.assert_close": rejects(assert_close, tensors) if find_spec("torch") else None,
            "loss curves at 1e-3": rejects(losses_close, losses),
        }


def _recorded(
    pairs: Callable[[Port, Trap, int], Iterator[Pair]], port: Port, trap: Trap, steps: int
) -> Iterator[Pair | None]:
    """Pairs to compare. If the port lacks a quantity, None ends them."""
    try:
        yield from pairs(port, trap, steps)
    except KeyError:
        yield None


def rejects(check: Callable[[Plain, Plain], None], pairs: list[Pair | None]) -> bool:
    """Whether the check fails anywhere."""
    try:
        for pair in pairs:
            if pair is None:
                return True
            check(*pair)
    except AssertionError:
        return True
    return False


def tensor_pairs(port: Port, trap: Trap, steps: int) -> Iterator[Pair]:
    """Every quantity of every step, the port's and the reference's in the dtype that it should have."""
    contestant, problem = contestant_of(port, trap, steps), trap.problem
    for _, at, _ in trajectory(problem, steps):
        start = at.held_as(trap.dtype)
        trace = run_step(contestant, start)
        for name, expected in record(start).items():
            if name not in port.hidden_quantities:
                dtype = contestant.arithmetic.dtype_of(name)
                yield np.array(trace[name]), np.asarray(expected, dtype=numpy_dtype(dtype))


def spiral_pairs(port: Port, trap: Trap, steps: int) -> Iterator[Pair]:
    """The port's points and the reference's, from the same draws."""
    points, _ = port.module.spiral(port.host.put(noise(), "cpu", trap.dtype))
    yield port.host.get(points), spiral(noise())[0].astype(trap.dtype)


def loss_pairs(port: Port, trap: Trap, steps: int) -> Iterator[Pair]:
    """The loss of each step, each side training by itself from the same weights.

    In a trap in the spiral, the port trains on its own points.
    """
    problem = trap.problem
    contestant = contestant_of(port, trap, steps)
    if trap.model == SPIRAL:
        contestant.batch["X"], _ = port.module.spiral(port.host.put(noise(), "cpu", trap.dtype))
    own = problem
    for _, _, reference in trajectory(problem, steps):
        trace = run_step(contestant, own)
        yield np.array(trace["loss"]), reference["loss"]
        own = own.starting_from(problem.model.next_params(trace))


def contestant_of(port: Port, trap: Trap, steps: int) -> Contestant:
    """A fresh run of a port on a trap's problem."""
    problem = trap.problem
    return prepare(replace(trap.cell, model=problem.model.name), port, problem, range(steps))
