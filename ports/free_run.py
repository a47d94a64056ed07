"""The engine of free runs: every port trains by itself, held at every step against a noise floor.

From identical weights, each port feeds its own parameters back; the reference (NumPy, float64) runs
from the same rounded numbers. Training amplifies rounding: the two-layer run, whose step size sits
at the edge of stability, turns one ulp into a visible difference within some thousand steps. So no
fixed tolerance fits. What fits is the **noise floor**: how far the reference's own code strays, in
the port's dtype, for reasons nobody would call a bug: the examples in another order, the first
weights one ulp away. A port may stray `headroom` times as far.

**Distance** is the largest difference of a parameter over the largest parameter of its layer, the
bias counting as one more row of the weights. (On its own, b2 begins with nothing but the
cancellation of db2: its relative difference of 1e-12 would be the loudest number of the run.)

**Headroom** is derived. Let step s of a port inject an error of at most B(s), the certified
end-to-end bound of one step, and let a floor member inject f(s), its observed one-step distance from
the reference: both norm-wise, from the same parameters. While distances are small, the step's
derivative carries every injection on, linearly. If it amplifies the port's injections no more than
a member's of the same size, then at every step t

    drift(t) <= max over s < t of B(s) / f(s)  *  floor(t),

and that factor is the headroom. B and f are taken at steps 0, 1, 2, 4, 8, ..., so the factor and the
floor (the largest distance that any member has had so far) only grow, and so does what is allowed.

What this does not prove. The "if" is an assumption: a direction exists that the derivative amplifies
more than a member's noise, and many small injections could line up. What pays for both is that B
is a worst case (all roundings of a sum of 300 terms at their largest, and aligned), some hundred
times what rounding does. Past the first ReLU flips the growth is not linear, and once
headroom * floor reaches 1 nothing can be told from noise: `horizon` counts the steps before that, and
agreement *means* something on those alone. A port without a single such step does not agree.
NaN agrees with nothing.

Steps are counted as updates made: distance n is between parameters after n updates, and a flip at
step n is in the forward pass from those parameters. Memory: one float a run and step.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ports.lockstep import Cell, held_as
from ports.port import Port, Tensor
from reference.agreement.arithmetic import Arithmetic
from reference.agreement.certify import end_to_end
from reference.arrays import Plain
from reference.runs import Problem, trajectory
from reference.trace import next_params, record

#: Weights, and the bias that is one more row of them.
LAYERS = {"softmax": (("W", "b"),), "two_layer": (("W", "b"), ("W2", "b2"))}
#: Noise floor members of each kind: examples permuted; weights one ulp away.
MEMBERS = 2


@dataclass(frozen=True)
class Flip:
    """A ReLU that is on in one run and off in the other.

    Attributes:
        step: updates made before this forward pass.
        example, unit: which entry of the hidden layer; `count` is how many flipped at this step.
        reference, port: its pre-activation in either run.
    """

    step: int
    example: int
    unit: int
    count: int
    reference: float
    port: float


@dataclass
class Floor:
    """What one dtype's noise does to a run. `distances[n - 1]`: the farthest a member got in n updates."""

    distances: Plain
    losses: Plain  #: of the float64 reference
    first_flip: int | None = None  #: the step at which a member's ReLU first differs


@dataclass
class Drift:
    """A port's free run against the floor; `distances[n - 1]` and the others: after n updates."""

    cell: Cell
    floor: Floor
    distances: Plain
    headroom: Plain
    losses: Plain
    first_flip: Flip | None = None
    error: str = ""

    @property
    def allowed(self) -> Plain:
        """How far the port may be from the reference, step by step."""
        return np.asarray(self.headroom * self.floor.distances)

    @property
    def horizon(self) -> int:
        """For how many steps the comparison can tell a bug from noise."""
        return int(np.count_nonzero(self.allowed < 1))

    @property
    def first_excess(self) -> int | None:
        """The first step whose distance is not within what is allowed, or None."""
        outside = np.flatnonzero(~(self.distances <= self.allowed))  # NaN is outside
        return int(outside[0]) + 1 if outside.size else None

    @property
    def share(self) -> float:
        """The largest share of the allowed distance that any step used; NaN if any is."""
        with np.errstate(all="ignore"):
            return float(np.max(self.distances / self.allowed, initial=0.0))

    @property
    def agrees(self) -> bool:
        """Something could be told from noise, and no step was farther off than allowed."""
        return self.horizon > 0 and not self.error and self.first_excess is None


class Now(NamedTuple):
    """The reference at one step: `after` are its parameters after the update, `scale` their layers' size."""

    step: int
    params: Mapping[str, Plain]
    trace: Mapping[str, Plain]
    after: Mapping[str, Plain]
    scale: tuple[float, ...]


