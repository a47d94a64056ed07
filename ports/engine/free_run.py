"""The engine of free runs: every port trains by itself, and is held against the noise floor.

From identical weights, each port feeds its own parameters back; the reference (NumPy, float64) runs
from the same rounded numbers. Training amplifies rounding: the two-layer run, whose step size sits
at the edge of stability, turns one ulp into a visible difference within some thousand steps. So no
fixed tolerance fits; `noise_floor` says what does, why, and what that does not prove.

A port agrees if it is never farther from the reference than allowed, and the comparison could tell
a bug from noise for at least one step: `horizon` counts those steps. NaN agrees with nothing.

Steps count the updates made: distance n compares the parameters after n updates, and a flip at step n
is in the forward pass from these. Memory: a few floats per run and step.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ports.contract import Port, PortError, Tensor, prepared_step
from ports.engine.lockstep import put_batch
from ports.engine.noise_floor import MEMBERS, NoiseFloor, Now, distance
from ports.engine.results import Cell
from ports.mixed import OWN_DTYPE
from ports.returned import named_tensors, read, what_went_wrong
from reference.arrays import Plain
from reference.models import Problem, Relu
from reference.runs import trajectory


@dataclass(frozen=True)
class Flip:
    """A ReLU that is on in one run and off in the other.

    Attributes:
        step: updates made before this forward pass.
        example, unit: the entry of the hidden layer.
        count: how many entries of that layer flipped at this step.
        reference, port: its pre-activation in either run, in float64 from the run's own parameters.
    """

    step: int
    example: int
    unit: int
    count: int
    reference: float
    port: float


@dataclass
class Drift:
    """A port's free run against the floor. In each curve, entry [n - 1] is after n updates."""

    cell: Cell
    floor: NoiseFloor
    headroom: Plain
    distances: Plain
    losses: Plain
    first_flip: Flip | None = None
    error: str = ""

    @property
    def allowed(self) -> Plain:
        """How far the port may be from the reference."""
        return np.asarray(self.headroom * self.floor.distances)

    @property
    def horizon(self) -> int:
        """For how many steps the comparison can tell a bug from noise."""
        return int(np.count_nonzero(self.allowed < 1))

    @property
    def first_excess(self) -> int | None:
        """The first step after which the port is farther off than allowed, or None."""
        outside = np.flatnonzero(~(self.distances <= self.allowed))  # NaN is outside
        return int(outside[0]) + 1 if outside.size else None

    @property
    def share(self) -> float:
        """The largest share of the allowed distance that was used; NaN if any is."""
        return float(np.max(self.distances / self.allowed, initial=0.0))

    @property
    def agrees(self) -> bool:
        """A bug could have been told from noise, and the port was never farther off than allowed."""
        return self.horizon > 0 and not self.error and self.first_excess is None


