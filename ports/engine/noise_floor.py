"""The noise floor of a free run: how far the reference strays from itself, and how far a port may.

The floor is the reference's own code, run again in the port's dtype with changes that nobody would
call a bug: the examples in another order, or the first weights one ulp away. A port may stray
`headroom` times as far.

**Distance** is the largest difference of a parameter over the largest parameter of its layer, the
bias counting as one more row of the weights. (At first b2 holds only what cancellation leaves of db2:
on its own, its relative difference of 1e-12 would outweigh all others.)

**Headroom** is derived. Let step s of a port inject an error of at most B(s), the certified
end-to-end bound of one step, and let a permuted member inject f(s), its observed distance from the
reference after one step from the same parameters; both as distances. While distances are small, the
step's derivative carries every injection on, linearly. If it amplifies a port's injections no more
than a member's of the same size, then after every step t

    drift(t) <= max over s <= t of B(s) / f(s)  *  floor(t),

and that factor is the headroom. B and f are taken at steps 0, 1, 2, 4, 8, ..., and `floor` is the
largest distance that any member has had so far: what is allowed only grows.

What this does not prove. The "if" is an assumption: some direction may be amplified more than a
member's noise, and many small injections could line up. B makes up for both, because it is a worst case:
all roundings of a sum of 300 terms are at their largest and aligned, about a hundred times what rounding
does. Nor is growth linear after a ReLU flip: a port that flips before any member does jumps away from
the floor at once. A failure after a port's own first flip is a question, not a proof. Once
headroom * floor reaches 1, a bug cannot be told from noise.

On the note's runs (seeds 0 to 2, seven ports), ports strayed at most 3.6 times the floor in float64,
where 93 to 5,200 times is allowed. In float32 it was 63 times, where 2,238 is allowed and a port flipped
15 steps early.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from reference.agreement.arithmetic import ARITHMETICS, Arithmetic
from reference.agreement.bounds import end_to_end
from reference.arrays import Plain, is_floats, numpy_dtype
from reference.models import Model, Problem
from reference.trace import record

#: The number of members of each kind: with examples permuted, and with weights one ulp away.
MEMBERS = 2


class Now(NamedTuple):
    """The reference at one step.

    Attributes:
        step: its number, counted from 0.
        params, after: its parameters before and after the update.
        hidden: its hidden layers that are a ReLU's output, by name.
        loss: its loss.
    """

    step: int
    params: Mapping[str, Plain]
    after: Mapping[str, Plain]
    hidden: Mapping[str, Plain]
    loss: float


def in_dtype(dtype: str, array: Plain) -> Plain:
    """Numbers of a dtype, in the one that the floor computes in: float32 where the dtype only stores."""
    stored = array.astype(numpy_dtype(dtype))
    return stored.astype(np.float32) if ARITHMETICS[dtype].stores else stored


class Member:
    """One run of the floor: the reference's own code in the ports' dtype.

    In a dtype that only stores, the step computes in float32, and each quantity is rounded.
    """

    def __init__(self, problem: Problem, dtype: str, order: Plain, params: Mapping[str, Plain]) -> None:
        floats = {n: in_dtype(dtype, x) for n, x in problem.batch.items() if is_floats(x)}
        held = {name: in_dtype(dtype, value) for name, value in params.items()}
        self.problem, self.order = problem.changed(held, **floats).reordered(order), order
        self.stored_in = dtype if ARITHMETICS[dtype].stores else ""

    @property
    def params(self) -> Mapping[str, Plain]:
        """Its parameters now."""
        return self.problem.params

    def advance(self, now: Now) -> Mapping[str, Plain]:
        """Make one update; returns the step's trace."""
        trace = self.step_from(self.params, now.step)
        self.problem = self.problem.starting_from(self.problem.model.next_params(trace))
        return trace

    def flips(self, trace: Mapping[str, Plain], now: Now) -> bool:
        """Whether a ReLU in a step of its own differs from the reference's."""
        return any(
            not np.array_equal(trace[name] > 0, (hidden > 0)[self.order])
            for name, hidden in now.hidden.items()
        )

    def step_from(self, params: Mapping[str, Plain], step: int) -> Mapping[str, Plain]:
        """The trace of one step from any parameters."""
        start = self.problem.starting_from(params)
        return record(start, f"noise floor, step {step}", self.stored_in)


