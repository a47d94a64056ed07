"""Bounds: what the reference's step expects of a port, for each quantity, under two certificates.

*end to end*: the step is run on `Rounded` arrays, from the weights and points that the port starts
from. Errors propagate through the whole step.

*local*: each quantity is recomputed from the port's **own** recorded quantities: the tap returns what
the port recorded, not what was computed. This bound does not accumulate, and it blames exactly the
operation that is wrong: everything downstream of a bug stays green.

Both run the model's own step, once for all steps and ports of a pass: the numbers of all are stacked.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias, cast

import numpy as np

from reference.agreement import blocks, rules
from reference.agreement.arithmetic import Arithmetic, Unbounded
from reference.agreement.rounded import Rounded
from reference.agreement.routes import Quantities, cover
from reference.arrays import Plain, Tap, is_floats
from reference.models import Problem
from reference.trace import overflow_message

#: One port's quantities by name.
PortTrace: TypeAlias = Mapping[str, Plain]
#: Called with each quantity's bound. Bounds are not kept after that: those of a large problem are large.
See: TypeAlias = Callable[[str, Rounded], None]


class Recorded(NamedTuple):
    """One quantity as some ports recorded it at some steps.

    `values` (ports, steps, ...) is float64. `holes` marks the numbers that are not finite, once known.
    """

    ports: Sequence[int]
    steps: Sequence[int]
    values: Plain
    holes: Plain | None = None


def end_to_end(problem: Problem, arithmetic: Arithmetic, at: str = "this step") -> dict[str, Rounded]:
    """Every quantity of one step, with the bound propagated from the problem's numbers.

    All arrays are float64 and hold numbers of the port's dtype, which count as exact.
    Raises Unbounded, naming the step, where no bound exists.
    """
    bounds: dict[str, Rounded] = {}
    end_to_end_of_all(stacked([problem], arithmetic), at, bounds.__setitem__)
    return {name: bound.at((0, 0)) for name, bound in bounds.items()}


def local(
    problem: Problem, trace: PortTrace, arithmetic: Arithmetic, at: str = "this step"
) -> dict[str, Rounded]:
    """Every quantity of one step recomputed from those in `trace`, with the bound of that one operation.

    `trace` maps names to arrays; a quantity missing from it is recomputed from those before it.
    Raises Unbounded, naming the step, where no bound exists.
    """
    bounds: dict[str, Rounded] = {}
    recorded = recorded_by([0], [0], [[trace]])
    local_of_all(stacked([problem], arithmetic), recorded, [0], at, bounds.__setitem__)
    return {name: bound.at((0, 0)) for name, bound in bounds.items()}


# Several steps of several ports at once


def stacked(starts: Sequence[Problem], arithmetic: Arithmetic) -> Problem:
    """Stack the problems that some steps start from into one problem on `Rounded` arrays.

    The steps' parameters are stacked; everything else is the same in all of them.
    """
    first, arithmetic = starts[0], arithmetic.for_one_run()
    params = {
        name: Rounded.exact([start.params[name] for start in starts], arithmetic, stacked=1)
        for name in first.model.parameters
    }
    floats = {n: Rounded.exact(x, arithmetic) for n, x in first.batch.items() if is_floats(x)}
    return first.changed(params, **floats)


def recorded_by(
    ports: Sequence[int], steps: Sequence[int], traces: Sequence[Sequence[PortTrace]]
) -> dict[str, Recorded]:
    """Regroup traces[step][port] by quantity. A port shows the same names at all these steps."""
    recorded = {}
    for name in dict.fromkeys(name for trace in traces[0] for name in trace):
        shown = [i for i, trace in enumerate(traces[0]) if name in trace]
        tensors = [[of_ports[i][name] for of_ports in traces] for i in shown]
        recorded[name] = Recorded([ports[i] for i in shown], steps, _stack(tensors))
    return recorded


def _stack(tensors: Sequence[Sequence[Plain]]) -> Plain:
    """Stack tensors, by port and step, as one float64 array. A single tensor is not copied."""
    one = tensors[0][0]
    if len(tensors) == len(tensors[0]) == 1:
        return np.asarray(one, dtype=np.float64)[None, None]
    values = np.empty((len(tensors), len(tensors[0]), *one.shape))
    for row, steps in enumerate(tensors):
        for i, tensor in enumerate(steps):
            values[row, i] = tensor
    return values


def end_to_end_of_all(start: Problem, at: str, see: See) -> None:
    """`end_to_end` for all stacked steps: `see` is called with each bound, stacked by steps."""
    q = _inputs(start, local=False)

    def tap(name: str, computed: Rounded) -> Rounded:
        covered = cover(name, start.model.routes.get(name, ()), computed, q)
        kept = as_stored(name, covered, promise_to(start))
        see(name, kept)
        q[name] = used = as_used(name, kept)
        return used

    _run(start, q, tap, at)


def local_of_all(
    start: Problem, recorded: Mapping[str, Recorded], ports: Sequence[int], at: str, see: See
) -> None:
    """`local` for all these ports: `see` is called with each bound, stacked by ports and steps.

    The bounds of quantities that are computed from the inputs alone are the same for all ports. They are
    stacked by steps alone, and are the end-to-end bounds.
    """
    q = _inputs(start, local=True)

    def tap(name: str, computed: Rounded) -> Rounded:
        covered = cover(name, start.model.routes.get(name, ()), computed, q)
        kept = as_stored(name, covered, promise_to(start))
        see(name, kept)
        seen = as_recorded(recorded[name], ports, kept) if name in recorded else kept
        q[name] = used = as_used(name, seen)
        return used

    _run(start, q, tap, at)


def promise_to(start: Problem) -> Arithmetic:
    """The arithmetic of a problem on `Rounded` arrays."""
    return cast(Rounded, next(iter(start.params.values()))).base


def _inputs(start: Problem, local: bool) -> Quantities:
    """What the routes may use from the beginning: the step's inputs, and which certificate this is."""
    examples = {"num_examples": len(start.y)} if "y" in start.batch else {}
    return {**start.batch, **examples, **start.params, "local": local}


