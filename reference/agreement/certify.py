"""Certify: a reference step and ports' traces of it -> findings.

Two certificates for every quantity:

*end to end*: from identical weights and points, the port's value is within the bound
propagated through the whole step.

*local*: the reference recomputes each quantity from the port's **own** recorded inputs.
This bound does not accumulate, and it blames exactly the operation that is wrong:
everything downstream of a bug stays green.

Ports that start from the same numbers, in the same arithmetic, are certified in one pass
(`certify_all`). Nothing here asserts or prints.
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from reference.agreement.arithmetic import Arithmetic, Unbounded
from reference.agreement.rounded import SLACK, Rounded
from reference.agreement.routes import Quantities, cover
from reference.arrays import Params, Plain, Tap
from reference.trace import PARAMETERS, QUANTITIES, STEPS, overflow_message

END_TO_END, LOCAL = "end to end", "local"
CERTIFICATES = (LOCAL, END_TO_END)

#: The smallest positive number: keeps an exact bound from dividing 0 by 0.
SMALLEST = np.finfo(np.float64).smallest_subnormal

#: One port's quantities by name.
PortTrace: TypeAlias = Mapping[str, Plain]
#: model, params, X, y, reg, step_size
Inputs: TypeAlias = tuple[str, Params, Plain, Plain, float, float]


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

    def finding(self) -> "Finding":
        """Itself, as `Outcome.finding`."""
        return self


class Outcome(NamedTuple):
    """A comparison whose `Finding` is not spelled out yet: most are never looked at."""

    quantity: str
    certificate: str
    share: float
    worst: int
    got: Plain
    expected: Rounded
    port: int

    @property
    def elements(self) -> int:
        """How many numbers were compared."""
        return self.got.size

    def finding(self) -> Finding:
        """Look up the worst element."""
        index = tuple(int(i) for i in np.unravel_index(self.worst, self.got.shape))
        expected = self.expected.of_port(self.port)
        return Finding(
            self.quantity,
            self.certificate,
            self.share,
            index,
            float(self.got[index]),
            float(expected.value[index]),
            float(expected.errors()[index]),
            self.got.size,
        )


class Recorded(NamedTuple):
    """One quantity as several ports recorded it: which ports, and their tensors, stacked as float64."""

    ports: tuple[int, ...]
    values: Plain


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
    q = _inputs(params, X, y, reg, arithmetic)

    def tap(name: str, computed: Rounded) -> Rounded:
        q[name] = covered = cover(name, computed, q)
        return covered

    _run(model, params, q, step_size, tap, at)
    return {name: q[name] for name in QUANTITIES[model]}


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
    expected = local_all(model, params, X, y, reg, step_size, [trace], arithmetic, at)
    return {name: rounded.of_port(0) for name, rounded in expected.items()}


def local_all(
    model: str,
    params: Params,
    X: Plain,
    y: Plain,
    reg: float,
    step_size: float,
    traces: Sequence[PortTrace],
    arithmetic: Arithmetic,
    at: str = "this step",
) -> dict[str, Rounded]:
    """`local` for several ports at once, stacked in their order."""
    inputs = (model, params, X, y, reg, step_size)
    return _local(inputs, _recorded(traces), len(traces), arithmetic, at)


def _local(
    inputs: Inputs, recorded: Mapping[str, Recorded], ports: int, arithmetic: Arithmetic, at: str
) -> dict[str, Rounded]:
    model, params, X, y, reg, step_size = inputs
    q = _inputs(params, X, y, reg, arithmetic)
    expected = {}

    def tap(name: str, computed: Rounded) -> Rounded:
        seen = expected[name] = cover(name, computed, q)
        if name in recorded:
            seen = _as_recorded(recorded[name], ports, computed, seen)
        q[name] = seen
        return seen

    _run(model, params, q, step_size, tap, at)
    return expected


def _recorded(traces: Sequence[PortTrace]) -> dict[str, Recorded]:
    """Stack what the ports recorded, quantity by quantity."""
    names = dict.fromkeys(name for trace in traces for name in trace)
    recorded = {}
    for name in names:
        ports = tuple(i for i, trace in enumerate(traces) if name in trace)
        values = np.empty((len(ports), *traces[ports[0]][name].shape))
        for row, port in enumerate(ports):
            values[row] = traces[port][name]
        recorded[name] = Recorded(ports, values)
    return recorded


def _inputs(params: Params, X: Plain, y: Plain, reg: float, arithmetic: Arithmetic) -> Quantities:
    inputs = {name: Rounded.exact(value, arithmetic) for name, value in params.items()}
    return inputs | {"X": Rounded.exact(X, arithmetic), "y": y, "reg": reg}


def _run(model: str, params: Params, q: Quantities, step_size: float, tap: Tap, at: str) -> None:
    weights = {name: q[name] for name in params}
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            STEPS[model](weights, q["X"], q["y"], q["reg"], step_size, tap)
    except Unbounded as why:
        raise Unbounded(f"{at}: {why}") from None
    except FloatingPointError:
        values = {n: q[n].of_port(0).value for n in QUANTITIES[model] if n in q}
        raise Unbounded(overflow_message(values, at, q["y"])) from None


def _as_recorded(recorded: Recorded, ports: int, computed: Rounded, expected: Rounded) -> Rounded:
    """The ports' own tensors, as the operation after them sees them.

    That is the recorded number itself (a subnormal one may be read as 0), except for a product:
    a compiler may contract it into the addition that follows (a fused multiply-add), which then
    sees the product unrounded. Where a port shows no tensor, what is expected stands in.
    """
    value = recorded.values
    absent = [i for i in range(ports) if i not in recorded.ports]
    if absent:
        value = np.empty((ports, *computed.shape))
        value[...] = expected.value
        value[list(recorded.ports)] = recorded.values
    if computed.product == 1:
        flushed = (np.asarray(computed.error) > 0) * computed.arithmetic.smallest_normal
        error = computed.arithmetic.unit * np.abs(value) + flushed
        seen = Rounded(value, error, computed.arithmetic, product=1)
    else:
        seen = Rounded.exact(value, computed.arithmetic)
    seen.stacked = 1
    if absent:
        seen.error = np.array(seen.errors())
        for i in absent:
            seen.error[i] = expected.of_port(i).error
    return seen


def compare(quantity: str, certificate: str, got: Plain, expected: Rounded) -> Finding:
    """Hold one recorded tensor against its bound."""
    recorded = Recorded((0,), np.asarray(got, dtype=np.float64)[None])
    (outcome,) = compare_all(quantity, certificate, recorded, expected)
    return outcome.finding()


def compare_all(quantity: str, certificate: str, recorded: Recorded, expected: Rounded) -> list[Outcome]:
    """Hold several ports' recordings of a quantity against its bound, stacked or shared.

    0/0 (both exact, and equal) uses none of the bound; anything over an exact bound is
    infinite; NaN stays NaN.
    """
    if expected.stacked and len(recorded.ports) < len(expected.value):
        expected = expected.of_ports(recorded.ports)
    allowed = expected.error * SLACK + SMALLEST
    with np.errstate(all="ignore"):
        share = recorded.values - expected.value
        np.abs(share, out=share)
        share /= allowed
    rows = share.reshape(len(share), -1)
    worst = rows.argmax(axis=1)  # the first NaN, where there is one
    return [
        Outcome(quantity, certificate, row.item(w), int(w), got, expected, i)
        for i, (row, w, got) in enumerate(zip(rows, worst, recorded.values, strict=True))
    ]


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
    for name, letters in QUANTITIES[model].items():
        if name not in trace:
            if name not in hidden:
                findings.append(_problem(name, "is missing from the port's trace"))
            continue
        shape = tuple(1 if letter == "1" else sizes[letter] for letter in letters)
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
    near = difflib.get_close_matches(name, QUANTITIES[model], n=1)
    return f"did you mean {near[0]}?" if near else f"expected {', '.join(QUANTITIES[model])}"


def sizes_of(model: str, params: Params, X: Plain) -> dict[str, int]:
    """The letters of the shape table for one problem."""
    sizes = {"N": X.shape[0]}
    for name, letters in PARAMETERS[model].items():
        sizes |= dict(zip(letters, params[name].shape, strict=True))
    return sizes


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
    inputs = (model, params, X, y, reg, step_size)
    problems, outcomes = certify_all(*inputs, [trace], arithmetic, bounds, [hidden], at)[0]
    return problems + [outcome.finding() for outcome in outcomes]


def certify_all(
    model: str,
    params: Params,
    X: Plain,
    y: Plain,
    reg: float,
    step_size: float,
    traces: Sequence[PortTrace],
    arithmetic: Arithmetic,
    bounds: Mapping[str, Rounded] | None = None,
    hidden: Sequence[Collection[str]] | None = None,
    at: str = "this step",
) -> list[tuple[list[Finding], list[Outcome]]]:
    """`certify` for several ports that start from the same numbers, in one pass.

    Returns, for each port, its structural problems and the outcomes of all comparisons by value.
    """
    inputs = (model, params, X, y, reg, step_size)
    sizes, dtype = sizes_of(model, params, X), np.dtype(arithmetic.name)
    shown = hidden or [()] * len(traces)
    problems = [
        structural_problems(model, trace, sizes, dtype, names)
        for trace, names in zip(traces, shown, strict=True)
    ]
    usable = [
        {name: got for name, got in trace.items() if all(f.quantity != name for f in found)}
        for trace, found in zip(traces, problems, strict=True)
    ]
    recorded = _recorded(usable)
    end_to_end_bounds = bounds or end_to_end(*inputs, arithmetic, at)
    outcomes = _compare_recorded(END_TO_END, recorded, len(traces), end_to_end_bounds)
    try:
        local_bounds = _local(inputs, recorded, len(traces), arithmetic, at)
        found = _compare_recorded(LOCAL, recorded, len(traces), local_bounds)
    except Unbounded:
        found = [
            _local_alone(inputs, trace, ends, arithmetic, at)
            for trace, ends in zip(usable, outcomes, strict=True)
        ]
    return [
        (problem, here + ends) for problem, here, ends in zip(problems, found, outcomes, strict=True)
    ]


def _local_alone(
    inputs: Inputs,
    trace: PortTrace,
    end_to_end_outcomes: Sequence[Outcome],
    arithmetic: Arithmetic,
    at: str,
) -> list[Outcome]:
    """The local certificates of one port among whose tensors is something that has no bound.

    A recorded NaN, infinity or probability of 0 leaves what follows it without one: then the
    port is judged from those of its recordings that agree end to end.
    """
    recorded = _recorded([trace])
    try:
        bounds = _local(inputs, recorded, 1, arithmetic, at)
    except Unbounded:
        sound = {o.quantity: o.got for o in end_to_end_outcomes if o.share <= 1}
        bounds = _local(inputs, _recorded([sound]), 1, arithmetic, at)
    return _compare_recorded(LOCAL, recorded, 1, bounds)[0]


def _compare_recorded(
    certificate: str, recorded: Mapping[str, Recorded], ports: int, expected: Mapping[str, Rounded]
) -> list[list[Outcome]]:
    """Hold every quantity that each port shows against its bound."""
    outcomes: list[list[Outcome]] = [[] for _ in range(ports)]
    for name, rounded in expected.items():
        if name in recorded:
            found = compare_all(name, certificate, recorded[name], rounded)
            for port, outcome in zip(recorded[name].ports, found, strict=True):
                outcomes[port].append(outcome)
    return outcomes
