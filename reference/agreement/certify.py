"""Certify: a reference step and ports' traces of it -> findings.

Two certificates for every quantity:

*end to end*: from identical weights and points, the port's value is within the bound
propagated through the whole step.

*local*: the reference recomputes each quantity from the port's **own** recorded inputs.
This bound does not accumulate, and it blames exactly the operation that is wrong:
everything downstream of a bug stays green.

Several steps of several ports, in the same arithmetic, are certified in one pass
(`certify_steps`). Nothing here asserts or prints.
"""

import difflib
import functools
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np

from reference.agreement.arithmetic import Arithmetic, Unbounded
from reference.agreement import blocks
from reference.agreement.rounded import Rounded
from reference.agreement.routes import Quantities, classifier_routes, cover
from reference.agreement.rules import SLACK
from reference.arrays import Params, Plain, Tap
from reference.trace import PARAMETERS, QUANTITIES, STEPS, overflow_message

END_TO_END, LOCAL = "end to end", "local"
CERTIFICATES = (LOCAL, END_TO_END)

ROUTES = {"softmax": classifier_routes(["W"]), "two_layer": classifier_routes(["W", "W2"])}
#: Keeps an exact bound from dividing 0 by 0. (A subnormal number would make each division slow.)
SMALLEST = np.finfo(np.float64).smallest_normal

#: One port's quantities by name.
PortTrace: TypeAlias = Mapping[str, Plain]