def _run(start: Problem, q: Quantities, tap: Tap, at: str) -> None:
    """Run the model's step. Raises Unbounded, naming the step, where no bound exists."""
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            start.step(_announcing(start, tap))
    except Unbounded as why:
        raise Unbounded(f"{at}: {why}") from None
    except FloatingPointError:
        values = {name: q[name].at((0, 0)).value for name in start.model.quantities if name in q}
        raise Unbounded(overflow_message(values, at, start.labels)) from None


def _announcing(start: Problem, tap: Tap) -> Tap:
    """The tap, which tells a mixture of formats which quantity is computed next."""
    mixture, names = promise_to(start).mixture, [*start.model.quantities, ""]
    if mixture is None:
        return tap
    mixture.computing = names[0]

    def announcing(name: str, computed: Rounded) -> Rounded:
        used = cast(Rounded, tap(name, computed))
        mixture.computing = names[names.index(name) + 1]
        return used

    return announcing


def as_stored(name: str, computed: Rounded, base: Arithmetic) -> Rounded:
    """The quantity in the format that it is stored in. In mixed precision, that may round it again."""
    stored_in = base.format_of(name)
    if stored_in is base:
        return computed
    is_wider = computed.arithmetic.mixture
    kept = rules.cast(computed.bounded, stored_in) if is_wider else computed.bounded
    return Rounded.of(kept, base, computed.stacked, stored_in)


def as_used(name: str, stored: Rounded) -> Rounded:
    """The quantity as later operations take it.

    Softmax is computed in the format of the probabilities, also where the gradient computes it again. So
    scores that are narrower than these are the same numbers in the wider format.
    """
    base = stored.base
    if name == "scores" and base.format_of("probs") is base:
        return Rounded.of(stored.bounded, base, stored.stacked)
    return stored


def as_recorded(recorded: Recorded, ports: Sequence[int], expected: Rounded) -> Rounded:
    """The ports' own tensors, as the operation after them sees them.

    That is the recorded number itself (a subnormal one may be read as 0), with two exceptions. A
    compiler may contract a product into the addition that follows (a fused multiply-add), which then
    sees the product unrounded. And a fused kernel may use any number before it is stored in 16 bits.
    Where a port shows no tensor, the expected one stands in. The expected
    value also stands in for a number that is not finite; what follows from it is not compared.
    """
    values = recorded.values
    if recorded.holes is not None:
        values = np.where(recorded.holes, expected.value, values)
    absent = [i for i, port in enumerate(ports) if port not in recorded.ports]
    if not absent:
        return _seen(values, expected)
    of_all = np.array(np.broadcast_to(expected.value, (len(ports), *values.shape[1:])))
    of_all[[ports.index(port) for port in recorded.ports]] = values
    seen = _seen(of_all, expected)
    error = np.array(seen.errors())
    error[absent] = np.broadcast_to(expected.errors(), error.shape)[absent]
    return seen.with_error(error)


def _seen(values: Plain, expected: Rounded) -> Rounded:
    """Recorded numbers, with an error where a kernel may use them before they are rounded or stored."""
    arithmetic, products = expected.arithmetic, expected.products
    contracted = products == 1 and not arithmetic.stores
    if contracted or arithmetic.fuses:
        flushed = (rules.off(expected.bounded) > 0) * arithmetic.flush
        seen = rules.Bounded(values, arithmetic.unit * np.abs(values) + flushed, products)
    else:
        seen = blocks.exact(values, arithmetic)
    return Rounded.of(seen, expected.base, 2, expected.format)
