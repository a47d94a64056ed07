"""The note's training loop with a port's step: what comes out of a step goes into the next."""

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from ports.contract import Tensor
from ports.engine.lockstep import Contestant
from ports.returned import named_tensors, what_went_wrong
from reference.models import Problem


class Update(NamedTuple):
    """One update: the parameters before it, what the port computed, and the parameters after it."""

    step: int
    before: Mapping[str, Tensor]
    trace: Mapping[str, Tensor]
    after: Mapping[str, Tensor]


def train(
    contestant: Contestant, problem: Problem, iterations: int, needed: Collection[str] = ()
) -> Iterator[Update]:
    """Let a port train by itself from the problem's parameters, on the contestant's points.

    The tensors stay on the port's device. `needed` names the quantities that the caller reads. Raises
    ValueError in one sentence where the port raises, or does not return what is needed.
    """
    host, cell, model = contestant.port.host, contestant.result.cell, problem.model
    needed = [*needed, *(f"{name}_next" for name in model.parameters)]
    params = {name: host.put(value, cell.device, cell.dtype) for name, value in problem.params.items()}
    for i in range(iterations):
        try:
            made = contestant.step(*model.arguments(params, contestant.batch))
            trace = named_tensors(made, "its step")
        except (Exception, SystemExit) as error:
            raise ValueError(f"{cell}: step {i}: {what_went_wrong(error)}") from error
        missing = [name for name in needed if name not in trace]
        if missing:
            raise ValueError(f"{cell}: step {i}: {', '.join(missing)} missing from the port's trace")
        after = model.next_params(trace)
        yield Update(i, params, trace, after)
        params = after