class Finding(NamedTuple):
    """One quantity of one step under one certificate.

    `share` is the largest |got - expected| / allowed over the elements: at most 1 agrees, NaN
    never does. `index`, `got`, `expected`, `allowed` are of that element. `problem` says what
    is wrong with a tensor that could not be compared by value at all.
    """

    quantity: str
    certificate: str
    share: float
    index: tuple[int, ...] = ()  # type: ignore[assignment]  # hides tuple.index
    got: float = float("nan")
    expected: float = float("nan")
    allowed: float = float("nan")
    elements: int = 0
    problem: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the difference is within rounding."""
        return self.share <= 1


class Compared(NamedTuple):
    """One quantity of some ports and steps under one certificate.

    `shares[i, j]` is the largest share of `ports[i]` at `steps[j]`: most are never looked at more
    closely. `spell` looks up the worst element of one of them; `elements` were compared in each.
    """

    quantity: str
    certificate: str
    ports: Sequence[int]
    steps: Sequence[int]
    shares: Plain
    elements: int
    spell: Callable[[int, int], Finding]

    def finding(self, i: int, j: int) -> Finding:
        """The comparison of `ports[i]` at `steps[j]` in full."""
        return self.spell(i, j)._replace(certificate=self.certificate)


class Recorded(NamedTuple):
    """One quantity as recorded: by which ports, and their tensors (ports, steps, ...) as float64.

    `holes` is where the numbers are not finite, once that is known.
    """

    ports: tuple[int, ...]
    values: Plain
    holes: Plain | None = None


class Given(NamedTuple):
    """What some steps start from: what both certificates run the reference's step on.

    `inputs` holds X, y, reg and the parameters by name; the routes may use them.
    """

    model: str
    inputs: Quantities
    step_size: float


class Judgement(NamedTuple):
    """Some steps of some ports: problems[step][port] of structure, and all comparisons by value."""

    problems: list[list[list[Finding]]]
    compared: list[Compared]


def end_to_end(
    model: str,
    params: Params,
    X: Plain,
    y: Plain,
    reg: float,
    step_size: float,
    arithmetic: Arithmetic,
    at: str = "this step",
) -> dict[str, Rounded]:
    """Run the reference step on `Rounded` inputs: every quantity with its propagated bound.

    All arrays are float64 holding numbers of the port's dtype; they count as exact.
    Raises Unbounded, naming the step, where no bound exists.
    """
    bounds = _end_to_end(_given(model, [params], X, y, reg, step_size, arithmetic), at)
    return {name: rounded.at((0, 0)) for name, rounded in bounds.items()}


def _end_to_end(given: Given, at: str) -> dict[str, Rounded]:
    q = given.inputs.copy()

    def tap(name: str, computed: Rounded) -> Rounded:
        q[name] = covered = cover(name, ROUTES[given.model].get(name, ()), computed, q)
        return covered

    _run(given, q, tap, at)
    return {name: q[name] for name in QUANTITIES[given.model]}


def local(
    model: str,
    params: Params,
    X: Plain,
    y: Plain,
    reg: float,
    step_size: float,
    trace: PortTrace,
    arithmetic: Arithmetic,
    at: str = "this step",
) -> dict[str, Rounded]:
    """Recompute every quantity from the port's own recorded ones, with the bound of that one operation.

    `trace` maps names to arrays; a quantity missing from it is recomputed from those before it.
    Raises Unbounded, naming the step, where no bound exists.
    """
    given = _given(model, [params], X, y, reg, step_size, arithmetic)
    expected = _local(given, _recorded([[trace]]), 1, at)
    return {name: rounded.at((0, 0)) for name, rounded in expected.items()}


def _local(given: Given, recorded: Mapping[str, Recorded], ports: int, at: str) -> dict[str, Rounded]:
    q = given.inputs.copy()
    expected = {}

    def tap(name: str, computed: Rounded) -> Rounded:
        seen = expected[name] = cover(name, ROUTES[given.model].get(name, ()), computed, q)
        if name in recorded:
            seen = _as_recorded(recorded[name], ports, computed, seen)
        q[name] = seen
        return seen

    _run(given, q, tap, at)
    return expected


def _given(
    model: str,
    starts: Sequence[Params],
    X: Plain,
    y: Plain,
    reg: float,
    step_size: float,
    arithmetic: Arithmetic,
) -> Given:
    """Steps from those parameters, which are stacked. What follows from them alone is computed once."""
    inputs: Quantities = {"X": Rounded.exact(X, arithmetic), "y": y, "reg": reg, "num_examples": len(y)}
    for name in PARAMETERS[model]:
        inputs[name] = Rounded.exact([start[name] for start in starts], arithmetic, stacked=1)
    return Given(model, inputs, step_size)


def _run(given: Given, q: Quantities, tap: Tap, at: str) -> None:
    model = given.model
    params = {name: q[name] for name in PARAMETERS[model]}
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            STEPS[model](params, q["X"], q["y"], q["reg"], given.step_size, tap)
    except Unbounded as why:
        raise Unbounded(f"{at}: {why}") from None
    except FloatingPointError:
        values = {n: q[n].at((0, 0)).value for n in QUANTITIES[model] if n in q}
        raise Unbounded(overflow_message(values, at, q["y"])) from None


def _recorded(traces: Sequence[Sequence[PortTrace]]) -> dict[str, Recorded]:
    """Stack, by quantity, what traces[step][port] recorded; a port shows the same names at all steps."""
    first = traces[0]
    recorded = {}
    for name in dict.fromkeys(name for trace in first for name in trace):
        ports = tuple(port for port, trace in enumerate(first) if name in trace)
        tensors = [[step[port][name] for step in traces] for port in ports]
        recorded[name] = Recorded(ports, _stack(tensors))
    return recorded


def _stack(tensors: Sequence[Sequence[Plain]]) -> Plain:
    """The tensors of some ports and steps as one array of float64; a tensor alone is not copied."""
    one = tensors[0][0]
    if len(tensors) == len(tensors[0]) == 1:
        return np.asarray(one, dtype=np.float64)[None, None]
    values = np.empty((len(tensors), len(tensors[0]), *one.shape))
    for row, steps in enumerate(tensors):
        for i, tensor in enumerate(steps):
            values[row, i] = tensor
    return values


def _as_recorded(recorded: Recorded, ports: int, computed: Rounded, expected: Rounded) -> Rounded:
    """The ports' own tensors, as the operation after them sees them.

    That is the recorded number itself (a subnormal one may be read as 0), except for a product:
    a compiler may contract it into the addition that follows (a fused multiply-add), which then
    sees the product unrounded. Where a port shows no tensor, what is expected stands in; its
    value also for a number that is not finite, for what follows from that is not compared.
    """
    value = recorded.values
    if recorded.holes is not None:
        value = np.where(recorded.holes, expected.value, value)
    absent = [i for i in range(ports) if i not in recorded.ports]
    if absent:
        value = np.empty((ports, *recorded.values.shape[1:]))
        value[...] = expected.value
        value[list(recorded.ports)] = recorded.values
    if computed.products == 1:
        flushed = (computed.errors() > 0) * computed.arithmetic.smallest_normal
        error = computed.arithmetic.unit * np.abs(value) + flushed
        seen = Rounded(value, error, computed.arithmetic, products=1, stacked=2)
    else:
        seen = Rounded.exact(value, computed.arithmetic, stacked=2)
    if absent:
        error = np.array(seen.errors())
        error[absent] = np.broadcast_to(expected.errors(), value.shape)[absent]
        seen = Rounded(value, error, seen.arithmetic, seen.products, seen.stacked)
    return seen


def compare(quantity: str, certificate: str, got: Plain, expected: Rounded) -> Finding:
    """Hold one recorded tensor against its bound."""
    recorded = Recorded((0,), np.asarray(got, dtype=np.float64)[None, None])
    return compare_all(quantity, certificate, recorded, expected).finding(0, 0)


def compare_all(
    quantity: str, certificate: str, recorded: Recorded, expected: Rounded, at: Sequence[int] = (0,)
) -> Compared:
    """Hold all recordings of a quantity against its bound.

    Findings on large tensors are spelled out at once, so that the bounds need not be kept.
    """
    if expected.stacked == 2 and len(recorded.ports) < len(expected.value):
        expected = expected.of_ports(recorded.ports)
    got = recorded.values
    elements = math.prod(got.shape[2:])

    def spell(i: int, j: int) -> Finding:
        return _finding(quantity, certificate, got[i, j], expected.at((i, j)))

    if elements > blocks.LARGE:
        found = {place: spell(*place) for place in np.ndindex(*got.shape[:2])}
        shares = np.reshape([finding.share for finding in found.values()], got.shape[:2])
        return Compared(
            quantity, certificate, recorded.ports, at, shares, elements, lambda i, j: found[i, j]
        )
    shares = _shares(got, expected)
    behind = tuple(range(2, shares.ndim))
    largest = np.maximum(shares.max(axis=behind), -shares.min(axis=behind)) / SLACK
    return Compared(quantity, certificate, recorded.ports, at, largest, elements, spell)


def _finding(quantity: str, certificate: str, got: Plain, expected: Rounded) -> Finding:
    """The worst element of one tensor, or the first NaN."""
    tiles = blocks.tiles_of(got.shape) if blocks.is_large(got.shape) else [slice(None)]
    worst_of = [
        _worst(got if len(tiles) == 1 else got[t], expected if len(tiles) == 1 else expected[t])
        for t in tiles
    ]
    tile = int(np.argmax([share for share, _ in worst_of]))
    share, index = worst_of[tile]
    if tile:
        index = (tiles[tile].start + index[0], *index[1:])
    share, allowed = share / SLACK, float(expected.errors()[index])
    return Finding(
        quantity,
        certificate,
        float("inf") if share > 1 and not allowed else share,
        index,
        float(got[index]),
        float(expected.value[index]),
        allowed,
        got.size,
    )


def _worst(got: Plain, expected: Rounded) -> tuple[float, tuple[int, ...]]:
    """The largest share of its bound, and where."""
    shares = np.abs(_shares(got, expected))
    index = np.unravel_index(shares.argmax(), shares.shape)
    return float(shares[index]), tuple(int(i) for i in index)


def _shares(got: Plain, expected: Rounded) -> Plain:
    """(got - expected) / error, elementwise; the largest is still to be divided by SLACK.

    0/0 (both exact, and equal) uses none of the bound; anything over an exact bound is
    infinite; NaN stays NaN.
    """
    allowed = SMALLEST if expected.error is None else expected.error + SMALLEST
    with np.errstate(all="ignore"):
        share = np.asarray(got - expected.value)  # shape () gives a scalar, which `out` refuses
        share /= allowed
    return share


def structural_problems(
    model: str,
    trace: PortTrace,
    sizes: Mapping[str, int],
    dtype: np.dtype,
    hidden: Collection[str] = (),
) -> list[Finding]:
    """Findings on what cannot be compared by value: missing, renamed, misshapen, wrong dtype.

    `sizes` maps the letters N, D, H, K to numbers; `hidden` names quantities that the port declares
    its library does not show.
    """
    findings = []
    for name, shape in shapes_of(model, sizes).items():
        if name not in trace:
            if name not in hidden:
                findings.append(_problem(name, "is missing from the port's trace"))
            continue
        got = trace[name]
        if got.shape != shape:
            findings.append(_problem(name, f"has shape {got.shape}, expected {shape}"))
        elif got.dtype != dtype:
            findings.append(_problem(name, f"has dtype {got.dtype}, expected {dtype}"))
    for name in trace:
        if name not in QUANTITIES[model]:
            findings.append(_problem(name, f"is not a quantity of {model}; {_nearest(name, model)}"))
    return findings


def _problem(name: str, problem: str) -> Finding:
    return Finding(name, LOCAL, float("nan"), problem=problem)


def _nearest(name: str, model: str) -> str:
    near = [n for n in QUANTITIES[model] if n.lower() == name.lower()]
    near = near or difflib.get_close_matches(name, QUANTITIES[model], n=1)
    return f"did you mean {near[0]}?" if near else f"expected {', '.join(QUANTITIES[model])}"


def sizes_of(model: str, params: Params, X: Plain) -> dict[str, int]:
    """The letters of the shape table for one problem."""
    sizes = {"N": X.shape[0]}
    for name, letters in PARAMETERS[model].items():
        sizes |= dict(zip(letters, params[name].shape, strict=True))
    return sizes


def shapes_of(model: str, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """The shape of each quantity, from the numbers that the letters N, D, H, K stand for."""
    return _shapes_of(model, tuple(sizes.items()))


@functools.lru_cache(maxsize=8)
def _shapes_of(model: str, sizes: tuple[tuple[str, int], ...]) -> dict[str, tuple[int, ...]]:
    size = dict(sizes) | {"1": 1}
    return {
        name: tuple(size[letter] for letter in letters) for name, letters in QUANTITIES[model].items()
    }


def certify(
    model: str,
    params: Params,
    X: Plain,
    y: Plain,
    reg: float,
    step_size: float,
    trace: PortTrace,
    arithmetic: Arithmetic,
    bounds: Mapping[str, Rounded] | None = None,
    hidden: Collection[str] = (),
    at: str = "this step",
) -> list[Finding]:
    """Judge one port's trace of one step. Returns every `Finding`, structural ones first.

    `bounds` is the step's `end_to_end` result, shared by all ports that start from the same numbers.
    """
    inputs = (model, [params], X, y, reg, step_size)
    judged = certify_steps(*inputs, [[trace]], arithmetic, [hidden], at, bounds)
    return judged.problems[0][0] + [compared.finding(0, 0) for compared in judged.compared]


def certify_steps(
    model: str,
    starts: Sequence[Params],
    X: Plain,
    y: Plain,
    reg: float,
    step_size: float,
    traces: Sequence[Sequence[PortTrace]],
    arithmetic: Arithmetic,
    hidden: Sequence[Collection[str]] | None = None,
    at: str = "this step",
    bounds: Mapping[str, Rounded] | None = None,
) -> Judgement:
    """`certify` for several steps of several ports, in one pass.

    `starts` holds the parameters of each step; traces[step][port] what each port made of them.
    """
    sizes, dtype = sizes_of(model, starts[0], X), np.dtype(arithmetic.name)
    shown = hidden or [()] * len(traces[0])
    problems = [
        [
            structural_problems(model, trace, sizes, dtype, h)
            for trace, h in zip(step, shown, strict=True)
        ]
        for step in traces
    ]
    irregular = any(found for step in problems for found in step) or any(
        trace.keys() != first.keys()
        for step in traces
        for trace, first in zip(step, traces[0], strict=True)
    )
    if irregular and len(starts) > 1:
        one_by_one = (
            certify_steps(model, [start], X, y, reg, step_size, [step], arithmetic, hidden, at)
            for start, step in zip(starts, traces, strict=True)
        )
        compared = [c._replace(steps=(i,)) for i, one in enumerate(one_by_one) for c in one.compared]
        return Judgement(problems, compared)
    usable = [
        [_without(trace, found) for trace, found in zip(*step, strict=True)]
        for step in zip(traces, problems, strict=True)
    ]
    recorded, steps = _recorded(usable), range(len(starts))
    given = _given(model, starts, X, y, reg, step_size, arithmetic)
    bounds = bounds or _end_to_end(given, at)
    ends = _compared(END_TO_END, recorded, bounds, steps)
    bounds = {name: bound for name, bound in bounds.items() if bound.value.size <= blocks.LARGE}
    try:
        _require_finite(ends.values())
        own_bounds = _local(given, recorded, len(shown), at)
        from_inputs = {
            name: ends[name]
            for name, bound in bounds.items()
            if name in recorded and own_bounds[name].stacked < 2
        }
        own = list(_compared(LOCAL, recorded, own_bounds, steps, from_inputs).values())
    except Unbounded:
        own = []
        for i, (start, step) in enumerate(zip(starts, usable, strict=True)):
            given = _given(model, [start], X, y, reg, step_size, arithmetic)
            for port, trace in enumerate(step):
                alone = _local_alone(given, trace, _agreeing(ends.values(), port, i), at)
                own += [compared._replace(ports=(port,), steps=(i,)) for compared in alone]
    return Judgement(problems, own + list(ends.values()))


def _without(trace: PortTrace, problems: Sequence[Finding]) -> PortTrace:
    """What of a trace can be compared by value."""
    broken = {problem.quantity for problem in problems}
    return {name: got for name, got in trace.items() if name not in broken} if broken else trace


def _require_finite(compared: Iterable[Compared]) -> None:
    """Raises Unbounded where a recorded number is not finite: what follows it has no bound."""
    if not all(np.isfinite(of_quantity.shares).all() for of_quantity in compared):
        raise Unbounded("a recorded number is not finite")


def _agreeing(compared: Iterable[Compared], port: int, step: int) -> set[str]:
    """The quantities of one port and step that agree."""
    return {c.quantity for c in compared if port in c.ports and c.shares[c.ports.index(port), step] <= 1}


def _local_alone(given: Given, trace: PortTrace, sound: Collection[str], at: str) -> Iterable[Compared]:
    """The local certificates of one step of one port, where something recorded needs a look.

    What is computed from a recorded NaN or infinity follows, whatever it is, and is not compared. A
    recorded probability of 0 leaves what follows it without a bound: then the port is judged from
    those of its recordings that are sound: that agree end to end.
    """
    follows = _following_not_finite(given, trace)
    recorded = {
        name: one._replace(holes=~np.isfinite(one.values)) for name, one in _recorded([[trace]]).items()
    }
    try:
        bounds = _local(given, recorded, 1, at)
    except Unbounded:
        bounds = _local(given, {name: recorded[name] for name in recorded if name in sound}, 1, at)
    compared = {
        name: one._replace(values=np.where(follows[name], bounds[name].value, one.values))
        for name, one in recorded.items()
    }
    return _compared(LOCAL, compared, bounds, (0,)).values()


def _following_not_finite(given: Given, trace: PortTrace) -> dict[str, Plain]:
    """By quantity, which elements are computed from a recorded NaN or infinity, directly or not.

    Each of those made a NaN, the reference's step on the port's plain numbers makes NaN of what follows.
    """
    follows = {}

    def tap(name: str, computed: Plain) -> Plain:
        follows[name] = np.isnan(computed)
        seen = np.asarray(trace.get(name, computed), dtype=np.float64)
        return np.where(np.isfinite(seen) & ~follows[name], seen, np.nan)

    inputs = {n: x.at((0, 0)).value if isinstance(x, Rounded) else x for n, x in given.inputs.items()}
    params = {name: inputs[name] for name in PARAMETERS[given.model]}
    with np.errstate(all="ignore"):
        STEPS[given.model](params, inputs["X"], inputs["y"], given.inputs["reg"], given.step_size, tap)
    return follows


def _compared(
    certificate: str,
    recorded: Mapping[str, Recorded],
    expected: Mapping[str, Rounded],
    steps: Sequence[int],
    known: Mapping[str, Compared] = MappingProxyType({}),
) -> dict[str, Compared]:
    """Hold every recorded quantity against its bound, but for those known from the other certificate."""
    return {
        name: known[name]._replace(certificate=certificate)
        if name in known
        else compare_all(name, certificate, recorded[name], bound, steps)
        for name, bound in expected.items()
        if name in recorded
    }