class Runner:
    """A port that trains by itself. Its parameters stay on its device, in its dtype."""

    def __init__(self, cell: Cell, port: Port, problem: Problem, floor: NoiseFloor) -> None:
        host = self.host = port.host
        self.problem = problem
        self.step = prepared_step(port, problem.model, cell.mode)
        self.batch = put_batch(host, problem, cell.device, cell.dtype)
        self.params: dict[str, Tensor] = {
            name: host.put(value, cell.device, cell.dtype) for name, value in problem.params.items()
        }
        self.shapes = problem.shapes
        self.held = problem.params  # the numbers in `params`, as NumPy float64
        headroom = floor.headroom[port.arithmetic(cell.mode, cell.device, cell.dtype)]
        unknown = np.full(headroom.shape, np.nan)
        self.drift = Drift(cell, floor, headroom, unknown, unknown.copy())

    def advance(self, now: Now) -> None:
        """Make one update and record it, unless the port has failed before."""
        if self.drift.error:
            return
        p = self.problem
        try:
            with np.errstate(all="ignore"):  # a run that leaves the number range shows in its distance
                trace = self.step(*p.model.arguments(self.params, self.batch))
            self.note(now, named_tensors(trace, p.model.step_name))
        except (Exception, SystemExit) as error:
            self.drift.error = f"step {now.step}: {what_went_wrong(error)}"

    def note(self, now: Now, trace: Mapping[str, Tensor]) -> None:
        """Record flip, loss, parameters and distance. Raises PortError for a missing or bad tensor."""
        if self.drift.first_flip is None:
            hidden = {name: self.fetch(name, trace) for name in self.problem.model.relus}
            self.drift.first_flip = self.flip(now, hidden)
        if "loss" in self.shapes:
            self.drift.losses[now.step] = self.fetch("loss", trace).item()
        self.held = {n: self.fetch(f"{n}_next", trace).astype(np.float64) for n in self.params}
        self.params = self.problem.model.next_params(trace)
        self.drift.distances[now.step] = distance(self.problem.model, self.held, now.after)

    def fetch(self, quantity: str, trace: Mapping[str, Tensor]) -> Plain:
        """A quantity of the port, as NumPy. Raises PortError if it is missing or has the wrong form."""
        if quantity not in trace:
            raise PortError(f"{quantity} is missing from the port's trace")
        array = read(self.host, quantity, trace[quantity])
        shape, dtype = self.shapes[quantity], self.drift.cell.dtype
        if array.shape != shape or array.dtype != dtype:
            raise PortError(f"{quantity} is {array.dtype} {array.shape}, expected {dtype} {shape}")
        return array

    def flip(self, now: Now, hidden: Mapping[str, Plain]) -> Flip | None:
        """The first ReLU that is on here and off in the reference, or the other way round."""
        for name, relu in self.problem.model.relus.items():
            differ = (hidden[name] > 0) != (now.hidden[name] > 0)
            if differ.any():
                flipped = np.argwhere(differ)
                example, unit = (int(k) for k in flipped[0])
                there = self.pre_activation(relu, now.params, now.hidden, example, unit)
                here = self.pre_activation(relu, self.held, hidden, example, unit)
                return Flip(now.step, example, unit, len(flipped), there, here)
        return None

    def pre_activation(
        self,
        relu: Relu,
        params: Mapping[str, Plain],
        hidden: Mapping[str, Plain],
        example: int,
        unit: int,
    ) -> float:
        """The input of a ReLU, in float64 from a run's own parameters."""
        inputs = hidden.get(relu.inputs, self.problem.X)
        weights, bias = params[relu.weights], params[relu.bias]
        return float(inputs[example].astype(np.float64) @ weights[:, unit] + bias[0, unit])


def run_free(
    problem: Problem,
    cells: Sequence[tuple[Cell, Port]],
    iterations: int,
    members: int = MEMBERS,
    seed: int = 0,
    progress: Callable[[int], None] = lambda step: None,
) -> list[Drift]:
    """Let ports of one model and dtype train by themselves, beside the reference and the noise floor.

    `members` and `seed` are the floor's. The caller enters the hosts' exact settings. Raises
    ValueError for a port in mixed precision, whose noise no floor here has, and
    ScoreOverflow or Unbounded where the reference, a member or a step's bound leaves the number range.
    """
    _refuse_mixed(port for _, port in cells)
    dtype = _shared_dtype(problem.model.name, [cell for cell, _ in cells])
    problem = problem.held_as(dtype)
    arithmetics = {port.arithmetic(cell.mode, cell.device, dtype) for cell, port in cells}
    floor = NoiseFloor(problem, dtype, arithmetics, iterations, members, seed)
    runners = [Runner(cell, port, problem, floor) for cell, port in cells]
    for i, start, trace in trajectory(problem, iterations):
        hidden = {name: trace[name] for name in problem.model.relus}
        after = problem.model.next_params(trace)
        now = Now(i, start.params, after, hidden, float(trace.get("loss", np.nan)))
        floor.advance(now)
        for runner in runners:
            runner.advance(now)
        progress(i)
    return [runner.drift for runner in runners]


def _refuse_mixed(ports: Iterable[Port]) -> None:
    for port in ports:
        if port.mixed:
            raise ValueError(
                f"{port.name} computes in {port.mixed.dtype} with {OWN_DTYPE} parameters, and the noise "
                "floor of a free run is that of one dtype: lockstep compare certifies it step by step"
            )


def _shared_dtype(model: str, cells: Sequence[Cell]) -> str:
    dtypes = {cell.dtype for cell in cells}
    if len(dtypes) != 1 or {cell.model for cell in cells} != {model}:
        raise ValueError(f"free runs share a noise floor: give cells of {model} and of one dtype")
    return dtypes.pop()