class Member:
    """One run of the noise floor: the reference's own code in the ports' dtype."""

    def __init__(self, problem: Problem, order: Plain, params: Mapping[str, Plain]) -> None:
        dtype = next(iter(params.values())).dtype
        self.problem, self.order, self.params = problem, order, params
        self.X, self.y = problem.X[order].astype(dtype), problem.y[order]

    def advance(self, now: Now) -> float:
        """Make one update; returns the distance from the reference."""
        trace = self.step_from(self.params, now.step)
        self.params = next_params(self.problem.model, trace)
        self.flipped = "hidden_layer" in trace and not np.array_equal(
            trace["hidden_layer"] > 0, now.trace["hidden_layer"][self.order] > 0
        )
        return distance(self.problem.model, self.params, now.after, now.scale)

    def step_from(self, params: Mapping[str, Plain], step: int) -> Mapping[str, Plain]:
        """The trace of one step from any parameters."""
        p = self.problem
        return record(p.model, params, self.X, self.y, p.reg, p.step_size, f"noise floor, step {step}")


class Runner:
    """A port that trains by itself. Its parameters stay on its device, in its dtype."""

    def __init__(self, cell: Cell, port: Port, problem: Problem, floor: Floor) -> None:
        self.host, self.problem = port.host, problem
        self.arithmetic = self.host.arithmetic(cell.device, cell.dtype)
        self.step = port.make_step(cell.model, cell.mode)
        self.X = self.host.put(problem.X, cell.device, cell.dtype)
        self.y = self.host.put_labels(problem.y, cell.device)
        self.params: dict[str, Tensor] = {
            name: self.host.put(value, cell.device, cell.dtype) for name, value in problem.params.items()
        }
        self.held = problem.params  # the numbers in `params`, on the CPU in float64
        curves = (np.full(len(floor.distances), np.nan) for _ in range(3))
        self.drift = Drift(cell, floor, *curves)

    def advance(self, now: Now) -> None:
        """Make one update and note what it came to, unless the port has failed before."""
        if self.drift.error:
            return
        p = self.problem
        trace = self.step(self.params, self.X, self.y, p.reg, p.step_size)
        try:
            self.note(now, trace)
        except KeyError as missing:
            self.drift.error = f"step {now.step}: {missing.args[0]} is missing from the port's trace"
        except (TypeError, ValueError) as wrong:
            self.drift.error = f"step {now.step}: {wrong}"

    def note(self, now: Now, trace: Mapping[str, Tensor]) -> None:
        """Take flip, loss, parameters and distance from a trace. Raises where the trace is no trace."""
        if self.drift.first_flip is None and "hidden_layer" in now.trace:
            self.drift.first_flip = self.flip(now, self.host.get(trace["hidden_layer"]))
        self.drift.losses[now.step] = self.host.get(trace["loss"]).item()
        self.held = {name: self.fetch(name, trace) for name in self.params}
        self.params = next_params(self.problem.model, trace)
        self.drift.distances[now.step] = distance(self.problem.model, self.held, now.after, now.scale)

    def fetch(self, name: str, trace: Mapping[str, Tensor]) -> Plain:
        """A float64 copy of a parameter. Raises ValueError if it has changed its shape or dtype."""
        array = self.host.get(trace[f"{name}_next"])
        shape, dtype = self.held[name].shape, self.drift.cell.dtype
        if array.shape != shape or array.dtype != dtype:
            raise ValueError(f"{name}_next is {array.dtype} {array.shape}, expected {dtype} {shape}")
        return array.astype(np.float64)

    def flip(self, now: Now, hidden: Plain) -> Flip | None:
        """The first ReLU that is on here and off in the reference, or the other way round."""
        entries = np.argwhere((hidden > 0) != (now.trace["hidden_layer"] > 0))
        if not len(entries):
            return None
        example, unit = (int(k) for k in entries[0])
        mine, theirs = (
            float(self.problem.X[example] @ params["W"][:, unit] + params["b"][0, unit])
            for params in (self.held, now.params)
        )
        return Flip(now.step, example, unit, len(entries), theirs, mine)