class NoiseFloor:
    """What noise does to the runs of one model and dtype.

    Attributes:
        distances: [n - 1] is how far any member has been from the reference within n updates.
        losses: the reference's.
        headroom: by arithmetic, [n - 1] is how many times as far a port may be after n updates.
        first_flip: the step at which a member's ReLU first differs from the reference's.
    """

    def __init__(
        self,
        problem: Problem,
        dtype: str,
        arithmetics: Iterable[Arithmetic],
        steps: int,
        members: int = MEMBERS,
        seed: int = 0,
    ) -> None:
        """`problem` holds numbers of `dtype`."""
        if members < 1:
            raise ValueError("a noise floor needs at least 1 member of each kind")
        rng, size = np.random.default_rng(seed), problem.examples
        params = {name: value.astype(numpy_dtype(dtype)) for name, value in problem.params.items()}
        self.problem, self.dtype = problem, dtype
        self.permuted = [Member(problem, dtype, rng.permutation(size), params) for _ in range(members)]
        self.nudged = [
            Member(problem, dtype, np.arange(size), one_ulp_away(params, rng)) for _ in range(members)
        ]
        self.distances, self.losses = np.zeros(steps), np.zeros(steps)
        self.headroom = {arithmetic: np.zeros(steps) for arithmetic in arithmetics}
        self.first_flip: int | None = None

    def advance(self, now: Now) -> None:
        """Advance every member, and carry the farthest distance and the headroom on."""
        i, members = now.step, [*self.permuted, *self.nudged]
        made = [(member, member.advance(now)) for member in members]
        if self.first_flip is None and any(member.flips(trace, now) for member, trace in made):
            self.first_flip = i
        farthest = max(distance(self.problem.model, member.params, now.after) for member in members)
        self.distances[i] = max(self.distances[i - 1], farthest)  # [-1] is 0 until the last step
        self.losses[i] = now.loss
        for headroom in self.headroom.values():
            headroom[i] = headroom[i - 1]
        if i & (i - 1) == 0:  # 0, 1, 2, 4, 8, ...
            self.raise_headroom(now)

    def raise_headroom(self, now: Now) -> None:
        """Compare B, the most that one step may inject, with f, what a member injects.

        Members that agree with the reference to the bit inject less than half an ulp, which is then f.
        """
        i, at = now.step, f"step {now.step}"
        start = self.problem.starting_from(now.params).held_as(self.dtype)
        model, trace = start.model, record(start, at)
        after = model.next_params(trace)
        observed = self.one_step_from(start.params, after, i)
        for arithmetic, headroom in self.headroom.items():
            bounds = model.next_params(end_to_end(start, arithmetic, at))
            farthest = {name: after[name] + bound.errors() for name, bound in bounds.items()}
            certified = distance(model, farthest, after)
            headroom[i] = max(headroom[i], certified / (observed or arithmetic.roundoff))

    def one_step_from(self, start: Mapping[str, Plain], after: Mapping[str, Plain], i: int) -> float:
        """The largest distance of a permuted member after one step from the given parameters."""
        params = {name: in_dtype(self.dtype, value) for name, value in start.items()}
        model = self.problem.model
        return max(
            distance(model, model.next_params(m.step_from(params, i)), after) for m in self.permuted
        )


def one_ulp_away(params: Mapping[str, Plain], rng: np.random.Generator) -> dict[str, Plain]:
    """Move each number to the next one, up or down at random; zeros stay."""
    moved = {}
    for name, value in params.items():
        direction = rng.choice([-np.inf, np.inf], value.shape).astype(value.dtype)
        moved[name] = np.where(value == 0, value, np.nextafter(value, direction))
    return moved


def distance(model: Model, params: Mapping[str, Plain], reference: Mapping[str, Plain]) -> float:
    """The largest difference of a parameter over the largest one of its layer; NaN if any is NaN."""
    apart = [
        max_abs([params[name] - reference[name] for name in layer])
        / max_abs([reference[name] for name in layer])
        for layer in model.layers
    ]
    return float(functools.reduce(np.maximum, apart))


def max_abs(arrays: Sequence[Plain]) -> float:
    """The largest magnitude in any of the arrays."""
    return float(functools.reduce(np.maximum, [np.abs(array).max() for array in arrays]))