def run_free(
    problem: Problem,
    cells: Sequence[tuple[Cell, Port]],
    iterations: int,
    seed: int = 0,
    members: int = MEMBERS,
    progress: Callable[[int], None] = lambda step: None,
) -> list[Drift]:
    """Let ports of one model and dtype train by themselves, beside the reference and the noise floor.

    The hosts' exact settings are the caller's to enter. Raises ScoreOverflow or Unbounded where the
    reference, a member of the floor or a step's bound leaves the number range.
    """
    dtype = _one_dtype(cells)
    problem = replace(
        problem,
        X=held_as(dtype, problem.X),
        params={name: held_as(dtype, value) for name, value in problem.params.items()},
    )
    permuted, nudged = noise_floor(problem, dtype, members, np.random.default_rng(seed))
    floor = Floor(np.zeros(iterations), np.zeros(iterations))
    runners = [Runner(cell, port, problem, floor) for cell, port in cells]
    headroom = dict.fromkeys((runner.arithmetic for runner in runners), 0.0)
    for i, params, trace in trajectory(problem, iterations):
        if i & (i - 1) == 0:  # 0, 1, 2, 4, 8, ...
            raise_headroom(headroom, problem, dtype, params, permuted, i)
        after = next_params(problem.model, trace)
        now = Now(i, params, trace, after, layer_sizes(problem.model, after))
        extend(floor, now, [*permuted, *nudged])
        for runner in runners:
            runner.advance(now)
            runner.drift.headroom[i] = headroom[runner.arithmetic]
        progress(i)
    return [runner.drift for runner in runners]


def noise_floor(
    problem: Problem, dtype: str, count: int, rng: np.random.Generator
) -> tuple[list[Member], list[Member]]:
    """The floor's members, `count` of each kind: examples permuted, and weights one ulp away."""
    if count < 1:
        raise ValueError("a noise floor needs at least 1 member of each kind")
    params = {name: value.astype(dtype) for name, value in problem.params.items()}
    size = len(problem.y)
    permuted = [Member(problem, rng.permutation(size), params) for _ in range(count)]
    nudged = [
        Member(problem, np.arange(size), {n: one_ulp_away(v, rng) for n, v in params.items()})
        for _ in range(count)
    ]
    return permuted, nudged


def one_ulp_away(array: Plain, rng: np.random.Generator) -> Plain:
    """Each number moved to the next one, up or down at random; zeros stay."""
    direction = rng.choice([-np.inf, np.inf], array.shape).astype(array.dtype)
    return np.where(array == 0, array, np.nextafter(array, direction))


def extend(floor: Floor, now: Now, members: Sequence[Member]) -> None:
    """Advance every member, and carry the farthest distance so far on."""
    farthest = max(floor.distances[max(now.step - 1, 0)], *(m.advance(now) for m in members))
    floor.distances[now.step] = farthest
    floor.losses[now.step] = now.trace["loss"]
    if floor.first_flip is None and any(member.flipped for member in members):
        floor.first_flip = now.step


def raise_headroom(
    headroom: dict[Arithmetic, float],
    problem: Problem,
    dtype: str,
    params: Mapping[str, Plain],
    permuted: Sequence[Member],
    i: int,
) -> None:
    """Hold B(i), what one step may inject, against f(i), what it does; keep the largest quotient.

    Members that agree with the reference to the last bit inject less than half an ulp, which stands in.
    """
    start = {name: held_as(dtype, value) for name, value in params.items()}
    step = (problem.model, start, problem.X, problem.y, problem.reg, problem.step_size)
    after = next_params(problem.model, record(*step, f"step {i}"))
    size = layer_sizes(problem.model, after)
    low = {name: value.astype(dtype) for name, value in start.items()}
    injected = max(
        distance(problem.model, next_params(problem.model, m.step_from(low, i)), after, size)
        for m in permuted
    )
    for arithmetic in headroom:
        bounds = next_params(problem.model, end_to_end(*step, arithmetic, f"step {i}"))
        zero = {name: np.zeros_like(value) for name, value in after.items()}
        certified = distance(problem.model, {n: b.errors() for n, b in bounds.items()}, zero, size)
        headroom[arithmetic] = max(headroom[arithmetic], certified / (injected or arithmetic.roundoff))


def distance(
    model: str, params: Mapping[str, Plain], reference: Mapping[str, Plain], sizes: Sequence[float]
) -> float:
    """The largest difference of a parameter over the size of its layer; NaN if any is NaN."""
    apart = [
        np.max(np.abs(params[name] - reference[name])) / size
        for layer, size in zip(LAYERS[model], sizes, strict=True)
        for name in layer
    ]
    return float(np.max(apart))


def layer_sizes(model: str, params: Mapping[str, Plain]) -> tuple[float, ...]:
    """The largest parameter of each layer."""
    return tuple(max(float(np.max(np.abs(params[name]))) for name in layer) for layer in LAYERS[model])


def _one_dtype(cells: Sequence[tuple[Cell, Port]]) -> str:
    dtypes = {cell.dtype for cell, _ in cells}
    if len(dtypes) != 1 or len({cell.model for cell, _ in cells}) != 1:
        raise ValueError("free runs share a noise floor: give cells of one model and one dtype")
    return dtypes.pop()
